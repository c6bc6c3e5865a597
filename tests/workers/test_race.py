"""Several workers at once under a random load, some killed, some losing the race to commit: turns stay in one order."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bot.core.model.board import Board
from bot.core.model.events import LockAsked, Merged, UnlockAsked
from bot.core.rules.decide import decide
from bot.store.codec import field_of
from bot.store.inbox import entry, parked
from bot.store.records import Records
from bot.store.replica import empty
from tests.workers.mortal import PATIENCE, Life
from tests.workers.nursery import Nursery
from tests.workers.workshop import Workshop, twice
from workers import beginning
from workers.turn import events_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

WORKERS = 3
SECONDS = 5.0
SERVICES = ("S1", "S2", "S3")
CAPACITY = {"shop/acceptance": 3, "shop/pre-production": 1, "shop/production": 1}
FAST = ("shop/fast-acceptance", "shop/fast-pre-production")


@pytest.fixture
def nurseries() -> Iterator[list[Nursery]]:
    made = [Nursery() for _ in range(WORKERS)]
    yield made
    for one in made:
        one.close()


@pytest.fixture
def shop(redis_url: str) -> Iterator[Workshop]:
    with ExitStack() as stack:
        opened = Workshop(stack, redis_url, timeout=2.0)
        for job in (*CAPACITY, *FAST, "shop/build"):
            opened.control.change_job(job, {"duration_seconds": 0.06})
        beginning.configure_boards(opened.runtime)
        yield opened


class Load:
    """What the world does: merges, failures, a lock by hand now and then."""

    def __init__(self, shop: Workshop, seed: int) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.merged: list[str] = []

    def merge(self, service: str, *, good: bool) -> None:
        repository = f"shop/{service.lower()}"
        before = self.shop.github.control.head(repository)
        landed = self.shop.github.control.push(repository)
        if not good:
            stage = self.dice.choice(["acceptance", "pre-production", "pre-production", "production"])
            self.shop.control.rule(f"shop/{stage}", match={"INTERLOCK_SHA": landed}, result="FAILURE")
        event = Merged(service, landed, before, push_id=landed, title=f"{service}.{len(self.merged)}")
        for copy in range(self.dice.choice([1, 1, 2])):
            self.shop.context.inbox.add(event, f"{landed}/{copy}")
        self.merged.append(landed)

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.merge(self.dice.choice(SERVICES), good=self.dice.random() < 0.75)
            if self.dice.random() < 0.1:
                self.shop.context.inbox.add(LockAsked("production", "kim", "to look"), f"lock {time.monotonic()}")
                self.shop.context.inbox.add(UnlockAsked("production", "kim", "seen"), f"unlock {time.monotonic()}")
            time.sleep(self.dice.uniform(0.0, 0.25))


def workers(shop: Workshop, nurseries: list[Nursery], redis_url: str, seconds: float) -> list[threading.Thread]:
    """Every nursery sends out one worker after the other until the time is over; most of them are killed."""
    until = time.monotonic() + seconds
    problems: list[str] = []

    def lives(nursery: Nursery, number: int) -> None:
        dice = random.Random(number)
        while (left := until - time.monotonic()) > 0:
            life = Life(
                redis_url,
                shop.jenkins.url,
                shop.github.url,
                shop.pipeline.name,
                kill_at=dice.choice([0, dice.randint(1, 150)]),
                refuse=0.2,
                seconds=left,
                rest=0.04,
                hold=2_000,
            )
            said = nursery.live(life)
            if said["ended"] == "broken":
                problems.append(said["why"])

    threads = [threading.Thread(target=lives, args=(one, number)) for number, one in enumerate(nurseries)]
    for thread in threads:
        thread.problems = problems  # type: ignore[attr-defined]
        thread.start()
    return threads


def ended(threads: list[threading.Thread]) -> None:
    """Wait until the workers have ended, and check that each of them came to an end or was killed."""
    for thread in threads:
        thread.join(PATIENCE + 10)
        assert not thread.is_alive()
        assert thread.problems == []  # type: ignore[attr-defined]


def overlapping(rows: list[dict[str, float]]) -> int:
    """The most builds that ran at the same moment."""
    changes = [(row["started"], 1) for row in rows] + [(row["ended"], -1) for row in rows]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def replayed(shop: Workshop) -> Board:
    """The board that the rules make of the inbox as it was accepted, in one process, without a single race."""
    board = empty(shop.pipeline.name)
    for raw in shop.context.redis.xrange(shop.context.keys.inbox):
        identity, fields = raw
        flat = [part for pair in fields.items() for part in pair]
        taken = entry((identity, flat))
        for event in events_of(taken, board.pipeline):
            decide(board, event, taken.at)
        board.take_changes()
    return board


@pytest.mark.parametrize("seed", [11])
def test_workers_that_race_are_killed_and_refused_keep_one_line(
    shop: Workshop, nurseries: list[Nursery], redis_url: str, seed: int
) -> None:
    load = Load(shop, seed)
    threads = workers(shop, nurseries, redis_url, SECONDS)
    load.run(SECONDS)
    ended(threads)
    fixed(shop, load, nurseries[0], redis_url)

    rows = shop.builds()
    assert twice(rows) == []
    for job, capacity in {**CAPACITY, **dict.fromkeys(FAST, 1)}.items():
        assert overlapping([row for row in rows if row["job"] == job]) <= capacity, job
    gone, _ = Records(shop.context.redis, shop.context.keys).ended(limit=200)
    assert {row.run.position.sha for row in gone} == set(load.merged)
    assert Counter(row.run.key for row in gone).most_common(1)[0][1] == 1
    assert parked(shop.context.redis, shop.context.keys) == []
    assert shop.dead() == []
    stored, again = shop.board, replayed(shop)
    assert {field_of(r): r for r in stored.records()} == {field_of(r): r for r in again.records()}


def fixed(shop: Workshop, load: Load, nursery: Nursery, redis_url: str) -> None:
    """Merge a good fix for whoever holds a lock, and open those of people, until everything is delivered.

    Beside another lock kim's unlocking was refused: it did not say which of them it meant.
    """
    calm = Life(redis_url, shop.jenkins.url, shop.github.url, shop.pipeline.name, hold=2_000)
    deadline = time.monotonic() + 120
    while True:
        assert nursery.live(calm)["ended"] == "quiet"
        board = shop.board
        if not board.runs and not board.locks:
            return
        assert time.monotonic() < deadline, [(r.merge.title, r.status, r.step) for r in board.runs.values()]
        for lock in board.locks.values():
            if lock.service is None:
                shop.context.inbox.add(UnlockAsked(lock.stage, "kim", "seen", lock.key), f"unlock {lock.key}")
        for service in sorted({lock.service for lock in board.locks.values() if lock.service}):
            if not [r for r in board.fast_runs(service) if r.status != "failed"]:
                load.merge(service, good=True)
