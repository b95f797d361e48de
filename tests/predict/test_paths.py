"""Which images the arguments mean."""

import io
from pathlib import Path

import pytest

from rdad.predict import paths
from rdad.predict.paths import find_images


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """parts with images in it and deeper, one of them a folder; and files that are no images."""
    names = ("b.png", "a.JPG", "notes.txt", ".hidden.png", "deep/c.tif", "deep/er/d.png")
    for name in names:
        path = tmp_path / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "parts" / "x.png").mkdir()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*arguments: str, stdin: str = "") -> list[str]:
    return [path.as_posix() for path in find_images(arguments, io.StringIO(stdin))]


@pytest.mark.usefixtures("folder")
def test_a_folder_means_all_images_below_it_sorted():
    names = ("a.JPG", "b.png", "x.png", "deep/c.tif", "deep/er/d.png")
    assert found("parts") == [f"parts/{name}" for name in names]


def test_a_link_that_leads_back_up_is_not_followed(folder: Path):
    (folder / "parts" / "deep" / "up").symlink_to(folder / "parts")
    assert len(found("parts")) == 5


@pytest.mark.usefixtures("folder")
def test_what_is_not_used_in_a_folder_is_said_once(caplog: pytest.LogCaptureFixture):
    Path("parts/deep/d.RAW").touch()
    found("parts")
    said = "not used: 1 file in parts that end in .txt; 1 file in parts/deep that end in .raw\n"
    assert caplog.text.count("not used") == 1
    assert said in caplog.text
    caplog.clear()
    found("parts/*", "parts/notes.txt")
    assert "not used" not in caplog.text


@pytest.mark.usefixtures("folder")
def test_files_are_taken_as_they_are_named_in_their_order():
    names = ["parts/deep/c.tif", "parts/notes.txt", "gone.png", "parts/b.png"]
    assert found(*names) == names


def test_a_pattern_means_the_images_that_match(folder: Path):
    assert found("parts/*") == ["parts/a.JPG", "parts/b.png", "parts/x.png"]
    expected = [f"{folder}/parts/{name}" for name in ("b.png", "deep/er/d.png", "x.png")]
    assert found(f"{folder}/parts/**/*.png") == expected


def test_a_file_whose_name_reads_as_a_pattern_is_a_file(folder: Path):
    (folder / "part[1].png").touch()
    assert found("part[1].png") == ["part[1].png"]


@pytest.mark.usefixtures("folder")
def test_a_list_on_standard_input_has_lines_or_zero_bytes():
    assert found("-", stdin="b.png\n\nwith space.png\n") == ["b.png", "with space.png"]
    assert found("a.png", "-", stdin="b.png\0two\nlines.png\0") == [
        "a.png",
        "b.png",
        "two\nlines.png",
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("empty", "no images in empty or the folders in it"),
        ("parts/*.bmp", r"parts/\*.bmp matches no file ending in .png"),
        ("-", "list of images on standard input is empty"),
    ],
)
def test_an_argument_that_gives_no_image_is_an_error(argument: str, message: str):
    with pytest.raises(FileNotFoundError, match=message):
        found("parts/b.png", argument)


@pytest.mark.usefixtures("folder")
def test_a_folder_named_like_an_image_is_kept_to_be_reported():
    assert found("parts/x.png") == ["parts/x.png"]


def test_a_list_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paths, "LONGEST_LIST", 10)
    assert found("-", stdin="a.png\nb.pn") == ["a.png", "b.pn"]
    with pytest.raises(ValueError, match="goes on after 10 characters"):
        found("-", stdin="\0" * 11)
