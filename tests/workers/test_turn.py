"""Taking turns: no event stops the pipeline or is left over, and a new configuration places each run."""

from __future__ import annotations

import itertools
import threading
import uuid

import pytest
from structlog.testing import capture_logs

from bot.core.model.effects import Mention
from bot.core.model.events import BuildSeen, CancelAsked, Event, LockAsked, Merged, TimePassed
from bot.core.model.pipeline import Outcome
from bot.core.model.run import Status
from bot.core.rules.decision import DecisionLimits
from bot.store.inbox import Accepted, parked
from bot.store.store import Outdated, family_of
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop, sha
from workers import turn
from workers.performer import PERFORMERS
from workers.turn import take_turns


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    opened = workshop()
    opened.start()
    return opened


def deliver(shop: Workshop, body: bytes, source: str = "github", name: str = "push") -> None:
    shop.context.inbox.accept(source, name, uuid.uuid4().hex, body)


def merged(letter: str, **more: str) -> Merged:
    return Merged("S1", sha("S1" + letter), None, title=f"S1{letter}", **more)


def reasons(shop: Workshop) -> list[str]:
    return [each.error.split(":")[0] for each in parked(shop.context.redis, shop.context.keys)]


# -- what cannot be digested -----------------------------------------------------------------------------------


POISON = {
    "not JSON": b"\xff{",
    "nested too deep": b"[" * 1000,
    "no event": b'{"kind":"unheard-of"}',
    "half an event": b'{"kind":"merged"}',
    "a service that makes the rules fail": b'{"kind":"merged","service":["S1"],"sha":"a"}',
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON.keys())
def test_a_delivery_that_cannot_be_digested_is_parked_and_the_line_goes_on(shop: Workshop, body: bytes) -> None:
    with capture_logs() as logs:
        deliver(shop, body, source="event")
        shop.tell(merged("a"))
    assert shop.live() == ["S1a"]
    assert len(reasons(shop)) == 1
    assert [row["event"] for row in logs if row["event"] == "delivery-parked"] == ["delivery-parked"]
    assert take_turns(shop.context) == set()


