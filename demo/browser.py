"""The browser of this machine: pictures, measurements and tests start the same Chromium in the same way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: What Chromium is called, the first that there is.
NAMES = ("chromium", "chromium-browser", "google-chrome")
#: It asks nobody but the pages it is sent to, and runs as root in a container.
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


def find() -> str | None:
    """The path of the browser; None if this machine has none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def opened(path: str) -> Iterator[Browser]:
    """The browser at `path`, until the block ends."""
    from playwright.sync_api import sync_playwright  # a development tool: not everybody who plays the demo has it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
