"""One board of a given size, in a process of its own: each input line is one event, answered with its milliseconds.

`python -m bench.growing LIVE SERVICES REDIS_URL SINK_PORT`; the lines are `merge`, `build` and `callback`. The first
line of the answer is the seconds from the start of the process's first look at the board to its first decision.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
import uuid
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from bench import boards, bodies
from bot.core.model.events import BuildSeen, Event, TimePassed
from bot.core.model.history import Position
from bot.core.model.pipeline import Outcome, Step
from bot.core.model.run import NO_ATTEMPT, Run, Status
from bot.runtime import build
from bot.store.keys import FAMILIES
from bot.store.store import Work
from config.configuration import Configuration, Controller
from config.settings import Settings
from workers.performer import decide_and_perform
from workers.turn import take_turns


class Board:
    """A board of constant size: the changes of an event are compensated, untimed."""

    def __init__(self, live: int, services: int, redis_url: str, sink: int) -> None:
        shape = boards.pipeline(f"live-{live}", services)
        configuration = Configuration((shape,), {"ci": Controller("ci", f"http://127.0.0.1:{sink}", "bench")})
        settings = Settings(redis_url=SecretStr(redis_url), jenkins_tokens={"CI": SecretStr("t")})
        self._runtime = build(settings, configuration)
        self._context = self._runtime.pipeline(shape.name)
        self._sink = f"http://127.0.0.1:{sink}"
        self._count = 0
        self._number: int | None = None
        boards.fill(self._runtime.redis, self._context.keys, shape, live)
        began = time.perf_counter()
        self._decide(TimePassed())  # loads the board
        self.loaded = time.perf_counter() - began
        if len(self._board.runs) != live:
            raise RuntimeError(f"{len(self._board.runs)} runs are live instead of {live}")

    @property
    def _board(self) -> Any:
        return self._context.store.copy.board

    def merge(self) -> float:
        """Accept and decide a push: a new run, at once in the build stage. Return the milliseconds."""
        self._count += 1
        number = self._count % len(self._context.pipeline.services)
        name = f"S{number}"
        state = self._board.service(name)
        after = bodies.sha(f"merge {self._count}")
        body = bodies.body("push", bodies.repository(number), state.history.head.sha, after)
        begin = time.perf_counter()
        self._context.inbox.accept("github", "push", uuid.uuid4().hex, body)
        take_turns(self._context)
        took = time.perf_counter() - begin
        run = self._board.of_commit(name, after)[0]
        job = self._board.pipeline.stages[0].job
        self._decide(BuildSeen(job.controller, job.name, self._count, Outcome.FAILURE, run.key, run.attempt.number))
        return took * 1000

    def build(self) -> float:
        """Decide that the build in pre-production has passed: its run goes on, and the next one enters."""
        run = self._inside()
        event = self._passed(run)
        begin = time.perf_counter()
        self._context.inbox.add(event, uuid.uuid4().hex)
        take_turns(self._context)
        took = time.perf_counter() - begin
        self._refill(run)
        return took * 1000

    def callback(self) -> float:
        """Deliver a callback about that build: Interlock looks, and the next run's trigger arrives at Jenkins."""
        run = self._inside()
        if self._number is None:
            self._number = self._ask("/build", {"INTERLOCK_RUN": run.key, "INTERLOCK_ATTEMPT": str(run.attempt.number)})
        self._ask("/arrivals")
        job = self._board.pipeline.stage(boards.PRE_PRODUCTION.stage).job
        body = json.dumps({"name": job.name, "build": {"number": self._number, "phase": "COMPLETED"}}).encode()
        begin = time.monotonic()
        self._context.inbox.accept("jenkins", "ci", uuid.uuid4().hex, body)
        decide_and_perform(self._runtime, self._context, lambda *_: None)
        ((_, arrived, self._number),) = self._ask("/arrivals")
        self._refill(run)
        return float(arrived - begin) * 1000

    def _inside(self) -> Run:
        run: Run = self._board.inside(boards.PRE_PRODUCTION)[0]
        return run

    def _passed(self, run: Run) -> BuildSeen:
        job = self._board.pipeline.stage(boards.PRE_PRODUCTION.stage).job
        self._count += 1
        number = run.attempt.build or 1_000_000 + self._count
        return BuildSeen(job.controller, job.name, number, Outcome.SUCCESS, run.key, run.attempt.number)

    def _refill(self, passed: Run) -> None:
        """Remove the run that has passed, and add another at the tail of the queue before pre-production."""
        context, token = self._context, uuid.uuid4().hex
        context.inbox.add(TimePassed(), uuid.uuid4().hex)
        entries = context.store.begin(token)
        now = self._board.runs[passed.key]
        if now.step != Step("production") or now.status is not Status.WAITING:
            raise RuntimeError(f"{passed.key} is {now.status} in {now.step} instead of waiting for production")
        self._count += 1
        later = Position(1, 1_000_000 + self._count, bodies.sha(f"{passed.service} refill {self._count}"))
        fresh = replace(passed, key=f"{passed.service}.{later.seq}", position=later, queue_number=later.seq)
        self._board.drop(now)
        self._board.put(replace(fresh, status=Status.WAITING, step=boards.PRE_PRODUCTION, attempt=NO_ATTEMPT))
        context.store.commit(token, entries, Work(self._board.take_changes(), [], [], [], None))
        self._forget_effects()

    def _decide(self, event: Event) -> None:
        self._context.inbox.add(event, uuid.uuid4().hex)
        take_turns(self._context)
        self._forget_effects()

    def _forget_effects(self) -> None:
        keys = self._context.keys
        self._runtime.redis.delete(keys.outbox, *(keys.due(family) for family in FAMILIES))

    def _ask(self, path: str, content: dict[str, str] | None = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        with urllib.request.urlopen(f"{self._sink}{path}", data=data, timeout=10) as answer:
            return json.load(answer)


def main() -> None:
    """Print the seconds of loading the board, then answer each line with the milliseconds of one such event."""
    board = Board(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    print(json.dumps(board.loaded), flush=True)
    for line in sys.stdin:
        print(json.dumps(getattr(board, line.strip())()), flush=True)


if __name__ == "__main__":
    main()
