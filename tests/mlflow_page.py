"""MLflow's own web page, served on this machine and looked at in a real browser."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers import START_SECONDS, free_port, program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


def chromium() -> str:
    """The browser's path; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    return found


@contextlib.contextmanager
def mlflow_ui(uri: str, log: Path) -> Iterator[str]:
    """The address at which `mlflow ui` shows the store `uri`; all its processes end with it."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    words = ["ui", "--backend-store-uri", uri, "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with program("mlflow", *words, health=f"{address}/health", log=log, **quiet):
        yield address


@contextlib.contextmanager
def running_browser() -> Iterator["Browser"]:
    """A browser, for the pages of several tests: it takes seconds to start."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES.split())
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def empty_page(browser: "Browser") -> Iterator["Page"]:
    """A page that knows nothing of earlier ones."""
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.set_default_timeout(START_SECONDS * 1000)
    try:
        yield page
    finally:
        page.context.close()


@contextlib.contextmanager
def offline_page(browser: "Browser") -> Iterator[tuple["Page", list[str]]]:
    """A page without a network; and what went wrong in it, or was fetched, so far."""
    troubles: list[str] = []
    with empty_page(browser) as page:
        page.set_default_timeout(60_000)
        page.context.set_offline(True)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.on("request", lambda request: troubles.extend(_fetched(request.url)))
        yield page, troubles


def _fetched(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:", "blob:")) else [url]
