"""Taking turns: wake-ups are never lost, the lease is exclusive and ends, a commit is whole, fenced, or nothing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
from redis import Redis

from bot.core.model.effects import Banner, Look
from bot.core.model.history import Position
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job, Lane, Step
from bot.core.model.run import End, Ending, Run, Status
from bot.core.model.stage_state import UnmanagedBuild
from bot.core.rules.decision import Ended
from bot.store.inbox import Accepted
from bot.store.store import BATCH, Busy, Outdated, Store, Work
from tests.state.conftest import NOTHING, StoredPipeline, fact, put, stored_pipeline
from tests.texts import lock_for, text_of

LOOK = Look(Job("cdp", "shop/acceptance"), 7)


def unmanaged(number: int) -> UnmanagedBuild:
    return UnmanagedBuild(f"cdp/job/{number}", Step("acceptance"), number, 1.0)


def run(key: str) -> Run:
    return Run(key, "S1", Position(1, 1, "a" * 40), Lane.MAIN, Status.WAITING, Step("build"), 1, 1.0, 1.0, "S1-1")


# -- the lease -------------------------------------------------------------------------------------------------


def test_one_worker_takes_the_turn_and_the_others_are_told_so(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    assert len(pipeline.store.begin("first")) == 1
    with pytest.raises(Busy):
        pipeline.another().begin("second")


def test_who_holds_the_lease_may_begin_again(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    assert pipeline.store.begin("me") == pipeline.store.begin("me")


def test_a_lease_ends_by_itself_when_its_holder_is_gone(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    Store(pipeline.redis, pipeline.keys, lease_ms=30).begin("gone")
    threading.Event().wait(0.05)
    assert len(pipeline.another().begin("next")) == 1


def test_the_last_commit_gives_the_lease_back(pipeline: StoredPipeline) -> None:
    pipeline.turn()
    pipeline.accept()
    assert len(pipeline.another().begin("other")) == 1


def test_giving_back_is_refused_when_something_came_in_meanwhile(pipeline: StoredPipeline) -> None:
    assert pipeline.store.begin("me") == []
    pipeline.accept()
    assert pipeline.store.release("me") is True
    with pytest.raises(Busy):
        pipeline.another().begin("other")


def test_giving_back_what_another_holds_takes_nothing_from_it(pipeline: StoredPipeline) -> None:
    pipeline.store.begin("me")
    assert pipeline.another().release("other") is False
    with pytest.raises(Busy):
        pipeline.another().begin("other")


# -- wake-ups -----------------------------------------------------------------------------------------------------


def worker(store: Store, token: str) -> Iterator[None]:
    """A worker's turn, as it is taken: stops before each request to the server."""
    try:
        yield
        entries = store.begin(token)
        while True:
            yield
            if entries:
                try:
                    entries = store.commit(token, entries, NOTHING)
                except Outdated:
                    yield
                    store.copy.forget()
                    entries = store.begin(token)
                    continue
                if not entries:
                    return
            elif store.release(token):
                yield
                entries = store.begin(token)
            else:
                return
    except Busy:
        return


class Scene:
    """Two workers, an ingress, and the messages between them; the test chooses the order of their steps."""

    def __init__(self, redis: Redis, deliveries: int) -> None:
        self.pipeline = stored_pipeline(redis)
        self.left = deliveries
        self.messages = 0
        self.tokens = itertools.count()
        self.stores = [self.pipeline.store, self.pipeline.another()]
        self.turns: list[Iterator[None] | None] = [None, None]

    def choices(self) -> list[str]:
        found = ["accept"] if self.left else []
        for number, turn in enumerate(self.turns):
            if turn is not None or self.messages:
                found.append(f"step {number}")
        return found

    def take(self, choice: str) -> None:
        if choice == "accept":
            self.left -= 1
            self.messages += self.pipeline.accept() is Accepted.WAKE_UP
            return
        number = int(choice[-1])
        turn = self.turns[number]
        if turn is None:
            self.messages -= 1
            turn = self.turns[number] = worker(self.stores[number], f"t{next(self.tokens)}")
            next(turn)
        elif next(turn, "over") == "over":
            self.turns[number] = None


