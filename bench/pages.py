"""The pages on a board of many runs: their time, bytes and height, and the time until they are live."""

from __future__ import annotations

import gzip
import http.client
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from bench import pixels
from bench.house import PIPELINE, House
from bench.pixels import Pixels
from bench.report import SMALL, Section, Target, p50, rounds
from bot.core.model.run import Status

#: Live runs: an empty board, one of the size of the targets, and a very large one.
EMPTY, TARGETED, LARGE = 0, 1_000, 10_000
SIZES = (EMPTY, TARGETED, LARGE)
#: The number of requests per page, and of facts per board.
ROUNDS, FACTS = 60, 41
PAGES = {
    "board": f"/p/{PIPELINE}",
    "what is where": f"/p/{PIPELINE}/where",
    "runs": f"/p/{PIPELINE}/runs",
    "runs that wait": f"/p/{PIPELINE}/runs?state={Status.WAITING}&stage=acceptance",
    "one service": f"/p/{PIPELINE}/services/S1",
    "find": "/find?q=several+addresses",
}
BUDGET = 40.0


class Asked(NamedTuple):
    """One page: the median milliseconds, and KiB as text and on the wire."""

    took: float
    text: float
    wire: float


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Request each page on boards of several sizes, and open the board in a browser if there is one."""
    sizes = SIZES if scale >= SMALL else SIZES[:1]
    section = Section("pages", "The pages", ["page", *(f"{size:,} live" for size in sizes)])
    asked: dict[int, dict[str, Asked]] = {}
    with ExitStack() as stack:
        houses = {size: stack.enter_context(House("web", live=size)) for size in sizes}
        for size, house in houses.items():
            say(f"the pages with {size:,} live runs")
            asked[size] = {name: _ask(house.web, path, rounds(ROUNDS, scale)) for name, path in PAGES.items()}
        say("the boards in a browser, by turns")
        seen = pixels.look(houses, rounds(FACTS, scale))
    for name in PAGES:
        section.rows.append([name, *(_words(asked[size][name]) for size in sizes)])
    if seen is not None:
        for name, words in _BROWSER.items():
            section.rows.append([name, *(words(seen[size]) for size in sizes)])
    else:
        section.remarks.append("Not looked at in a browser: there is none here.")
    (wide, high), (narrow, tall) = pixels.LAPTOP, pixels.PHONE
    section.remarks.append(
        f"Milliseconds in the median of {rounds(ROUNDS, scale)} requests over one connection, and KiB on the wire (of "
        f"KiB as text). In a browser of {wide} x {high} pixels (and {narrow} x {tall}): the height in screens, "
        f"how long until it is live, and from before the turn that decides something to the frame that shows it, "
        f"{rounds(FACTS, scale) - 1} times on each board by turns."
    )
    if TARGETED in asked:
        section.targets = _targets(asked[TARGETED]["board"], seen)
    section.figures = {
        str(size): {
            **{name: each._asdict() for name, each in asked[size].items()},
            "browser": None if seen is None else seen[size]._asdict(),
        }
        for size in sizes
    }
    return section


_BROWSER: dict[str, Callable[[Pixels], str]] = {
    "board in a browser": lambda seen: f"{seen.screens:.1f} screens ({seen.phone:.1f} on a phone), {seen.live:.0f} ms",
    "fact to pixel": lambda seen: f"{seen.middle:.0f} ms (nine of ten {seen.nine_of_ten:.0f} ms)",
    "CPU of the web for each fact": lambda seen: f"{seen.cpu:.1f} ms",
}


def _targets(board: Asked, seen: dict[int, Pixels] | None) -> list[Target]:
    what = f"{TARGETED:,} live"
    targets = [Target(f"KiB on the wire, {what}", board.wire, BUDGET, at_least=False)]
    if seen is not None:
        found, empty = seen[TARGETED], seen[EMPTY]
        targets += [
            Target(f"screens, {what}", found.screens, 3.0, at_least=False),
            Target(f"screens of a phone, {what}", found.phone, 3.0, at_least=False),
            Target(f"seconds until live, {what}", found.live / 1000, 1.0, at_least=False),
            Target(f"milliseconds from fact to pixel, {what}", found.middle, 100.0, at_least=False),
            Target(f"fact to pixel, {what} / none", found.middle / empty.middle, 2.0, at_least=False),
        ]
    return targets


def _ask(port: int, path: str, times: int) -> Asked:
    """Request a page as a browser does: one connection, gzip."""
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


def _words(each: Asked) -> str:
    return f"{each.took:.1f} ms, {each.wire:.1f} of {each.text:.0f} KiB"
