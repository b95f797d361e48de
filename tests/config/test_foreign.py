"""What a folder says is data: nothing in it is called, looked up, or grows beyond its file."""

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from rdad import load_config
from rdad.config.build import build_known
from rdad.config.foreign import OFFERED, TRUSTED, is_trusted, plain_overrides, read_config
from rdad.config.mistakes import ConfigError
from rdad.runs.record import read_yaml

OWN_PARTS = Path(__file__).parents[2] / "examples" / "own_parts" / "conf"
NESTED = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join(8 * [f'*a{n - 1}'])}]" for n in range(1, 12)]
)


@pytest.fixture(autouse=True)
def nothing_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRUSTED, raising=False)
    monkeypatch.setenv("SECRET", "known-to-nobody")


def config(folder: Path, text: str) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(text)
    return folder


def overrides(*texts: str, conf_dirs: tuple[Path, ...] = ()) -> list[str]:
    return plain_overrides(Path("run/.hydra/overrides.yaml"), texts, conf_dirs=conf_dirs)


def refused(*texts: str) -> str:
    with pytest.raises(ConfigError, match=r"^run/\.hydra/overrides\.yaml: ") as refusal:
        overrides(*texts)
    return str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        *("mode=add", "backbone=resnet18", "mode=add,multiply", "mode=glob(*)", "experiment=null"),
        *("trainer.max_epochs=2", "dataset.image_size=[64,64]", "seed=range(0,3)", "~callbacks"),
        *("dataset.root='/data/a b'", "model.lr=tag(log, interval(1e-4, 1e-2))", "sweep=seeds"),
        *("hydra/launcher=parallel", "hydra.launcher.n_jobs=-1", "hydra.launcher.partition=gpu"),
        *("hydra.sweeper.direction=[maximize,minimize]", "hydra/sweeper=rdad_optuna"),
        'hydra.job.config.override_dirname.exclude_keys=["dataset", "dataset.root"]',
    ],
)
def test_plain_values_of_what_rdad_offers_are_taken_as_they_stand(text: str) -> None:
    assert overrides(text) == [text]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("+callbacks.x._target_=joblib.load", "says what is called"),
        ("+callbacks.x={_target_: joblib.load}", "says what is called"),
        ("+callbacks={x: {a: [{_target_: joblib.load}]}}", "says what is called"),
        ("model.loss._target_=os.mkdir", "says what is called"),
        ("model._args_=[1]", "says what is called"),
        ("model.loss={_target_:own.Loss,x:{_target_:os.mkdir}}", "says what is called"),
        ("dataset.category=${oc.env:SECRET}", "looked up"),
        ("dataset.category='${oc.env:SECRET}'", "looked up"),
        ("dataset.category=a,${oc.env:SECRET}", "looked up"),
        ("tracking.experiment=${dataset.category}", "looked up"),
        ("hydra.searchpath=[file:///tmp]", "Hydra's own"),
        ("hydra.run.dir=/home", "Hydra's own"),
        ("+hydra.callbacks.x.y=z", "Hydra's own"),
        ("hydra.job_logging.root.level=DEBUG", "Hydra's own"),
        ("hydra.launcher.setup=[touch ran]", "Hydra's own"),
        ("hydra.launcher.launcher=evil.Launcher", "Hydra's own"),
        ("hydra.launcher.partition='a b'", "Hydra's own"),
        ("hydra.sweeper.params.seed=1", "Hydra's own"),
        ("hydra/launcher=evil", "hydra/launcher has no option evil"),
        ("callbacks@model=x", "no plain key"),
        ("backbone=../../evil", "has no option ../../evil"),
        ("mode=add,evil", "mode has no option evil"),
        ("experiment=[quick,evil]", "experiment has no option evil"),
        ("+further=1", "adds further"),
        ("++model.further=1", "adds model.further"),
        ("mode", "cannot be read"),
        ("mode=(", "cannot be read"),
    ],
)
def test_more_than_a_plain_value_is_refused_with_key_reason_and_a_way(
    text: str, fault: str
) -> None:
    said = refused("seed=1", text)
    assert text in said and fault in said
    assert "say it again on the command line" in said
    assert "known-to-nobody" not in said


def test_groups_of_the_days_config_dir_are_offered() -> None:
    own = ("callbacks=stop_when_flat", "experiment=own_parts", "callbacks.stop_when_flat.epochs=1")
    assert "callbacks=stop_when_flat" in refused(*own)
    assert overrides(*own, conf_dirs=(OWN_PARTS,)) == [*own]


