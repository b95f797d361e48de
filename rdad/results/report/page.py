"""The page's parts put together: one file that loads nothing, and runs no script but its own."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rdad.runs.files import write_atomic

SCRIPTS = (
    "elements.js",
    "charts.js",
    "head.js",
    "verdicts.js",
    "panel.js",
    "picture.js",
    "zoom.js",
    "gallery.js",
    "controls.js",
    "detail.js",
    "main.js",
)
"""In this order they are one module script."""

PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Layout:
    """The files of rdad/results/report/page that a page is put together from."""

    template: str
    styles: tuple[str, ...]
    scripts: tuple[str, ...]


REPORT = Layout("page.html", ("page.css",), SCRIPTS)


def write_page(
    path: Path,
    title: str,
    contents: Mapping[str, Any],
    images: Iterable[Mapping[str, Any]],
    *,
    layout: Layout = REPORT,
) -> None:
    """Write the page; the images are taken one by one.

    Nothing in the data can become markup or code, whatever files are called.
    """
    before, after = _frame(title, _json(contents), layout)

    def write(draft: Path) -> None:
        with draft.open("w", encoding="ascii", newline="\n") as file:
            file.write(before)
            for number, image in enumerate(images):
                file.write(("," if number else "") + "\n" + _json(image))
            file.write(after)

    write_atomic(path, write)


def _frame(title: str, contents: str, layout: Layout) -> tuple[str, str]:
    """What stands before the images and after them."""
    style, script = ("".join(map(_part, names)) for names in (layout.styles, layout.scripts))
    filled = {
        "title": html.escape(title),
        "policy": f"default-src 'none'; img-src data:; style-src {_digest(style)}; "
        f"script-src {_digest(script)}; base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "contents": contents,
    }
    before, after = _part(layout.template).split("{{images}}")
    return _filled(before, filled), _filled(after, filled)


def _filled(template: str, values: Mapping[str, str]) -> str:
    text = PLACE.sub(lambda place: values[place[1]], template)
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _part(name: str) -> str:
    return files("rdad.results.report").joinpath("page", name).read_text(encoding="ascii")


def _digest(content: str) -> str:
    """By which a browser knows the page's own style and script; others are not run."""
    digest = hashlib.sha256(content.encode("ascii")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _json(content: Any) -> str:
    """Strict JSON in ASCII that no HTML parser takes for a tag."""
    return json.dumps(content, allow_nan=False).replace("<", "\\u003c")
