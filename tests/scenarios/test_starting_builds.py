"""All builds pass the same admission: stages that are locked by a person or a service, full, paused, or backing off."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from bot import core
from bot.core.model.effects import Comment, Trigger, Withdraw
from bot.core.model.events import ModeAsked, PullMoved, Withdrawn
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Job, Mode, Outcome, Pipeline, Verify
from bot.core.model.run import Status
from bot.reporting.explain import why_of_verification
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE, ACC = "pre-production", "acceptance"


@pytest.fixture
def patient() -> Town:
    """Pre-production repeats a failed build once by itself; S1a runs in it."""
    town = Town(shop(retries=1, pre_production=2))
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.quiet()
    return town


# -- the order of a queue ----------------------------------------------------------------------------------------


def test_whoever_has_passed_a_stage_first_stands_first_before_the_next_one() -> None:
    """Not whoever was merged first."""
    town = Town()
    town.lock(PRE)
    for service in "S1", "S2", "S3":
        town.merge_up_to(service, "a", ACC)
    town.pass_build("S2a", "S3a", "S1a")
    assert town.queue(PRE) == ["S1a", "S3a", "S2a"]


def test_a_run_of_the_main_lane_that_enters_in_its_turn_overtakes_nobody() -> None:
    town = Town()
    for service in "S1", "S2", "S3":
        town.merge_up_to(service, "a", PRE)
    assert (town.runs_in(PRE), town.queue(PRE)) == (["S1a"], ["S3a", "S2a"])
    before = town.run("S3a").story
    town.pass_build("S1a")
    assert town.runs_in(PRE) == ["S2a"]
    assert town.run("S3a").story == before


def test_the_pull_request_of_a_merge_that_enters_nowhere_yet_is_told() -> None:
    town = Town()
    town.send(ModeAsked(Mode.PAUSE, "ann", "because"))
    town.pull("S1", "a", 7)
    assert town.did(Trigger) == []
    assert [comment.pull for comment in town.did(Comment, of="S1a")] == [7]


# -- a stage repeats a failed build by itself ------------------------------------------------------------------


def test_the_repeat_enters_in_the_decision_that_saw_the_failure(patient: Town) -> None:
    patient.merge_up_to("S2", "a", PRE)
    patient.merge_up_to("S3", "a", PRE)
    patient.quiet()
    patient.fail_build("S1a")
    assert patient.told(FactKind.BUILD_REPEATED) == ["S1a"]
    assert len(patient.did(Trigger, of="S1a")) == 1
    assert (patient.queue(PRE), patient.runs_in(PRE)) == (["S3a"], ["S2a", "S1a"])
    patient.fail_build("S1a")
    assert patient.locks() == ["S1a"]


def test_a_stage_that_a_person_closed_is_not_entered_by_a_repeat(patient: Town) -> None:
    patient.lock(PRE)
    patient.fail_build("S1a")
    assert not patient.did(Trigger)
    assert patient.says("S1a") == f"{PRE} is locked: maintenance (locked by ann)"
    patient.unlock(PRE)
    assert patient.runs_in(PRE) == ["S1a"]


def test_nor_one_that_another_service_has_locked(patient: Town) -> None:
    patient.merge_up_to("S2", "a", PRE)
    patient.fail_build("S2a")
    patient.fail_build("S2a")
    assert patient.locks() == ["S2a"]
    patient.quiet()
    patient.fail_build("S1a")
    assert not patient.did(Trigger)
    assert patient.queue(PRE) == ["S1a"]
    patient.unlock(PRE)
    assert patient.runs_in(PRE) == ["S1a"], "it stood first in line, and that is its one repeat"
    patient.fail_build("S1a")
    assert patient.locks() == ["S1a"]


def test_nor_one_that_jenkins_refuses_builds_for(patient: Town) -> None:
    patient.merge_up_to("S2", "a", PRE)
    patient.refuse_trigger("S2a")
    patient.quiet()
    patient.fail_build("S1a")
    assert not patient.did(Trigger)
    patient.tick(5)
    assert patient.runs_in(PRE) == ["S2a", "S1a"]


def test_nor_one_that_builds_started_by_hand_have_filled(patient: Town) -> None:
    for number in 900, 901:
        patient.see_unmanaged(PRE, number=number)
    patient.fail_build("S1a")
    assert not patient.did(Trigger)
    patient.see_unmanaged(PRE, Outcome.SUCCESS, number=900)
    assert patient.runs_in(PRE) == ["S1a"]


def test_a_newer_commit_is_not_rolled_out_beside_a_repeat(patient: Town) -> None:
    patient.merge_up_to("S1", "b", PRE)
    patient.fail_build("S1a")
    assert (patient.runs_in(PRE), patient.queue(PRE)) == (["S1a"], ["S1b"])
    patient.pass_build("S1a")
    assert patient.runs_in(PRE) == ["S1b"]


def test_a_repeated_build_is_not_shown_the_end_of_the_one_that_failed() -> None:
    town = Town(shop(retries=1))
    town.merge_up_to("S1", "a", PRE)
    asked = town.attempt("S1a")
    town.send(replace(town.jenkins.start(asked), expected=town.now + 600))
    assert town.run("S1a").attempt.expected is not None
    town.fail_build("S1a")
    assert (town.status("S1a"), town.run("S1a").attempt.expected) == (Status.STARTING, None)


# -- what is noted of a build ends with it ---------------------------------------------------------------------


def with_timeouts(pipeline: Pipeline) -> Pipeline:
    return replace(pipeline, stages=tuple(replace(stage, timeout=100.0) for stage in pipeline.stages))


def test_a_run_that_goes_on_in_the_instant_in_which_it_started_is_timed_out_once_in_its_own_stage() -> None:
    town = Town(with_timeouts(shop()))
    town.merge("S2", "a")
    town.start_build("S2a")
    town.merge("S1", "a")
    town.start_build("S1a")
    at = town.now
    for event in "end", "start":
        town.now = at - 1
        asked = town.attempt("S1a")
        town.send(town.jenkins.start(asked) if event == "start" else town.jenkins.end(asked, Outcome.SUCCESS))
    town.pass_build("S2a")  # what ran longest in build has left: S1a did so before
    town.quiet()
    town.tick(100)
    assert town.told(FactKind.BUILD_TIMED_OUT) == ["S1a"]
    assert [effect.build for effect in town.did(Withdraw, of="S1a")] == [town.run("S1a").attempt.build]


def test_a_build_that_starts_shows_that_jenkins_works_again() -> None:
    town = Town()
    town.merge("S1", "a")
    town.refuse_trigger("S1a")
    town.tick(5)
    town.start_build("S1a")  # the answer to its trigger was lost
    assert not town.board.backoffs
    town.merge("S2", "a")
    assert town.runs_in("build") == ["S2a", "S1a"]


# -- cancelled -------------------------------------------------------------------------------------------------


def test_a_run_that_failed_because_it_was_cancelled_can_be_cancelled() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.cancel("S1a")
    town.abort_build("S1a")
    assert town.status("S1a") is Status.FAILED
    assert "S1 S1a was aborted by ann in pre-production; it holds the lock" in town.says("S1a")
    town.cancel("S1a")
    assert town.left("S1a") == ("cancelled", None)
    assert len(town.board.locks_of(PRE)) == 1, "L5: its lock stays"


def test_the_next_build_of_a_run_that_was_cancelled_is_not_called_cancelled() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.cancel("S1a")
    town.abort_build("S1a")
    town.retry("S1a")
    town.abort_build("S1a")  # by hand, in Jenkins
    assert text_of(town.board.locks_of(PRE)[0].reason) == "S1 S1a was aborted in pre-production"


def test_cancelling_the_retry_of_a_holder_leaves_the_first_reason_of_its_lock() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.fail_build("S1a", tests=("Cart.pays",))
    town.retry("S1a")
    town.start_build("S1a")
    town.cancel("S1a")
    town.abort_build("S1a")
    assert text_of(town.board.locks_of(PRE)[0].reason) == "S1 S1a failed in pre-production (Cart.pays)"
    town.retry("S1a")
    town.fail_build("S1a", tests=("Login.works",))
    assert text_of(town.board.locks_of(PRE)[0].reason) == "S1 S1a failed in pre-production (Login.works)"


# -- pause and observe -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.PAUSE, Mode.OBSERVE])
def test_a_trigger_that_was_not_posted_yet_is_taken_back(mode: Mode) -> None:
    town = Town(shop(acceptance=1))
    for service in "S1", "S2", "S3":
        town.merge(service, "a")
    town.accept_trigger("S1a")
    town.start_build("S2a")
    town.quiet()
    town.mode(mode)
    assert [(effect.run, effect.abort) for effect in town.did(Withdraw)] == [(town.key("S3a"), False)]
    assert town.status("S3a") is Status.RECALLED
    town.confirm_withdrawal("S3a")
    assert town.queue("build") == ["S3a"]
    town.mode(Mode.RUN)
    assert town.runs_in("build") == ["S3a", "S2a", "S1a"]


def test_one_that_was_posted_after_all_goes_on() -> None:
    town = Town()
    town.merge("S1", "a")
    town.mode(Mode.PAUSE)
    town.start_build("S1a")
    assert town.status("S1a") is Status.RUNNING


def test_so_it_is_with_the_verification_of_a_pull_request() -> None:
    head = "a" * 40
    town = Town(replace(shop(), verify=Verify(Job("build", "verify"), capacity=1)))
    town.send(PullMoved("S1", 12, head, at=1.0))
    town.mode(Mode.PAUSE)
    (verification,) = town.board.verifications.values()
    assert verification.status is Status.RECALLED
    assert [effect.abort for effect in town.did(Withdraw)] == [False]
    assert town.told(FactKind.RUN_RECALLED) == [head]
    assert "called back before its build" in why_of_verification(town.board, verification, town.now).sentence
    town.quiet()
    town.mode(Mode.OBSERVE)
    town.mode(Mode.PAUSE)
    assert [effect.abort for effect in town.did(Withdraw)] == [False], "it is said again when the pipeline acts again"
    town.quiet()
    town.send(Withdrawn(verification.key, verification.attempt.number))
    town.mode(Mode.RUN)
    assert [effect.attempt for effect in town.did(Trigger)] == [2]


def test_after_observing_nothing_is_started_in_a_stage_that_is_full() -> None:
    town = Town(shop(pre_production=1))
    town.merge_up_to("S1", "a", PRE)
    town.mode(Mode.OBSERVE)
    town.see_unmanaged(PRE)
    town.quiet()
    town.mode(Mode.RUN)
    assert not town.did(Trigger)
    town.confirm_withdrawal("S1a")
    assert town.says("S1a") == f"{PRE} is full (1 of 1): 1 build started by hand"
    town.see_unmanaged(PRE, Outcome.SUCCESS)
    assert town.runs_in(PRE) == ["S1a"]


def test_while_observing_nobody_enters_and_afterwards_all_doors_count() -> None:
    town = Town()
    town.mode(Mode.OBSERVE)
    for service in "S1", "S2", "S3":
        town.merge(service, "a")
    town.lock("build")
    assert town.runs_in("build") == []
    town.mode(Mode.RUN)
    assert town.runs_in("build") == []
    town.unlock("build")
    assert town.runs_in("build") == ["S3a", "S2a", "S1a"]


def entered_acceptance() -> Town:
    """S1a has been let into acceptance; whether Jenkins has its trigger is not known yet."""
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    return town


def test_a_pause_gives_back_at_once_the_slot_of_a_build_whose_stage_is_gone() -> None:
    town = entered_acceptance()
    town.configure(shop(without=(ACC,)))
    assert town.at("S1a") == ACC
    town.mode(Mode.PAUSE)
    assert town.queue(PRE) == ["S1a"]


def test_whoever_was_taken_out_while_observing_from_a_stage_that_is_gone_leaves_when_that_ends() -> None:
    town = entered_acceptance()
    town.mode(Mode.OBSERVE)
    town.cancel("S1a")
    town.configure(shop(without=(ACC,)))
    assert town.status("S1a") is Status.ENDING
    town.mode(Mode.RUN)
    assert town.left("S1a") == ("cancelled", None)


def test_but_not_before_its_build_has_ended_if_one_runs() -> None:
    town = entered_acceptance()
    town.start_build("S1a")
    town.mode(Mode.OBSERVE)
    town.cancel("S1a")
    town.configure(shop(without=(ACC,)))
    town.mode(Mode.RUN)
    assert town.status("S1a") is Status.ENDING
    town.abort_build("S1a")
    assert town.left("S1a") == ("cancelled", None)


def test_what_a_lock_called_back_while_observing_is_not_aborted_if_it_runs_by_now() -> None:
    town = entered_acceptance()
    town.accept_trigger("S1a")
    town.mode(Mode.OBSERVE)
    town.quiet()
    town.lock(ACC)
    assert town.status("S1a") is Status.RECALLED
    assert town.effects == [], "it only observes"
    town.mode(Mode.RUN)
    assert [effect.abort for effect in town.did(Withdraw, of="S1a")] == [False]


@pytest.mark.parametrize(("stage", "aborted"), [(ACC, True), (PRE, False)])
def test_what_a_new_configuration_took_out_while_observing_is_aborted_unless_it_rolls_out(
    stage: str, *, aborted: bool
) -> None:
    town = Town()
    town.merge_up_to("S1", "a", stage)
    town.start_build("S1a")
    town.mode(Mode.OBSERVE)
    town.configure(shop(services=("S2", "S3")))
    assert town.status("S1a") is Status.ENDING
    town.quiet()
    town.mode(Mode.RUN)
    assert [effect.abort for effect in town.did(Withdraw, of="S1a")] == [aborted]


def test_a_build_is_asked_for_in_one_place_only() -> None:
    """Whoever adds a second way to start a build finds this test."""
    found = [
        (path.name, function.name)
        for path in Path(core.__file__).parent.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Trigger"
    ]
    assert found == [("queue.py", "start_build")]
