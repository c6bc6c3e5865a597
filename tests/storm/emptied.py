"""Merges that flow through real processes while their Redis is emptied, again and again; and what came of it.

Web, worker, beat and Redis are real. Somebody looks when state was lost, and unlocks. GitHub and Jenkins are the
stand-ins of the storm, and their own records say what happened.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from bot.core.model.board import Board
from bot.core.model.events import UnlockAsked
from bot.core.rules.configuration import lock_key
from bot.store.connection import connect
from bot.store.inbox import Inbox, parked
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.records import Records
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from chaos.world import PIPELINE, SERVICES, World
from launch import BackOff, Stack
from tests.failover.flow import Merger, double, lost, tracebacks
from tests.storm.storm import all_told
from tests.storm.table import written
from tests.storm.verdict import Verdict, capacity

ROOT = Path(__file__).resolve().parents[2]
#: How long merges flow before the store is emptied: so long at least, and up to so much more, in seconds.
QUIET, MORE = 6.0, 4.0
#: How long somebody looks before they unlock a stage, in seconds.
LOOKS = 4.0
#: The longest that a loss takes to be noticed, and the longest until all is delivered, in seconds.
NOTICED, PATIENCE = 20.0, 180.0
#: Every stage of the storm's pipeline that locks.
LOCKING = ("pre-production", "production")


@dataclass
class Outcome:
    """What came of it."""

    emptied: int
    merged: int
    builds: int
    #: How long each loss took to be noticed and closed, in seconds.
    noticed: list[float]
    #: What must not be, by its name.
    faults: dict[str, list[str]]

    def table(self) -> str:
        """The numbers, for the terminal."""
        rows = [
            ("times emptied", str(self.emptied)),
            ("merges, builds", f"{self.merged}, {self.builds}"),
            ("closed after", ", ".join(f"{seconds:.1f} s" for seconds in self.noticed)),
            *((name, str(len(found))) for name, found in self.faults.items()),
        ]
        return "\n".join(f"{name:<40} {value}" for name, value in rows)


class Emptied:
    """A flow of merges whose store is emptied so many times."""

    def __init__(self, folder: Path, times: int, seed: int) -> None:
        self._folder, self._times, self._seed = folder, times, seed
        self._chance = random.Random(seed)
        self._noticed: list[float] = []

    def run(self) -> Outcome:
        """Start everything, empty the store, wait until all is delivered, stop everything; bounded in time."""
        with ExitStack() as running:
            world = running.enter_context(World(self._folder, self._seed))
            stack = Stack(ROOT, data_dir=self._folder, env=world.env, back_off=BackOff(first=0.1))
            running.enter_context(stack)
            redis = connect(stack.url)
            running.callback(redis.close)
            copy = BoardReplica(Scripts(redis), Keys(PIPELINE))
            self._until(lambda board: len(board.services) == len(SERVICES), copy, 60, "the heads of main are known")
            merger = Merger(world)
            running.callback(merger.stop)
            merger.start()
            for _ in range(self._times):
                time.sleep(QUIET + self._chance.random() * MORE)
                self._empty(redis, copy)
            time.sleep(QUIET)
            merger.stop()
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline and not self._delivered(world, merger, copy):
                time.sleep(0.2)
            return self._outcome(world, merger, redis, copy)

    def _empty(self, redis: Redis, copy: BoardReplica) -> None:
        """Lose everything; then somebody looks, and unlocks."""
        redis.flushall()
        emptied = time.monotonic()
        self._until(_is_closed, copy, NOTICED, "every stage that locks is closed")
        self._noticed.append(time.monotonic() - emptied)
        time.sleep(LOOKS)
        inbox = Inbox(redis, Keys(PIPELINE))
        for stage in LOCKING:
            inbox.add(UnlockAsked(stage, "dana", "looked"), uuid.uuid4().hex)
        self._until(lambda board: not board.locks, copy, NOTICED, "they are unlocked")

    @staticmethod
    def _until(true: Callable[[Board], bool], copy: BoardReplica, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with suppress(RedisError):
                copy.refresh()
                if true(copy.board):
                    return
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
            time.sleep(0.05)

    @staticmethod
    def _delivered(world: World, merger: Merger, copy: BoardReplica) -> bool:
        copy.refresh()
        return not copy.board.runs and not lost(world.builds(), merger.merged)

    def _outcome(self, world: World, merger: Merger, redis: Redis, copy: BoardReplica) -> Outcome:
        keys, builds, verdict = Keys(PIPELINE), world.builds(), Verdict()
        copy.refresh()
        written(self._folder, all_told(Records(redis, keys)), builds)
        capacity(verdict, builds)
        # What was triggered just before the store was emptied may begin after its run was started again: its job asks
        # whether it is still wanted, is told no, and ends NOT_BUILT having rolled nothing out.
        working = [build for build in builds if build["result"] != "NOT_BUILT"]
        faults = {
            "lost merges": lost(builds, merger.merged),
            "double triggers": double(working),
            "capacity violations": verdict.over_capacity,
            "stuck runs": [f"{run.key} {run.status} in {run.step}" for run in copy.board.runs.values()],
            "dead letters": [f"{letter.slot}: {letter.error}" for letter in Outbox(redis, keys).dead_letters()],
            "parked deliveries": [f"{each.source} {each.name}: {each.error}" for each in parked(redis, keys)],
            "tracebacks": tracebacks(self._folder),
        }
        return Outcome(self._times, len(merger.merged), len(builds), self._noticed, faults)


def _is_closed(board: Board) -> bool:
    return all(lock_key(stage) in board.locks for stage in LOCKING)
