"""`python -m demo.screenshots`: plays the demo and takes screenshots for README and documentation, in docs/pictures.

Each is taken light and dark, as WebP. They show the pages of the real processes, without retouching.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from rich.console import Console

import demo.browser
from bot.store.connection import connect
from demo.__main__ import ROOT
from demo.processes import ProcessWorld
from demo.story import Story
from demo.town import PIPELINE, Town
from demo.verbs import Spoiled
from launch import LaunchError, Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = ROOT / "docs" / "pictures"
#: Widths in pixels, each with the greatest height of a picture; a higher page is cut off there.
WIDE, NARROW = 1440, 800
HEIGHTS = {WIDE: 1160, NARROW: 1050}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: 0 to 100. Text stays sharp, and a picture takes a third of what PNG does.
QUALITY = 50
#: The most bytes of all pictures together. Each version of them stays in the history of the repository.
BUDGET = 1 << 20
#: The longest that a page may take until it is live, in seconds.
PATIENCE = 30.0
#: The other pipelines of the overview.
OTHERS = ("payments", "search")


class Camera:
    """A camera that takes a page light and dark. `taken`: the files."""

    def __init__(self, browser: Browser, url: str, folder: Path) -> None:
        self._browser, self._url, self._folder = browser, url, folder
        self.taken: list[Path] = []
        self._cookies: list[dict[str, object]] = []

    def sign_in(self, token: str) -> None:
        """Sign in for the following pages."""
        page = self._browser.new_page()
        page.goto(f"{self._url}/sign-in", wait_until="domcontentloaded")
        page.get_by_label("Your API token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector(".user button")
        self._cookies = [dict(cookie) for cookie in page.context.cookies()]
        page.close()

    def take(self, name: str, path: str, width: int = WIDE) -> None:
        """Take one page, as `NAME-WIDTH-SCHEME.webp`; `width`: one of HEIGHTS."""
        for scheme in SCHEMES:
            context = self._browser.new_context(
                color_scheme=scheme, reduced_motion="reduce", locale="en-GB", timezone_id="UTC"
            )
            context.add_cookies(self._cookies)  # type: ignore[arg-type]  # as they were given
            page = context.new_page()
            page.goto(f"{self._url}{path}", wait_until="domcontentloaded")
            if page.locator("#live").count():
                page.wait_for_selector("#live[data-kind=live]", timeout=PATIENCE * 1000)
            page.evaluate("document.fonts.ready")
            self._shoot(page, width, self._folder / f"{name}-{width}-{scheme}.webp")
            context.close()

    def _shoot(self, page: Page, width: int, file: Path) -> None:
        page.set_viewport_size({"width": width, "height": 600})
        height = min(HEIGHTS[width], int(page.evaluate("document.documentElement.scrollHeight")))
        page.set_viewport_size({"width": width, "height": height})
        session = page.context.new_cdp_session(page)
        answer = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        file.write_bytes(base64.b64decode(answer["data"]))
        self.taken.append(file)


def _play(console: Console, folder: Path, browser: Browser) -> list[Path]:
    with Town(folder, others=OTHERS) as town, Stack(ROOT, data_dir=folder, env=town.env) as stack:
        camera = Camera(browser, stack.web_url, FOLDER)
        base = f"/p/{PIPELINE}"
        overtaking = datetime.now(UTC)

        def picture(number: int) -> None:
            nonlocal overtaking
            console.print(f"picture {number}")
            if number == 3:
                overtaking = datetime.now(UTC)
                camera.take("board-3", base)
                camera.take("overview", "/")
                camera.take("where", f"{base}/where")
                camera.sign_in(town.token)
                camera.take("board-operator", base, NARROW)

        world = ProcessWorld(town, connect(stack.url), pace=0.2)
        Story(world, Console(file=io.StringIO()), shown=picture).play()
        camera.take("run", f"{base}/runs/S1.5", NARROW)
        world.let_go()
        world.wait_until("all runs have ended", lambda: not world.live())
        camera.take("statistics", f"{base}/statistics")
        camera.take("past", f"{base}/past?at={overtaking:%Y-%m-%dT%H:%M:%SZ}")
        return camera.taken


@click.command()
def screenshots() -> None:
    """Take all pictures anew. Fails if the demo does, without Chromium, and if the pictures are too large together."""
    console = Console()
    path = demo.browser.find()
    if path is None:
        sys.exit(f"none of {', '.join(demo.browser.NAMES)} is installed (Debian: apt install chromium)")
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="interlock-screenshots-"))
    try:
        with demo.browser.opened(path) as browser:
            taken = _play(console, folder, browser)
    except (Spoiled, LaunchError) as error:
        sys.exit(f"The demo failed: {error}\nWhat the processes said is in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    for file in set(FOLDER.glob("*.webp")) - set(taken):
        file.unlink()
    size = sum(file.stat().st_size for file in taken)
    console.print(f"{len(taken)} pictures in {FOLDER.relative_to(ROOT)}, {size / 1024:.0f} KiB (of {BUDGET >> 10})")
    if size > BUDGET:
        sys.exit("These pictures are too large together (BUDGET)")


if __name__ == "__main__":
    screenshots()
