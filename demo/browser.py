"""Starts the installed Chromium, in the same way for screenshots, measurements and tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: The names of Chromium's program; the first one found is used.
NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Chromium without the windows around its pages: each page takes a sixth of the processor's time (0.13 s, not 0.7).
SHELL = "chromium-headless-shell"
#: No requests except to the given pages; works as root in a container.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find(names: Sequence[str] = NAMES) -> str | None:
    """Return the path of the first of these programs that is installed; None if none is."""
    return next((path for path in map(shutil.which, names) if path), None)


@contextmanager
def opened(path: str) -> Iterator[Browser]:
    """Open the browser at `path` until the block ends."""
    from playwright.sync_api import sync_playwright  # a development tool: the demo runs without it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
