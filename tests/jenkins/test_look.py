"""Looking at builds: what Jenkins says of one, and what went wrong in it."""

from __future__ import annotations

import pytest

from bot.core.model.effects import Look
from bot.core.model.events import BuildSeen
from bot.core.model.pipeline import Job
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop


def look(shop: Workshop, number: int = 1) -> BuildSeen | None:
    events = shop.do(Look(Job("cdp", "shop/acceptance"), number))
    assert len(events) <= 1
    event = events[0] if events else None
    assert event is None or isinstance(event, BuildSeen)
    return event


def started(shop: Workshop) -> None:
    shop.do(shop.trigger())
    shop.context.redis.delete(shop.context.keys.inbox)


def test_a_running_build_is_told_as_running(shop: Workshop) -> None:
    started(shop)
    seen = look(shop)
    assert seen is not None
    assert (seen.result, seen.run, seen.attempt, seen.number) == (None, "S1.1", 1, 1)


def test_a_build_that_has_a_result_and_still_runs_is_running(shop: Workshop) -> None:
    shop.control.rule("shop/acceptance", mid_result="UNSTABLE")
    started(shop)
    seen = look(shop)
    assert seen is not None
    assert seen.result is None


@pytest.mark.parametrize("result", ["SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"])
def test_a_build_that_has_ended_is_told_with_its_result(shop: Workshop, result: str) -> None:
    started(shop)
    shop.release("acceptance", result)
    seen = look(shop)
    assert seen is not None
    assert seen.result == result


def test_the_tests_that_failed_are_named_and_bounded(shop: Workshop) -> None:
    started(shop)
    shop.release("acceptance", "FAILURE", tests=[f"shop.CartTest.case{n}" for n in range(30)])
    seen = look(shop)
    assert seen is not None
    assert seen.failed_tests == tuple(f"CartTest.case{n}" for n in range(10))


def test_the_step_that_failed_is_told_with_what_it_says(shop: Workshop) -> None:
    started(shop)
    shop.release("acceptance", "FAILURE", failing_step="Roll out", error="the database is locked")
    seen = look(shop)
    assert seen is not None
    assert seen.failed_step == "Roll out: the database is locked"


def test_a_build_that_passed_is_asked_nothing_more(shop: Workshop) -> None:
    started(shop)
    before = shop.control.requests()
    shop.release("acceptance")
    assert look(shop) is not None
    new = {route for route, count in shop.control.requests().items() if count != before.get(route)}
    assert new == {"GET job/N/api/json"}


def test_when_jenkins_expects_a_build_to_end_is_told(shop: Workshop) -> None:
    started(shop)
    shop.release("acceptance")
    shop.do(shop.trigger("S1.2"))
    shop.context.redis.delete(shop.context.keys.inbox)
    seen = look(shop, 2)
    assert seen is not None
    assert seen.started is not None
    assert seen.expected is not None
    assert seen.started < seen.expected < seen.started + 60


def test_parameters_that_are_missing_in_the_first_moments_are_waited_for(workshop: Open) -> None:
    shop = workshop(jenkins={"late_actions": 0.08})
    started(shop)
    seen = look(shop)
    assert seen is not None
    assert (seen.run, seen.attempt) == ("S1.1", 1)


def test_a_build_without_parameters_is_told_as_a_strangers_in_the_end(shop: Workshop) -> None:
    shop.control.change_job("shop/acceptance", {"parameters": []})
    shop.jenkins_post("job/shop/job/acceptance/build")
    seen = look(shop)
    assert seen is not None
    assert (seen.run, seen.attempt, seen.result) == (None, None, None)


def test_a_build_that_is_not_there_tells_nothing(shop: Workshop) -> None:
    assert look(shop, 99) is None
    assert shop.dead() == []


def test_a_restart_is_not_taken_for_a_build_that_is_gone(shop: Workshop) -> None:
    started(shop)
    shop.control.restart(seconds=0.2)
    seen = look(shop)
    assert seen is not None
    assert seen.run == "S1.1"


def test_what_went_wrong_is_read_once_however_often_the_end_is_told(shop: Workshop) -> None:
    started(shop)
    shop.release("acceptance", "FAILURE", tests=["shop.CartTest.pays"])
    shop.control.reset_counters()
    first = look(shop)
    shop.context.redis.delete(shop.context.keys.inbox)
    assert look(shop) == first
    asked = shop.control.requests()
    assert (asked["GET job/N/testReport/api/json"], asked["GET job/N/wfapi/describe"]) == (1, 1)
