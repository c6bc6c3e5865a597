"""The stage version decides which run may enter: force-pushes, old answers, retries, two at once, an earlier fix.

Each case is a story on the four pictures' pipeline. `S1a` is commit a of service S1.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.events import BuildSeen, HeadSeen
from bot.core.model.facts import FactKind, Why
from bot.core.model.pipeline import FastLaneStart, Outcome
from bot.core.model.run import Status
from bot.core.rules.queue import run_blocked_by
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE = "pre-production"


def delivers(town: Town, sha: str) -> None:
    """A run passes everything that is left."""
    while sha in town.live():
        town.pass_build(sha)


def delivered(town: Town) -> list[str]:
    """The commits that were delivered, in order."""
    return [sha for sha, ending in town.ended.values() if str(ending.end) == "delivered"]


def drops_from_main(town: Town, service: str, letter: str) -> str:
    """Main is moved by force, back to a commit that is known."""
    return town.force_push(service, letter, onto=None)


# -- 1. main goes back to a commit that has passed once --------------------------------------------------------


def test_a_head_that_comes_back_by_force_is_the_fix_of_what_was_dropped_and_opens_its_lock() -> None:
    town = Town()
    town.merge("S1", "a")
    delivers(town, "S1a")
    town.break_stage("S1", "b")
    town.merge_up_to("S2", "a", PRE)
    drops_from_main(town, "S1", "a")
    assert town.says("S2a").endswith("the fix S1 S1a is in build")
    town.pass_fix("S1a")
    assert town.locks() == []
    assert town.runs_in(PRE) == ["S2a"]
    assert town.at("S1a") == "production"


def test_a_commit_that_comes_back_without_a_lock_is_delivered_again() -> None:
    town = Town()
    for letter in "ab":
        town.merge("S1", letter)
        delivers(town, f"S1{letter}")
    drops_from_main(town, "S1", "a")
    delivers(town, "S1a")
    assert delivered(town) == ["S1a", "S1b", "S1a"]


def test_a_commit_that_comes_back_is_not_taken_out_by_the_fix_that_was_dropped() -> None:
    town = Town()
    town.merge("S1", "a")
    delivers(town, "S1a")
    town.break_stage("S1", "b")
    town.merge("S1", "e")
    town.pass_fix("S1e")
    delivers(town, "S1e")
    drops_from_main(town, "S1", "a")
    delivers(town, "S1a")
    assert delivered(town)[-1] == "S1a"


def test_a_commit_that_is_on_main_again_keeps_older_ones_out() -> None:
    """a, then b delivered, back to a, on to b again: the run of a, still in acceptance, is older than b."""
    town = Town()
    for letter in "ab":
        town.merge("S1", letter)
        delivers(town, f"S1{letter}")
    drops_from_main(town, "S1", "a")
    town.pass_build("S1a")
    drops_from_main(town, "S1", "b")
    town.pass_build("S1a")
    assert "S1a" not in town.live()
    delivers(town, "S1b")
    assert delivered(town)[-1] == "S1b"


def test_an_older_commit_does_not_enter_after_what_was_dropped_but_is_carried_by_the_new_head() -> None:
    town = Town(shop(acceptance=None))
    town.merge_up_to("S1", "z", "acceptance")
    for letter in "ab":
        town.merge("S1", letter)
        delivers(town, f"S1{letter}")
    drops_from_main(town, "S1", "a")
    town.pass_build("S1z")
    assert town.left("S1z") == ("superseded", "S1a")
    delivers(town, "S1a")
    assert delivered(town)[-1] == "S1a"


# -- 2. an old answer about main -------------------------------------------------------------------------------


@pytest.fixture
def main_known() -> Town:
    town = Town()
    town.github.commit("S1", "S1-")
    town.look_at_main("S1")
    return town


def test_an_answer_about_main_from_before_a_merge_drops_nothing(main_known: Town) -> None:
    town = main_known
    town.merge("S1", "a")
    asked = town.board.service("S1").moves
    town.merge("S1", "b")
    town.send(HeadSeen("S1", "S1a", asked))
    assert town.live() == ["S1a", "S1b"]
    delivers(town, "S1b")
    assert town.left("S1b") == ("delivered", None)


def test_an_answer_from_before_main_went_and_came_back_is_old_too(main_known: Town) -> None:
    town = main_known
    for letter in "ab":
        town.merge("S1", letter)
    asked = town.board.service("S1").moves
    town.merge("S1", "c")
    drops_from_main(town, "S1", "b")
    town.quiet()
    town.send(HeadSeen("S1", "S1c", asked))
    head = town.board.service("S1").history.head
    assert head is not None
    assert head.sha == "S1b"
    assert town.facts == []


def test_on_a_fresh_board_a_push_that_came_first_makes_the_first_answer_old() -> None:
    town = Town()
    town.github.commit("S1", "S1a")
    town.merge("S1", "b")
    town.send(HeadSeen("S1", "S1a", 0))
    assert town.live() == ["S1b"]
    town.pass_build("S1b")
    assert town.left("S1b") is None


def test_what_was_dropped_and_pushed_again_has_a_run_though_that_push_was_lost(main_known: Town) -> None:
    town = main_known
    for letter in "ab":
        town.merge("S1", letter)
    drops_from_main(town, "S1", "a")
    town.confirm_withdrawal("S1b")
    assert town.left("S1b") == ("dropped", None)
    town.github.commit("S1", "S1b")  # pushed again, and nobody told us
    town.look_at_main("S1")
    delivers(town, "S1b")
    assert delivered(town)[-1] == "S1b"


# -- 3. on-failure, and heads that have failed -----------------------------------------------------------------


def test_a_head_that_has_passed_another_stage_that_locks_starts_on_failure() -> None:
    town = Town(shop(start=FastLaneStart.ON_FAILURE, production_locks=True))
    town.merge_up_to("S1", "a", "production")
    town.start_build("S1a")
    town.merge_up_to("S1", "b", "production")
    town.fail_build("S1a")
    assert town.locks("production") == ["S1a"]
    assert town.on_fast_lane() == ["S1b"]
    assert town.runs_in("production") == ["S1b"]


def test_a_head_that_failed_was_retried_and_passed_has_not_failed() -> None:
    town = Town(shop(start=FastLaneStart.MANUAL, production_locks=True))
    town.break_stage("S1", "a")
    town.retry("S1a")
    town.pass_build("S1a")
    town.cancel("S1a")
    town.confirm_withdrawal("S1a")
    town.fast_lane("S1", "production")
    assert town.on_fast_lane() == ["S1a"]


# -- 5. never backwards, by a retry or an unlock ---------------------------------------------------------------


def with_a_failed_fix() -> Town:
    """S1a has locked pre-production, S1b waits; the fix S1e was rolled out there and failed, too."""
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S1", "b", PRE)
    town.fail_build("S1a")
    town.merge("S1", "e")
    for _ in range(3):
        town.pass_build("S1e")
    town.fail_build("S1e")
    return town


def test_a_retry_does_not_roll_an_older_commit_over_the_fix_that_failed() -> None:
    town = with_a_failed_fix()
    town.retry("S1a")
    assert town.refused() == "the fix S1 S1e is in pre-production or past it: S1 S1a is too old for a retry"
    town.retry("S1e")
    assert town.runs_in(PRE) == ["S1e"]


def test_a_newer_fix_that_failed_by_chance_is_retried_though_an_older_one_has_passed_there() -> None:
    """It contains the older one, which failed further on: nothing goes backwards."""
    town = Town(shop(production_locks=True))
    town.break_stage("S1", "a")
    for fix, passes in ("e", 4), ("f", 3):
        town.merge("S1", fix)
        for _ in range(passes):
            town.pass_build(f"S1{fix}")
        town.fail_build(f"S1{fix}")
    assert (town.run("S1e").step.stage, town.run("S1f").step.stage) == ("production", PRE)
    town.retry("S1f")
    assert town.told(FactKind.RUN_RETRIED) == ["S1f"]
    assert town.runs_in(PRE) == ["S1f"]


def test_an_unlock_does_not_roll_an_older_commit_over_the_fix_that_failed() -> None:
    town = with_a_failed_fix()
    town.unlock(PRE, every=True)
    assert town.left("S1b") == ("superseded", None)
    assert "S1e" in text_of(town.ended[town.key("S1b")][1].why)
    assert town.runs_in(PRE) == []


def test_a_commit_that_is_off_main_is_not_retried() -> None:
    town = Town()
    town.break_stage("S1", "b")
    town.force_push("S1", "c", onto="S1-")
    town.answer_questions()
    town.retry("S1b")
    assert town.refused() == "S1 S1b is not on main any more, so nobody can retry it"


def test_a_stage_does_not_repeat_by_itself_the_build_of_a_commit_that_is_off_main() -> None:
    town = Town(shop(retries=1))
    town.merge_up_to("S1", "b", PRE)
    town.start_build("S1b")
    town.force_push("S1", "c", onto="S1-")
    town.answer_questions()
    town.fail_build("S1b")
    assert town.told(FactKind.BUILD_REPEATED) == []
    assert (town.status("S1b"), town.locks()) == (Status.FAILED, ["S1b"])


# -- 6. production that only reports ---------------------------------------------------------------------------


def test_production_that_only_reports_does_not_go_backwards() -> None:
    town = Town(shop(production=2, pre_production=2))
    town.merge_up_to("S1", "a", "production")
    town.start_build("S1a")
    town.merge_up_to("S1", "b", "production")
    assert town.runs_in("production") == ["S1a"]
    town.pass_build("S1a")
    assert town.runs_in("production") == ["S1b"]


def test_production_does_not_go_backwards_where_no_stage_locks() -> None:
    """The last stage rolls out, whatever the stages before it are: S1a was overtaken in acceptance."""
    town = Town(shop(production=2, acceptance=None, without=(PRE,)))
    town.merge_up_to("S1", "a", "acceptance")
    town.merge_up_to("S1", "b", "production")
    town.start_build("S1b")
    town.pass_build("S1a")
    assert town.left("S1a") == ("superseded", "S1b")
    assert town.runs_in("production") == ["S1b"]


def test_a_service_is_rolled_out_by_one_run_at_a_time_and_others_pass_it() -> None:
    town = Town(shop(pre_production=3))
    for service, letter in ("S1", "a"), ("S1", "b"), ("S2", "a"):
        town.merge_up_to(service, letter, PRE)
    assert town.runs_in(PRE) == ["S2a", "S1a"]
    assert town.says("S1b") == "S1 S1a is in pre-production: one run of S1 at a time"
    reason = run_blocked_by(town.board, town.run("S1b"))
    assert reason is not None
    assert (reason.why, reason.stops_queue) == (Why.ONE_AT_A_TIME, False)
    town.pass_build("S1a")
    assert town.runs_in(PRE) == ["S2a", "S1b"]


def test_what_has_failed_in_production_keeps_older_commits_out_of_it() -> None:
    town = Town(shop(pre_production=2, production=2, acceptance=None))
    town.merge_up_to("S1", "a", "acceptance")
    town.merge_up_to("S1", "b", "production")
    town.fail_build("S1b")
    town.pass_build("S1a")
    assert town.left("S1a") == ("superseded", "S1b")  # S1b has passed pre-production


# -- 7. the fix that was merged before anybody knew -----------------------------------------------------------


def ended_at(town: Town, sha: str, ended: float | None) -> BuildSeen:
    """What Jenkins says of a failed build, with the time at which it ended."""
    asked = town.attempt(sha)
    return replace(town.jenkins.end(asked, Outcome.FAILURE), ended=ended)


def test_a_fix_that_was_merged_after_the_failure_and_before_its_news_is_the_fix() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    failed = town.now + 5
    town.tick(10)
    town.merge("S1", "e")
    town.send(ended_at(town, "S1a", failed))
    assert town.on_fast_lane() == ["S1e"]
    town.pass_fix("S1e")
    assert town.locks() == []


def test_nor_is_one_that_was_merged_in_the_very_instant_of_the_failure() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.merge("S1", "b")
    merged = town.run("S1b").created
    town.send(ended_at(town, "S1a", merged))
    assert town.on_fast_lane() == []


@pytest.mark.parametrize("known", [True, False])
def test_a_head_that_was_merged_before_the_failure_or_nobody_knows_is_not(*, known: bool) -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.merge("S1", "b")
    town.tick(10)
    town.send(ended_at(town, "S1a", town.now if known else None))
    assert town.on_fast_lane() == []


def test_where_only_a_person_starts_the_fast_lane_it_is_left_to_them() -> None:
    town = Town(shop(start=FastLaneStart.MANUAL))
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    failed = town.now + 1
    town.tick(10)
    town.merge("S1", "e")
    town.send(ended_at(town, "S1a", failed))
    assert town.on_fast_lane() == []


# -- 8. who has only been let in has not overtaken anybody ------------------------------------------------------


def test_a_newer_run_that_has_not_started_supersedes_nobody() -> None:
    town = Town(shop(pre_production=2, acceptance=None))
    for letter in "ab":
        town.merge_up_to("S1", letter, "acceptance")
    town.pass_build("S1b")
    town.pass_build("S1a")
    assert town.status("S1b") is Status.STARTING
    assert town.queue(PRE) == ["S1a"]
    town.cancel("S1b")
    town.confirm_withdrawal("S1b")
    assert town.runs_in(PRE) == ["S1a"]


def test_once_it_runs_the_older_one_is_superseded() -> None:
    town = Town(shop(pre_production=2, acceptance=None))
    for letter in "ab":
        town.merge_up_to("S1", letter, "acceptance")
    town.pass_build("S1b")
    town.pass_build("S1a")
    town.start_build("S1b")
    assert town.left("S1a") == ("superseded", "S1b")
