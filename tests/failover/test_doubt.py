"""After a change of master the store may have lost builds: Interlock looks for them before it starts any."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from bot.core.model.events import BuildSeen, StoreChanged, TimePassed, TriggerAccepted, TriggerRefused
from bot.core.model.messages import Phrase, Phrased
from bot.core.model.pipeline import Outcome
from bot.store import outbox
from bot.store.outbox import Claim
from chaos.sentinels import until
from tests.texts import text_of
from tests.workers.workshop import PARAMETERS, Workshop, sha
from workers import tasks

POST = "POST job/buildWithParameters"
#: An id that no server has.
ANOTHER = "0" * 40


@pytest.fixture
def patient(shop: Workshop) -> Workshop:
    """A worker that has a short patience with what may still arrive, and knows the history of its store."""
    shop.limit_jenkins(late_request=-shop.configuration.controllers["cdp"].timeout)
    shop.context.inbox.tick(TimePassed())
    return shop


def fail_over(shop: Workshop) -> None:
    """From now on it seems as if the history that the store has noted were another server's."""
    shop.context.redis.hset(shop.context.keys.meta, "history", ANOTHER)


def started_by_the_lost_history(shop: Workshop, run: str, attempt: str, commit: str, version: str) -> None:
    """A build that was started, and then forgotten by the store."""
    values = [run, attempt, "acceptance", "main", "S1", "shop/s1", commit, version]
    shop.start_by_hand("acceptance", **dict(zip(PARAMETERS, values, strict=True)))


def test_a_fresh_store_is_not_in_doubt(patient: Workshop) -> None:
    (event,) = patient.do(patient.trigger())
    assert isinstance(event, TriggerAccepted)
    assert patient.control.requests().get("GET queue", 0) == 0


def test_the_attempt_itself_that_was_forgotten_is_found(patient: Workshop) -> None:
    started_by_the_lost_history(patient, "S1.1", "1", sha("S1.1"), "S1-1")
    before = patient.posts()
    fail_over(patient)
    (event,) = patient.do(patient.trigger())
    assert isinstance(event, (BuildSeen, TriggerAccepted))
    assert (patient.posts(), len(patient.builds())) == (before, 1)


def test_a_forgotten_build_of_the_same_commit_is_waited_for_and_taken_over(patient: Workshop) -> None:
    started_by_the_lost_history(patient, "S1.7", "3", sha("S1.1"), "S1-7-older")
    before = patient.posts()
    fail_over(patient)
    patient.ask(patient.trigger())
    for _ in range(4):
        patient.all_due("jenkins")
        assert patient.try_once(patient.trigger()) == []
    (delay,) = patient.context.delays.all()
    assert "of the same commit, which the store has forgotten" in delay.why
    patient.release("acceptance")
    patient.all_due("jenkins")
    (event,) = patient.try_once(patient.trigger())
    assert isinstance(event, BuildSeen)
    assert (event.run, event.attempt, event.version, event.result) == ("S1.1", 1, "S1-1", Outcome.SUCCESS)
    assert (patient.posts(), len(patient.builds())) == (before, 1)


def test_in_doubt_nothing_is_noted_with_the_claim(patient: Workshop) -> None:
    patient.do(patient.trigger())
    fail_over(patient)
    patient.ask(patient.trigger(run="S1.2"))
    claim = patient.claim(patient.trigger(run="S1.2"))
    assert claim is not None
    assert claim.noted is None
    assert not patient.context.redis.exists(patient.context.keys.posted("S1.2", 1))


def test_a_forgotten_build_that_failed_is_built_again(patient: Workshop) -> None:
    started_by_the_lost_history(patient, "S1.7", "3", sha("S1.1"), "S1-7-older")
    patient.release("acceptance", "FAILURE")
    fail_over(patient)
    (event,) = patient.do(patient.trigger())
    assert isinstance(event, TriggerAccepted)
    assert len(patient.builds()) == 2


