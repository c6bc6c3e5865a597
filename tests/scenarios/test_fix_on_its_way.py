"""A fix on its way: the older fix it waits for, the fix it replaces, and the runs and locks it removes by passing."""

from __future__ import annotations

from itertools import product

import pytest

from bot.core.model.events import BuildSeen, ContainmentKnown, ModeAsked, RetryAsked
from bot.core.model.facts import FactKind, Why
from bot.core.model.pipeline import FastLaneStart, Lane, Mode, Outcome
from bot.core.model.run import Status
from bot.core.rules import fast_lane, unmanaged_builds
from bot.core.rules.queue import run_blocked_by
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE, PRODUCTION, ACC = "pre-production", "production", "acceptance"

# -- F3: the route ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fast", "rejoins"), list(product([True, False], [None, "build", ACC, PRE])))
def test_no_step_stands_on_a_route_twice(*, fast: bool, rejoins: str | None) -> None:
    steps = fast_lane.route(shop(fast=fast, rejoins=rejoins), Lane.FAST)
    assert len(set(steps)) == len(steps)


# -- F6: behind which older fix a newer one waits --------------------------------------------------------------


def kept_out() -> Town:
    """S1 has locked pre-production and S3 production; S2a is sent past the lock of production alone."""
    town = Town(shop(production_locks=True))
    town.merge_up_to("S3", "a", PRODUCTION)
    town.break_stage("S1", "a")
    town.fail_build("S3a")
    town.merge("S2", "a")
    town.fast_lane("S2", PRODUCTION)
    town.pass_build("S2a", "S2a")
    return town


def test_a_fix_does_not_wait_behind_an_older_one_that_stands_before_a_lock_which_lets_only_itself_in() -> None:
    town = kept_out()
    town.pass_build("S2a")
    assert (town.at("S2a"), town.status("S2a")) == (PRE, Status.WAITING)
    town.merge("S2", "b")
    town.fast_lane("S2", PRE)
    town.pass_build("S2b")
    assert town.runs_in("fast acceptance") == ["S2b"]


def test_it_waits_if_the_lock_lets_neither_in() -> None:
    town = kept_out()
    town.pass_build("S2a")
    town.merge("S2", "b")
    town.fast_lane("S2", PRODUCTION)
    town.pass_build("S2b")
    assert town.queue("fast acceptance") == ["S2b"]
    assert "waits behind the older fix S2 S2a" in town.says("S2b")


def test_it_waits_while_the_older_one_is_in_a_job_of_the_fast_lane_or_before_one() -> None:
    town = kept_out()
    town.merge("S1", "e")
    assert town.runs_in("fast pre-production") == ["S2a"]
    town.merge("S2", "b")
    town.fast_lane("S2", PRE)
    town.pass_build("S2b")
    assert town.queue("fast acceptance") == ["S2b"]


def test_it_waits_behind_an_older_one_that_waits_for_a_job_of_the_fast_lane() -> None:
    town = kept_out()
    town.refuse_trigger("S2a")
    assert (town.at("S2a"), town.status("S2a")) == ("fast pre-production", Status.WAITING)
    town.merge("S2", "b")
    town.fast_lane("S2", PRE)
    town.pass_build("S2b")
    assert town.queue("fast acceptance") == ["S2b"]


def test_an_older_fix_is_replaced_as_soon_as_github_has_said_that_the_newer_one_contains_it() -> None:
    town = Town(shop(pre_production=2))
    for service in "S1", "S2":
        town.merge_up_to(service, "a", PRE)
    for service in "S1", "S2":
        town.fail_build(f"{service}a")
    town.merge("S2", "e")
    town.pass_build("S2e")
    assert town.runs_in("fast acceptance") == ["S2e"]
    town.merge("S1", "e")
    town.pass_build("S1e")
    town.look_at_main("S1", "f")  # nobody told of its push: whether it contains the older one is not known
    town.pass_build("S1f")
    assert town.queue("fast acceptance") == ["S1f", "S1e"]
    town.send(ContainmentKnown("S1", base="S1e", head="S1f", contains=True))
    assert town.queue("fast acceptance") == ["S1f"]
    assert town.left("S1e") == ("superseded", "S1f")


# -- F8, F9: when it has passed --------------------------------------------------------------------------------


