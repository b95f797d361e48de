"""`make notebooks`: run the notebooks, and write each with what it shows into docs/notebooks.

The notebooks themselves stay without outputs.
"""

import base64
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS = Path(__file__).parent
PAGES = NOTEBOOKS.parent / "docs" / "notebooks"
WIDEST, QUALITY = 720, 75  # of pictures: pixels, and JPEG's
KINDS = ("image/png", "text/html", "text/plain")  # what a page shows of an output: the first
MADE = r"…/tmp\w+"  # a folder that a notebook makes for itself


def main() -> None:
    """Write the page and the pictures of every notebook, in place of those that are there."""
    PAGES.mkdir(exist_ok=True)
    for old in PAGES.iterdir():
        old.unlink()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        (PAGES / f"{path.stem}.md").write_text(page_of(path), encoding="utf-8")


def page_of(path: Path) -> str:
    """Markdown of a notebook that is run here; its pictures are written into PAGES."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, resources=place).execute(env={**os.environ, "TMPDIR": folder})
    parts = [f"*[{path.name}](../../notebooks/{path.name}), run by `make notebooks`.*"]
    shown = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for kind, content in _outputs(cell):
            if kind == "image/png":
                shown += 1
                name = f"{path.stem}_{shown}.jpg"
                _write_small(base64.b64decode(content), PAGES / name)
                parts.append(f"![what the cell above shows]({name})")
            elif kind == "text/html":
                parts.append(re.sub(r"<style.*?</style>\s*", "", content, flags=re.DOTALL))
            else:
                parts.append(
                    f"```\n{re.sub(MADE, '…', content.replace(folder, '…')).rstrip()}\n```"
                )
    return "\n\n".join(parts) + "\n"


def _outputs(cell: nbformat.NotebookNode) -> Iterator[tuple[str, str]]:
    """What a cell shows, less the log: of each the picture or the table, if it is one, or text."""
    for output in cell.outputs:
        if output.output_type != "stream":
            kind = next(one for one in KINDS if one in output.data)
            yield kind, output.data[kind]
        elif output.name == "stdout":
            yield "text/plain", output.text


def _write_small(png: bytes, path: Path) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((WIDEST, picture.height))
    picture.save(path, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