def test_a_build_that_was_told_not_to_roll_out_does_not_hide_the_forgotten_one_that_passed(patient: Workshop) -> None:
    """Jenkins crashed and built an attempt a second time: the second one ended at once and built nothing."""
    for result in ("SUCCESS", "NOT_BUILT"):
        started_by_the_lost_history(patient, "S1.7", "3", sha("S1.1"), "S1-7-older")
        patient.release("acceptance", result)
    before = patient.posts()
    fail_over(patient)
    (event,) = patient.do(patient.trigger())
    assert isinstance(event, BuildSeen)
    assert (event.run, event.number, event.result) == ("S1.1", 1, Outcome.SUCCESS)
    assert patient.posts() == before


def test_a_build_of_another_commit_under_the_same_name_is_not_ours(patient: Workshop) -> None:
    started_by_the_lost_history(patient, "S1.1", "1", sha("another"), "")
    fail_over(patient)
    (event,) = patient.do(patient.trigger())
    assert isinstance(event, TriggerAccepted)
    assert len(patient.builds()) == 2


def rolled_out_by_the_lost_history(shop: Workshop, run: str, stamp: str) -> None:
    """A commit of a run that began at `stamp` is rolled out in production, and forgotten by the store."""
    values = [run, "1", "production", "main", "S1", "shop/s1", sha(run), f"S1-{stamp}"]
    shop.start_by_hand("production", **dict(zip(PARAMETERS, values, strict=True)))


def test_where_a_newer_commit_was_rolled_out_that_was_forgotten_an_older_one_is_not_started(patient: Workshop) -> None:
    """F11: it is waited for while it runs, and however it ends, the stage does not go back."""
    rolled_out_by_the_lost_history(patient, "S1.7", "7")
    before = patient.posts()
    fail_over(patient)
    patient.ask(patient.trigger(stage="production"))
    for _ in range(4):
        patient.all_due("jenkins")
        assert patient.try_once(patient.trigger(stage="production")) == []
    (delay,) = patient.context.delays.all()
    assert "of a newer commit, which the store has forgotten" in delay.why
    patient.release("production", "FAILURE")
    patient.all_due("jenkins")
    (event,) = patient.try_once(patient.trigger(stage="production"))
    assert isinstance(event, TriggerRefused)
    assert event.newer == sha("S1.7")
    assert patient.posts() == before


def test_a_build_that_did_nothing_does_not_hide_that_a_newer_commit_was_rolled_out(patient: Workshop) -> None:
    for result in ("SUCCESS", "NOT_BUILT"):
        rolled_out_by_the_lost_history(patient, "S1.7", "7")
        patient.release("production", result)
    fail_over(patient)
    (event,) = patient.do(patient.trigger(stage="production"))
    assert isinstance(event, TriggerRefused)
    assert event.newer == sha("S1.7")


@pytest.mark.parametrize("stamp", ["0", "1", "none"])
def test_a_forgotten_commit_that_is_not_known_to_be_newer_stops_none(patient: Workshop, stamp: str) -> None:
    rolled_out_by_the_lost_history(patient, "S1.7", stamp)
    patient.release("production", "SUCCESS")
    fail_over(patient)
    (event,) = patient.do(patient.trigger(stage="production"))
    assert isinstance(event, TriggerAccepted)


def test_where_nothing_is_rolled_out_a_newer_forgotten_commit_stops_none(patient: Workshop) -> None:
    started_by_the_lost_history(patient, "S1.7", "1", sha("S1.7"), "S1-7")
    fail_over(patient)
    (event,) = patient.do(patient.trigger(rolls_out=False))
    assert isinstance(event, TriggerAccepted)


def test_an_earlier_attempt_of_the_run_itself_is_not_forgotten(patient: Workshop) -> None:
    patient.do(patient.trigger(attempt=1))
    patient.release("acceptance", "SUCCESS")
    fail_over(patient)
    (event,) = [e for e in patient.do(patient.trigger(attempt=2)) if getattr(e, "attempt", 0) == 2]
    assert isinstance(event, TriggerAccepted)
    assert len(patient.builds()) == 2


