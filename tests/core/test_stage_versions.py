"""Stage versions: how passing, failing and force-pushes change them, and the runs that they keep out."""

from __future__ import annotations

import pytest

from bot.core.model.pipeline import Step, Track
from bot.core.model.stage_state import StageVersion
from bot.core.rules import stage_versions
from tests.core.town import Town
from tests.core.world import shop

PRE = "pre-production"


def there(town: Town, service: str = "S1", stage: str = PRE, track: Track = Track.REAL) -> tuple[str, str, str]:
    """The whole version, the broken one and the fix, by commit; empty for none."""
    found: StageVersion = town.board.version(service, Step(stage, track))
    whole, broken, fix = ("" if each is None else each.position.sha for each in (found.whole, found.broken, found.fix))
    return whole, broken, fix


def test_nothing_is_known_of_a_stage_where_nothing_was_built() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    assert there(town) == ("", "", "")
    assert town.board.version("S1", Step(PRE)).present is None


def test_what_passes_is_whole_and_what_fails_stands_broken_on_top_of_it() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.pass_build("S1a")
    at = town.now
    town.break_stage("S1", "b")
    assert there(town) == ("S1a", "S1b", "")
    whole = town.board.version("S1", Step(PRE)).whole
    assert whole is not None
    assert (whole.run, whole.since) == (town.key("S1a"), at)


def test_a_retry_that_passes_makes_it_whole() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.retry("S1a")
    assert there(town) == ("", "S1a", "")
    town.pass_build("S1a")
    assert there(town) == ("S1a", "", "")


def test_a_fix_that_passed_is_remembered_though_its_successor_has_replaced_or_broken_it() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_fix("S1e")
    assert there(town) == ("S1e", "", "S1e")
    town.merge_up_to("S1", "g", PRE)
    town.pass_build("S1g")
    assert there(town) == ("S1g", "", "S1e")
    town.break_stage("S1", "h")
    assert there(town) == ("S1g", "S1h", "S1e")


def replaced(town: Town, stage: str = PRE) -> str:
    """The version before the whole one; empty for none."""
    found = town.board.version("S1", Step(stage)).replaced
    return "" if found is None else found.position.sha


def test_what_was_there_before_is_another_commit_however_often_the_present_one_passes() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.pass_build("S1a")
    assert replaced(town) == ""
    town.merge_up_to("S1", "b", PRE)
    run = town.run("S1b")
    town.pass_build("S1b")
    assert (there(town)[0], replaced(town)) == ("S1b", "S1a")
    stage_versions.passed(town.board, run, town.now, cleans_up=False)
    assert (there(town)[0], replaced(town)) == ("S1b", "S1a")


def test_an_older_build_that_passes_later_changes_neither() -> None:
    town = Town(shop(acceptance=None))
    for letter in "xab":
        town.merge_up_to("S1", letter, "acceptance")
    town.pass_build("S1x")
    town.pass_build("S1b")
    assert (there(town, stage="acceptance")[0], replaced(town, "acceptance")) == ("S1b", "S1x")
    town.pass_build("S1a")
    assert (there(town, stage="acceptance")[0], replaced(town, "acceptance")) == ("S1b", "S1x")


def test_a_fix_cleans_up_when_the_proof_comes_though_the_stage_was_broken_since() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S1", "b", "acceptance")
    town.fail_build("S1a")
    town.push("S1", "lost")
    town.merge("S1", "f")
    town.pass_build("S1f", "S1f", "S1f")
    town.answer_questions()
    town.pass_build("S1f")
    town.break_stage("S1", "g")
    assert town.left("S1b") is None
    assert there(town) == ("S1f", "S1g", "S1f")
    town.answer_questions()
    assert town.run("S1b").ending is not None
    town.confirm_withdrawal("S1b")
    assert town.left("S1b") == ("superseded", "S1f")


def test_a_build_that_was_taken_out_half_way_leaves_the_stage_broken() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "production")
    town.start_build("S1a")
    town.cancel("S1a")
    town.abort_build("S1a")
    assert there(town, stage="production") == ("", "S1a", "")


def test_where_nothing_is_rolled_out_the_newest_commit_counts_whichever_build_ends_last() -> None:
    town = Town()
    for letter in "ab":
        town.merge_up_to("S1", letter, "acceptance")
    town.fail_build("S1b")
    town.pass_build("S1a")
    assert there(town, stage="acceptance") == ("S1a", "S1b", "")
    assert stage_versions.has_failed(town.board, "S1", "S1b")


def test_a_fast_job_has_a_version_of_its_own_and_the_stage_keeps_its() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_build("S1e", "S1e")
    town.fail_build("S1e")
    assert there(town, track=Track.FAST) == ("", "S1e", "")
    assert there(town) == ("", "S1a", "")


def test_a_failed_head_does_not_count_as_failed_while_it_is_repeated() -> None:
    town = Town()
    town.break_stage("S1", "a")
    assert stage_versions.has_failed(town.board, "S1", "S1a")
    town.retry("S1a")
    assert not stage_versions.has_failed(town.board, "S1", "S1a")


@pytest.mark.parametrize("passes", [True, False])
def test_a_commit_is_through_once_the_last_stage_has_it_whole(passes: bool) -> None:
    town = Town()
    town.merge_up_to("S1", "a", "production")
    assert not stage_versions.is_through(town.board, "S1", "S1a")
    town.pass_build("S1a") if passes else town.fail_build("S1a")
    assert stage_versions.is_through(town.board, "S1", "S1a") is passes


def test_the_same_commit_is_superseded_only_while_the_other_run_carries_it() -> None:
    town = Town(shop(acceptance=None))
    town.merge("S1", "a")
    town.pass_build("S1a", "S1a", "S1a")
    first = town.key("S1a")
    town.merge("S1", "b")
    town.force_push("S1", "a", onto=None)
    second = max(run.key for run in town.board.runs.values() if run.position.sha == "S1a")
    assert second != first
    town.pass_build("S1a", "S1a")  # the latest run of the commit
    assert second not in town.board.runs
    assert town.ended[second][1].by == first


def test_what_is_there_is_what_came_last_whole_or_broken() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.pass_build("S1a")
    version = town.board.version("S1", Step(PRE))
    assert version.present == version.whole
    town.break_stage("S1", "b")
    version = town.board.version("S1", Step(PRE))
    assert version.present == version.broken


@pytest.mark.parametrize("good", [True, False])
def test_an_older_commit_does_not_replace_a_newer_one_where_nothing_is_rolled_out(good: bool) -> None:
    town = Town()
    for letter in "ab":
        town.merge_up_to("S1", letter, "acceptance")
    for letter in "ba":
        town.pass_build(f"S1{letter}") if good else town.fail_build(f"S1{letter}")
    assert there(town, stage="acceptance") == (("S1b", "", "") if good else ("", "S1b", ""))


def test_nobody_is_superseded_by_the_run_of_a_forced_head_that_is_on_its_way_out() -> None:
    """S1x is delivered and dropped from main, S1a still in acceptance; the run of the new head S1y is cancelled."""
    town = Town(shop(acceptance=None))
    town.merge_up_to("S1", "a", "acceptance")
    town.merge("S1", "x")
    while "S1x" in town.live():
        town.pass_build("S1x")
    town.force_push("S1", "y", onto="S1a")
    town.cancel("S1y")
    town.pass_build("S1a")
    while town.answer_questions():
        pass
    assert town.runs_in(PRE) == ["S1a"]
