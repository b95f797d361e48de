"""All categories of a root, named on the command line before a sweep begins."""

from pathlib import Path

import pytest

from rdad.config.mistakes import ConfigError
from rdad.sweep.categories import with_categories


def root(folder: Path, *places: str) -> str:
    for place in places:
        (folder / place).mkdir(parents=True)
    return f"dataset.root={folder}"


def test_published_categories_come_first_and_in_their_order(tmp_path: Path) -> None:
    given = ["sweep=benchmark", "dataset=mvtec_ad"]
    given.append(root(tmp_path, "zipper/train", "own part/train", "bottle/train", "documents"))
    assert with_categories(given)[-1] == "dataset.category=bottle,zipper,'own part'"


def test_a_folder_that_holds_all_is_looked_into(tmp_path: Path) -> None:
    given = ["-m", "dataset=btad", "dataset.category=all", "seed=1,2"]
    given.append(
        root(tmp_path, "BTech_Dataset_transformed/02/train", "BTech_Dataset_transformed/01")
    )
    found = with_categories(given)
    assert "dataset.category=all" not in found and found[-1] == "dataset.category='01','02'"


def test_an_experiment_may_say_which_data_set_it_is(tmp_path: Path) -> None:
    given = ["sweep=categories", "experiment=paper", root(tmp_path, "wood/train", "tile/train")]
    assert with_categories(given)[-1] == "dataset.category=tile,wood"


def test_folders_that_are_called_train_with_a_capital_are_found(tmp_path: Path) -> None:
    given = ["sweep=categories", "dataset=dagm", root(tmp_path, "Class1/Train", "Class2/Train")]
    assert with_categories(given)[-1] == "dataset.category=Class1,Class2"


def test_other_options_of_the_data_set_may_vary_beside_its_categories() -> None:
    found = with_categories(["sweep=benchmark", "dataset.image_size=[64,64],[96,96]"])
    assert found[-2:] == [
        "dataset.image_size=[64,64],[96,96]",
        "dataset.category=brick,grass,gravel",
    ]


def test_the_textures_are_all_there() -> None:
    assert with_categories(["sweep=categories"])[-1] == "dataset.category=brick,grass,gravel"


@pytest.mark.parametrize(
    "given",
    [
        ["experiment=joint"],
        ["dataset.joint=true", "dataset.category=all"],
        ["dataset.joint=True", "dataset.category=all"],
    ],
)
def test_one_network_for_all_gets_them_as_a_list(given: list[str]) -> None:
    assert with_categories(given)[-1] == "dataset.category=[brick,grass,gravel]"


@pytest.mark.parametrize(
    "given",
    [
        ["sweep=benchmark", "dataset=visa", "dataset.category=pcb1,pcb2"],
        ["experiment=joint", "dataset.category=[brick,grass]"],
        ["sweep=seeds"],
        ["dataset=visa", "dataset.root=nowhere"],
    ],
)
def test_other_commands_stay_as_they_are(given: list[str]) -> None:
    assert with_categories(given) == given


def test_a_root_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no category of visa in"):
        with_categories(["sweep=benchmark", "dataset=visa", f"dataset.root={tmp_path}"])


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        with_categories(["sweep=benchmark", "dataset=visa", f"dataset.root={tmp_path}/no"])


def test_those_of_a_table_stand_in_its_column(tmp_path: Path) -> None:
    file = tmp_path / "parts.csv"
    rows = ["a.png,good,train,nut 2", "b.png,good,train,bolt", "c.png,dent,test,nut 2"]
    file.write_text("\n".join(["image,defect_type,split,category", *rows]))
    given = ["dataset=table", f"dataset.file={file}", "dataset.joint=true"]
    assert with_categories(given)[-1] == "dataset.category=['nut 2',bolt]"
    file.write_text("image,defect_type,split\na.png,good,train\n")
    with pytest.raises(ValueError, match=r"parts\.csv names no category"):
        with_categories(given)


def test_own_folders_have_no_categories(tmp_path: Path) -> None:
    given = ["sweep=categories", "dataset=folder", f"dataset.root={tmp_path}", "dataset.normal=a"]
    with pytest.raises(ConfigError, match="folder has no folders of categories"):
        with_categories(given)


def test_a_table_that_is_not_there_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"no table parts\.csv"):
        with_categories(["sweep=categories", "dataset=table", "dataset.file=parts.csv"])


def test_a_root_that_nobody_named_is_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"^dataset\.root must be given"):
        with_categories(["sweep=categories", "dataset=visa"])


def test_experiments_that_vary_say_nothing_of_the_data_set() -> None:
    found = with_categories(["sweep=categories", "experiment=quick,fast"])
    assert found[-1] == "dataset.category=brick,grass,gravel"


def test_what_is_yet_to_be_downloaded_has_the_published_categories(tmp_path: Path) -> None:
    given = ["sweep=categories", "dataset=btad", "dataset.download=true"]
    found = with_categories([*given, f"dataset.root={tmp_path}/no"])
    assert found[-1] == "dataset.category='01','02','03'"
