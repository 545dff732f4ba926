"""A browser that opens pages from the disk, has no network, and fails the test at the first error on its console.

``opened(path)`` gives a Playwright page; ``DEGSIM_BROWSER=required`` fails instead of skipping where there is no Chromium;
``shot(page, name)`` keeps a screenshot in ``DEGSIM_SCREENSHOTS`` (default: the test's own folder).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # a container's is too small for a page
)
PATIENCE_MS = 120_000
"""A busy machine is no fault of a page."""
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


def _chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        say = pytest.fail if os.environ.get("DEGSIM_BROWSER") == "required" else pytest.skip
        say("there is no Chromium on this machine; DEGSIM_BROWSER=required makes this a failure")
    return str(found)


@pytest.fixture(scope="module")  # while it is open, nothing else in its process can run an event loop
def browser():
    path = _chromium()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS), timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser) -> Iterator[Callable]:
    """``opened(path, size=DESKTOP, section="", **context)``: the page, ready; its errors and requests fail the test."""
    wrong: list[str] = []
    contexts = []

    def open_page(path: Path, size: dict[str, int] = DESKTOP, section: str = "", **options):
        context = browser.new_context(viewport=size, offline=True, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        address = path.resolve().as_uri()

        def asked(request) -> None:
            if request.url.split("#")[0] != address and not request.url.startswith(("blob:", "data:")):
                wrong.append(f"asked for {request.url}")

        page.on("request", asked)
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(address + (f"#{section}" if section else ""))
        page.wait_for_selector("html[data-ready=yes]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def shot(tmp_path: Path) -> Callable:
    folder = Path(os.environ.get("DEGSIM_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page, name: str) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return keep
