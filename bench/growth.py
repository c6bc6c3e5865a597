"""The growth: the cost of one event with 10, 100, 1,000 and 10,000 live runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench import bodies
from bench.house import House
from bench.report import SMALL, Section, Target, p50, p99

SIZES = (10, 100, 1_000, 10_000)
#: Events of each kind and size; the sizes take turns, event by event.
EVENTS = {"merge": 200, "build": 200, "callback": 100}
WORDS = {
    "merge": "a merge: accept, begin, decide, commit",
    "build": "a build ends, the next run enters",
    "callback": "callback -> next trigger at Jenkins",
}
TARGET = 1.3


class Sized:
    """A process with one board."""

    def __init__(self, live: int, house: House, services: int = bodies.SERVICES) -> None:
        command = [sys.executable, "-m", "bench.growing", str(live), str(services)]
        command += [house.env["BENCH_REDIS_URL"], str(house.sink)]
        self._child: subprocess.Popen[str] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=house.env
        )

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._child.pid

    def ready(self) -> float:
        """Wait until the board is loaded; return the seconds. Raise RuntimeError if it never is."""
        return float(self._line())

    def do(self, what: str) -> float:
        """Let it play one event; return the milliseconds."""
        pipe: Any = self._child.stdin
        pipe.write(f"{what}\n")
        pipe.flush()
        return float(self._line())

    def stop(self) -> None:
        """End the process."""
        self._child.kill()
        self._child.communicate()

    def _line(self) -> str:
        pipe: Any = self._child.stdout
        line: str = pipe.readline()
        if not line:
            raise RuntimeError(f"a board's process ended early ({self._child.wait(timeout=5)})")
        return line


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Measure all kinds of event on boards of all sizes, each in a process of its own, on one server."""
    sizes = SIZES if scale >= SMALL else SIZES[:2]
    share = f"{sizes[-1]:,} / {sizes[0]:,}"
    columns = ["ms per event: p50 (p99), by live runs", *(f"{size:,}" for size in sizes), share]
    section = Section("growth", "The growth: one event with more and more live runs", columns)
    with House("sink") as house, ExitStack() as stack:
        say("the growth: filling boards")
        boards = {size: Sized(size, house) for size in sizes}
        for board in boards.values():
            stack.callback(board.stop)
        for board in boards.values():
            board.ready()
        for what, count in EVENTS.items():
            say(f"the growth: {WORDS[what]}")
            _kind(section, boards, what, max(5, int(count * scale)))
    section.remarks = [
        "Each board in its own process, on one server; the sizes take turns event by event. A merge is a push of 9 KB.",
        "Callback: accepted -> Jenkins is asked about the build -> it has passed -> the next run's trigger arrives.",
    ]
    return section


def _kind(section: Section, boards: dict[int, Sized], what: str, count: int) -> None:
    sizes = list(boards)
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for index in range(count + 10):
        for offset in range(len(sizes)):  # the order changes, so that no size always follows the largest
            size = sizes[(index + offset) % len(sizes)]
            milliseconds = boards[size].do(what)
            if index >= 10:  # the first ones are warm-up
                took[size].append(milliseconds)
    ratio = p50(took[sizes[-1]]) / p50(took[sizes[0]])
    times = [f"{p50(each):.2f} ({p99(each):.1f})" for each in took.values()]
    section.rows.append([WORDS[what], *times, f"{ratio:.2f}"])
    section.targets.append(Target(f"growth, {what}: {section.columns[-1]}", ratio, TARGET, at_least=False))
    section.figures[what] = {str(size): each for size, each in took.items()}