def test_the_environment_names_modules_whose_parts_may_be_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "model.loss={_target_: own_parts.HardestPlaces, share: 0.5}"
    assert TRUSTED in refused(text)
    monkeypatch.setenv(TRUSTED, "another,own_parts")
    assert overrides(text) == [text]
    assert "joblib" in refused("model.loss={_target_: own_parts.joblib.load}")


@pytest.mark.parametrize("modules", ["", ",", "own"])
def test_a_part_without_a_module_is_never_trusted(
    modules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRUSTED, modules)
    assert not is_trusted("evil")
    assert is_trusted("own.Part") == (modules == "own")


@pytest.mark.parametrize("dataset", ["dataset=textures", "dataset=mvtec_ad", "dataset=folder"])
def test_what_rdads_own_configuration_refers_to_is_known(dataset: str, tmp_path: Path) -> None:
    cfg = load_config(dataset)
    for key, text in OFFERED.items():
        assert OmegaConf.to_container(cfg.copy())[key.split(".")[0]][key.split(".")[1]] == text  # type: ignore[index,call-overload]
    text = OmegaConf.to_yaml(cfg)
    assert text.count("${") == len(OFFERED)
    read = read_config(config(tmp_path / "run", text))
    assert OmegaConf.to_yaml(read) == text
    assert read.model.input_size == [256, 256]


@pytest.mark.parametrize(
    "value",
    [
        *("${oc.env:SECRET}", "x_${oc.env:SECRET}_y", "${oc.env:MLFLOW_TRACKING_URI,sqlite:///m}"),
        *("${oc.env:${b}}", "${oc.decode:'1'}", "${now:%Y}", "${a}", "${b}", "${c}", "${d.e}"),
        r"\${oc.env:SECRET}",
        "${",
        "${dataset.category",
        400 * "${q}",
    ],
)
@pytest.mark.parametrize("place", ["dataset.category", "deep.list.0"])
def test_what_would_be_looked_up_is_refused_and_not_looked_up(
    value: str, place: str, tmp_path: Path
) -> None:
    node: Any = {"a": "${b}", "b": "${a}", "c": {"x": 1}, "d": {"e": 2000 * "x"}}
    node |= {"dataset": {"category": value}} if place[:4] == "data" else {"deep": {"list": [value]}}
    with pytest.raises(ValueError, match=r"config\.yaml: \S+ is '.*RDAD_OWN_PARTS=") as refusal:
        read_config(config(tmp_path / "run", json.dumps(node)))
    assert "known-to-nobody" not in str(refusal.value)


def test_a_reference_to_a_plain_value_and_a_trusted_resolver_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "dataset: {category: brick}\nname: of ${dataset.category}\n"
    assert read_config(config(tmp_path / "one", text)).name == "of brick"
    looked_up = config(tmp_path / "two", "root: ${oc.env:SECRET}\n")
    monkeypatch.setenv(TRUSTED, "oc.env")
    assert read_config(looked_up).root == "known-to-nobody"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NESTED, "has aliases"),
        ("a: &a {b: *a}", "has aliases"),
        ("base: &base {a: 1}\nb: {<<: *base}", "has aliases"),
        (100_000 * "[", "has aliases .* or more than 50 levels"),
        (1000 * "- ", "has aliases .* or more than 50 levels"),
        ("a: [", "is not YAML"),
        ("a: !!python/object/apply:os.mkdir [ran]", "is not YAML"),
        (100_001 * "#", "is larger than"),
    ],
    ids=lambda text: text[:20],
)
def test_yaml_that_grows_or_is_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"file\.yaml {said}"):
        read_yaml(tmp_path / "file.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["file.yaml"]


def test_numbers_are_read_as_hydra_reads_them(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("a: 1e-3\nb: 0.005\nc: [1, null, true, x]\n")
    assert read_yaml(tmp_path / "file.yaml") == {"a": 1e-3, "b": 0.005, "c": [1, None, True, "x"]}


def test_a_data_set_of_ones_own_is_built_where_its_module_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node: Any = OmegaConf.create({"_target_": "collections.Counter", "red": 2})
    with pytest.raises(ConfigError, match=rf"would call collections\.Counter; .*{TRUSTED}"):
        build_known(node)
    monkeypatch.setenv(TRUSTED, "collections")
    assert build_known(node)["red"] == 2  # type: ignore[index]