def test_an_overtaken_run_that_waits_beyond_the_stage_is_removed_and_one_that_rolls_out_there_is_not() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRODUCTION)
    town.start_build("S1a")
    town.merge_up_to("S1", "b", PRODUCTION)
    assert town.queue(PRODUCTION) == ["S1b"]
    town.break_stage("S1", "c")
    town.merge("S1", "e")
    town.pass_fix("S1e")
    assert town.left("S1b") == ("superseded", "S1e")
    assert town.runs_in(PRODUCTION) == ["S1a"]


def test_a_forced_head_opens_no_lock_of_a_commit_that_has_come_back_to_main_since() -> None:
    town = Town()
    town.merge("S1", "-")
    town.break_stage("S1", "b")
    town.force_push("S1", "y", onto="S1-")
    town.answer_questions()
    while town.at("S1y") != PRE:
        town.pass_build("S1y")
    town.start_build("S1y")
    town.force_push("S1", "w", onto="S1b")
    while town.answer_questions():
        pass
    town.pass_build("S1y")
    assert town.locks() == ["S1b"]


@pytest.mark.parametrize("outcome", [Outcome.UNSTABLE, Outcome.ABORTED])
def test_a_failed_fix_that_the_closing_lane_ends_is_said_to_have_ended_as_it_did(outcome: Outcome) -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_build("S1e")
    town.end_build("S1e", outcome)
    failed = next(
        text_of(fact.why)
        for fact in reversed(town.facts)
        if "S1e" in text_of(fact.why) and "fix" not in text_of(fact.why)
    )
    town.unlock(PRE)
    (_, ending) = town.ended[town.key("S1e")]
    assert text_of(ending.why) == failed


def test_a_fix_that_is_kept_out_is_not_said_to_wait_for_itself() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.lock(PRE)
    town.merge("S1", "e")
    town.unlock(PRE, lock=f"{PRE}/1")
    town.merge("S2", "b")
    town.fast_lane("S2", PRODUCTION)
    for _ in range(3):
        town.pass_build("S2b")
    assert "S2b" not in town.says("S2b").removeprefix("S2 S2b")


def test_who_stands_first_in_line_enters_first_though_one_of_its_service_has_just_entered() -> None:
    town = Town(shop(acceptance=2))
    town.lock(ACC)
    for sha in "S1a", "S1b", "S2a":
        town.merge_up_to(sha[:2], sha[2], ACC)
    town.unlock(ACC)
    assert (town.queue(ACC), town.runs_in(ACC)) == (["S2a"], ["S1b", "S1a"])


def test_a_repeat_of_the_build_that_locked_the_stage_goes_before_a_fix_that_joined_the_queue_earlier() -> None:
    town = Town()
    town.break_stage("S2", "a")
    town.look_at_main("S2", "e")
    for _ in range(3):
        town.pass_build("S2e")
    town.merge("S1", "a")
    town.fast_lane("S1", PRE)
    for _ in range(3):
        town.pass_build("S1a")
    town.fail_build("S1a")
    assert town.queue(PRE) == ["S2e"], "whether it contains what failed there is not known yet"
    town.mode(Mode.PAUSE)
    town.retry("S1a")
    town.answer_questions()
    assert town.run("S2e").queue_number < town.run("S1a").queue_number
    town.mode(Mode.RUN)
    assert (town.queue(PRE), town.runs_in(PRE)) == (["S2e"], ["S1a"])


@pytest.mark.parametrize(("apart", "same"), [(1.0, True), (1.5, False)])
def test_two_words_about_when_a_build_began_are_about_the_same_build_if_they_are_a_second_apart_at_most(
    apart: float, *, same: bool
) -> None:
    board = Town().board
    unmanaged_builds.remember_ended(board, BuildSeen("cdp", ACC, 7, Outcome.SUCCESS, started=100.0))
    assert unmanaged_builds.has_ended(board, BuildSeen("cdp", ACC, 7, None, started=100.0 + apart)) is same


# -- F12: leaving the lane -------------------------------------------------------------------------------------


def test_a_fix_that_has_been_in_a_real_stage_stays_on_the_fast_lane_when_a_person_opens_the_last_lock() -> None:
    town = Town(shop(production_locks=True))
    town.break_stage("S1", "a", PRODUCTION)
    town.merge("S1", "e")
    for _ in range(4):
        town.pass_build("S1e")
    town.refuse_trigger("S1e")
    assert (town.at("S1e"), town.status("S1e")) == (PRODUCTION, Status.WAITING)
    town.unlock(PRODUCTION)
    assert town.on_fast_lane() == ["S1e"]


