"""The pages on a board of many runs: how long they take, how many bytes they are, how high, and how soon they live."""

from __future__ import annotations

import gzip
import http.client
import time
from collections.abc import Callable
from typing import NamedTuple

import demo.browser
from bench.house import PIPELINE, House
from bench.report import SMALL, Section, Target, p50, rounds
from bot.core.model.run import Status

SIZES = (10, 1_000, 10_000)
#: The size that the targets are about.
TARGETED = 1_000
#: How often each page is asked for.
ROUNDS = 60
PAGES = {
    "board": f"/p/{PIPELINE}",
    "what is where": f"/p/{PIPELINE}/where",
    "runs": f"/p/{PIPELINE}/runs",
    "runs that wait": f"/p/{PIPELINE}/runs?state={Status.WAITING}&stage=acceptance",
    "one service": f"/p/{PIPELINE}/services/S1",
    "find": "/find?q=several+addresses",
}
#: A laptop, in pixels.
WIDE, HIGH = 1280, 800
BUDGET = 40.0


class Asked(NamedTuple):
    """One page: milliseconds in the median, and KiB as text and on the wire."""

    took: float
    text: float
    wire: float


class Seen(NamedTuple):
    """The board in a browser: how many screens high, and milliseconds from the address to `Live`."""

    screens: float
    live: float


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Ask for every page on boards of several sizes, and look at the board in a browser if there is one."""
    sizes = SIZES if scale >= SMALL else SIZES[:1]
    section = Section("pages", "The pages", ["page", *(f"{size:,} live" for size in sizes)])
    asked: dict[int, dict[str, Asked]] = {}
    seen: dict[int, Seen | None] = {}
    for size in sizes:
        say(f"the pages with {size:,} live runs")
        with House("web", live=size) as house:
            asked[size] = {name: _ask(house.web, path, rounds(ROUNDS, scale)) for name, path in PAGES.items()}
            seen[size] = _see(f"http://127.0.0.1:{house.web}{PAGES['board']}")
    for name in PAGES:
        section.rows.append([name, *(_words(asked[size][name]) for size in sizes)])
    if all(seen.values()):
        section.rows.append(["board in a browser", *(_words_of(seen[size]) for size in sizes)])
    else:
        section.remarks.append("Not looked at in a browser: there is none here.")
    section.remarks.append(
        f"Milliseconds in the median of {rounds(ROUNDS, scale)} requests over one connection, and KiB on the wire (of "
        f"KiB as text). In a browser of {WIDE} x {HIGH} pixels: the height in screens, and how long until it is live."
    )
    if TARGETED in asked:
        section.targets = _targets(asked[TARGETED]["board"], seen[TARGETED])
    section.figures = {
        str(size): {**{name: each._asdict() for name, each in asked[size].items()}, "browser": _figures(seen[size])}
        for size in sizes
    }
    return section


def _targets(board: Asked, seen: Seen | None) -> list[Target]:
    targets = [Target(f"KiB on the wire, {TARGETED:,} live", board.wire, BUDGET, at_least=False)]
    if seen is not None:
        targets.append(Target(f"screens, {TARGETED:,} live", seen.screens, 3.0, at_least=False))
        targets.append(Target(f"seconds until live, {TARGETED:,} live", seen.live / 1000, 1.0, at_least=False))
    return targets


def _ask(port: int, path: str, times: int) -> Asked:
    """Ask for a page as a browser does: one connection, gzip."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took, body = [], b""
    for _ in range(times + 1):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
        took.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{path} answers {answer.status}")
    connection.close()
    text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    return Asked(p50(took[1:]), len(text) / 1024, len(body) / 1024)  # the first one loads the board


def _see(url: str) -> Seen | None:
    """Open the board in a browser, once to warm it up and once to measure; None without a browser."""
    path = demo.browser.find()
    if path is None:
        return None
    with demo.browser.opened(path) as browser:
        seen = None
        for _ in range(2):
            page = browser.new_page(viewport={"width": WIDE, "height": HIGH})
            began = time.perf_counter()
            page.goto(url, wait_until="domcontentloaded")
            page.wait_for_selector("#live[data-kind=live]")
            live = (time.perf_counter() - began) * 1000
            seen = Seen(page.evaluate("document.documentElement.scrollHeight") / HIGH, live)
            page.close()
        return seen


def _words(each: Asked) -> str:
    return f"{each.took:.1f} ms, {each.wire:.1f} of {each.text:.0f} KiB"


def _words_of(seen: Seen | None) -> str:
    return "" if seen is None else f"{seen.screens:.1f} screens, live in {seen.live:.0f} ms"


def _figures(seen: Seen | None) -> dict[str, float] | None:
    return None if seen is None else seen._asdict()
