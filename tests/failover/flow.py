"""Merges through real processes while store and broker fail over, and their results.

Store and broker are real (`tests.failover.setups`). Web, worker and beat are real. GitHub and Jenkins are the stand-ins
of chaos, and their records show the results.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from bot.core.model.board import Board
from bot.store.connection import connect
from bot.store.inbox import parked
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from chaos.checker import capacity_holds
from chaos.evidence import Evidence
from chaos.records import Records, Row
from chaos.world import CAPACITY, PIPELINE, ROLLS_OUT, SERVICES, World
from launch import BackOff, Stack
from tests.failover.setups import Setup
from tests.logs import shown_on_failure

ROOT = Path(__file__).resolve().parents[2]
#: Merges per second.
MERGES = 1.0
#: How long the flow goes on quietly before each fail-over, in seconds: longer than the pause of a trigger that waited.
QUIET = 5.0
#: The longest that one fail-over takes with all that belongs to it, and the longest until all is delivered; seconds.
PER_FAILOVER, PATIENCE = 30.0, 180.0
#: How long one merge takes at most, in seconds: pre-production takes one after another.
PER_MERGE = 8.0


@dataclass
class Outcome:
    """The results; all lists but the last must be empty."""

    failovers: int
    what: str
    merged: dict[str, tuple[str, int]]
    seconds: float
    #: How long it took from the last fail-over until all was delivered, in seconds.
    calm_after: float
    double: list[str]
    over_capacity: list[str]
    lost: list[str]
    stuck: list[str]
    dead: list[str]
    parked: list[str]
    #: Tracebacks in the logs of the processes.
    tracebacks: list[str]
    #: Commits that were acknowledged and lost, by fail-over.
    rolled_back: list[int]
    builds: int

    @property
    def faults(self) -> dict[str, list[str]]:
        """Return the faults by name."""
        return {
            "double triggers": self.double,
            "capacity violations": self.over_capacity,
            "lost merges": self.lost,
            "stuck runs": self.stuck,
            "dead letters": self.dead,
            "parked deliveries": self.parked,
            "tracebacks": self.tracebacks,
        }

    def table(self) -> str:
        """The numbers, for the terminal."""
        rows = [
            ("fail-overs", f"{self.failovers}, {self.what}"),
            ("commits that each lost", ", ".join(map(str, self.rolled_back))),
            ("merges, builds", f"{len(self.merged)}, {self.builds}, in {self.seconds:.0f} s"),
            ("all delivered after the last fail-over", f"{self.calm_after:.0f} s"),
            *((name, str(len(found))) for name, found in self.faults.items()),
        ]
        return "\n".join(f"{name:<40} {value}" for name, value in rows)


@dataclass
class Merger:
    """Somebody merges to one service after the other; a thread."""

    world: World
    merged: dict[str, tuple[str, int]] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._merge, name="merger", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(20)

    def _merge(self) -> None:
        names = list(SERVICES)
        while not self._over.wait(1 / MERGES):
            number = len(self.merged)
            service = names[number % len(names)]
            sha = self.world.github.control.merge(SERVICES[service], title=f"change {number}", author="dana")
            self.merged[sha] = (service, number)


class Flow:
    """A flow of merges with so many fail-overs."""

    def __init__(self, folder: Path, failovers: int, setup: Setup, *, seed: int = 1) -> None:
        self._folder, self._failovers, self._setup, self._seed = folder, failovers, setup, seed
        self._rolled_back: list[int] = []

    def run(self) -> Outcome:
        """Start everything, fail over, wait until all is delivered, stop everything; bounded in time."""
        with ExitStack() as running:
            store = running.enter_context(self._setup)
            world = running.enter_context(World(self._folder, self._seed))
            env, back_off = {**world.env, **store.env}, BackOff(first=0.1)
            running.enter_context(shown_on_failure(self._folder))
            running.enter_context(Stack(ROOT, data_dir=self._folder, env=env, first=store.more, back_off=back_off))
            redis = connect(store.url)
            running.callback(redis.close)
            keys = Keys(PIPELINE)
            copy, outbox = BoardReplica(Scripts(redis), keys), Outbox(redis, keys)
            self._until(lambda: len(_board(copy).services) == len(SERVICES), "the heads of main are known", 120)
            merger = Merger(world)
            running.callback(merger.stop)
            began = time.monotonic()
            merger.start()
            for number in range(self._failovers):
                time.sleep(QUIET)
                self._rolled_back.append(store.fail_over(number))
            time.sleep(QUIET)
            merger.stop()
            last = time.monotonic()
            self._until(
                lambda: self._delivered(world, merger, copy, redis), None, max(PATIENCE, PER_MERGE * len(merger.merged))
            )
            over = time.monotonic()
            self._settle(copy)
            builds = world.builds()
            # For whoever must find out what went wrong.
            (self._folder / "builds.jsonl").write_text("".join(json.dumps(build) + "\n" for build in builds), "utf-8")
            return Outcome(
                self._failovers,
                self._setup.what,
                merger.merged,
                over - began,
                over - last,
                double(builds),
                [*capacity_holds(Evidence(Records(dict(CAPACITY), list(ROLLS_OUT), builds)))],
                lost(builds, merger.merged),
                [f"{run.key} {run.status} in {run.step}" for run in _board(copy).runs.values()] + _moving(redis),
                [f"{letter.slot}: {letter.error}" for letter in outbox.dead_letters()],
                [f"{each.source} {each.name}: {each.error}" for each in parked(redis, keys)],
                tracebacks(self._folder),
                self._rolled_back,
                len(builds),
            )

    @staticmethod
    def _delivered(world: World, merger: Merger, copy: BoardReplica, redis: Redis) -> bool:
        return not lost(world.builds(), merger.merged) and not _board(copy).runs and not _moving(redis)

    @staticmethod
    def _settle(copy: BoardReplica) -> None:
        """Wait for late reports, so that their faults are visible."""
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            time.sleep(0.2)
            with suppress(RedisError):
                copy.refresh()

    @staticmethod
    def _until(true: Callable[[], bool], what: str | None, seconds: float) -> None:
        """Wait until something is so; `what` None: whoever judges sees it, if it never is."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(RedisError):
                if true():
                    return
            if time.monotonic() > deadline:
                assert what is None, f"not within {seconds:.0f} seconds: {what}"
                return
            time.sleep(0.1)