def test_one_that_has_passed_only_the_jobs_of_the_fast_lane_leaves_it() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.lock(PRE)
    for _ in range(3):
        town.pass_build("S1e")
    assert (town.at("S1e"), town.status("S1e")) == (PRE, Status.WAITING)
    town.unlock(PRE, lock=f"{PRE}/S1.1")
    assert town.on_fast_lane() == []
    assert town.queue(PRE) == ["S1e"]


# -- on its way ------------------------------------------------------------------------------------------------


def test_a_run_that_changes_to_the_fast_lane_says_who_asked_and_so_does_a_second_permit() -> None:
    town = kept_out()
    promoted = [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.RUN_PROMOTED]
    assert promoted == ["S2 S2a changes to the fast lane: ann: urgent"]
    assert "changes to the fast lane: ann: urgent" in [text_of(each.what) for each in town.run("S2a").story]
    town.quiet()
    town.fast_lane("S2", PRE)
    assert [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.RUN_PROMOTED] == [
        "S2 S2a may enter pre-production: ann: urgent"
    ]


def test_a_run_that_waits_for_the_last_stage_is_delivered_when_that_is_removed() -> None:
    town = Town()
    town.lock(PRODUCTION)
    town.merge_up_to("S1", "a", PRODUCTION)
    town.configure(shop(without=(PRODUCTION,)))
    assert town.left("S1a") == ("delivered", None)
    assert town.live() == []


def test_that_a_run_queues_for_its_next_stage_is_a_fact() -> None:
    town = Town()
    town.merge("S1", "a")
    town.quiet()
    town.pass_build("S1a")
    assert [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.RUN_QUEUED] == [
        "S1 S1a queues for acceptance"
    ]


def test_a_fix_whose_build_is_in_the_first_real_stage_stays_on_the_fast_lane_when_a_person_opens_the_last_lock() -> (
    None
):
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    for _ in range(3):
        town.pass_build("S1e")
    town.start_build("S1e")
    assert town.runs_in(PRE) == ["S1e"]
    town.unlock(PRE)
    assert town.on_fast_lane() == ["S1e"]


# -- what GitHub is asked early --------------------------------------------------------------------------------


def test_a_fix_whose_push_was_lost_does_not_wait_for_github_before_the_locked_stage() -> None:
    """Only its pull request was told, and the holder of the lock was cancelled: no live run raises the question."""
    town = Town()
    town.break_stage("S1", "a")
    town.cancel("S1a")
    town.pull("S1", "e")
    town.pass_build("S1e")
    town.answer_questions()
    town.pass_build("S1e", "S1e")
    assert town.runs_in(PRE) == ["S1e"]


def test_nor_where_its_first_job_is_one_of_the_fast_lane() -> None:
    town = Town(shop(without=("build", ACC)))
    town.break_stage("S1", "a")
    town.cancel("S1a")
    town.pull("S1", "e")
    town.answer_questions()
    town.pass_build("S1e")
    assert town.runs_in(PRE) == ["S1e"]


def test_nor_does_one_that_a_person_sends_on_the_fast_lane_while_its_last_build_before_the_lock_runs() -> None:
    town = Town(shop(fast=False, start=FastLaneStart.MANUAL))
    town.break_stage("S1", "a")
    town.cancel("S1a")
    town.pull("S1", "e")
    town.pass_build("S1e")
    town.start_build("S1e")
    town.fast_lane("S1")
    town.answer_questions()
    town.pass_build("S1e")
    assert town.runs_in(PRE) == ["S1e"]


def test_what_a_fix_contains_leaves_a_queue_where_nobody_else_asks_once_github_has_said_so() -> None:
    town = Town(shop(acceptance=1))
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S2", "a", ACC)
    town.merge_up_to("S1", "b", ACC)
    town.fail_build("S1a")
    town.pull("S1", "e")
    town.pass_build("S1e")
    town.answer_questions()
    town.pass_build("S1e", "S1e", "S1e")
    assert (town.queue(ACC), [(ask.base, ask.head) for ask in town.github.questions]) == (["S1b"], [("S1b", "S1e")])
    town.answer_questions()
    assert town.left("S1b") == ("superseded", "S1e")


def test_a_lock_whose_commit_the_stage_does_not_remember_is_asked_about_when_a_fix_has_passed() -> None:
    """As on a board that was written before it was kept what is in a stage."""
    town = Town()
    town.break_stage("S1", "a")
    town.cancel("S1a")
    town.board.drop(next(iter(town.board.versions_of("S1"))))
    for found in list(town.board.versions_of("S1")):
        town.board.drop(found)
    town.look_at_main("S1", "e")
    town.pass_fix("S1e")
    assert town.locks() == ["S1a"]
    town.answer_questions()
    assert town.locks() == []