def test_what_the_former_master_may_have_sent_this_moment_is_waited_for(shop: Workshop) -> None:
    shop.context.inbox.tick(TimePassed())
    shop.context.redis.hset(shop.context.keys.meta, "followed", int(time.time() * 1000) - 3_600_000)
    fail_over(shop)
    shop.ask(shop.trigger())
    assert shop.try_once(shop.trigger()) == []
    assert shop.posts() == 0
    shop.context.redis.hincrby(shop.context.keys.meta, "changed", -60_000)  # a minute later
    shop.all_due("jenkins")
    (event,) = shop.try_once(shop.trigger())
    assert isinstance(event, TriggerAccepted)
    assert shop.posts() == 1


def test_after_the_restart_of_a_server_without_replicas_nothing_is_waited_for(shop: Workshop) -> None:
    shop.context.inbox.tick(TimePassed())
    fail_over(shop)
    shop.ask(shop.trigger())
    (event,) = shop.try_once(shop.trigger())
    assert isinstance(event, TriggerAccepted)


def test_the_doubt_ends(patient: Workshop) -> None:
    started_by_the_lost_history(patient, "S1.7", "3", sha("S1.1"), "S1-7-older")
    fail_over(patient)
    patient.context.inbox.tick(TimePassed())
    patient.context.redis.hincrby(patient.context.keys.meta, "changed", -outbox.UNACKNOWLEDGED_MS)
    (event,) = patient.do(patient.trigger())
    assert isinstance(event, TriggerAccepted)
    assert len(patient.builds()) == 2


def test_a_worker_that_knows_more_than_the_store_puts_it_in_doubt(patient: Workshop) -> None:
    patient.start()
    keys, redis = patient.context.keys, patient.context.redis
    before: Any = {name: redis.dump(name) for name in (keys.meta, keys.board, keys.changes)}
    patient.merge("S1", "a")
    for name, value in before.items():  # what was committed last is lost, and nothing else says so
        redis.restore(name, 0, value, replace=True)
    assert redis.hget(keys.meta, "changed") is None
    patient.tell(TimePassed())
    assert redis.hget(keys.meta, "changed") is not None


def test_what_was_held_is_free_at_once(patient: Workshop) -> None:
    patient.ask(patient.trigger())
    theirs = patient.claim(patient.trigger())
    assert theirs is not None
    assert patient.claim(patient.trigger()) is None
    fail_over(patient)
    patient.context.inbox.tick(TimePassed())
    ours: list[Claim | None] = []
    until(lambda: ours.append(patient.claim(patient.trigger())) or ours[-1], "it can be claimed again", 1)
    assert ours[-1] is not None
    assert ours[-1].tries == 1
    assert patient.context.outbox.intend(theirs, "note", "", 1_000) is None  # whoever wakes up late does nothing


def test_everything_is_asked_for_at_once_and_once_more(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, redis, meta = shop.context.inbox, shop.context.redis, shop.context.keys.meta
    assert inbox.tick_and_look(TimePassed())[1] is False
    fail_over(shop)
    assert [inbox.tick_and_look(TimePassed())[1] for _ in range(3)] == [True, False, False]
    redis.hset(meta, mapping={"changed": int(time.time() * 1000) - 13_000, "look": int(time.time() * 1000) - 1_000})
    assert [inbox.tick_and_look(TimePassed())[1] for _ in range(3)] == [True, False, False]
    fail_over(shop)
    asked: list[str] = []
    monkeypatch.setattr(tasks, "runtime", lambda: shop.runtime)
    for name in ("reconcile_builds", "reconcile_heads", "turn"):
        sent = SimpleNamespace(apply_async=lambda *_, name=name, **__: asked.append(name))
        monkeypatch.setattr(tasks, name, sent)
    tasks.sweep()
    assert asked == ["reconcile_builds", "reconcile_heads", "turn"]
    assert shop.heard() == [StoreChanged()]
    shop.start()
    assert shop.facts("store-changed") == [text_of(Phrased(Phrase.STORE_CHANGED))]
