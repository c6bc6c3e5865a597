"""Reports of Jenkins about builds: late, repeated, or about unwanted builds; and the stage versions after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.effects import Comment, SetStatus, Withdraw
from bot.core.model.events import BuildLost, BuildSeen, TriggerRefused, TriggerUnanswered, Withdrawn
from bot.core.model.facts import FactKind
from bot.core.model.messages import ContainedInForgotten, RunFailed
from bot.core.model.pipeline import Outcome, Step
from bot.core.model.run import Attempt, Status
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE, ACC = "pre-production", "acceptance"


def test_a_stage_repeats_a_failed_build_as_often_as_it_is_set_to() -> None:
    town = Town(shop(retries=2))
    town.merge_up_to("S1", "a", PRE)
    for _ in range(2):
        town.fail_build("S1a")
        assert town.locks() == []
    town.fail_build("S1a")
    assert town.locks() == ["S1a"]


def test_a_build_of_the_fast_lane_is_not_repeated_where_its_job_is_gone() -> None:
    town = Town(shop(retries=1))
    town.break_stage("S1", "a")
    town.fail_build("S1a")
    town.merge("S1", "e")
    town.pass_build("S1e", "S1e")
    town.start_build("S1e")
    assert town.at("S1e") == f"fast {PRE}"
    town.configure(shop(retries=1, fast=False))
    town.fail_build("S1e")
    assert town.told(FactKind.BUILD_REPEATED) == ["S1a"]
    assert town.status("S1e") is Status.FAILED


def test_that_jenkins_refused_builds_of_a_stage_is_forgotten_with_the_stage() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.refuse_trigger("S1a")
    town.configure(shop(without=(ACC,)))
    assert not town.board.backoffs
    assert town.queue(PRE) == [] and town.runs_in(PRE) == ["S1a"]


def test_where_a_newer_commit_is_in_the_stage_that_was_forgotten_the_run_ends_and_the_next_enters() -> None:
    """F11, after state was lost: the head of main carries it on."""
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S2", "b", PRE)
    run = town.run("S1a")
    town.send(TriggerRefused(run.key, run.attempt.number, "build #7 of a newer commit", newer="f5d0a6e"))
    assert town.left("S1a") == ("superseded", None)
    (ended,) = [fact for fact in town.facts if fact.kind is FactKind.RUN_SUPERSEDED]
    assert ended.why == ContainedInForgotten("f5d0a6e", Step(PRE))
    assert not town.board.backoffs
    assert town.runs_in(PRE) == ["S2b"]


def test_a_run_that_holds_the_lock_is_not_ended_for_a_commit_that_was_forgotten() -> None:
    """Nobody else would open the lock: the refusal is one like any other, and people see it."""
    town = Town()
    town.break_stage("S1", "a")
    town.retry("S1a")
    run = town.run("S1a")
    town.send(TriggerRefused(run.key, run.attempt.number, "build #7 of a newer commit", newer="f5d0a6e"))
    assert town.locks() == ["S1a"]
    assert (town.status("S1a"), town.queue(PRE)) == (Status.WAITING, ["S1a"]), "it is tried again later"


@pytest.mark.parametrize("late", [TriggerRefused, TriggerUnanswered, Withdrawn, BuildLost])
def test_what_is_told_late_of_an_attempt_whose_run_is_gone_moves_nothing(late: type[Any]) -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    run = town.run("S1a")
    town.cancel("S1a")
    town.confirm_withdrawal("S1a")
    assert town.live() == []
    town.quiet()
    town.send(late(run.key, run.attempt.number, "late news"))
    assert (town.facts, town.effects) == ([], [])


@pytest.mark.parametrize("late", [TriggerRefused, TriggerUnanswered, Withdrawn])
def test_nor_does_what_is_told_late_of_one_whose_build_runs(late: type[Any]) -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.start_build("S1a")
    run = town.run("S1a")
    town.quiet()
    town.send(late(run.key, run.attempt.number, "late news"))
    assert (town.facts, town.effects) == ([], [])
    assert town.run("S1a") == run


def test_a_new_configuration_leaves_the_builds_that_are_known_in_jobs_that_stay() -> None:
    town = Town()
    town.see_unmanaged(ACC)
    town.pass_build(town.merge("S1", "a"))
    before = dict(town.board.past)
    town.configure(shop(acceptance=2))
    assert len(town.board.unmanaged) == 1
    assert town.board.past == before != {}


def test_each_refusal_doubles_the_time_until_the_next_build_is_asked_for() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    first, most = town.board.pipeline.retry_first, town.board.pipeline.retry_most
    pauses = []
    for refusals in range(1, 10):
        town.refuse_trigger("S1a")
        backoff = town.board.backoffs[ACC]
        assert backoff.refusals == refusals
        pauses.append(backoff.retry_at - town.now)
        town.tick(pauses[-1])
    assert pauses[:3] == [first, 2 * first, 4 * first]
    assert pauses == sorted(pauses) and pauses[-1] == most


def test_builds_that_jenkins_refuses_at_once_count_as_one_refusal() -> None:
    town = Town()
    for service in "S1", "S2":
        town.merge_up_to(service, "a", ACC)
    town.refuse_trigger("S1a")
    town.refuse_trigger("S2a")
    assert town.board.backoffs[ACC].refusals == 1


@pytest.mark.parametrize("take_back", [lambda town: town.lock(ACC), lambda town: town.cancel("S1a")])
def test_a_refusal_of_what_was_called_back_or_cancelled_holds_nobody_off(take_back: Callable[[Town], None]) -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    take_back(town)
    town.refuse_trigger("S1a")
    assert not town.board.backoffs


def test_the_pull_request_is_told_that_its_run_waits_again_after_it_was_called_back() -> None:
    town = Town()
    town.pull("S1", "a", 7)
    town.pass_build("S1a")
    town.lock(ACC)
    assert town.status("S1a") is Status.RECALLED
    town.quiet()
    town.confirm_withdrawal("S1a")
    assert "waits for acceptance" in [each.text for each in town.comments if each.pull == 7][-1]


def test_of_a_retry_that_is_lost_it_is_not_said_which_tests_failed_before() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    failed = town.jenkins.end(town.attempt("S1a"), Outcome.FAILURE, ("Cart.pays",))
    town.send(replace(failed, failed_step="Test"))
    assert (town.run("S1a").attempt.failed_tests, town.run("S1a").attempt.failed_step) == (("Cart.pays",), "Test")
    town.retry("S1a")
    town.start_build("S1a")
    town.lose_build("S1a")
    assert (town.run("S1a").attempt.failed_tests, town.run("S1a").attempt.failed_step) == ((), "")


def test_a_build_that_names_a_run_and_no_attempt_is_not_the_build_of_its_first() -> None:
    town = Town()
    town.merge("S1", "a")
    town.send(BuildSeen("build", "build", 99, None, "S1.1", None))
    assert town.status("S1a") is Status.STARTING
    assert town.run("S1a").attempt.build is None


def test_a_repeat_that_was_used_in_one_stage_is_not_missing_in_the_next() -> None:
    town = Town(shop(retries=1, acceptance_locks=True))
    town.merge_up_to("S1", "a", ACC)
    town.fail_build("S1a")
    town.pass_build("S1a")
    town.fail_build("S1a")
    assert town.locks() == []
    assert town.runs_in(PRE) == ["S1a"]


def test_a_retry_that_has_passed_is_no_retry_in_the_next_stage() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.retry("S1a")
    assert town.run("S1a").retrying
    town.pass_build("S1a")
    assert town.at("S1a") == "production"
    assert not town.run("S1a").retrying


@pytest.mark.parametrize("stage", [ACC, PRE, "production"])
def test_a_build_that_starts_after_its_run_was_cancelled_is_aborted_in_every_stage(stage: str) -> None:
    town = Town()
    town.merge_up_to("S1", "a", stage)
    town.cancel("S1a")
    town.quiet()
    town.start_build("S1a")
    assert [(effect.abort, effect.build) for effect in town.did(Withdraw)] == [(True, town.run("S1a").attempt.build)]


@pytest.mark.parametrize(("stage", "aborted"), [(ACC, True), (PRE, False)])
def test_one_whose_run_leaves_for_another_reason_only_where_it_does_not_roll_out(stage: str, *, aborted: bool) -> None:
    town = Town()
    town.merge_up_to("S1", "a", stage)
    town.configure(shop(services=("S2", "S3")))
    town.quiet()
    town.start_build("S1a")
    assert [effect.abort for effect in town.did(Withdraw)] == [aborted]


def test_the_commit_is_told_of_the_build_that_has_started() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.quiet()
    town.start_build("S1a")
    assert [(status.context, status.state) for status in town.did(SetStatus, of="S1a")] == [(ACC, "pending")]


# -- what becomes of the run when its build has ended ----------------------------------------------------------


def test_a_removed_run_whose_build_passes_all_the_same_ends_as_what_removed_it_says() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S1", "b", ACC)
    town.start_build("S1b")
    town.fail_build("S1a")
    town.merge("S1", "e")
    town.pass_fix("S1e")
    assert town.status("S1b") is Status.ENDING
    town.pass_build("S1b")
    assert town.left("S1b") == ("superseded", "S1e")


def test_a_run_that_was_cancelled_and_has_passed_its_stage_all_the_same_goes_no_further() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.cancel("S1a")
    town.pass_build("S1a")
    (_, ending) = town.ended["S1.1"]
    assert text_of(ending.why) == "cancelled by ann, after it had passed pre-production"
    assert town.left("S1a") == ("cancelled", None)


def test_a_repeat_is_in_the_story_of_the_run() -> None:
    town = Town(shop(retries=1))
    town.merge_up_to("S1", "a", PRE)
    town.fail_build("S1a")
    assert text_of(town.run("S1a").story[-1].what) == "S1 S1a failed in pre-production; retried automatically (1)"


def test_a_main_lane_run_that_fails_where_no_stage_locks_ends_though_its_service_has_a_lock() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S1", "b", ACC)
    town.fail_build("S1a")
    assert town.on_fast_lane() == []
    town.fail_build("S1b")
    assert town.left("S1b") == ("failed", None)


def test_a_run_that_an_operator_sent_on_the_fast_lane_ends_where_it_fails_if_its_service_has_no_lock() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S2", "b")
    town.fast_lane("S2", PRE)
    town.pass_build("S2b")
    town.fail_build("S2b")
    assert town.told(FactKind.FIX_FAILED) == ["S2b"]
    assert town.left("S2b") == ("failed", None)


def test_of_a_build_that_ran_too_long_nothing_is_left_on_its_failed_run() -> None:
    town = Town(shop(timeout=60.0))
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.tick(99)
    assert town.run("S1a").attempt.timed_out and town.run("S1a").attempt.abort is not None
    town.abort_build("S1a")
    run = town.run("S1a")
    assert (run.status, run.attempt.failure) == (Status.FAILED, Outcome.TIMEOUT)
    attempt, build = run.attempt, town.jenkins.last_number
    assert attempt == Attempt(attempt.number, build=build, failure=Outcome.TIMEOUT)
    assert not run.retrying


def test_a_run_that_is_back_in_its_queue_has_waited_since_it_joined_it() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    joined = town.now
    assert town.run("S1a").queued == joined
    town.tick(50)
    town.refuse_trigger("S1a")
    assert (town.run("S1a").queued, town.run("S1a").since) == (joined, joined)
    town.tick(6)
    town.pass_build("S1a")
    assert town.run("S1a").queued == town.now


def test_a_retry_that_was_refused_is_let_in_by_its_own_lock_still() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.retry("S1a")
    town.refuse_trigger("S1a")
    town.tick(6)
    assert town.runs_in(PRE) == ["S1a"]


def test_the_end_of_a_run_is_told_at_once() -> None:
    town = Town()
    town.lock(ACC)
    town.pull("S1", "a", 7)
    town.pass_build("S1a")
    town.quiet()
    town.cancel("S1a")
    assert [comment.debounce for comment in town.did(Comment, pull=7)] == [0.0]


def both_started() -> Town:
    """S1a and S2a have been let into acceptance, S2a last."""
    town = Town()
    for service in "S1", "S2":
        town.pull(service, "a", 7)
        town.pass_build(f"{service}a")
    assert town.runs_in(ACC) == ["S2a", "S1a"]
    return town


def test_a_refusal_at_the_moment_when_the_stage_was_to_be_tried_again_counts_as_another_one() -> None:
    town = both_started()
    town.refuse_trigger("S1a")
    town.now = town.board.backoffs[ACC].retry_at - 1
    town.refuse_trigger("S2a")
    assert town.board.backoffs[ACC].refusals == 2


def test_a_run_that_entered_in_the_second_of_a_refusal_tells_its_own_to_its_pull_request() -> None:
    town = both_started()
    town.now -= 1
    town.refuse_trigger("S1a")
    town.quiet()
    town.refuse_trigger("S2a")
    assert [comment.repository for comment in town.did(Comment)] == ["shop/S2"]


def test_a_retry_that_fails_again_is_a_failure_like_the_first() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.retry("S1a")
    assert town.run("S1a").retrying
    town.fail_build("S1a")
    assert (town.status("S1a"), town.run("S1a").retrying) == (Status.FAILED, False)


def test_a_build_that_we_called_back_is_told_once_and_is_no_trouble_of_the_stage() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.lock(PRE)
    town.confirm_withdrawal("S1a", "it was cancelled in the queue")
    assert town.told(FactKind.RUN_RECALLED) == ["S1a"]
    assert (town.board.backoffs, town.queue(PRE)) == ({}, ["S1a"])


def test_the_story_of_a_run_that_ends_with_its_build_tells_of_that_build() -> None:
    town = Town()
    town.merge("S1", "a")
    town.start_build("S1a")
    decision = town.send(town.jenkins.end(town.attempt("S1a"), Outcome.FAILURE))
    (ended,) = decision.ended
    assert isinstance(ended.run.story[-1].what, RunFailed)