def test_what_the_rules_did_before_they_failed_is_taken_back(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    real = turn.decide

    def fails(board, event, now, limits):  # type: ignore[no-untyped-def]
        decision = real(board, event, now, limits)
        if isinstance(event, Merged) and event.title == "S1b":
            raise RuntimeError("a mistake of ours")
        return decision

    monkeypatch.setattr(turn, "decide", fails)
    for letter in "abc":
        shop.context.inbox.add(merged(letter), letter)
    shop.work()
    assert shop.live() == ["S1a", "S1c"]
    assert reasons(shop) == ["RuntimeError"]
    assert {row["params"]["INTERLOCK_SHA"] for row in shop.builds()} == {sha("S1a"), sha("S1c")}


def test_a_decision_that_cannot_be_stored_is_parked_and_the_line_goes_on(shop: Workshop) -> None:
    """Half a surrogate pair is valid JSON and no valid text: in an event of ours it gets as far as the commit."""
    for letter in "abcde":
        shop.context.inbox.add(merged(letter), letter)
        if letter == "c":
            body = b'{"kind":"lock-asked","stage":"production","by":"kim","reason":"\\ud800"}'
            deliver(shop, body, source="event")
    shop.work()
    assert shop.live() == ["S1a", "S1b", "S1c", "S1d", "S1e"]
    assert len(reasons(shop)) == 1
    assert len(shop.builds("build")) == 5
    assert shop.context.inbox.tick(TimePassed()) == 0


def test_a_delivery_that_concerns_nobody_is_taken_and_forgotten(shop: Workshop) -> None:
    deliver(shop, b'{"ref":"refs/heads/main","repository":{"full_name":"some/other"},"after":"' + b"a" * 40 + b'"}')
    deliver(shop, b'{"zen":"Speak like a human."}', name="ping")
    deliver(shop, b"{}", source="jenkins", name="cdp")
    assert take_turns(shop.context) == set()
    assert reasons(shop) == []
    assert shop.context.inbox.tick(TimePassed()) == 0


def test_what_comes_and_goes_within_one_batch_leaves_nothing_and_stops_nothing(shop: Workshop) -> None:
    """An unmanaged build that has started and ended before the turn was taken; a run that is cancelled at once."""
    for result in (None, Outcome.SUCCESS):
        shop.context.inbox.add(BuildSeen("cdp", "shop/acceptance", 7, result), str(result))
    shop.context.inbox.add(LockAsked("build", "kim", "to look"), "lock")
    shop.context.inbox.add(merged("a"), "merge")
    shop.context.inbox.add(CancelAsked("S1.1", "kim", "not needed"), "cancel")
    shop.work()
    assert (shop.live(), shop.board.unmanaged) == ([], {})
    assert len(shop.facts("run-cancelled")) == 1
    assert shop.context.inbox.tick(TimePassed()) == 0


# -- nothing is left lying -------------------------------------------------------------------------------------


def test_what_comes_in_at_the_end_of_a_turn_is_decided_by_the_same_worker(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second thread is woken up while the first still holds the lock of the process: it leaves the work to it."""
    real = shop.context.store.commit
    helped = threading.Event()

    def commit(*args):  # type: ignore[no-untyped-def]
        rest = real(*args)
        if not rest and not helped.is_set():
            helped.set()
            assert shop.context.inbox.add(merged("b"), "late") is Accepted.WAKE_UP
            other = threading.Thread(target=take_turns, args=(shop.context,))
            other.start()
            other.join(5)
            assert not other.is_alive()
        return rest

    monkeypatch.setattr(shop.context.store, "commit", commit)
    shop.context.inbox.add(merged("a"), "first")
    take_turns(shop.context)
    assert helped.is_set()
    assert shop.live() == ["S1a", "S1b"]


def test_a_turn_that_lost_the_race_is_taken_again_with_what_the_winner_stored(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shop.context.store.commit
    refused: list[int] = []

    def commit(*args):  # type: ignore[no-untyped-def]
        if len(refused) < 3:
            refused.append(1)
            raise Outdated
        return real(*args)

    monkeypatch.setattr(shop.context.store, "commit", commit)
    shop.merge("S1", "a")
    assert shop.live() == ["S1a"]
    assert len(shop.builds("build")) == 1
    assert len(shop.facts("run-queued")) == 1


def test_a_turn_that_breaks_leaves_the_entries_for_the_next(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(turn, "decide_all", lambda *_: 1 / 0)
        shop.context.inbox.add(merged("a"), "a")
        with pytest.raises(ZeroDivisionError):
            take_turns(shop.context)
    shop.context.redis.delete(shop.context.keys.lease)  # which ends by itself
    shop.work()
    assert shop.live() == ["S1a"]


def test_more_than_one_batch_is_taken_in_one_go(shop: Workshop) -> None:
    for number in range(150):
        shop.context.inbox.add(merged(str(number)), str(number))
    take_turns(shop.context)
    assert shop.context.inbox.tick(TimePassed()) == 0
    assert len(shop.board.runs) == 150


def test_every_effect_stands_in_the_line_of_whom_it_talks_to() -> None:
    """Otherwise a GitHub that hangs would delay effects for Jenkins, and Interlock would give up none for GitHub."""
    for kind, performer in PERFORMERS.items():
        package = performer.__module__.split(".")[:2]
        family = {"github": "github", "jenkins": "jenkins", "people": "people"}[package[1]]
        if kind is Mention:
            family = "github"  # people are named in a comment there
        assert family_of(object.__new__(kind)) == family, kind.__name__


# -- a clean-up in parts ---------------------------------------------------------------------------------------


def test_a_clean_up_in_parts_goes_on_without_the_clock(shop: Workshop) -> None:
    """F8: one run a decision here; all of them, the lock and the entry of the next come of one look at the inbox."""
    shop.context.decision_limits = DecisionLimits(removed_at_once=1)
    numbers = itertools.count(100)

    def decide_all_of(*events: Event) -> None:
        for event in events:
            shop.context.inbox.add(event, uuid.uuid4().hex)
        take_turns(shop.context)

    def ends(letter: str, result: Outcome) -> str:
        run = shop.run_of(sha("S1" + letter))
        job = shop.pipeline.job(run.step.stage, run.step.track)
        assert job is not None
        decide_all_of(BuildSeen(job.controller, job.name, next(numbers), result, run.key, run.attempt.number))
        return run.step.stage

    before = None
    for letter in "abcdef":
        decide_all_of(Merged("S1", sha("S1" + letter), before, push_id=letter))
        before = sha("S1" + letter)
    while ends("a", Outcome.SUCCESS) != "acceptance":
        pass
    ends("a", Outcome.FAILURE)
    assert [lock.stage for lock in shop.board.locks.values()] == ["pre-production"]
    decide_all_of(Merged("S1", sha("S1g"), before, push_id="g"))
    while shop.board.locks:
        ends("g", Outcome.SUCCESS)
    assert (shop.board.locks, shop.board.clean_ups) == ({}, {})
    others = [run.status for run in shop.board.runs.values() if run.sha != sha("S1g")]
    assert set(others) == {Status.ENDING}, "but for builds that have not ended yet, all are gone"
