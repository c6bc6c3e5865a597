"""Polling Jenkins finds unreported changes: ends of builds, cancelled items, vanished and unmanaged builds."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.events import Configured, LockAsked, ModeAsked, UnlockAsked
from bot.core.model.pipeline import Mode
from bot.core.model.run import Status
from bot.store.records import Repairs
from tests.texts import text_of
from tests.workers.conftest import Open
from tests.workers.workshop import OWNERS_TEXT, PARAMETERS, Workshop, sha
from workers import reconcile


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    opened = workshop()
    opened.start()
    return opened


def passed(shop: Workshop, stage: str, result: str = "SUCCESS", **how: Any) -> None:
    """Let the builds of a stage end without a callback, and ask."""
    shop.release(stage, result, **how)
    shop.poll()


def arrived(shop: Workshop, stage: str, service: str = "S1", letter: str = "a") -> None:
    """Merge a commit and bring its run into a stage."""
    shop.merge(service, letter)
    for before in ("build", "acceptance", "pre-production", "production"):
        if before == stage:
            return
        passed(shop, before)


# -- builds ----------------------------------------------------------------------------------------------------


def test_polling_alone_carries_a_run_from_its_merge_to_production(shop: Workshop) -> None:
    """Invariant 8: polling finds what no callback or webhook reported."""
    arrived(shop, "production")
    passed(shop, "production")
    assert shop.live() == []
    assert shop.facts("run-delivered") == [f"S1 {sha('S1a')[:7]} is in production"]


def test_a_start_that_nobody_told_is_found(shop: Workshop) -> None:
    shop.merge("S1", "a")
    assert shop.run("S1a").attempt.build is None
    assert shop.poll() == 1
    assert (shop.run("S1a").status, shop.run("S1a").attempt.build) == (Status.RUNNING, 1)


def test_what_was_found_by_asking_is_counted(shop: Workshop) -> None:
    shop.merge("S1", "a")
    shop.control.wait_builds("shop/build", state="running")
    assert Repairs(shop.context.redis, shop.context.keys).all() == {}
    assert (shop.poll(), shop.poll()) == (1, 0)
    assert Repairs(shop.context.redis, shop.context.keys).all() == {"build": 1}


def test_the_end_of_a_build_that_nobody_told_is_found_with_its_tests(shop: Workshop) -> None:
    arrived(shop, "pre-production")
    passed(shop, "pre-production", "FAILURE", tests=["CheckoutTest.pays"])
    assert shop.run("S1a").status is Status.FAILED
    (told,) = shop.facts("stage-locked")
    assert "CheckoutTest.pays" in told


def test_when_nothing_has_changed_nothing_is_said(shop: Workshop) -> None:
    shop.merge("S1", "a")
    shop.poll()
    assert [shop.poll() for _ in range(3)] == [0, 0, 0]


def test_nothing_is_asked_for_every_run(shop: Workshop) -> None:
    """One request per job with live builds, however many there are."""
    for letter in "abcdefgh":
        shop.merge("S1", letter)
    shop.poll()
    shop.control.reset_counters()
    reconcile.builds(shop.runtime, shop.context)
    assert sum(shop.control.requests().values()) <= len({j for p in shop.pipeline.stages for j in (p.job, p.fast_job)})


def test_what_was_said_is_said_once_while_it_waits(shop: Workshop) -> None:
    shop.merge("S1", "a")
    assert [reconcile.builds(shop.runtime, shop.context) for _ in range(3)] == [1, 0, 0]


def test_a_queue_item_that_somebody_cancelled_in_jenkins_is_found_and_tried_again(shop: Workshop) -> None:
    shop.control.quiet_down()
    shop.merge("S1", "a")
    (item,) = shop.control.queue()
    shop.jenkins_post(f"queue/cancelItem?id={item['id']}")
    assert shop.poll() == 1
    assert "cancelled it in Jenkins' queue" in str(shop.board.backoffs)
    shop.control.quiet_down(on=False)
    shop.later()
    shop.poll()
    assert (shop.run("S1a").status, shop.run("S1a").attempt.number) == (Status.RUNNING, 2)


def test_an_item_in_the_queue_is_left_in_peace(shop: Workshop) -> None:
    shop.control.quiet_down()
    shop.merge("S1", "a")
    assert [shop.poll() for _ in range(2)] == [0, 0]


def test_an_item_that_a_crash_lost_is_found_after_a_while(shop: Workshop) -> None:
    shop.control.quiet_down()
    shop.merge("S1", "a")
    shop.control.restart("crash", seconds=0.01, lose_queue=True)
    shop.until_jenkins_answers()
    assert shop.poll() == 0  # it may just be on its way from queue to executor
    shop.limit_jenkins(lost_after=0.0)
    assert shop.poll() == 1
    shop.later()
    assert len(shop.builds()) == 1
    assert shop.run("S1a").attempt.number == 2


def test_a_build_that_vanished_counts_as_aborted(shop: Workshop) -> None:
    arrived(shop, "pre-production")
    shop.poll()
    shop.jenkins_post("job/shop/job/pre-production/1/doDelete")
    assert shop.poll() == 0  # after a restart it may be away for a moment
    assert shop.run("S1a").status is Status.RUNNING
    shop.limit_jenkins(lost_after=0.0)
    shop.poll()
    assert shop.run("S1a").status is Status.FAILED
    assert len(shop.board.locks_of("pre-production")) == 1


def test_a_build_that_a_crash_of_jenkins_lost_is_told_with_the_restart(shop: Workshop) -> None:
    shop.control.create_job("shop/pre-production", parameters=PARAMETERS, kind="freestyle", duration_seconds=3600)
    arrived(shop, "pre-production")
    shop.poll()
    shop.control.restart("crash", seconds=0.01)
    shop.until_jenkins_answers()
    assert shop.poll() == 0
    run = shop.run("S1a")
    missing = shop.context.keys.missing(run.key, run.attempt.number)
    shop.context.redis.set(missing, repr(time.time() - 60))  # the same process knows that Jenkins has restarted
    shop.poll()
    (lock,) = shop.board.locks_of("pre-production")
    assert "was lost in pre-production: Jenkins restarted at" in text_of(lock.reason)
    assert text_of(lock.reason) in shop.control.description("shop/pre-production")


def test_a_job_that_may_not_be_seen_for_a_while_is_not_taken_for_lost_builds(shop: Workshop) -> None:
    arrived(shop, "pre-production")
    shop.poll()
    shop.control.fault("status", route="GET ", status=404)
    assert [shop.poll() for _ in range(2)] == [0, 0]
    shop.control.clear_faults()
    assert shop.run("S1a").status is Status.RUNNING


def test_a_jenkins_that_is_away_is_asked_again_later(shop: Workshop) -> None:
    arrived(shop, "pre-production")
    shop.jenkins.stop()
    assert shop.poll() == 0
    shop.jenkins.start()
    passed(shop, "pre-production")
    assert shop.run("S1a").step.stage == "production"


def test_a_build_beyond_the_newest_ones_is_asked_for_by_its_number(shop: Workshop) -> None:
    shop.limit_jenkins(builds=2)
    arrived(shop, "acceptance")
    shop.poll()
    for number in range(5):
        shop.start_by_hand("acceptance", str(number))
    shop.release("acceptance", "FAILURE")
    shop.poll()
    assert shop.live() == []


# -- strangers -------------------------------------------------------------------------------------------------


def test_a_build_started_by_hand_takes_a_slot_until_it_has_ended(shop: Workshop) -> None:
    arrived(shop, "acceptance")
    shop.start_by_hand("acceptance")
    shop.poll()
    assert [f.number for f in shop.board.unmanaged.values()] == [2]
    shop.release("acceptance", number=2)
    shop.poll()
    assert shop.board.unmanaged == {}


def test_a_build_started_by_hand_in_an_empty_stage_keeps_the_next_run_out(shop: Workshop) -> None:
    shop.start_by_hand("pre-production")
    shop.poll()
    arrived(shop, "pre-production")
    assert shop.run("S1a").status is Status.WAITING
    assert len(shop.builds("pre-production")) == 1
    passed(shop, "pre-production")
    assert shop.run("S1a").holds_slot


def test_a_build_that_shows_no_parameters_yet_is_known_by_its_queue_item(workshop: Open) -> None:
    shop = workshop(jenkins={"late_actions": 60.0})
    shop.start()
    shop.merge("S1", "a")
    assert shop.poll() == 1
    assert shop.board.unmanaged == {}
    assert shop.run("S1a").attempt.build == 1
    assert shop.poll() == 0


def test_a_stranger_that_shows_no_parameters_yet_is_waited_for(workshop: Open) -> None:
    shop = workshop(jenkins={"late_actions": 60.0})
    shop.start()
    shop.start_by_hand("acceptance")
    assert shop.poll() == 0
    assert shop.board.unmanaged == {}


# -- the banner ------------------------------------------------------------------------------------------------


def test_a_banner_that_somebody_overwrote_is_put_back_within_one_look(shop: Workshop) -> None:
    arrived(shop, "pre-production")
    passed(shop, "pre-production", "FAILURE")
    shop.control.change_job("shop/pre-production", {"description": "as declared"})
    assert shop.poll() == 1
    shown = str(shop.control.description("shop/pre-production"))
    assert "failed in pre-production" in shown
    assert shown.endswith("as declared")
    assert shop.facts("banner-put-back") == [
        "the banner of shop/pre-production was overwritten: Interlock puts it back"
    ]
    assert shop.poll() == 0
    shop.tell(UnlockAsked("pre-production", "kim", "it is fine"))
    assert shop.control.description("shop/pre-production") == "as declared"


def test_a_banner_that_was_left_over_is_taken_away(shop: Workshop) -> None:
    arrived(shop, "pre-production")
    passed(shop, "pre-production", "FAILURE")
    shown = shop.control.description("shop/pre-production")
    shop.tell(UnlockAsked("pre-production", "kim", "it is fine"))
    shop.control.change_job("shop/pre-production", {"description": shown})
    assert shop.poll() == 1
    assert shop.control.description("shop/pre-production") == OWNERS_TEXT
    assert shop.poll() == 0


def test_a_banner_that_may_not_be_put_up_is_not_tried_for_ever(workshop: Open) -> None:
    user = {"tokens": ["token"], "permissions": ["Overall/Read", "Item/Read", "Item/Build", "Item/Cancel"]}
    shop = workshop(jenkins={"users": {"interlock": user}})
    shop.start()
    shop.tell(LockAsked("pre-production", "kim", "maintenance"))
    assert [shop.poll() for _ in range(3)] == [0, 0, 0]
    assert len(shop.dead()) == 1


def test_while_observing_banners_are_left_alone(shop: Workshop) -> None:
    shop.tell(LockAsked("pre-production", "kim", "maintenance"), ModeAsked(Mode.OBSERVE, "kim", "look"))
    shop.control.change_job("shop/pre-production", {"description": "as declared"})
    assert shop.poll() == 0


# -- jobs that have lost their parameters ----------------------------------------------------------------------


def test_a_build_whose_job_lost_its_parameters_is_known_by_its_queue_item(shop: Workshop) -> None:
    shop.control.quiet_down()
    shop.merge("S1", "a")
    (item,) = shop.control.queue()
    shop.control.change_job("shop/build", {"parameters": []})
    shop.control.quiet_down(on=False)
    shop.control.wait_builds("shop/build", seconds=5)
    shop.poll()
    assert shop.run("S1a").attempt.queue_item == item["id"]
    assert (shop.run("S1a").status, shop.run("S1a").attempt.build) == (Status.RUNNING, 1)


def test_a_stranger_that_was_seen_and_seen_to_end_is_seen_again(shop: Workshop) -> None:
    """The same difference may occur twice in the life of a run: the first report does not hide the second."""
    arrived(shop, "acceptance")
    shop.start_by_hand("acceptance")
    shop.poll()
    without = replace(shop.pipeline, stages=tuple(s for s in shop.pipeline.stages if s.name != "acceptance"))
    shop.tell(Configured(without))
    shop.tell(Configured(shop.pipeline))
    assert shop.board.unmanaged == {}
    shop.poll()
    assert [f.number for f in shop.board.unmanaged.values()] == [2]


def test_a_second_build_of_an_attempt_is_stopped_and_the_run_goes_on(shop: Workshop) -> None:
    arrived(shop, "pre-production")
    shop.poll()
    first = shop.builds("pre-production")[0]
    shop.control.change_job("shop/pre-production", {"concurrent": True})
    shop.start_by_hand("pre-production", **first["params"])
    shop.poll()
    second = shop.control.wait_builds("shop/pre-production", state="done", seconds=5)[0]
    assert (second["number"], second["result"]) == (2, "ABORTED")
    shop.poll()
    assert [shop.poll() for _ in range(3)] == [0, 0, 0]
    passed(shop, "pre-production", number=1)
    assert shop.run("S1a").step.stage == "production"
    assert shop.board.unmanaged == {}
    assert shop.board.locks == {}


def test_a_build_of_an_older_installation_is_not_taken_for_the_one_that_waits(shop: Workshop) -> None:
    """Redis was lost, and runs are numbered from one again. Nobody passes a stage on an old build."""
    names = ("RUN", "ATTEMPT", "SHA", "VERSION")
    old = {f"INTERLOCK_{n}": v for n, v in zip(names, ("S1.1", "1", "e" * 40, "S1-19990101000000"), strict=True)}
    shop.start_by_hand("build", **old)
    shop.release("build")
    shop.control.quiet_down()
    shop.merge("S1", "a")
    shop.poll()
    assert shop.run("S1a").step.stage == "build"
    assert shop.run("S1a").attempt.build is None


def test_a_stranger_beyond_the_newest_builds_keeps_its_slot_for_as_long_as_it_runs(shop: Workshop) -> None:
    shop.limit_jenkins(builds=2)
    shop.start_by_hand("acceptance")
    shop.poll()
    for number in range(4):
        shop.start_by_hand("acceptance", str(number))
        shop.release("acceptance", number=number + 2)
    shop.poll()
    assert [f.number for f in shop.board.unmanaged.values()] == [1]
    shop.release("acceptance", number=1)
    shop.poll()
    assert shop.board.unmanaged == {}
