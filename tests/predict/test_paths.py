"""Which images the arguments mean."""

import io
import unicodedata
from pathlib import Path

import pytest

from rdad.data import listed
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


def found(*arguments: str, stdin: str | bytes = "") -> list[str]:
    content = stdin.encode() if isinstance(stdin, str) else stdin
    return [path.as_posix() for path in find_images(arguments, io.BytesIO(content))]


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
    monkeypatch.setattr(listed, "LONGEST_LIST", 10)
    assert found("-", stdin="a.png\nb.pn") == ["a.png", "b.pn"]
    with pytest.raises(ValueError, match="goes on after 10 bytes"):
        found("-", stdin="\0" * 11)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_list_that_windows_wrote_is_read(encoding: str):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    assert found("-", stdin=mark + "a.png\r\ngröße.png\r\n".encode(encoding)) == [
        "a.png",
        "größe.png",
    ]


def test_bytes_that_are_no_text_are_kept_as_names():
    assert found("-", stdin=b"a\xff.png\n") == ["a\udcff.png"]


def test_a_name_is_found_in_the_form_that_the_disk_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    apart = unicodedata.normalize("NFD", "größe.png")
    (tmp_path / apart).touch()
    assert found("größe.png") == found("-", stdin="größe.png") == [apart]


def test_a_home_that_nobody_knows_is_said():
    with pytest.raises(FileNotFoundError, match=r"~nobody-here/a\.png: no home folder is"):
        found("~nobody-here/a.png")
