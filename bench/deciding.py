"""One process with one board that decides the same events many times: `python -P bench/deciding.py 1000`.

It imports only `bot.core`, from the checkout in `PYTHONPATH`, so that two checkouts can be compared. The pipeline is
that of `config/example.yaml` beside this file.
Each decision is undone (`Board.undo`), and only deciding is timed.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

import bot

try:
    from bot.core.model.board import build_board
    from bot.core.model.board_records import Header
    from bot.core.model.effects import Trigger
    from bot.core.model.events import BuildSeen, Event, Merged
    from bot.core.model.pipeline import Job, Outcome, Pipeline, Policy, Service, Stage
    from bot.core.rules.decide import decide
except ModuleNotFoundError:  # a checkout in which model and rules are not separate
    from bot.core.board import Header, build_board  # type: ignore[import-not-found,no-redef]
    from bot.core.decide import decide  # type: ignore[import-not-found,no-redef]
    from bot.core.effects import Trigger  # type: ignore[import-not-found,no-redef]
    from bot.core.events import BuildSeen, Event, Merged  # type: ignore[import-not-found,no-redef]
    from bot.core.pipeline import Job, Outcome, Pipeline, Policy, Service, Stage  # type: ignore[import-not-found,no-redef]

#: The path of the measured rules: only instructions there are counted.
RULES = str(Path(bot.__file__).parent / "core")
EXAMPLE = Path(__file__).absolute().parents[1] / "config" / "example.yaml"


def pipeline(services: int) -> Pipeline:
    """Return the pipeline of this checkout's example, as values of the measured checkout."""
    rows = yaml.safe_load(EXAMPLE.read_text("utf-8"))["pipelines"][0]["stages"]
    stages = tuple(_stage(row) for row in rows)
    return Pipeline("decide", stages, tuple(Service(f"S{n}", f"shop/S{n}") for n in range(services)))


def _stage(row: dict[str, Any]) -> Stage:
    name, capacity = row["name"], row["capacity"]
    fast_job = Job("ci", f"fast-{name}") if "fast" in row else None
    most = None if capacity == "unlimited" else capacity
    return Stage(name, Job("ci", name), most, Policy(row["on_failure"]), fast_job=fast_job)


class Board:
    """A board with a live run of each service: some in acceptance, most waiting for pre-production."""

    def __init__(self, services: int) -> None:
        self._board = build_board(Header(pipeline(services)), [])
        self._now = 1_700_000_000.0
        self._heads: dict[str, str] = {}
        self._triggers: dict[str, Trigger] = {}
        self._runs: dict[str, str] = {}
        self._builds = 0
        #: The latest build of each run, by the run's key: other versions keep it elsewhere on the board.
        self._started: dict[str, int] = {}
        self._events = self._fill(services)

    def event(self, kind: str) -> Event:
        """Return the event of a kind; that of the fix is prepared last, because it locks a stage."""
        if kind == "fix passes" and kind not in self._events:
            self._events[kind] = self._with_fix()
        return self._events[kind]

    def microseconds(self, event: Event, repeats: int) -> list[float]:
        """Return the CPU time of each decision about the event, in microseconds."""
        took = []
        gc.collect()
        gc.disable()
        for _ in range(repeats):
            begin = time.thread_time_ns()
            decide(self._board, event, self._now)
            took.append((time.thread_time_ns() - begin) / 1000)
            self._board.undo()
        gc.enable()
        return took

    def instructions(self, event: Event) -> int:
        """Count the interpreter instructions that one decision about the event executes in the rules."""
        count = 0

        def trace(frame: FrameType, what: str, _: Any) -> Any:
            nonlocal count
            if not frame.f_code.co_filename.startswith(RULES):
                return None
            frame.f_trace_opcodes = True
            count += what == "opcode"
            return trace

        sys.settrace(trace)
        decide(self._board, event, self._now)
        sys.settrace(None)
        self._board.undo()
        return count

    def _fill(self, services: int) -> dict[str, Event]:
        """Fill the board with runs, and return one event of each kind but the last."""
        self._pass("S1", "build", "acceptance", "pre-production")
        self._start("S1")  # it rolls out to production
        delivered = self._ends("S1", Outcome.SUCCESS)
        self._pass("S0", "build", "acceptance")
        self._start("S0")  # it is in pre-production, and all others wait behind it
        for number in range(2, services):
            # More runs wait for acceptance than fit in, so each run that leaves has a successor.
            self._pass(f"S{number}", *["build", "acceptance"][: 1 if number % 2 == 1 else 2])
        self._start("S3")
        self._merge("S2")
        self._start("S2")
        return {
            "merge": self._push("S4"),
            "build passes": self._ends("S2", Outcome.SUCCESS),
            "acceptance passes": self._ends("S3", Outcome.SUCCESS),
            "pre-production passes": self._ends("S0", Outcome.SUCCESS),
            "pre-production breaks": self._ends("S0", Outcome.FAILURE),
            "delivered": delivered,
        }

    def _with_fix(self) -> Event:
        """Break pre-production and bring a fix to the real stage; return the event that it passes."""
        self._send(self._ends("S0", Outcome.FAILURE))
        self._pass("S0", "build", "fast acceptance", "fast pre-production")
        self._start("S0")
        return self._ends("S0", Outcome.SUCCESS)

    def _pass(self, service: str, *steps: str) -> None:
        """Merge a new run and let it pass these steps."""
        self._merge(service)
        for _ in steps:
            self._start(service)
            self._send(self._ends(service, Outcome.SUCCESS))

    def _push(self, service: str) -> Merged:
        before = self._heads.get(service)
        after = f"{service}-{self._builds}-{len(self._heads)}".ljust(40, "0")
        return Merged(service, after, before, push_id=f"{before}..{after}")

    def _merge(self, service: str) -> None:
        event = self._push(service)
        self._heads[service] = event.sha
        self._send(event)
        self._send(Merged(service, event.sha, pull=len(self._heads), title="A change", author="ann"))
        self._runs[service] = self._board.of_commit(service, event.sha)[-1].key

    def _start(self, service: str) -> None:
        self._builds += 1
        self._started[self._runs[service]] = self._builds
        self._send(self._seen(service, self._builds, None))

    def _ends(self, service: str, result: Outcome) -> BuildSeen:
        return self._seen(service, self._started[self._runs[service]], result)

    def _seen(self, service: str, build: int, result: Outcome | None) -> BuildSeen:
        trigger = self._triggers[self._runs[service]]
        return BuildSeen("ci", trigger.job.name, build, result, trigger.run, trigger.attempt)

    def _send(self, event: Event) -> None:
        self._now += 1
        decision = decide(self._board, event, self._now)
        self._board.take_changes()
        self._triggers |= {effect.run: effect for effect in decision.effects if isinstance(effect, Trigger)}


def main() -> None:
    """Answer each line (kind of event, number of decisions) with the microseconds and the instructions."""
    board = Board(int(sys.argv[1]))
    for line in sys.stdin:
        kind, repeats = line.strip().rsplit(" ", 1)
        event = board.event(kind)
        answer = {"us": board.microseconds(event, int(repeats)), "instructions": board.instructions(event)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
