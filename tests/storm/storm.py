"""The storm itself: the real processes, the developers, the weather; and the wait until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from bot.core.model.board import Board
from bot.core.rules.decision import Ended
from bot.store.codec import RecordedFact
from bot.store.connection import connect
from bot.store.inbox import parked
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.records import PAGE, Records
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from chaos.world import PIPELINE, SERVICES, World
from launch import BackOff, Stack
from tests.storm import weather
from tests.storm.developers import Developers
from tests.storm.plan import plan

ROOT = Path(__file__).resolve().parents[2]
#: Merges per second: faster than pre-production takes them, so that there is a queue to lock and to overtake.
MERGES = 4.0
#: At which share of the merges Jenkins restarts, the worker hangs, Jenkins crashes, and the store is full.
RESTART_AT, HANG_AT, CRASH_AT, FULL_AT = 0.3, 0.45, 0.6, 0.85
#: How long it may take in all: at first, and for each run, in seconds.
PATIENCE, PATIENCE_PER_RUN = 240.0, 2.0


@dataclass
class Aftermath:
    """What is left when it is over, or when patience is at its end."""

    seconds: float
    board: Board
    ended: list[Ended]
    told: list[RecordedFact]
    outbox: int
    dead: list[str]
    parked: list[str]
    developers: Developers
    #: The ids of the queue items that the crash lost.
    lost_items: list[int] = field(default_factory=list)


class StageBackoff:
    """Something that begins at a share of the merges, lasts for so many seconds, and ends."""

    def __init__(self, begins_at: float, seconds: float, begin: Callable[[], Callable[[], None]]) -> None:
        self.begins_at, self._seconds, self._begin = begins_at, seconds, begin
        self._end: Callable[[], None] | None = None
        self._began = 0.0

    @property
    def lasts(self) -> bool:
        return self._end is not None

    def blow(self, share: float) -> None:
        """It begins when it is time, and ends when it is time."""
        if not self._began and share >= self.begins_at:
            self._began, self._end = time.monotonic(), self._begin()
        elif self._end is not None and time.monotonic() - self._began >= self._seconds:
            self.end()

    def end(self) -> None:
        """It ends now, if it lasts."""
        if self._end is not None:
            self._end()
            self._end = None


class Storm:
    """One storm of so many runs."""

    def __init__(self, world: World, folder: Path, runs: int, seed: int) -> None:
        self._world, self._folder, self._runs, self._seed = world, folder, runs, seed
        self._developers = Developers(world)
        self._lost: list[int] | None = None
        self._crash = weather.Crash(world.cdp)
        self._restarted = False
        self._troubles: list[StageBackoff] = []

    def rage(self) -> Aftermath:
        """Start everything, let it storm until the board is empty, and stop."""
        with ExitStack() as running:
            stack = Stack(ROOT, data_dir=self._folder, env=self._world.env, back_off=BackOff(first=0.1))
            running.enter_context(stack)
            redis = connect(stack.url)
            running.callback(redis.close)
            keys = Keys(PIPELINE)
            copy = BoardReplica(Scripts(redis), keys)
            self._until_ready(copy)
            for jenkins in self._world.jenkins.values():
                weather.break_out(jenkins, self._seed)
            began = time.monotonic()
            self._troubles = [
                StageBackoff(HANG_AT, weather.HUNG, lambda: weather.hang(stack)),
                StageBackoff(FULL_AT, weather.FULL, lambda: self._fill(redis)),
            ]
            running.callback(lambda: [each.end() for each in self._troubles])
            self._merge_and_mend(copy, began)
            over = self._until_calm(copy, Outbox(redis, keys), began + PATIENCE + PATIENCE_PER_RUN * self._runs)
            return self._aftermath(redis, copy, over - began)

    def _until_ready(self, copy: BoardReplica) -> None:
        deadline = time.monotonic() + 60
        while len(copy.board.services) < len(SERVICES):
            assert time.monotonic() < deadline, "the heads of main are not known after a minute"
            time.sleep(0.1)
            copy.refresh()

    def _merge_and_mend(self, copy: BoardReplica, began: float) -> None:
        """Every merge at its time; what breaks is mended as soon as it is seen."""
        for number, merge in enumerate(plan(self._runs, self._seed)):
            while time.monotonic() < began + number / MERGES:
                self._look(copy)
                self._blow(number / self._runs)
                time.sleep(0.005)
            self._wait_for_room(copy, number / self._runs)
            self._developers.merge(merge)

    def _fill(self, redis: Redis) -> Callable[[], None]:
        """When all that GitHub had to tell is told: see `_is_full`."""
        self._world.github.control.wait_idle()
        return weather.fill(redis)

    def _is_full(self) -> bool:
        """Nobody merges while the store is full: of several pushes that no webhook tells, asking finds the last one."""
        return any(each.begins_at == FULL_AT and each.lasts for each in self._troubles)

    def _wait_for_room(self, copy: BoardReplica, share: float) -> None:
        while self._is_full():
            self._look(copy)
            self._blow(share)
            time.sleep(0.05)

    def _until_calm(self, copy: BoardReplica, outbox: Outbox, deadline: float) -> float:
        """Until nothing is left to do, and the last late callback has changed nothing; returns since when."""
        calm = time.monotonic()
        while time.monotonic() < min(deadline, calm + max(weather.LATENESS) + 1):
            self._look(copy)
            self._blow(1.0)  # a crash that has not found its moment yet
            if copy.board.runs or outbox.size() or any(each.lasts for each in self._troubles):
                calm = time.monotonic()
            time.sleep(0.005 if self._lost is None else 0.05)
        return calm

    def _blow(self, share: float) -> None:
        for trouble in self._troubles:
            trouble.blow(share)
        if not self._restarted and share >= RESTART_AT:
            self._restarted = True
            weather.restart(self._world.cdp)
        if self._lost is None and share >= CRASH_AT:
            self._lost = self._crash.strike()

    def _look(self, copy: BoardReplica) -> None:
        with suppress(RedisError):
            copy.refresh()
        if not self._is_full():
            self._developers.mend(copy.board)

    def _aftermath(self, redis: Redis, copy: BoardReplica, seconds: float) -> Aftermath:
        keys = Keys(PIPELINE)
        records, outbox = Records(redis, keys), Outbox(redis, keys)
        copy.refresh()
        return Aftermath(
            seconds,
            copy.board,
            _all_ended(records),
            all_told(records),
            outbox.size(),
            [f"{letter.slot}: {letter.error}" for letter in outbox.dead_letters()],
            [f"{each.source} {each.name}: {each.error}" for each in parked(redis, keys)],
            self._developers,
            self._lost or [],
        )


def _all_ended(records: Records) -> list[Ended]:
    found: list[Ended] = []
    while True:
        rows, total = records.ended(len(found), PAGE)
        found += rows
        if not rows or len(found) >= total:
            return found


def all_told(records: Records) -> list[RecordedFact]:
    found: list[RecordedFact] = []
    after = "0-0"
    while page := records.facts_after(after):
        found += [told for _, told in page]
        after = page[-1][0]
    return found