# -- who is told that a fix has passed -------------------------------------------------------------------------


def waits_while_another_enters(*, fast: bool) -> int:
    """How much longer the story of a waiting run is after another has entered its stage, on the main or fast lane."""
    town = Town(shop(fast=False, acceptance=1))
    if fast:
        town.break_stage("S1", "a")
    town.lock(ACC, let_fixes_in=fast)
    town.merge_up_to("S2", "a", ACC)
    waiting, before = "S2a", len(town.run("S2a").story)
    town.merge("S1", "e")
    town.pass_build("S1e")
    if not fast:
        town.cancel("S2a")
        town.merge_up_to("S2", "b", ACC)
        waiting, before = "S2b", len(town.run("S2b").story)
        town.unlock(ACC)
    assert (town.runs_in(ACC), town.queue(ACC)) == (["S1e"], [waiting])
    return len(town.run(waiting).story) - before


@pytest.mark.parametrize("fast", [False, True])
def test_who_waits_is_not_told_of_another_that_enters_a_stage_which_does_not_lock(*, fast: bool) -> None:
    assert waits_while_another_enters(fast=fast) == 0


# -- F11: behind whom of its own service a run waits -----------------------------------------------------------


def test_a_run_that_waits_for_github_keeps_no_newer_one_of_its_service_out() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.push("S1", "lost")
    town.merge("S1", "c")
    for _ in range(3):
        town.pass_build("S1c")
    town.pass_build("S1a")
    assert (town.at("S1a"), town.status("S1a")) == (PRE, Status.WAITING)
    reason = run_blocked_by(town.board, town.run("S1a"))
    assert reason is not None
    assert (reason.why, reason.stops_queue) == (Why.PROOF, False)
    town.merge("S1", "d")
    town.pass_build("S1d", "S1d")
    assert (town.queue(PRE), town.runs_in(PRE)) == (["S1a"], ["S1d"])


def test_without_a_build_of_its_own_a_newer_fix_replaces_at_once_one_that_waits_for_the_first_fast_job() -> None:
    town = Town(shop(without=("build",), pre_production=2))
    for service in "S1", "S2":
        town.merge_up_to(service, "a", PRE)
    for service in "S1", "S2":
        town.fail_build(f"{service}a")
    for sha in "S2e", "S1e", "S1f":
        town.merge(sha[:2], sha[2])
    assert (town.runs_in("fast acceptance"), town.queue("fast acceptance")) == (["S2e"], ["S1f"])
    assert town.left("S1e") == ("superseded", "S1f")


def test_those_of_other_services_on_the_main_lane_are_told_once_that_a_fix_has_passed_them() -> None:
    town = Town()
    for sha in "S1a", "S2a", "S1b":
        town.merge_up_to(sha[:2], sha[2], PRE)
    town.fail_build("S1a")
    town.merge("S1", "e")
    town.pass_build("S1e", "S1e")
    before = {sha: len(town.run(sha).story) for sha in ("S2a", "S1b")}
    town.pass_build("S1e")
    assert town.runs_in(PRE) == ["S1e"]
    assert {sha: len(town.run(sha).story) - before[sha] for sha in before} == {"S2a": 1, "S1b": 0}


def test_a_second_lock_of_the_service_changes_nothing_for_the_fix_that_is_on_its_way() -> None:
    """With `on-failure` the lock of production would send the head of main; that of pre-production has done so."""
    town = Town(shop(production_locks=True, start=FastLaneStart.ON_FAILURE))
    town.merge_up_to("S1", "z", PRODUCTION)
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    before = len(town.run("S1e").story)
    town.fail_build("S1z")
    assert [len(town.locks(stage)) for stage in (PRE, PRODUCTION)] == [1, 1]
    assert FactKind.RUN_PROMOTED not in {fact.kind for fact in town.facts}
    assert len(town.run("S1e").story) == before


def test_the_repeat_of_the_failed_build_is_named_before_a_newer_fix() -> None:
    """Both are on their way to open the lock: S1a waits to be repeated while the pipeline pauses, S1e is its fix."""
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.send(ModeAsked(Mode.PAUSE, "ann", "why"))
    town.send(RetryAsked(town.key("S1a"), "ann", "flaky"))
    assert [run.sha for run in fast_lane.fixes(town.board, "S1")] == ["S1a", "S1e"]
