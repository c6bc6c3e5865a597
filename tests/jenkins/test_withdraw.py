"""Withdrawing an attempt, wherever it is: told as withdrawn only when it is certain that no build will come."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.effects import AbortDuplicate, Withdraw
from bot.core.model.events import AbortTaken, BuildLost, BuildSeen, TriggerAccepted, Withdrawn
from bot.core.model.pipeline import AbortLevel, Job
from bot.jenkins import triggers
from tests.workers.conftest import Open
from tests.workers.workshop import PARAMETERS, Workshop

JOB = Job("cdp", "shop/acceptance")
STOP = "POST job/N/stop"
TAKEN = AbortTaken("cdp", "shop/acceptance", 1, AbortLevel.STOP, run="S1.1", attempt=1)


def withdraw(item: int | None = None, build: int | None = None, *, abort: bool = False, job: Job = JOB) -> Withdraw:
    return Withdraw("S1.1", 1, job, item, build, abort)


def triggered(shop: Workshop) -> int:
    """Trigger the attempt; returns its queue item."""
    (event,) = shop.do(shop.trigger())
    assert isinstance(event, TriggerAccepted)
    shop.context.redis.delete(shop.context.keys.inbox)  # told, and taken
    return event.queue_item


def stops(shop: Workshop) -> int:
    return sum(count for route, count in shop.control.requests().items() if route.endswith("/stop"))


def ended(shop: Workshop) -> dict[str, Any]:
    (row,) = shop.control.wait_builds("shop/acceptance", state="done", seconds=5)
    return dict(row)


def test_a_trigger_that_has_not_gone_out_is_taken_back(shop: Workshop) -> None:
    shop.ask(shop.trigger(), withdraw())
    shop.put_off(shop.trigger(), later=60)
    assert shop.see_through(withdraw()) == [Withdrawn("S1.1", 1)]
    assert shop.context.outbox.size() == 0
    assert shop.builds() == []


def test_a_trigger_that_is_on_its_way_is_waited_for(shop: Workshop) -> None:
    shop.ask(shop.trigger())
    sending = shop.claim(shop.trigger())
    assert sending is not None
    shop.ask(withdraw())
    assert shop.try_once(withdraw()) == []
    assert shop.context.redis.hexists(shop.context.keys.outbox, withdraw().slot)


def test_an_item_in_jenkins_queue_is_cancelled(shop: Workshop) -> None:
    shop.control.quiet_down()
    item = triggered(shop)
    assert shop.do(withdraw(item)) == [Withdrawn("S1.1", 1)]
    shop.control.quiet_down(on=False)
    assert (shop.control.queue(), shop.builds()) == ([], [])


def test_an_item_whose_number_we_do_not_know_is_found_and_cancelled(shop: Workshop) -> None:
    shop.control.quiet_down()
    triggered(shop)
    assert shop.do(withdraw()) == [Withdrawn("S1.1", 1)]
    assert shop.control.queue() == []


def test_an_item_that_somebody_cancelled_already_is_withdrawn(shop: Workshop) -> None:
    shop.control.quiet_down()
    item = triggered(shop)
    shop.do(withdraw(item))
    shop.context.redis.delete(shop.context.keys.inbox)
    assert shop.do(withdraw(item)) == [Withdrawn("S1.1", 1)]


def test_a_build_that_runs_is_told_and_left_alone_unless_it_is_to_be_aborted(shop: Workshop) -> None:
    item = triggered(shop)
    (event,) = shop.do(withdraw(item))
    assert isinstance(event, BuildSeen)
    assert (event.number, event.result, event.run, event.attempt) == (1, None, "S1.1", 1)
    assert stops(shop) == 0


@pytest.mark.parametrize("known", [True, False])
def test_a_build_that_runs_is_stopped_if_it_is_to_be_aborted(shop: Workshop, known: bool) -> None:
    item = triggered(shop)
    events = shop.do(withdraw(item, 1 if known else None, abort=True))
    # Its end is told when it has come.
    assert events == [TAKEN] if known else all(isinstance(e, BuildSeen) and e.result is None for e in events)
    assert ended(shop)["result"] == "ABORTED"


def test_a_known_build_that_is_not_to_be_aborted_is_not_touched(shop: Workshop) -> None:
    item = triggered(shop)
    assert shop.do(withdraw(item, 1)) == []
    assert stops(shop) == 0


def test_a_build_that_has_ended_is_told_with_its_result(shop: Workshop) -> None:
    item = triggered(shop)
    shop.release("acceptance", "UNSTABLE")
    (event,) = shop.do(withdraw(item, abort=True))
    assert isinstance(event, BuildSeen)
    assert event.result == "UNSTABLE"


def test_an_attempt_that_never_arrived_is_withdrawn(shop: Workshop) -> None:
    assert shop.do(withdraw()) == [Withdrawn("S1.1", 1)]


def test_an_attempt_that_was_posted_this_moment_is_waited_for(shop: Workshop) -> None:
    shop.context.redis.set(shop.context.keys.posted("S1.1", 1), f"{JOB.controller}\n{JOB.name}", px=triggers.NOTED_MS)
    shop.ask(withdraw())
    assert shop.try_once(withdraw()) == []
    assert shop.see_through(withdraw()) == [Withdrawn("S1.1", 1)]


@pytest.mark.slow
@pytest.mark.parametrize("gap", [{"executable_delay": 0.8}, {"late_actions": 0.8}])
def test_an_item_between_queue_and_executor_is_not_taken_for_gone(workshop: Open, gap: dict[str, float]) -> None:
    """It has left the queue, and its build is not there yet, or does not show yet whose it is."""
    shop = workshop(jenkins=gap)
    shop.control.quiet_down()
    item = triggered(shop)
    time.sleep(0.4)  # it was posted long ago
    shop.control.quiet_down(on=False)
    (event,) = shop.do(withdraw(item, abort=True))
    assert isinstance(event, BuildSeen)
    assert (event.run, event.number) == ("S1.1", 1)
    assert ended(shop)["result"] == "ABORTED"


def test_an_item_that_a_restart_lost_is_withdrawn(shop: Workshop) -> None:
    shop.control.quiet_down()
    item = triggered(shop)
    shop.control.restart("crash", seconds=0.05, lose_queue=True)
    time.sleep(0.4)
    assert shop.do(withdraw(item)) == [Withdrawn("S1.1", 1)]


def test_while_jenkins_restarts_nothing_is_certain(shop: Workshop) -> None:
    shop.control.quiet_down()
    item = triggered(shop)
    shop.control.restart(seconds=0.5)
    shop.ask(withdraw(item, abort=True))
    assert shop.try_once(withdraw(item)) == []
    (event,) = shop.see_through(withdraw(item, abort=True))
    assert isinstance(event, BuildSeen)
    assert ended(shop)["result"] == "ABORTED"


@pytest.mark.parametrize("gone", ["build", "job"])
def test_a_known_build_that_stays_away_is_told_as_lost(shop: Workshop, gone: str) -> None:
    """Else a run whose job was deleted could never be taken out. After a restart it may be away for a moment only."""
    shop.limit_jenkins(gone_pause=0.02)
    item = triggered(shop)
    if gone == "job":
        shop.control.delete_job("shop/acceptance")
    (event,) = shop.do(withdraw(item, 1 if gone == "job" else 7, abort=True))
    assert isinstance(event, BuildLost)
    assert (event.run, event.attempt) == ("S1.1", 1)


def test_missing_permission_to_cancel_is_for_a_person(workshop: Open) -> None:
    user = {"tokens": ["token"], "permissions": ["Overall/Read", "Item/Read", "Item/Build"]}
    shop = workshop(jenkins={"users": {"interlock": user}})
    shop.control.quiet_down()
    """Interlock retries it without end, because the run cannot leave without it, and shows the delay with its cause."""
    item = triggered(shop)
    shop.ask(withdraw(item))
    for _ in range(3):
        shop.context.redis.zadd(shop.context.keys.due("jenkins"), {withdraw(item).slot: 0})
        shop.try_once(withdraw(item))
    (delay,) = shop.context.delays.all()
    assert (delay.what, delay.tries) == ("withdrawing the build of S1.1 in shop/acceptance", 3)
    assert "Item/Cancel is missing" in delay.why
    assert shop.dead() == []
    shop.control.set({"users": {"interlock": {"tokens": ["token"], "permissions": ["*"]}}})
    assert shop.see_through(withdraw(item), 90.0) == [Withdrawn("S1.1", 1)]
    assert shop.context.delays.all() == []


def test_a_second_build_of_an_attempt_is_stopped(shop: Workshop) -> None:
    triggered(shop)
    assert shop.do(AbortDuplicate(JOB, 1, "S1.1")) == [AbortTaken("cdp", "shop/acceptance", 1, AbortLevel.STOP)]
    assert ended(shop)["result"] == "ABORTED"


def test_a_second_build_that_has_ended_is_told_as_it_ended_and_not_stopped(shop: Workshop) -> None:
    triggered(shop)
    shop.release("acceptance")
    (event,) = shop.do(AbortDuplicate(JOB, 1, "S1.1"))
    assert isinstance(event, BuildSeen)
    assert (event.result, stops(shop), shop.dead()) == ("SUCCESS", 0, [])


# -- ever more firmly ------------------------------------------------------------------------------------------


def test_a_build_that_ignores_stop_is_ended_by_force(shop: Workshop) -> None:
    shop.control.rule("shop/acceptance", ignores_stop=True)
    triggered(shop)
    shop.do(withdraw(build=1, abort=True))
    assert shop.builds("acceptance")[0]["building"]
    shop.do(replace(withdraw(build=1, abort=True), level=AbortLevel.TERM))
    assert ended(shop)["result"] == "ABORTED"


def test_a_kill_ends_it_at_once(shop: Workshop) -> None:
    shop.control.rule("shop/acceptance", ignores_stop=True, stop_seconds=600)
    triggered(shop)
    shop.do(replace(withdraw(build=1, abort=True), level=AbortLevel.TERM))
    assert shop.builds("acceptance")[0]["building"]
    shop.do(replace(withdraw(build=1, abort=True), level=AbortLevel.KILL))
    assert ended(shop)["result"] == "ABORTED"


@pytest.mark.parametrize("level", [AbortLevel.TERM, AbortLevel.KILL])
def test_a_freestyle_build_is_asked_to_stop_again_for_it_knows_nothing_firmer(
    shop: Workshop, level: AbortLevel
) -> None:
    """Jenkins sends to the same path with a slash, where nothing is: that is not there, and nothing was taken."""
    shop.control.create_job("shop/acceptance", parameters=PARAMETERS, kind="freestyle", duration_seconds=3600)
    triggered(shop)
    assert shop.do(replace(withdraw(build=1, abort=True), level=level)) == [replace(TAKEN, level=level, only_stop=True)]
    assert (stops(shop), ended(shop)["result"]) == (1, "ABORTED")


@pytest.mark.parametrize("gone", ["waits", "built"])
def test_a_number_that_jenkins_gave_again_after_a_crash_is_anothers_and_left_alone(shop: Workshop, gone: str) -> None:
    shop.control.quiet_down()
    item = triggered(shop)
    shop.control.restart("crash", seconds=0.05, lose_queue=True, reuse_ids=True)
    time.sleep(0.4)
    if gone == "waits":
        shop.control.quiet_down()
    (other,) = shop.do(shop.trigger("S2.1"))
    assert isinstance(other, TriggerAccepted)
    assert other.queue_item == item
    shop.context.redis.delete(shop.context.keys.inbox)
    assert shop.do(withdraw(item, abort=True)) == [Withdrawn("S1.1", 1)]
    assert stops(shop) == 0
    assert [row["result"] for row in shop.builds()] + [row["id"] for row in shop.control.queue()] == (
        [item] if gone == "waits" else [None]
    )
