"""Looking at builds, and the banner over a job's description, which leaves the owner's text to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.effects import Banner, Look
from bot.core.events import BuildSeen
from bot.core.pipeline import Job
from tests.workers.conftest import Open
from tests.workers.workshop import OWNERS_TEXT, Workshop
from workers.perform.banner import with_banner, without_banner

JOB = Job("cdp", "shop/pre-production")
LOCKED = "LOCKED: S1 1234567 failed in pre-production (by S1.1)"


def banner(text: str | None) -> Banner:
    return Banner(JOB, "pre-production", text)


def description(shop: Workshop) -> str:
    return str(shop.control.description("shop/pre-production"))


# -- look ------------------------------------------------------------------------------------------------------


def look(shop: Workshop, number: int = 1) -> BuildSeen | None:
    events = shop.do(Look(Job("cdp", "shop/acceptance"), number))
    assert len(events) <= 1
    event = events[0] if events else None
    assert event is None or isinstance(event, BuildSeen)
    return event


def started(shop: Workshop) -> None:
    shop.do(shop.trigger())
    shop.line.redis.delete(shop.line.keys.inbox)


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
    shop.line.redis.delete(shop.line.keys.inbox)
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


# -- banner ----------------------------------------------------------------------------------------------------


def test_a_banner_stands_before_the_owners_text_and_goes_without_a_trace(shop: Workshop) -> None:
    shop.do(banner(LOCKED))
    assert LOCKED in description(shop)
    assert description(shop).endswith(OWNERS_TEXT)
    shop.do(banner(None))
    assert description(shop) == OWNERS_TEXT


def test_setting_the_same_banner_again_asks_jenkins_to_change_nothing(shop: Workshop) -> None:
    shop.do(banner(LOCKED))
    before = shop.control.requests().get("POST job/description")
    shop.do(banner(LOCKED))
    assert shop.control.requests().get("POST job/description") == before == 1


def test_a_newer_banner_replaces_the_older(shop: Workshop) -> None:
    shop.do(banner(LOCKED))
    shop.do(banner("LOCKED: by kim"))
    assert LOCKED not in description(shop)
    assert "LOCKED: by kim" in description(shop)


def test_removing_a_banner_that_is_not_there_changes_nothing(shop: Workshop) -> None:
    shop.do(banner(None))
    assert description(shop) == OWNERS_TEXT
    assert shop.control.requests().get("POST job/description") is None


def test_a_job_without_a_description_has_none_again(shop: Workshop) -> None:
    shop.control.change_job("shop/pre-production", {"description": None})
    shop.do(banner(LOCKED))
    shop.do(banner(None))
    assert not shop.control.description("shop/pre-production")


def test_a_banner_that_a_job_dsl_run_overwrote_is_set_again_when_asked(shop: Workshop) -> None:
    shop.control.change_job("shop/pre-production", {"description": "as declared"})
    shop.do(banner(LOCKED))
    shop.do(banner(None))
    assert description(shop) == "as declared"


def test_what_the_owner_writes_while_the_banner_stands_stays(shop: Workshop) -> None:
    shop.do(banner(LOCKED))
    shop.control.change_job("shop/pre-production", {"description": description(shop) + "\nsee the runbook"})
    shop.do(banner(None))
    assert description(shop) == OWNERS_TEXT + "\nsee the runbook"


def test_missing_permission_is_for_a_person(workshop: Open) -> None:
    user = {"tokens": ["token"], "permissions": ["Overall/Read", "Item/Read", "Item/Build"]}
    shop = workshop(jenkins={"users": {"interlock": user}})
    shop.do(banner(LOCKED))
    assert "403" in shop.dead()[0]
    assert description(shop) == OWNERS_TEXT


@given(own=st.text(), text=st.text(), newer=st.text())
def test_whatever_is_written_the_owners_text_comes_back(own: str, text: str, newer: str) -> None:
    once = with_banner(own, text)
    assert without_banner(once) == own
    assert with_banner(once, newer) == with_banner(own, newer)
    assert with_banner(once, None) == own


def test_an_owner_who_saves_the_form_in_a_browser_gets_the_text_back_too() -> None:
    """A browser sends every line break as CR LF, those of the banner as well."""
    saved = with_banner("own\ntext", LOCKED).replace("\n", "\r\n")
    assert without_banner(saved) == "own\r\ntext"


def test_a_banner_cannot_be_closed_by_what_it_says() -> None:
    end = with_banner("", "x").strip().splitlines()[-1]
    assert without_banner(with_banner("own", f"LOCKED: {end}\n and more {end}")) == "own"
