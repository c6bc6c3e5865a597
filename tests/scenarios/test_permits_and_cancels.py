"""A permit of an operator for a run stays valid; nothing relies on a cancelled run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.events import Merged
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import FastLaneStart, Lane, Policy
from bot.core.model.run import Status
from tests.core.town import Town
from tests.core.world import shop

PRE, PRODUCTION = "pre-production", "production"


def both_locked() -> Town:
    """S1 has locked pre-production and S3 production; S2a is on its way to pre-production."""
    town = Town(shop(production_locks=True))
    town.merge_up_to("S3", "a", PRODUCTION)
    town.break_stage("S1", "a")
    town.fail_build("S3a")
    assert (town.locks(PRE), town.locks(PRODUCTION)) == (["S1a"], ["S3a"])
    town.merge("S2", "a")
    return town


# -- permits ---------------------------------------------------------------------------------------------------


def test_a_second_permit_does_not_erase_the_first() -> None:
    town = both_locked()
    town.fast_lane("S2", PRODUCTION)
    town.fast_lane("S2", PRE)
    for _ in range(4):
        town.pass_build("S2a")
    assert town.runs_in(PRODUCTION) == ["S2a"]


def test_a_permit_keeps_the_place_that_the_run_has_on_the_fast_lane() -> None:
    town = both_locked()
    town.fast_lane("S2", PRODUCTION)
    town.fast_lane("S3")
    town.pass_build("S2a")
    position = town.run("S2a").queue_number
    town.fast_lane("S2", PRE)
    assert town.run("S2a").queue_number == position


def test_a_promotion_by_the_lock_itself_leaves_the_permit() -> None:
    town = Town(shop(production_locks=True, start=FastLaneStart.ON_FAILURE, pre_production=2))
    town.merge_up_to("S3", "a", PRODUCTION)
    town.fail_build("S3a")
    town.merge_up_to("S1", "a", PRE)
    town.merge("S1", "b")
    town.fast_lane("S1", PRODUCTION)
    town.fail_build("S1a")
    assert town.run("S1b").permits == (PRODUCTION,)


def test_a_newer_run_does_not_wait_behind_one_that_is_kept_out_where_it_may_enter() -> None:
    town = both_locked()
    town.fast_lane("S2", PRE)
    for _ in range(4):
        town.pass_build("S2a")
    assert (town.at("S2a"), town.status("S2a")) == (PRODUCTION, Status.WAITING)
    town.merge("S2", "b")
    town.fast_lane("S2", PRODUCTION)
    town.pass_build("S2b")
    assert town.runs_in("fast acceptance") == ["S2b"]


def test_nor_behind_one_that_has_passed_what_was_opened_for_it() -> None:
    town = both_locked()
    town.fast_lane("S2", PRE)
    for _ in range(4):
        town.pass_build("S2a")
    town.merge("S2", "b")
    town.fast_lane("S2", PRE)
    town.pass_build("S2b")
    assert town.runs_in("fast acceptance") == ["S2b"]


# -- what a person took out ------------------------------------------------------------------------------------


def test_a_lock_does_not_send_a_run_on_the_fast_lane_that_a_person_has_cancelled() -> None:
    town = Town(shop(start=FastLaneStart.ON_FAILURE))
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S1", "b", "acceptance")
    town.start_build("S1b")
    town.cancel("S1b")
    town.fail_build("S1a")
    assert town.on_fast_lane() == []
    assert town.live() == ["S1a", "S1b"]


def test_an_operator_who_asks_for_the_head_while_its_run_is_taken_out_gets_another_run() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S1", "b", "acceptance")
    town.start_build("S1b")
    town.cancel("S1b")
    town.fail_build("S1a")
    town.fast_lane("S1")
    assert town.on_fast_lane() == ["S1b"]
    assert town.at("S1b") == "build"


def test_runs_are_not_given_over_to_one_that_a_person_has_cancelled() -> None:
    """Two pull requests land in one push; the run of its head was cancelled: the other goes on by itself."""
    town = Town()
    town.merge("S1", "-")
    for letter in "ab":
        town.github.commit("S1", f"S1{letter}")
    town.send(Merged("S1", "S1b", pull=8))
    town.start_build("S1b")
    town.cancel("S1b")
    town.send(Merged("S1", "S1a", pull=7))
    town.deliver(replace(town.merged("S1", "S1-", "S1b"), commits=("S1a",)))
    assert (town.live(), town.run("S1a").ending) == (["S1-", "S1a", "S1b"], None)


def test_a_head_that_is_through_is_not_sent_on_the_fast_lane_anew() -> None:
    town = Town()
    town.merge("S1", "a")
    while "S1a" in town.live():
        town.pass_build("S1a")
    town.fast_lane("S1", PRE)
    assert town.refused() == "S1a, the head of S1, is through already: merge a fix"
    assert town.live() == []


@pytest.mark.parametrize("passes", [1, 3])
def test_a_fix_that_a_person_has_taken_out_is_not_on_the_fast_lane_any_more(passes: int) -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    for _ in range(passes):
        town.pass_build("S1e")
    town.start_build("S1e")
    taken_out = town.key("S1e")
    town.cancel("S1e")
    town.fast_lane("S1")
    assert [run.key for run in town.board.of_commit("S1", "S1e") if not run.taken_out] == ["S1.3"]
    assert town.at("S1e") == "build"
    assert town.board.runs[taken_out].taken_out


def test_a_second_permit_leaves_a_fix_that_waits_where_it_stands() -> None:
    town = both_locked()
    town.fast_lane("S2", PRODUCTION)
    for _ in range(3):
        town.pass_build("S2a")
    assert (town.at("S2a"), town.status("S2a")) == (PRE, Status.WAITING)
    number = town.run("S2a").queue_number
    town.quiet()
    town.fast_lane("S2", "acceptance")
    assert (town.run("S2a").queue_number, town.told(FactKind.RUN_QUEUED)) == (number, [])


def test_what_is_promoted_while_its_build_runs_goes_on_there() -> None:
    town = Town(shop(start=FastLaneStart.ON_FAILURE))
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S1", "b", "acceptance")
    town.start_build("S1b")
    town.fail_build("S1a")
    assert (town.on_fast_lane(), town.status("S1b"), town.at("S1b")) == (["S1b"], Status.RUNNING, "acceptance")


def test_of_two_runs_of_the_head_the_one_that_goes_on_is_sent_and_not_the_one_that_has_failed() -> None:
    town = Town(shop(start=FastLaneStart.MANUAL))
    town.merge_up_to("S1", "a", "acceptance")
    town.merge("S1", "b")
    town.force_push("S1", "a", onto=None)
    while town.at("S1a") != PRE:
        town.pass_build("S1a")
    town.fail_build("S1a")
    town.fast_lane("S1")
    assert {run.key: run.lane for run in town.board.of_commit("S1", "S1a")} == {"S1.1": Lane.FAST, "S1.3": Lane.MAIN}


def test_that_a_person_cancels_where_it_rolls_out_is_on_record_and_in_the_story_of_the_run() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    before = len(town.run("S1a").story)
    town.cancel("S1a")
    assert town.told(FactKind.RUN_LEAVING) == ["S1a"]
    assert len(town.run("S1a").story) == before + 1


# -- retries and locks -----------------------------------------------------------------------------------------


def test_a_retry_of_a_fix_keeps_its_place_and_nothing_is_left_of_the_failure() -> None:
    town = Town(shop(pre_production=3))
    for service in "S1", "S2", "S3":
        town.merge_up_to(service, "a", PRE)
    for service in "S1", "S2", "S3":
        town.fail_build(f"{service}a")
    for service in "S1", "S2", "S3":
        town.merge(service, "e")
        town.pass_build(f"{service}e")
    town.fail_build("S1e")
    assert (town.runs_in("fast acceptance"), town.queue("fast acceptance")) == (["S2e"], ["S3e"])
    before = len(town.run("S1e").story)
    town.retry("S1e")
    assert town.queue("fast acceptance") == ["S3e", "S1e"]
    assert town.run("S1e").attempt.failure is None
    assert len(town.run("S1e").story) == before + 1


def test_after_a_retry_that_a_person_asked_for_the_stage_repeats_by_itself_as_often_as_before() -> None:
    town = Town(shop(retries=1))
    town.break_stage("S1", "a")
    town.fail_build("S1a")
    assert town.status("S1a") is Status.FAILED
    town.retry("S1a")
    town.fail_build("S1a")
    assert town.told(FactKind.BUILD_REPEATED) == ["S1a", "S1a"]


def test_the_locks_of_people_are_numbered() -> None:
    town = Town()
    for _ in range(3):
        town.lock(PRE)
    assert [lock.key for lock in town.board.locks_of(PRE)] == [f"{PRE}/{number}" for number in (1, 2, 3)]


def test_a_lock_opens_in_the_very_instant_in_which_it_ends() -> None:
    town = Town()
    town.lock(PRE, until=town.now + 60)
    (lock,) = town.board.locks_of(PRE)
    assert lock.until is not None
    town.tick(lock.until - town.now)
    assert town.locks() == []


def test_the_holder_of_a_lock_can_be_retried_once_the_fix_in_its_stage_is_taken_out() -> None:
    """The stage locks no more, so the fix leaves at once; the lock from before stays."""
    town = Town(shop(production_locks=True))
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    for _ in range(3):
        town.pass_build("S1e")
    assert town.runs_in(PRE) == ["S1e"]
    pipeline = town.board.pipeline
    softer = (replace(stage, on_failure=Policy.REPORT) if stage.name == PRE else stage for stage in pipeline.stages)
    town.configure(replace(pipeline, stages=tuple(softer)))
    town.retry("S1a")
    assert town.told(FactKind.RUN_RETRIED) == []
    town.cancel("S1e")
    assert (town.status("S1e"), town.locks()) == (Status.ENDING, ["S1a"])
    town.retry("S1a")
    assert town.told(FactKind.RUN_RETRIED) == ["S1a"]


# -- who did it ------------------------------------------------------------------------------------------------


def test_each_fact_that_a_person_asked_for_names_the_person() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge_up_to("S2", "a", PRE)
    town.quiet()
    town.cancel("S2a")
    town.merge("S3", "a")
    town.fast_lane("S3", PRE)
    named = {fact.kind: fact.by for fact in town.facts}
    assert named[FactKind.RUN_CANCELLED] == "ann"
    assert named[FactKind.RUN_PROMOTED] == "ann"
    assert named[FactKind.MERGE_ACCEPTED] is None
