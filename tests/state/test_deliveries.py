"""Raw deliveries: packed when they were decided, to the letter, kept for so long and up to such a size."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from bot.store import deliveries
from bot.store.deliveries import PACK, DeliveryPacks
from bot.store.inbox import InboxEntry
from tests.state.conftest import NOTHING, StoredPipeline


def raw(pipeline: StoredPipeline) -> DeliveryPacks:
    return DeliveryPacks(pipeline.redis, pipeline.keys)


def accept(pipeline: StoredPipeline, count: int, size: int = 200) -> list[InboxEntry]:
    """Accept so many deliveries of random bytes, and decide them all; returns them."""
    chance = random.Random(count)
    for number in range(count):
        pipeline.inbox.accept("github", "push", f"{size}/{number}", chance.randbytes(size))
    return decide(pipeline)


def decide(pipeline: StoredPipeline) -> list[InboxEntry]:
    found: list[InboxEntry] = []
    entries = pipeline.store.begin("me")
    while entries:
        found += entries
        entries = pipeline.store.commit("me", entries, NOTHING)
    return found


def kept(pipeline: StoredPipeline) -> list[InboxEntry]:
    """Everything there is, oldest first."""
    return [*raw(pipeline).newest(10**6)][::-1]


@contextmanager
def small_packs(entries: int) -> Iterator[None]:
    with patch.object(deliveries, "PACK", entries):
        yield


def test_what_was_decided_is_packed_to_the_letter_but_for_the_last_which_stays_as_a_mark(
    pipeline: StoredPipeline,
) -> None:
    before = accept(pipeline, 2 * PACK + 7)
    assert raw(pipeline).pack(after=0) == len(before) - 1
    assert pipeline.redis.xlen(pipeline.keys.inbox) == 1
    assert pipeline.redis.xlen(pipeline.keys.deliveries) == 3
    assert kept(pipeline) == before


def test_what_nobody_has_decided_is_never_packed_nor_forgotten(pipeline: StoredPipeline) -> None:
    for _ in range(9):
        pipeline.accept()
    assert raw(pipeline).pack(after=0) == 0
    entries = pipeline.store.begin("me")
    pipeline.store.commit("me", entries[:3], NOTHING)
    assert raw(pipeline).pack(after=0) == 2
    raw(pipeline).forget(0, 0)
    assert [e.id for e in pipeline.waiting()] == [e.id for e in entries[3:]]
    assert [e.id for e in pipeline.store.begin("me")] == [e.id for e in entries[3:]]


def test_a_few_deliveries_wait_for_others_until_they_are_old(pipeline: StoredPipeline) -> None:
    accept(pipeline, PACK - 5)
    assert raw(pipeline).pack(after=60) == 0
    accept(pipeline, 20, size=300)
    assert raw(pipeline).pack(after=60) == PACK
    assert raw(pipeline).pack(after=60) == 0
    time.sleep(0.005)
    assert raw(pipeline).pack(after=0.001) == 14


def test_large_deliveries_share_no_pack(pipeline: StoredPipeline) -> None:
    before = accept(pipeline, 4, size=700_000)
    assert raw(pipeline).pack(after=60) == 3, "they are enough for a pack, though they are few"
    assert pipeline.redis.xlen(pipeline.keys.deliveries) == 3
    assert kept(pipeline) == before


def test_the_newest_come_first_whether_they_are_packed_or_not(pipeline: StoredPipeline) -> None:
    first = accept(pipeline, 10)
    raw(pipeline).pack(after=0)
    last = accept(pipeline, 5, size=300)
    pipeline.accept("undecided")
    found = [*raw(pipeline).newest(9)]
    assert found[0].delivery == "undecided"
    assert found[1:] == [*reversed(last), *reversed(first)][:8]


def test_what_is_packed_while_somebody_reads_is_read_once(pipeline: StoredPipeline) -> None:
    before = accept(pipeline, 90)
    reading = raw(pipeline).newest(10**6)
    found = [next(reading) for _ in range(10)]
    raw(pipeline).pack(after=0)
    found += reading
    assert [e.id for e in found] == [e.id for e in reversed(before)]


def test_processes_that_pack_at_once_lose_and_repeat_nothing(pipeline: StoredPipeline) -> None:
    before = accept(pipeline, 300)
    with small_packs(7):
        packers = [threading.Thread(target=raw(pipeline).pack, args=(0,)) for _ in range(6)]
        for packer in packers:
            packer.start()
        for packer in packers:
            packer.join()
        raw(pipeline).pack(after=0)  # one that lost against all others has stopped early
    assert pipeline.redis.xlen(pipeline.keys.inbox) == 1
    assert kept(pipeline) == before


def test_packs_are_forgotten_when_all_in_them_is_old(pipeline: StoredPipeline) -> None:
    accept(pipeline, 20)
    raw(pipeline).pack(after=0)
    assert raw(pipeline).forget(60, 1 << 30) == 0
    time.sleep(0.005)
    assert raw(pipeline).forget(0.001, 1 << 30) == 1
    assert len(kept(pipeline)) == 1


@pytest.mark.parametrize("most", [1 << 20, 300_000, 1])
def test_the_oldest_go_when_all_take_more_than_the_bound(pipeline: StoredPipeline, most: int) -> None:
    before = accept(pipeline, 500, size=4_000)
    with small_packs(25):
        raw(pipeline).pack(after=0)
    assert raw(pipeline).size() > 1 << 20
    gone = raw(pipeline).forget(60, most)
    assert gone > 0
    assert raw(pipeline).size() <= max(most, 1_000), "an empty stream takes some hundred bytes"
    left = kept(pipeline)
    assert left == before[len(before) - len(left) :], "the newest"
    if most > 1:
        assert raw(pipeline).size() > most / 2


def test_what_is_alike_takes_a_small_part_of_its_size(pipeline: StoredPipeline) -> None:
    body = b'{"repository": {"full_name": "shop/s1", "owner": {"login": "shop"}}, "number": %d, "text": "%s"}'
    for number in range(200):
        pipeline.inbox.accept("github", "push", str(number), body % (number, b"words " * 400))
    decide(pipeline)
    before = pipeline.redis.memory_usage(pipeline.keys.inbox, samples=0)
    raw(pipeline).pack(after=0)
    assert raw(pipeline).size() < before / 20
