"""From a fact to the pixel: the time until a browser shows a decision, on boards of several sizes in turn.

A stage is locked and unlocked again. The time runs from before the turn that decides it (with its commit) until the
frame with the new board has been drawn; the worker's turn is taken in this process, all other parts are as served.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import demo.browser
from bench.house import PIPELINE, House
from bench.report import p50, quantile
from bot.core.model.events import Event, LockAsked, UnlockAsked
from bot.health.contacts import Heartbeats
from bot.runtime import pipeline_context
from config import pipeline_file
from workers.turn import take_turns

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: A laptop and a phone, in pixels.
LAPTOP, PHONE = (1280, 800), (390, 844)
#: Seconds between two facts: more than the page's pause between two frames (bot/web/live.py), so that no frame waits.
BETWEEN = 0.35
#: The longest wait for a page, in seconds.
PATIENCE = 30.0

#: Returns the time at which the frame with a version of the board was drawn, in milliseconds since the epoch: the
#: callback of a frame runs before it is painted, the next task after it (HTML standard: update the rendering).
_WATCH = """() => {
  const root = document.getElementById("board-root"), waiting = new Map(), drawn = new Map();
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
    const version = Number(root.dataset.version), at = performance.timeOrigin + performance.now();
    drawn.set(version, at);
    for (const [wanted, tell] of waiting) if (wanted <= version) { waiting.delete(wanted); tell(at); }
  }))).observe(root, { attributes: true, attributeFilter: ["data-version"] });
  window.shown = (version) => new Promise((tell) =>
    drawn.has(version) ? tell(drawn.get(version)) : waiting.set(version, tell));
}"""


class Pixels(NamedTuple):
    """The board of one size in a browser: its height in screens of a laptop and of a phone; milliseconds until it is
    live, and from a fact to its pixels; and the web processes' CPU per fact, in milliseconds."""

    screens: float
    phone: float
    live: float
    middle: float
    nine_of_ten: float
    cpu: float


def look(houses: Mapping[int, House], facts: int) -> dict[int, Pixels] | None:
    """Measure the board of each house in turn, `facts` times each; None without a browser."""
    path = demo.browser.find()
    if path is None:
        return None
    with ExitStack() as stack:
        browser = stack.enter_context(demo.browser.opened(path))
        boards = {size: _Board(house, browser) for size, house in houses.items()}
        for _ in range(facts):
            for board in boards.values():
                board.tell()
        return {size: board.found() for size, board in boards.items()}


class _Board:
    """One board in an open browser page, and the decisions on it."""

    def __init__(self, house: House, browser: Browser) -> None:
        configuration = pipeline_file.load(Path(house.env["INTERLOCK_CONFIG"]))
        self._context = pipeline_context(house.redis, configuration.pipelines[0], configuration)
        self._house = house
        until = (time.time() + 3_600) * 1000  # as if a worker ran: the page shows no warning above the board
        house.redis.zadd(Heartbeats(house.redis).key, {"worker of-this-bench": until, "beat of-this-bench": until})
        self._url = f"http://127.0.0.1:{house.web}/p/{PIPELINE}"
        self._phone = self._screens(browser, PHONE)
        self._laptop = self._screens(browser, LAPTOP)
        self._live, self._page = self._open(browser)
        self._page.evaluate(_WATCH)
        self._took: list[float] = []
        self._cpu: list[float] = []
        self._locked = False

    def tell(self) -> None:
        """Lock or unlock a stage, and note how long the page takes to show it."""
        stage = self._context.pipeline.stages[-1].name
        event: Event = UnlockAsked(stage, "bench", "a fact") if self._locked else LockAsked(stage, "bench", "a fact")
        self._locked = not self._locked
        time.sleep(BETWEEN)
        cpu = self._house.cpu("web")
        self._context.inbox.add(event, uuid.uuid4().hex)
        began = time.time() * 1000
        take_turns(self._context)
        shown = self._page.evaluate("version => window.shown(version)", self._context.store.copy.version)
        self._took.append(float(shown) - began)
        self._cpu.append((self._house.cpu("web") - cpu) * 1000)

    def found(self) -> Pixels:
        """Return the figures without the first fact, which loads the board in this process."""
        took = self._took[1:] or self._took
        cpu = self._cpu[1:] or self._cpu
        return Pixels(self._laptop, self._phone, self._live, p50(took), quantile(took, 0.9), sum(cpu) / len(cpu))

    def _screens(self, browser: Browser, size: tuple[int, int]) -> float:
        """Return the height of the page in screens of that size; this also warms the process up."""
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.goto(self._url, wait_until="domcontentloaded")
        page.wait_for_selector("#live[data-kind=live]", timeout=PATIENCE * 1000)
        height = float(page.evaluate("document.documentElement.scrollHeight"))
        page.close()
        return height / size[1]

    def _open(self, browser: Browser) -> tuple[float, Page]:
        page = browser.new_page(viewport={"width": LAPTOP[0], "height": LAPTOP[1]})
        began = time.perf_counter()
        page.goto(self._url, wait_until="domcontentloaded")
        page.wait_for_selector("#live[data-kind=live]", timeout=PATIENCE * 1000)
        return (time.perf_counter() - began) * 1000, page
