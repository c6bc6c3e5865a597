"""Taking turns: pokes are never lost, the lease is exclusive and ends, a commit is whole, fenced, or nothing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
from redis import Redis

from bot.core.model.effects import Banner, LockShown, Look
from bot.core.model.history import Position
from bot.core.model.pipeline import Job, Lane
from bot.core.model.run import End, Ending, Run, Status, Step, UnmanagedBuild
from bot.core.rules.decision import Ended
from bot.store import store as store_module
from bot.store.inbox import Accepted
from bot.store.store import BATCH, Busy, Outdated, Store, Work
from tests.state.conftest import NOTHING, PipelineContext, fact, line_of, put

LOOK = Look(Job("cdp", "shop/acceptance"), 7)


def unmanaged(number: int) -> UnmanagedBuild:
    return UnmanagedBuild(f"cdp/job/{number}", Step("acceptance"), number, 1.0)


def run(key: str) -> Run:
    return Run(key, "S1", Position(1, 1, "a" * 40), Lane.MAIN, Status.WAITING, Step("build"), 1, 1.0, 1.0, "S1-1")


# -- the lease -------------------------------------------------------------------------------------------------


def test_one_worker_takes_the_turn_and_the_others_are_told_so(line: PipelineContext) -> None:
    line.accept()
    assert len(line.store.begin("first")) == 1
    with pytest.raises(Busy):
        line.another().begin("second")


def test_who_holds_the_lease_may_begin_again(line: PipelineContext) -> None:
    line.accept()
    assert line.store.begin("me") == line.store.begin("me")


def test_a_lease_ends_by_itself_when_its_holder_is_gone(line: PipelineContext, monkeypatch: pytest.MonkeyPatch) -> None:
    line.accept()
    monkeypatch.setattr(store_module, "LEASE_MS", 30)
    line.store.begin("gone")
    threading.Event().wait(0.05)
    assert len(line.another().begin("next")) == 1


def test_the_last_commit_gives_the_lease_back(line: PipelineContext) -> None:
    line.turn()
    line.accept()
    assert len(line.another().begin("other")) == 1


def test_giving_back_is_refused_when_something_came_in_meanwhile(line: PipelineContext) -> None:
    assert line.store.begin("me") == []
    line.accept()
    assert line.store.release("me") is True
    with pytest.raises(Busy):
        line.another().begin("other")


def test_giving_back_what_another_holds_takes_nothing_from_it(line: PipelineContext) -> None:
    line.store.begin("me")
    assert line.another().release("other") is False
    with pytest.raises(Busy):
        line.another().begin("other")


# -- pokes -----------------------------------------------------------------------------------------------------


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
    """Two workers, a door, and the messages between them; steps are taken in whatever order one wants."""

    def __init__(self, redis: Redis, deliveries: int) -> None:
        self.line = line_of(redis)
        self.left = deliveries
        self.messages = 0
        self.tokens = itertools.count()
        self.stores = [self.line.store, self.line.another()]
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
            self.messages += self.line.accept() is Accepted.POKE
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
    """Every order in which two workers and a door can take their steps, played to its end."""
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
    """Without the sweeper: each delivery is taken by the worker that its poke, or an earlier one, brought."""
    played = 0
    for path, scene in schedules(redis, deliveries):
        played += 1
        assert scene.line.waiting() == [], path
        assert not redis.exists(scene.line.keys.lease), path
        scene.line.redis.delete(*redis.scan_iter(match=f"*{scene.line.keys.pipeline}*", count=1000))
    assert played > deliveries


def test_a_poke_that_was_lost_is_pending_only_for_a_while(line: PipelineContext) -> None:
    line.accept()
    assert 0 < line.redis.pttl(line.keys.poke) <= 3_000


def test_begin_takes_the_poke_down_so_that_the_next_delivery_pokes_again(line: PipelineContext) -> None:
    line.accept()
    line.store.begin("me")
    assert line.accept() is Accepted.POKE


# -- the commit ------------------------------------------------------------------------------------------------


def test_a_commit_stores_everything_together(line: PipelineContext) -> None:
    line.accept()
    entries = line.store.begin("me")
    ended = Ended(run("S1.1"), Ending(End.FAILED, "it failed"), 3.0)
    work = Work([put(unmanaged(1))], [(entries[0], fact("why"))], [LOOK], [ended], 99.0)
    assert line.store.commit("me", entries, work) == []
    reader = line.reader()
    reader.refresh()
    assert list(reader.board.unmanaged) == ["cdp/job/1"]
    assert [t.fact.why for _, t in line.records.facts().facts] == ["why"]
    assert line.records.facts().facts[0][1].entry == entries[0].id
    assert line.records.ended() == ([ended], 1)
    claim, _ = line.outbox.claim("jenkins", limit=1)
    assert claim is not None
    assert claim.effect == LOOK
    assert line.waiting() == []


def footprint(line: PipelineContext) -> dict[bytes, bytes | None]:
    """Everything that is stored for a pipeline, but for when things expire."""
    return {key: line.redis.dump(key) for key in line.redis.scan_iter(match=f"*{line.keys.pipeline}*", count=1000)}


def test_of_two_workers_that_decided_on_one_version_exactly_one_commits(line: PipelineContext) -> None:
    line.accept()
    first, second = line.store, line.another()
    entries = first.begin("first")
    line.redis.delete(line.keys.lease)  # its lease has ended while it was stalled
    assert second.begin("second") == entries
    first.commit("first", entries, Work([put(unmanaged(1))], [], [LOOK], [], 5.0))
    before = footprint(line)
    with pytest.raises(Outdated):
        second.commit("second", entries, Work([put(unmanaged(2))], [(entries[0], fact("no"))], [LOOK], [], 7.0))
    assert footprint(line) == before


def test_a_worker_that_lost_starts_afresh_and_sees_what_the_winner_stored(line: PipelineContext) -> None:
    line.accept()
    loser = line.another()
    entries = loser.begin("loser")
    line.redis.delete(line.keys.lease)
    line.store.begin("winner")
    line.store.commit("winner", entries, Work([put(unmanaged(1))], [], [], [], None))
    with pytest.raises(Outdated):
        loser.commit("loser", entries, NOTHING)
    loser.copy.forget()
    assert loser.begin("loser") == []
    assert list(loser.copy.board.unmanaged) == ["cdp/job/1"]


def test_many_workers_that_race_store_each_entry_once(line: PipelineContext) -> None:
    """Leases are taken away all the time; the fence alone must hold."""
    for number in range(60):
        line.accept(str(number))
    wins: list[str] = []

    def race(name: int) -> None:
        store = line.another()
        while len(wins) < 60:
            line.redis.delete(line.keys.lease)
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
    told = [t.fact.why for _, t in line.records.facts_after("0-0")]
    assert told == sorted(told, key=lambda i: [int(n) for n in i.split("-")])
    assert len(told) == len(set(told)) == len(wins) == 60


def test_a_commit_takes_what_it_was_given_and_returns_what_came_after(line: PipelineContext) -> None:
    for number in range(BATCH + 5):
        line.accept(str(number))
    entries = line.store.begin("me")
    assert len(entries) == BATCH
    rest = line.store.commit("me", entries, NOTHING)
    assert [e.delivery for e in rest] == [str(n) for n in range(BATCH, BATCH + 5)]
    assert line.store.commit("me", rest, NOTHING) == []


def test_of_two_effects_in_one_slot_the_later_one_is_kept(line: PipelineContext) -> None:
    job = Job("cdp", "shop/pre-production")
    locked = Banner(job, "pre-production", (LockShown("it failed", "S1.1", 1.0),))
    line.turn(effects=(locked, Banner(job, "pre-production")))
    assert line.outbox.size() == 1


def test_a_worker_that_kept_its_copy_through_a_loss_of_data_does_not_build_on_it(line: PipelineContext) -> None:
    """At a failover the last second may be lost, and others may go on from before it to the same version."""
    line.turn(put(unmanaged(1)))
    saved = {key: (line.redis.dump(key) or b"") for key in line.redis.scan_iter(match=f"*{line.keys.pipeline}*")}
    line.turn(put(unmanaged(2)))
    for key in line.redis.scan_iter(match=f"*{line.keys.pipeline}*"):
        line.redis.delete(key)
    for key, value in saved.items():
        line.redis.restore(key, 0, value)
    other = line.another()
    line.turn(put(unmanaged(3)), store=other)
    line.accept()
    entries = line.store.begin("back")
    assert sorted(line.store.copy.board.unmanaged) == ["cdp/job/1", "cdp/job/3"]
    line.store.commit("back", entries, NOTHING)


def test_entries_and_board_are_of_one_version_even_when_another_commits_in_between(
    line: PipelineContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker without a copy begins; the one before it, whose lease has ended, still commits; then the copy loads."""
    line.accept()
    stalled, fresh = line.store, line.another()
    line.turn(store=stalled)
    line.accept()
    entries = stalled.begin("stalled")
    line.redis.delete(line.keys.lease)
    load = fresh.copy.refresh

    def late() -> None:
        monkeypatch.setattr(fresh.copy, "refresh", load)
        stalled.commit("stalled", entries, Work([put(unmanaged(1))], [], [], [], None))
        load()

    fresh.copy.version = 1_000  # a copy that is of no use: it must be loaded
    monkeypatch.setattr(fresh.copy, "refresh", late)
    assert fresh.begin("fresh") == []
    assert list(fresh.copy.board.unmanaged) == ["cdp/job/1"]
