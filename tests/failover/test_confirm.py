"""No trigger is sent that a fail-over could forget: with replicas, one of them confirms the post note first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bot.core.model.events import TimePassed, TriggerAccepted
from bot.jenkins import triggers
from chaos.sentinels import Replicated
from tests.workers.workshop import Workshop

pytestmark = pytest.mark.slow
POST = "POST job/buildWithParameters"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with Replicated(tmp_path_factory.mktemp("replicated")) as found:
        yield found


@pytest.fixture
def bench(store: Replicated) -> Iterator[Workshop]:
    """A worker whose store is replicated."""
    store.until_settled()
    with ExitStack() as stack:
        yield Workshop(stack, store.url)


def test_what_was_posted_is_known_to_the_next_master(store: Replicated, bench: Workshop) -> None:
    (event,) = bench.do(bench.trigger())
    assert isinstance(event, TriggerAccepted)
    heal = store.cut_off()  # the replica knows what it knows at this moment
    dead = store.kill_master()
    heal()
    try:
        assert triggers.posted_job(bench.context, "S1.1", 1) is not None
    finally:
        store.revive(dead)


def test_without_a_replica_that_confirms_nothing_is_posted(store: Replicated, bench: Workshop) -> None:
    bench.do(bench.trigger())
    heal = store.cut_off()
    bench.ask(bench.trigger(run="S1.2"))
    for _ in range(4):
        bench.all_due("jenkins")
        assert bench.try_once(bench.trigger(run="S1.2")) == []
    assert bench.posts() == 1
    (delay,) = bench.context.delays.all()
    assert delay.why == "no replica of the store confirms that Interlock is about to start the build"
    assert triggers.posted_job(bench.context, "S1.2", 1) is None
    heal()
    (event,) = bench.see_through(bench.trigger(run="S1.2"))
    assert isinstance(event, TriggerAccepted)
    assert bench.posts() == 2


def test_a_server_that_has_been_alone_for_a_minute_needs_no_confirmation(store: Replicated, bench: Workshop) -> None:
    bench.context.inbox.tick(TimePassed())
    heal = store.cut_off()
    bench.context.redis.hincrby(bench.context.keys.meta, "followed", -60_001)
    (event,) = bench.do(bench.trigger())
    assert isinstance(event, TriggerAccepted)
    heal()
