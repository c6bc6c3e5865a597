"""Backups while workers race, are killed and refused: each contains the result of the rules for the same events."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.events import TriggerAccepted, TriggerRefused
from bot.core.model.facts import Fact
from bot.core.model.run import Status
from bot.core.rules.decide import decide
from bot.store import backup_file
from bot.store.backup import back_up
from bot.store.codec import field_of, load_event
from bot.store.inbox import InboxEntry, entry
from bot.store.keys import Keys
from bot.store.records import Records
from bot.store.replica import BoardReplica, empty
from bot.store.restore import restore
from bot.store.scripts import Scripts
from launch.embedded import Embedded
from tests.workers.mortal import Life
from tests.workers.nursery import Nursery
from tests.workers.test_race import Load, ended, nurseries, shop, workers
from tests.workers.workshop import Workshop
from workers.turn import events_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

__all__ = ["nurseries", "shop"]

#: Backups; and for how long the processes of the race live.
BACKUPS, SECONDS = 12, 8.0


def inbox_of(redis: Redis, keys: Keys) -> tuple[list[InboxEntry], list[InboxEntry]]:
    """What had been decided, and what waits; without what the restoration put in."""
    rows = redis.xrange(keys.inbox)
    entries = [entry((identity, [part for pair in fields.items() for part in pair])) for identity, fields in rows]
    cursor = position(redis.hget(keys.meta, "cursor") or b"0-0")
    accepted = [each for each in entries if each.name != "store-changed"]
    return (
        [each for each in accepted if position(each.id) <= cursor],
        [each for each in accepted if position(each.id) > cursor],
    )


def position(identity: str | bytes) -> tuple[int, ...]:
    text = identity.decode() if isinstance(identity, bytes) else identity
    return tuple(map(int, text.split("-")))


def replayed(decided: list[InboxEntry], name: str) -> tuple[Board, list[Fact]]:
    """The board and the log that the rules make of these entries."""
    board, facts = empty(name), list[Fact]()
    for taken in decided:
        for event in events_of(taken, board.pipeline):
            facts += decide(board, event, taken.at).facts
        board.take_changes()
    return board, facts


def audit(redis: Redis, keys: Keys) -> int:
    """Check that the stored state is of one moment; return how many events had been decided by then."""
    decided, waiting = inbox_of(redis, keys)
    replica = BoardReplica(Scripts(redis), keys)
    replica.refresh()
    board, facts = replayed(decided, keys.pipeline)
    assert {field_of(r): r for r in replica.board.records()} == {field_of(r): r for r in board.records()}
    assert [recorded.fact for recorded in Records(redis, keys).facts_from(0)] == facts
    answers = [load_event(each.body) for each in waiting if each.source == "event"]
    answered = {(e.run, e.attempt) for e in answers if isinstance(e, (TriggerAccepted, TriggerRefused))}
    slots = {slot.decode() for slot in redis.hkeys(keys.outbox)}
    for run in board.runs.values():
        attempt = (run.key, run.attempt.number)
        unsent = run.status is Status.STARTING and run.attempt.queue_item is None and run.attempt.build is None
        assert not unsent or f"trigger/{run.key}/{run.attempt.number}" in slots or attempt in answered, run.key
    return len(decided)


def test_each_backup_replays_to_the_board_and_the_log_that_it_holds(
    shop: Workshop, nurseries: list[Nursery], redis_url: str, tmp_path: Path
) -> None:
    source, keys, dice = shop.context.redis, shop.context.keys, random.Random(5)
    load = Load(shop, 11)
    for nursery in nurseries:  # a short life each, so that all programs have started
        nursery.live(Life(redis_url, shop.jenkins.url, shop.github.url, shop.pipeline.name, seconds=0.2))
    threads = workers(shop, nurseries, redis_url, SECONDS)
    files = [tmp_path / f"{number}" for number in range(BACKUPS)]
    deadline = time.monotonic() + SECONDS
    while not source.hget(keys.meta, "version"):
        load.run(0.1)
        assert time.monotonic() < deadline, "no worker has begun"
    for file in files:
        load.run(dice.uniform(0.05, 0.6))
        back_up(source, file)
    ended(threads)
    decided = []
    with Embedded(tmp_path / "another", fsync="no") as server:
        target = Redis.from_url(server.url)
        for file in files:
            restore(target, file, backup_file.check(file).head, replace=True)
            decided.append(audit(target, keys))
        target.close()
    assert decided == sorted(decided)
    assert decided[-1] > 20, "it was busy"
