"""Every notebook runs from its first cell to its last, and is kept without outputs."""

import json
import re
from pathlib import Path

import commands
import pytest

REPO = Path(__file__).parents[2]
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
PAGES = REPO / "docs" / "notebooks"
SHORTER = {
    r"dataset\.image_size=\[\d+,\d+\]": "dataset.image_size=[64,64]",
    r"trainer\.max_epochs=\d+": "trainer.max_epochs=1",
}
READER = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot
shell = InteractiveShell.instance()
for cell in json.load(open(sys.argv[1])):
    shell.run_cell(cell).raise_error()
    for number in pyplot.get_fignums():
        pyplot.figure(number).canvas.draw()
    pyplot.close("all")
"""


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_an_empty_folder(notebook: Path, tmp_path: Path) -> None:
    cells = code_of(notebook)
    for said, shorter in SHORTER.items():
        assert any(re.search(said, cell) for cell in cells), said
        cells = [re.sub(said, shorter, cell) for cell in cells]
    (tmp_path / "cells.json").write_text(json.dumps(cells))
    place = str(tmp_path)
    words = ("-c", READER, "cells.json")
    done = commands.run(*words, folder=tmp_path, MPLBACKEND="agg", IPYTHONDIR=place, TMPDIR=place)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def code_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_page_of_a_notebook_shows_its_present_cells_with_pictures(notebook: Path) -> None:
    page = (PAGES / f"{notebook.stem}.md").read_text(encoding="utf-8")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    shown = [page.find("".join(cell["source"])) for cell in cells]
    assert shown == sorted(shown) and shown[0] >= 0, "make notebooks writes it anew"
    assert page.count("```python") == len(code_of(notebook))
    pictures = re.findall(r"!\[[^]]*\]\((.+)\)", page)
    assert pictures and all((PAGES / name).is_file() for name in pictures)


def test_the_pictures_of_all_pages_are_small_and_each_is_shown() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in PAGES.glob("*.md"))
    pictures = [path for path in PAGES.iterdir() if path.suffix != ".md"]
    assert all(f"({path.name})" in pages for path in pictures)
    assert sum(path.stat().st_size for path in pictures) < 400_000


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