def _board(copy: BoardReplica) -> Board:
    copy.refresh()
    return copy.board


def _moving(redis: Redis) -> list[str]:
    """What is still to be done in Jenkins; what GitHub is to be told may rest."""
    slots: Any = redis.zrange(Keys(PIPELINE).due("jenkins"), 0, -1)
    return [slot.decode() for slot in slots]


def double(builds: list[Row]) -> list[str]:
    """Return the commits with several builds in one stage: nothing fails here, so none may be repeated."""
    found: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for build in builds:
        params = build["params"]
        found[params["INTERLOCK_SERVICE"], params["INTERLOCK_SHA"], build["stage"]].append(build)
    return [
        f"{service} {sha[:7]} in {stage}: "
        + ", ".join(
            f"#{b['number']} ({b['params']['INTERLOCK_RUN']}/{b['params']['INTERLOCK_ATTEMPT']}, {b['result']})"
            for b in several
        )
        for (service, sha, stage), several in found.items()
        if len(several) > 1
    ]


def lost(builds: list[Row], merged: dict[str, tuple[str, int]]) -> list[str]:
    """Return the merges that are not in production, neither themselves nor in a later merge of their service."""
    newest: dict[str, int] = {}
    for build in builds:
        sha = build["params"]["INTERLOCK_SHA"]
        if build["stage"] == "production" and build["result"] == "SUCCESS" and sha in merged:
            service, number = merged[sha]
            newest[service] = max(number, newest.get(service, -1))
    return [f"{service} {sha[:7]}" for sha, (service, number) in merged.items() if number > newest.get(service, -1)]


def tracebacks(folder: Path) -> list[str]:
    """The last line of each traceback in the logs of the processes."""
    found: list[str] = []
    for path in sorted((folder / "log").glob("*.log")):
        lines = path.read_text("utf-8", "replace").splitlines()
        found += [f"{path.name}: {line[:200]}" for line in lines if "Traceback (most recent" in line]
    return found