def schedules(redis: Redis, deliveries: int) -> Iterator[tuple[list[str], Scene]]:
    """Every order in which two workers and an ingress can take their steps, played to its end."""
    pending: list[list[str]] = [[]]
    while pending:
        prefix = pending.pop()
        scene = Scene(redis, deliveries)
        for choice in prefix:
            scene.take(choice)
        path = list(prefix)
        while choices := scene.choices():
            pending += [[*path, other] for other in choices[1:]]
            scene.take(choices[0])
            path.append(choices[0])
        yield path, scene


@pytest.mark.parametrize("deliveries", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_in_whatever_order_doors_and_workers_step_no_delivery_is_left_lying(redis: Redis, deliveries: int) -> None:
    """Without the sweeper: each delivery is taken by the worker that its wake-up, or an earlier one, brought."""
    played = 0
    for path, scene in schedules(redis, deliveries):
        played += 1
        assert scene.pipeline.waiting() == [], path
        assert not redis.exists(scene.pipeline.keys.lease), path
        scene.pipeline.redis.delete(*redis.scan_iter(match=f"*{scene.pipeline.keys.pipeline}*", count=1000))
    assert played > deliveries


def test_a_wake_up_that_was_lost_is_pending_only_for_a_while(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    assert 0 < pipeline.redis.pttl(pipeline.keys.wake_up) <= 3_000


def test_begin_takes_the_wake_up_down_so_that_the_next_delivery_wakes_up_again(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    pipeline.store.begin("me")
    assert pipeline.accept() is Accepted.WAKE_UP


# -- the commit ------------------------------------------------------------------------------------------------


def test_a_commit_stores_everything_together(pipeline: StoredPipeline) -> None:
    """Invariant 7: a decision and its effects are committed together, and the acknowledgement of its events."""
    pipeline.accept()
    entries = pipeline.store.begin("me")
    ended = Ended(run("S1.1"), Ending(End.FAILED, Verbatim("it failed")), 3.0)
    work = Work([put(unmanaged(1))], [(entries[0], fact("why"))], [LOOK], [ended], 99.0)
    assert pipeline.store.commit("me", entries, work) == []
    reader = pipeline.reader()
    reader.refresh()
    assert list(reader.board.unmanaged) == ["cdp/job/1"]
    assert [text_of(t.fact.why) for _, t in pipeline.records.facts().facts] == ["why"]
    assert pipeline.records.facts().facts[0][1].entry == entries[0].id
    assert pipeline.records.ended() == ([ended], 1)
    claim, _ = pipeline.outbox.claim("jenkins", limit=1)
    assert claim is not None
    assert claim.effect == LOOK
    assert pipeline.waiting() == []


def footprint(pipeline: StoredPipeline) -> dict[bytes, bytes | None]:
    """Everything that is stored for a pipeline, but for when things expire."""
    return {
        key: pipeline.redis.dump(key)
        for key in pipeline.redis.scan_iter(match=f"*{pipeline.keys.pipeline}*", count=1000)
    }


def test_of_two_workers_that_decided_on_one_version_exactly_one_commits(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    first, second = pipeline.store, pipeline.another()
    entries = first.begin("first")
    pipeline.redis.delete(pipeline.keys.lease)  # its lease has ended while it was stalled
    assert second.begin("second") == entries
    first.commit("first", entries, Work([put(unmanaged(1))], [], [LOOK], [], 5.0))
    before = footprint(pipeline)
    with pytest.raises(Outdated):
        second.commit("second", entries, Work([put(unmanaged(2))], [(entries[0], fact("no"))], [LOOK], [], 7.0))
    assert footprint(pipeline) == before


def test_a_worker_that_lost_starts_afresh_and_sees_what_the_winner_stored(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    loser = pipeline.another()
    entries = loser.begin("loser")
    pipeline.redis.delete(pipeline.keys.lease)
    pipeline.store.begin("winner")
    pipeline.store.commit("winner", entries, Work([put(unmanaged(1))], [], [], [], None))
    with pytest.raises(Outdated):
        loser.commit("loser", entries, NOTHING)
    loser.copy.forget()
    assert loser.begin("loser") == []
    assert list(loser.copy.board.unmanaged) == ["cdp/job/1"]


def test_many_workers_that_race_store_each_entry_once(pipeline: StoredPipeline) -> None:
    """Leases are taken away all the time; the fence alone must hold."""
    for number in range(60):
        pipeline.accept(str(number))
    wins: list[str] = []

    def race(name: int) -> None:
        store = pipeline.another()
        while len(wins) < 60:
            pipeline.redis.delete(pipeline.keys.lease)
            try:
                entries = store.begin(f"w{name}")[:1]
                if not entries:
                    return
                store.commit(f"w{name}", entries, Work([], [(entries[0], fact(entries[0].id))], [], [], None))
                wins.append(entries[0].id)
            except Busy:
                continue
            except Outdated:
                store.copy.forget()

    threads = [threading.Thread(target=race, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    told = [text_of(t.fact.why) for _, t in pipeline.records.facts_after("0-0")]
    assert told == sorted(told, key=lambda i: [int(n) for n in i.split("-")])
    assert len(told) == len(set(told)) == len(wins) == 60


def test_a_commit_takes_what_it_was_given_and_returns_what_came_after(pipeline: StoredPipeline) -> None:
    for number in range(BATCH + 5):
        pipeline.accept(str(number))
    entries = pipeline.store.begin("me")
    assert len(entries) == BATCH
    rest = pipeline.store.commit("me", entries, NOTHING)
    assert [e.delivery for e in rest] == [str(n) for n in range(BATCH, BATCH + 5)]
    assert pipeline.store.commit("me", rest, NOTHING) == []


def test_of_two_effects_in_one_slot_the_later_one_is_kept(pipeline: StoredPipeline) -> None:
    job = Job("cdp", "shop/pre-production")
    locked = Banner(job, "pre-production", (lock_for("it failed", "S1.1", 1.0),))
    pipeline.turn(effects=(locked, Banner(job, "pre-production")))
    assert pipeline.outbox.size() == 1


def test_a_worker_that_kept_its_copy_through_a_loss_of_data_does_not_build_on_it(pipeline: StoredPipeline) -> None:
    """At a failover the last second may be lost, and others may go on from before it to the same version."""
    pipeline.turn(put(unmanaged(1)))
    saved = {
        key: (pipeline.redis.dump(key) or b"") for key in pipeline.redis.scan_iter(match=f"*{pipeline.keys.pipeline}*")
    }
    pipeline.turn(put(unmanaged(2)))
    for key in pipeline.redis.scan_iter(match=f"*{pipeline.keys.pipeline}*"):
        pipeline.redis.delete(key)
    for key, value in saved.items():
        pipeline.redis.restore(key, 0, value)
    other = pipeline.another()
    pipeline.turn(put(unmanaged(3)), store=other)
    pipeline.accept()
    entries = pipeline.store.begin("back")
    assert sorted(pipeline.store.copy.board.unmanaged) == ["cdp/job/1", "cdp/job/3"]
    pipeline.store.commit("back", entries, NOTHING)


def test_entries_and_board_are_of_one_version_even_when_another_commits_in_between(
    pipeline: StoredPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker without a copy begins; the one before it, whose lease has ended, still commits; then the copy loads."""
    pipeline.accept()
    stalled, fresh = pipeline.store, pipeline.another()
    pipeline.turn(store=stalled)
    pipeline.accept()
    entries = stalled.begin("stalled")
    pipeline.redis.delete(pipeline.keys.lease)
    load = fresh.copy.refresh

    def late() -> None:
        monkeypatch.setattr(fresh.copy, "refresh", load)
        stalled.commit("stalled", entries, Work([put(unmanaged(1))], [], [], [], None))
        load()

    fresh.copy.version = 1_000  # a copy that is of no use: it must be loaded
    monkeypatch.setattr(fresh.copy, "refresh", late)
    assert fresh.begin("fresh") == []
    assert list(fresh.copy.board.unmanaged) == ["cdp/job/1"]
