"""Measures the cost of one decision by kind of event, on a small and a large board, also beside another checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.report import SMALL, Section, Target, p50

OURS = Path(__file__).absolute().parents[1]
SIZES = (10, 1_000)
KINDS = (
    "merge",
    "build passes",
    "acceptance passes",
    "pre-production passes",
    "pre-production breaks",
    "delivered",
    "fix passes",
)
#: Rounds of each kind, and decisions per process and round; the processes take turns.
ROUNDS, REPEATS = 10, 50
#: The highest ratios of the cost: large board / small board, and this checkout / the other.
GROWTH, RATIO = 1.3, 1.0


class _Board:
    """A process with one board of one checkout."""

    def __init__(self, checkout: Path, services: int) -> None:
        command = [sys.executable, "-P", str(OURS / "bench" / "deciding.py"), str(services)]
        env = {**os.environ, "PYTHONPATH": str(checkout)}
        self._child: subprocess.Popen[str] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=checkout
        )
        self.took: list[float] = []
        self.instructions = 0

    def decide(self, kind: str, repeats: int) -> None:
        """Let the process take decisions of a kind. Raise RuntimeError if it has ended."""
        pipe: Any = self._child.stdin
        pipe.write(f"{kind} {repeats}\n")
        pipe.flush()
        out: Any = self._child.stdout
        line = out.readline()
        if not line:
            raise RuntimeError(f"a board's process ended early ({self._child.wait(timeout=5)})")
        answer = json.loads(line)
        self.took.append(p50(answer["us"]))
        self.instructions = answer["instructions"]

    def stop(self) -> None:
        """End the process."""
        self._child.kill()
        self._child.communicate()


def measure(say: Callable[[str], None], scale: float = 1.0, against: Path | None = None) -> Section:
    """Measure each kind of event on boards of both sizes, one process each, in turns with those of `against`."""
    sizes = SIZES if scale >= SMALL else (10, 20)
    checkouts = [OURS] if against is None else [OURS, against.absolute()]
    columns = ["decide, by services", *(f"µs {size:,}" for size in sizes), "growth"]
    columns += [f"instr. {size:,}" for size in sizes]
    if against is not None:
        columns += [f"/ other: {what} {size:,}" for what in ("µs", "instr.") for size in sizes]
    section = Section("decide", "What one decision costs", columns)
    with ExitStack() as stack:
        boards = {(checkout, size): _Board(checkout, size) for size in sizes for checkout in checkouts}
        for board in boards.values():
            stack.callback(board.stop)
        for kind in KINDS:
            say(f"deciding: {kind}")
            _play(boards, kind, max(1, int(ROUNDS * scale)))
            _row(section, kind, [boards[OURS, size] for size in sizes])
            if against is not None:
                _beside(section, kind, [(boards[OURS, size], boards[against.absolute(), size]) for size in sizes])
    section.targets = list(_targets(section, against))
    section.remarks = [
        "CPU of the thread, median of rounds; the same decision again and again, taken back each time.",
        "Instructions: those of the interpreter in bot/core; they are the same whatever else the machine does.",
    ]
    return section


def _play(boards: dict[tuple[Path, int], _Board], kind: str, rounds: int) -> None:
    for board in boards.values():
        board.decide(kind, REPEATS)  # warm-up
        board.took.clear()
    for turn in range(rounds):
        for board in list(boards.values())[:: 1 if turn % 2 else -1]:  # the order changes, so that none is always first
            board.decide(kind, REPEATS)


def _row(section: Section, kind: str, boards: list[_Board]) -> None:
    took = [p50(board.took) for board in boards]
    growth = p50([large / small for small, large in zip(boards[0].took, boards[1].took, strict=True)])
    counted = [board.instructions for board in boards]
    section.rows.append([kind, *(f"{each:.0f}" for each in took), f"{growth:.2f}", *(f"{each:,}" for each in counted)])
    section.figures[kind] = {"us": [board.took for board in boards], "instructions": counted, "growth": growth}


def _beside(section: Section, kind: str, pairs: list[tuple[_Board, _Board]]) -> None:
    """Add the ratios to the other checkout to the last row."""
    ratios = [p50([a / b for a, b in zip(ours.took, other.took, strict=True)]) for ours, other in pairs]
    counted = [ours.instructions / other.instructions for ours, other in pairs]
    section.rows[-1] += [f"{ratio:.2f}" for ratio in (*ratios, *counted)]
    section.figures[kind]["ratios"] = ratios


def _targets(section: Section, against: Path | None) -> Iterator[Target]:
    """Yield a target for the growth and one for the comparison, each for the worst kind."""
    figures = section.figures
    worst = max(KINDS, key=lambda kind: figures[kind]["growth"])
    yield Target(f"decide, growth ({worst})", figures[worst]["growth"], GROWTH, at_least=False)
    if against is not None:
        worst = max(KINDS, key=lambda kind: max(figures[kind]["ratios"]))
        yield Target(f"decide, ours / other ({worst})", max(figures[worst]["ratios"]), RATIO, at_least=False)
