"""The inbox: what is accepted is kept once, in order, in one round trip, until it is taken and old."""

from __future__ import annotations

import threading
import time

import pytest
from redis import Redis

from bot.core.model.events import LockAsked, TimePassed
from bot.store.codec import load_event
from bot.store.inbox import Accepted, Inbox
from bot.store.store import Work
from tests.state.conftest import NOTHING, StoredPipeline


def test_a_delivery_is_kept_once_however_often_it_comes(pipeline: StoredPipeline) -> None:
    answers = [pipeline.inbox.accept("github", "push", "guid", b"{}") for _ in range(3)]
    assert answers == [Accepted.WAKE_UP, Accepted.DUPLICATE, Accepted.DUPLICATE]
    assert len(pipeline.waiting()) == 1


def test_the_same_delivery_id_of_another_source_is_another_delivery(pipeline: StoredPipeline) -> None:
    pipeline.inbox.accept("github", "push", "7", b"{}")
    assert pipeline.inbox.accept("jenkins", "cdp", "7", b"{}") is Accepted.KEPT


def test_a_duplicate_names_the_entry_of_the_first(pipeline: StoredPipeline) -> None:
    first = pipeline.inbox.add_identified(TimePassed(), "mine")[1]
    assert pipeline.inbox.add_identified(TimePassed(), "mine") == (Accepted.DUPLICATE, first)


def test_only_the_first_of_many_wakes_a_worker_up(pipeline: StoredPipeline) -> None:
    answers = [pipeline.accept() for _ in range(4)]
    assert answers == [Accepted.WAKE_UP, Accepted.KEPT, Accepted.KEPT, Accepted.KEPT]


def test_a_delivery_comes_out_as_it_went_in_and_in_the_order_of_acceptance(pipeline: StoredPipeline) -> None:
    bodies = [bytes([n, 0, 255]) + "ü\r\n".encode() for n in range(10)]
    for number, body in enumerate(bodies):
        pipeline.inbox.accept("github", "push", str(number), body)
    entries = pipeline.store.begin("me")
    assert [e.body for e in entries] == bodies
    assert {(e.source, e.name) for e in entries} == {("github", "push")}
    assert [e.delivery for e in entries] == [str(n) for n in range(10)]
    assert abs(entries[0].at - time.time()) < 5


def test_an_event_of_our_own_comes_out_as_it_was(pipeline: StoredPipeline) -> None:
    asked = LockAsked("pre-production", "kim", "a “quoted” reason", until=1e9)
    pipeline.accept(event=asked)
    assert load_event(pipeline.store.begin("me")[0].body) == asked


def test_acceptance_is_one_round_trip(pipeline: StoredPipeline, redis_url: str) -> None:
    client = Redis.from_url(redis_url)
    inbox = Inbox(client, pipeline.keys)
    inbox.accept("github", "push", "the script is known after this", b"{}")
    requests: list[str] = []
    with pipeline.redis.monitor() as monitor:
        for number in range(3):
            inbox.accept("github", "push", str(number), b"{}")
        pipeline.redis.echo("the end")
        for command in monitor.listen():
            if "the end" in command["command"]:
                break
            if pipeline.keys.inbox in command["command"] and command["client_type"] != "lua":
                requests.append(command["command"].split()[0])
    client.close()
    assert requests == ["EVALSHA"] * 3


def test_acceptance_from_many_doors_at_once_loses_and_repeats_nothing(pipeline: StoredPipeline) -> None:
    def door(number: int) -> None:
        for delivery in range(number, number + 30):
            pipeline.inbox.accept("github", "push", str(delivery), b"{}")

    doors = [threading.Thread(target=door, args=(n,)) for n in (0, 10, 20, 30)]
    for thread in doors:
        thread.start()
    for thread in doors:
        thread.join()
    taken = [e.delivery for e in pipeline.store.begin("me")]
    assert sorted(taken, key=int) == [str(n) for n in range(60)]


# -- the clock -------------------------------------------------------------------------------------------------


def due(pipeline: StoredPipeline, seconds: float | None) -> None:
    """Commit a turn after which the clock matters `seconds` from now."""
    pipeline.accept()
    when = None if seconds is None else time.time() + seconds
    pipeline.store.commit("me", pipeline.store.begin("me"), Work([], [], [], [], when))


def test_the_clock_says_so_once_when_something_is_due(pipeline: StoredPipeline) -> None:
    due(pipeline, -0.5)
    assert [pipeline.inbox.tick(TimePassed()) for _ in range(3)] == [1, 1, 1]
    assert len(pipeline.waiting()) == 1


def test_the_clock_says_nothing_before_it_is_due_nor_when_nothing_is(pipeline: StoredPipeline) -> None:
    due(pipeline, 60)
    assert pipeline.inbox.tick(TimePassed()) == 0
    due(pipeline, None)
    assert pipeline.inbox.tick(TimePassed()) == 0
    assert pipeline.waiting() == []


def test_the_clock_is_due_again_when_a_later_turn_says_so(pipeline: StoredPipeline) -> None:
    due(pipeline, -1)
    pipeline.inbox.tick(TimePassed())
    due(pipeline, -1)
    assert pipeline.inbox.tick(TimePassed()) == 1


def test_the_sweeper_sees_how_many_deliveries_nobody_took(pipeline: StoredPipeline) -> None:
    for _ in range(3):
        pipeline.accept()
    assert pipeline.inbox.tick(TimePassed()) == 3
    entries = pipeline.store.begin("me")
    pipeline.store.commit("me", entries[:2], NOTHING)
    assert pipeline.inbox.tick(TimePassed()) == 1


# -- forgetting ------------------------------------------------------------------------------------------------


def test_a_delivery_id_is_forgotten_when_raw_deliveries_are(pipeline: StoredPipeline) -> None:
    inbox = Inbox(pipeline.redis, pipeline.keys, seen_seconds=7)
    inbox.accept("github", "push", "guid", b"{}")
    assert 0 < pipeline.redis.ttl(pipeline.keys.seen("github:guid")) <= 7


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"x" * 1_000_000])
def test_any_bytes_are_kept_to_the_letter(pipeline: StoredPipeline, body: bytes) -> None:
    pipeline.inbox.accept("github", "push", "guid", body)
    assert pipeline.store.begin("me")[0].body == body
