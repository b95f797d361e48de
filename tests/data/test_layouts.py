"""Readers of folder trees, over empty files: nothing is opened by them."""

import logging
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from rdad.data.layouts import read_folder, read_mvtec_ad
from rdad.data.samples import Sample, draw, images_of, named, spread


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folders: 10 normal images, two defect types, masks for both."""
    touch(tmp_path, *(f"fine/{index:02}.jpg" for index in range(10)))
    touch(tmp_path, "bad/dent/1.jpg", "bad/dent/2.jpg", "bad/hole/1.jpg")
    touch(tmp_path, "masks/dent/1.png", "masks/dent/2.png", "masks/hole/1.png")
    return tmp_path


def test_mvtec_samples_have_label_type_mask_and_name(mvtec_root: Path) -> None:
    samples = read_mvtec_ad(mvtec_root, "nut")
    assert [sample.name for sample in samples.train] == ["000", "001", "002", "003", "004"]
    assert {(sample.label, sample.mask) for sample in samples.train} == {(0, None)}
    kinds = [sample.defect_type for sample in samples.test]
    assert kinds == ["bent"] * 2 + ["good"] * 2 + ["scratch"] * 3
    bent = samples.test[0]
    assert bent.label == 1
    assert bent.mask == mvtec_root / "nut/ground_truth/bent/000_mask.png"


def test_mvtec_masks_may_be_named_like_their_images(tmp_path: Path) -> None:
    touch(tmp_path, "nut/train/good/0.bmp", "nut/test/bent/0.bmp", "nut/ground_truth/bent/0.png")
    bent = read_mvtec_ad(tmp_path, "nut").test[0]
    assert bent.mask == tmp_path / "nut/ground_truth/bent/0.png"


def test_mvtec_without_ground_truth_reads_images_without_masks(tmp_path: Path) -> None:
    touch(tmp_path, "nut/train/good/0.png", "nut/test/bent/0.png")
    assert read_mvtec_ad(tmp_path, "nut").test[0].mask is None


def test_a_mask_for_a_normal_image_is_seen(mvtec_root: Path) -> None:
    touch(mvtec_root, "nut/ground_truth/good/001_mask.png")
    good = [sample for sample in read_mvtec_ad(mvtec_root, "nut").test if sample.label == 0]
    assert [sample.mask is not None for sample in good] == [False, True]


def test_an_unknown_category_lists_those_found(mvtec_root: Path) -> None:
    touch(mvtec_root, "bolt/train/good/0.png")
    with pytest.raises(ValueError, match=r"'nutt'.*found: bolt, nut"):
        read_mvtec_ad(mvtec_root, "nutt")


def test_a_root_that_is_itself_a_category_is_explained(mvtec_root: Path) -> None:
    with pytest.raises(FileNotFoundError, match="a category itself: name its parent"):
        read_mvtec_ad(mvtec_root / "nut", "nut")


@pytest.mark.parametrize("missing", ["nut/train/good", "nut/test"])
def test_a_missing_part_of_the_mvtec_layout_is_named(mvtec_root: Path, missing: str) -> None:
    (mvtec_root / missing).rename(mvtec_root / "moved")
    with pytest.raises(FileNotFoundError, match=missing):
        read_mvtec_ad(mvtec_root, "nut")


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_mvtec_ad(tmp_path / "nowhere", "nut")


def test_a_folder_without_images_is_named_also_by_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=f"no images in {tmp_path / 'empty'}; expected"):
        images_of(Path("~/empty"))


def test_masks_that_fit_no_image_stop_the_reader(tmp_path: Path) -> None:
    touch(tmp_path, "nut/train/good/0.png", "nut/test/bent/0.png", "nut/ground_truth/bent/x.png")
    with pytest.raises(FileNotFoundError, match="none of 1 defective images has a mask"):
        read_mvtec_ad(tmp_path, "nut")


def test_a_mask_without_an_image_is_warned_of(
    mvtec_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(mvtec_root, "nut/ground_truth/bent/9_mask.png")
    read_mvtec_ad(mvtec_root, "nut")
    assert "1 masks have no image" in caplog.text


def test_listing_is_sorted_and_leaves_out_hidden_and_other_files(tmp_path: Path) -> None:
    names = ["b.PNG", "a b.tiff", "ä.webp", "c.Jpeg"]
    touch(tmp_path, *(f"n/{name}" for name in [*names, "._b.PNG", "notes.txt"]))
    train = read_folder(tmp_path, "n", holdout=0).train
    assert [sample.image.name for sample in train] == ["a b.tiff", "b.PNG", "c.Jpeg", "ä.webp"]


def test_names_are_unique_even_where_only_letter_case_or_ending_differ(tmp_path: Path) -> None:
    touch(tmp_path, "n/a.png", "n/a.jpg", "n/A.bmp", "n/a_2.png")
    names = [sample.name for sample in read_folder(tmp_path, "n", holdout=0).train]
    assert len({name.casefold() for name in names}) == 4


def test_a_file_that_serves_as_a_mask_is_no_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "n/0.png", "n/0_GT.png", "n/1.jpg", "n/1-mask.png", "n/lone_label.png")
    touch(tmp_path, "bad/0.png", "bad/0_mask.png", "bad/1.png", "bad/1_label.png")
    samples = read_folder(tmp_path, "n", defects="bad", masks="bad", holdout=0)
    assert [one.image.name for one in samples.train] == ["0.png", "1.jpg", "lone_label.png"]
    pairs = [(one.image.name, one.mask and one.mask.name) for one in samples.test]
    assert pairs == [("0.png", "0_mask.png"), ("1.png", "1_label.png")]
    assert caplog.text.count("named like masks") == 1
    assert "4 files are named like masks of the images beside them" in caplog.text
    assert "n/0_GT.png" in caplog.text


def test_masks_beside_the_images_of_mvtecs_layout_are_no_images(mvtec_root: Path) -> None:
    before = read_mvtec_ad(mvtec_root, "nut")
    touch(mvtec_root, "nut/train/good/000_gt.png", "nut/test/bent/001_label.png")
    assert read_mvtec_ad(mvtec_root, "nut") == before


def test_an_image_is_never_its_own_mask(tmp_path: Path) -> None:
    touch(tmp_path, "n/0.png", "bad/0.png", "bad/1.png")
    with pytest.raises(FileNotFoundError, match="none of 2 defective images has a mask"):
        read_folder(tmp_path, "n", defects="bad", masks="bad", holdout=0)


def test_what_is_not_used_is_said_once_by_ending_and_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "n/0.png", "n/a.txt", "n/b.txt", "n/c.heic", "n/.hidden", "n/cam2/deep/0.png")
    touch(tmp_path, "bad/0.png", "bad/cam2/1.png", "bad/cam2/2.png", "bad/masks/0.png")
    read_folder(tmp_path, "n", defects="bad", masks="bad/masks", holdout=0)
    assert caplog.text.count("not used") == 1
    parts = (
        f"not used: 1 file in {tmp_path}/n that end in .heic; 2 files in {tmp_path}/n that end in "
        f".txt; 1 image in its subfolder {tmp_path}/n/cam2; "
        f"2 images in its subfolder {tmp_path}/bad/cam2 (dataset.recursive=true takes images"
    )
    assert parts in caplog.text


def test_what_is_not_used_of_mvtecs_layout_is_said(
    mvtec_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_mvtec_ad(mvtec_root, "nut")
    assert caplog.text == ""
    touch(mvtec_root, "nut/train/bad/0.png", "nut/test/bent/0.raw")
    read_mvtec_ad(mvtec_root, "nut")
    assert f"1 image in its subfolder {mvtec_root}/nut/train/bad; 1 file in" in caplog.text


def below(root: Path, samples: tuple[Sample, ...]) -> list[tuple[str, str, str | None]]:
    """Type, image and mask of each."""

    def place(path: Path) -> str:
        return path.relative_to(root).as_posix()

    return [(one.defect_type, place(one.image), one.mask and place(one.mask)) for one in samples]


def test_subfolders_are_taken_where_that_is_asked_for_and_names_stay_unique(
    own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(own, "fine/cam2/00.jpg", "fine/cam2/deep/00.jpg", "fine/test/x.jpg", "fine/cam2/a.txt")
    (own / "fine" / "cam2" / "up").symlink_to(own / "fine")
    touch(own, "bad/dent/cam2/1.jpg", "masks/dent/cam2/1_mask.png", "bad/dent/good/2.jpg")
    touch(own, "bad/pit/cam1/3.jpg", "masks/pit/cam1/3.png")
    samples = read_folder(own, "fine", "fine/test", defects="bad", masks="masks", recursive=True)
    train = [one.image.relative_to(own / "fine").as_posix() for one in samples.train]
    assert train == [*(f"{index:02}.jpg" for index in range(10)), "cam2/00.jpg", "cam2/deep/00.jpg"]
    assert [one.name for one in samples.train[-2:]] == ["00_2", "00_3"]
    assert below(own, samples.test) == [
        ("good", "fine/test/x.jpg", None),
        ("dent", "bad/dent/1.jpg", "masks/dent/1.png"),
        ("dent", "bad/dent/2.jpg", "masks/dent/2.png"),
        ("dent", "bad/dent/cam2/1.jpg", "masks/dent/cam2/1_mask.png"),
        ("hole", "bad/hole/1.jpg", "masks/hole/1.png"),
        ("pit", "bad/pit/cam1/3.jpg", "masks/pit/cam1/3.png"),
    ]
    assert [one.name for one in samples.test[1:4]] == ["1", "2", "1_2"]
    said = f"not used: 1 file in {own}/fine/cam2 that end in .txt; 1 image in its subfolder "
    assert f"{said}{own}/bad/dent/good\n" in caplog.text


@pytest.mark.parametrize("recursive", [False, True])
def test_a_mask_folder_among_the_defects_is_no_defect_type(own: Path, recursive: bool) -> None:
    (own / "masks").rename(own / "bad" / "masks")
    touch(own, "bad/masks/loose.png")
    test = read_folder(
        own, "fine", defects="bad", masks="bad/masks", holdout=0, recursive=recursive
    ).test
    assert [(one.defect_type, one.mask is not None) for one in test] == [
        *(("dent", True), ("dent", True), ("hole", True)),
    ]


def test_normal_images_are_held_out_and_the_log_says_how_many(
    own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    samples = read_folder(own, "fine", holdout=0.3, split_seed=1)
    assert (len(samples.train), len(samples.test)) == (7, 3)
    assert not {one.image for one in samples.train} & {one.image for one in samples.test}
    assert "3 of 10 normal images are held out" in caplog.text
    assert samples == read_folder(own, "fine", holdout=0.3, split_seed=1)
    assert samples != read_folder(own, "fine", holdout=0.3, split_seed=2)


def test_normal_test_images_leave_all_normal_ones_for_training(own: Path) -> None:
    touch(own, "fine2/a.png")
    samples = read_folder(own, normal=["fine"], normal_test="fine2")
    assert (len(samples.train), len(samples.test)) == (10, 1)


def test_a_folder_of_defect_folders_gives_one_type_each(own: Path) -> None:
    test = read_folder(own, "fine", defects="bad", masks="masks", holdout=0).test
    assert [(one.defect_type, one.name) for one in test] == [
        ("dent", "1"),
        ("dent", "2"),
        ("hole", "1"),
    ]
    assert test[2].mask == own / "masks/hole/1.png"


def test_defect_and_mask_folders_may_be_listed_in_parallel(own: Path) -> None:
    folders = ["bad/hole", "bad/dent"]
    test = read_folder(own, "fine", defects=folders, masks=["masks/hole", "masks/dent"]).test
    masks = {one.defect_type: one.mask.parent.name for one in test if one.mask}
    assert masks == {"hole": "hole", "dent": "dent"}
    assert all(one.mask for one in test if one.label)


def test_masks_of_another_defect_type_are_never_taken(own: Path) -> None:
    test = read_folder(own, "fine", defects=["bad/dent", "bad/hole"], masks="masks").test
    assert {one.mask.parent.name for one in test if one.mask} == {"dent", "hole"}
    with pytest.raises(FileNotFoundError, match="none of 3"):
        read_folder(own, "fine", defects=["bad/dent", "bad/hole"], masks="masks/dent")


def test_folders_of_normal_images_among_the_defects_are_skipped(own: Path) -> None:
    touch(own, "bad/good/1.jpg", "bad/okay/1.jpg")
    test = read_folder(own, "fine", normal_test="bad/okay", defects="bad").test
    assert [one.defect_type for one in test] == ["good", "dent", "dent", "hole"]
    assert [one.label for one in test] == [0, 1, 1, 1]


def test_absolute_folders_are_taken_as_they_are(own: Path, tmp_path: Path) -> None:
    assert len(read_folder(own / "bad", str(tmp_path / "fine"), holdout=0).train) == 10


def test_a_directory_named_like_an_image_is_kept_for_the_check_of_files(own: Path) -> None:
    (own / "fine" / "x.png").mkdir()
    names = [one.image.name for one in read_folder(own, "fine", holdout=0).train]
    assert "x.png" in names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normal": "fin"}, r"fin does not exist \(absolute: .*\); did you mean .*/fine\?"),
        ({"normal": "xyz"}, r"xyz does not exist .*; .* has bad, fine"),
        ({"normal": "bad"}, r"no images in .*bad \(but in its subfolders dent, hole"),
        ({"normal": "fine", "normal_test": "fine"}, "stands twice"),
        ({"normal": "fine", "defects": "fine"}, "its name or use says normal"),
        (
            {"normal": "fine", "defects": ["bad/dent", "bad/hole", "bad"], "masks": ["masks"] * 2},
            "2 mask folders for 3 defect folders",
        ),
    ],
)
def test_folders_that_do_not_fit_say_what_is_wrong(own: Path, settings: dict, message: str) -> None:
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        read_folder(own, **settings)


def test_a_draw_takes_at_least_one_and_never_all() -> None:
    assert draw(10, part=0.3, seed=0) == sorted(set(draw(10, part=0.3, seed=0)))
    assert len(draw(10, part=0.01, seed=0)) == 1
    assert len(draw(10, part=0.999, seed=0)) == 9
    assert draw(1, part=0.5, seed=0) == draw(10, part=0, seed=0) == []


def test_a_draw_is_the_same_on_every_machine() -> None:
    generator = random.Random(0)
    by_hand = sorted((generator.random(), index) for index in range(100))[:5]
    assert draw(100, part=0.05, seed=0) == sorted(index for _, index in by_hand)
    assert draw(100, part=0.05, seed=0) == [35, 40, 52, 75, 97]  # MT19937, any Python


@pytest.mark.parametrize(
    ("most", "kept"), [(None, "abcdefg"), (9, "abcdefg"), (3, "adg"), (2, "ag"), (1, "a")]
)
def test_spread_keeps_the_first_and_the_last(most: int | None, kept: str) -> None:
    assert "".join(spread("abcdefg", most)) == kept


def test_reading_layouts_does_not_import_torch() -> None:
    code = (
        "import sys, rdad.data.layouts, rdad.data.texture_photographs; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_of_samples_are_text_that_files_can_be_called_and_types_stay_apart(
    tmp_path: Path,
) -> None:
    long, same = "x" * 251, Path("a.png")
    kinds = ("good", "cr\udcffack", "cr\udcfeack", "L" * 255, "good")
    names = ("n\udcff", "n_", long + "y", long + "z", long + "y")
    given = [Sample(same, 0, kind, None, name) for kind, name in zip(kinds, names, strict=True)]
    found = [(sample.defect_type, sample.name) for sample in named(given)]
    cut = "x" * 200
    assert found == [
        *(("good", "n_"), ("cr_ack", "n_"), ("cr_ack_2", cut), ("L" * 200, cut), ("good", cut)),
    ]
    assert [sample.name for sample in named(given[-1:] * 2)] == [cut, f"{cut}_2"]


def apart(name: str) -> str:
    """As macOS writes it: letters and their marks apart."""
    return unicodedata.normalize("NFD", name)


def test_names_are_the_same_in_either_form_of_unicode(tmp_path: Path) -> None:
    touch(tmp_path, apart("größe/train/good/ö.png"), apart("größe/test/prüf/é.png"))
    mask = tmp_path / apart("größe/ground_truth/") / "prüf/é_mask.png"
    touch(mask.parent, mask.name)
    [bent] = read_mvtec_ad(tmp_path, "größe").test
    assert bent.mask == mask and bent.name == apart("é")


def test_masks_and_folders_of_ones_own_are_found_in_either_form(tmp_path: Path) -> None:
    touch(tmp_path, apart("güt/a.png"), apart("güt/b.png"), "schlécht/ü.png")
    touch(tmp_path, apart("masken/schlécht/ü_gt.png"))
    samples = read_folder(tmp_path, "güt", None, "schlécht", "masken", holdout=0.5)
    [defect] = [sample for sample in samples.test if sample.label]
    assert defect.mask == tmp_path / apart("masken/schlécht/ü_gt.png")


def test_names_that_look_alike_get_files_of_their_own(tmp_path: Path) -> None:
    found = [Sample(tmp_path, 0, "good", None, name) for name in ("ü", apart("ü"))]
    assert [sample.name for sample in named(found)] == ["ü", apart("ü") + "_2"]


def test_folders_that_are_named_by_numbers_are_found(tmp_path: Path) -> None:
    touch(tmp_path, "1/a.png", "1/b.png", "2/a.png", "3/a.png")
    samples = read_folder(tmp_path, [1, 2], None, 3, None)
    assert {sample.defect_type for sample in samples.test} == {"good", "3"}


def test_a_folder_that_is_named_0_is_no_missing_one(tmp_path: Path) -> None:
    touch(tmp_path, "0/a.png", "1/a.png", "1/b.png")
    assert [one.label for one in read_folder(tmp_path, 1, defects=0, holdout=0).test] == [1]
    assert [one.image for one in read_folder(tmp_path, 1, 0).test] == [tmp_path / "0" / "a.png"]


def test_listed_images_are_trained_on_and_the_other_test_images_stay(own: Path) -> None:
    before = read_folder(own, "fine", defects="bad", holdout=0.3)
    alarm = next(sample.image for sample in before.test if sample.label == 0)
    touch(own, "new/part.png")
    known = before.train[0].image.relative_to(own)
    (own / "list.txt").write_text(f"{alarm}\nnew/part.png\n{known}\n")
    after = read_folder(own, ["fine", "list.txt"], defects="bad", holdout=0.3)
    more = [alarm, own / "new/part.png"]
    assert [one.image for one in after.train] == [*(one.image for one in before.train), *more]
    assert [one.image for one in after.test] == [
        one.image for one in before.test if one.image != alarm
    ]


def test_listed_images_are_no_test_images_of_a_folder_either(own: Path) -> None:
    touch(own, "checked/a.png", "checked/b.png")
    (own / "list.txt").write_text("checked/a.png\n")
    samples = read_folder(own, ["fine", "list.txt"], "checked")
    assert [one.image.name for one in samples.test] == ["b.png"]
    assert len(samples.train) == 11


def test_what_is_no_list_of_images_is_named(own: Path) -> None:
    (own / "good.zip").write_bytes(b"PK\x03\x04" + 5000 * b"x")
    with pytest.raises(ValueError, match=r"good\.zip is no list of images, one path a line$"):
        read_folder(own, "good.zip")


def test_a_disks_own_folder_is_no_category(mvtec_root: Path) -> None:
    (mvtec_root / "lost+found" / "train").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"found: nut$"):
        read_mvtec_ad(mvtec_root, "bolt")


def test_a_list_alone_is_as_a_folder(own: Path) -> None:
    (own / "list.txt").write_text("".join(f"fine/{number:02}.jpg\n" for number in range(5)))
    samples = read_folder(own, "list.txt", holdout=0.2)
    assert (len(samples.train), len(samples.test)) == (4, 1)


def test_images_of_a_list_alone_are_taken_once_and_are_no_test_images(own: Path) -> None:
    (own / "list.txt").write_text("fine/00.jpg\nfine/01.jpg\nbad/../fine/00.jpg\n")
    samples = read_folder(own, "list.txt", holdout=0.4)
    assert sorted(one.image.name for part in samples.splits for one in part) == ["00.jpg", "01.jpg"]
    samples = read_folder(own, "list.txt", "fine")
    assert [one.image.name for one in samples.train] == ["00.jpg", "01.jpg"]
    assert [one.image.name for one in samples.test] == [f"{index:02}.jpg" for index in range(2, 10)]


def test_a_link_in_a_circle_is_kept_for_the_check_of_files(own: Path) -> None:
    (own / "fine" / "loop.png").symlink_to("loop.png")
    (own / "list.txt").write_text("fine/00.jpg\n")
    for normal in ("fine", ["fine", "list.txt"]):
        assert len(read_folder(own, normal, holdout=0).train) == 11


def test_a_list_is_found_and_names_images_in_either_form_of_unicode(own: Path) -> None:
    touch(own, apart("größe/ü.png"))
    (own / apart("größe.txt")).write_text("größe/ü.png\n")
    assert len(read_folder(own, "größe.txt", "fine").train) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "list.txt is empty"),
        ("fine/00.jpg\nfine/gone.jpg\n", r"list.txt lists fine/gone.jpg, which is no file"),
        ("list.txt\n", "lists .*list.txt, whose name is no image's"),
    ],
)
def test_a_list_that_cannot_be_used_is_told(content: str, message: str, own: Path) -> None:
    (own / "list.txt").write_text(content)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        read_folder(own, ["fine", "list.txt"])
