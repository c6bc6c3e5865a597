"""Commits off main, commits that a force-push dropped, and the fixes on their way."""

from __future__ import annotations

from bot.core.model.events import ContainmentKnown, Merged
from bot.core.model.history import Position
from bot.core.model.pipeline import Lane
from bot.core.model.stage_state import Version
from bot.core.rules import fast_lane, stage_versions
from tests.core.town import Town
from tests.core.world import shop

PRE = "pre-production"


def position(town: Town, sha: str) -> Position:
    found = town.board.service("S1").history.find(sha)
    assert found is not None
    return found


def off_main(town: Town, sha: str) -> bool | None:
    return stage_versions.off_main(town.board, "S1", position(town, sha))


def forced() -> Town:
    """Main was forced from S1a to S1y, which lacks it."""
    town = Town()
    town.merge("S1", "-")
    town.merge("S1", "a")
    town.force_push("S1", "y", onto="S1-")
    town.answer_questions()
    return town


def test_what_a_forced_head_lacks_is_off_main_while_main_stands_on_it() -> None:
    town = forced()
    assert (off_main(town, "S1a"), off_main(town, "S1y")) == (True, False)
    town.merge("S1", "w")
    assert off_main(town, "S1a") is True, "what is pushed onto a head that lacks it brings nothing back"
    town.pull("S1", "z")
    assert off_main(town, "S1a") is None, "of a head that nobody knows the way to, GitHub has to tell"
    town.look_at_main("S1")
    town.answer_questions()
    assert off_main(town, "S1a") is True


def test_what_was_merged_after_a_force_push_is_on_main_wherever_that_stands_now() -> None:
    town = forced()
    town.merge("S1", "w")
    town.pull("S1", "z")
    assert off_main(town, "S1w") is False


def test_what_came_back_to_main_is_on_it() -> None:
    town = forced()
    town.github.commit("S1", "S1v", onto="S1a")
    town.send(town.merged("S1", "S1lost", "S1v"))
    town.send(ContainmentKnown("S1", base="S1a", head="S1v", contains=True))
    assert off_main(town, "S1a") is False


def drops(town: Town, forced_head: Position, sha: str) -> bool:
    return stage_versions.drops(town.board.service("S1"), forced_head, position(town, sha))


def test_what_came_back_with_a_push_came_back_wherever_main_stands_now() -> None:
    town = forced()
    forced_head = position(town, "S1y")
    town.github.commit("S1", "S1v", onto="S1a")
    town.send(town.merged("S1", "S1lost", "S1v"))
    town.send(ContainmentKnown("S1", base="S1a", head="S1v", contains=True))
    town.pull("S1", "z")
    assert (off_main(town, "S1a"), drops(town, forced_head, "S1a")) == (False, False)


def test_what_stands_before_a_commit_that_main_was_put_back_to_came_back_with_it_wherever_main_stands_now() -> None:
    town = Town()
    for letter in "-ab":
        town.merge("S1", letter)
    town.force_push("S1", "y", onto="S1-")
    town.answer_questions()
    forced_head = position(town, "S1y")
    assert drops(town, forced_head, "S1a")
    town.force_push("S1", "b", onto=None)
    town.github.commit("S1", "S1lost")
    town.force_push("S1", "z", onto="S1lost")
    assert not drops(town, forced_head, "S1a")


def test_a_pull_request_that_is_told_late_brings_nothing_back() -> None:
    """S1v and S1u were on main before it was forced to S1y; of S1v only the pull request is told, and that late."""
    town = Town()
    for letter in "-a":
        town.merge("S1", letter)
    for letter in "vu":
        town.github.commit("S1", f"S1{letter}")
    town.force_push("S1", "y", onto="S1-")
    forced_head = position(town, "S1y")
    town.send(Merged("S1", "S1v", pull=7))
    for _ in range(2):
        town.look_at_main("S1")
        town.answer_questions()
    town.send(ContainmentKnown("S1", base="S1a", head="S1v", contains=True))
    assert (off_main(town, "S1a"), drops(town, forced_head, "S1a")) == (True, True)


def test_a_force_push_from_before_a_commit_has_not_dropped_it() -> None:
    town = forced()
    town.break_stage("S1", "b")
    town.pull("S1", "z")  # whether main has S1b still is not known
    version = Version(position(town, "S1y"), "S1.3", Lane.MAIN, town.now)
    assert [opening.opens for opening in fast_lane.opened_by(town.board, version, PRE, "S1")] == [False]


def test_a_fix_that_has_failed_is_not_on_its_way() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_build("S1e")
    assert [run.sha for run in fast_lane.fixes(town.board, "S1")] == ["S1e"]
    town.fail_build("S1e")
    assert fast_lane.fixes(town.board, "S1") == []


def test_without_jobs_of_the_fast_lane_a_newer_fix_replaces_one_that_waits_before_the_stage_where_it_rejoins() -> None:
    town = Town(shop(fast=False))
    town.break_stage("S1", "a")
    town.lock(PRE)
    for letter in "ef":
        town.merge("S1", letter)
        town.pass_build(f"S1{letter}", f"S1{letter}")
    assert town.queue(PRE) == ["S1f"]
    assert town.left("S1e") == ("superseded", "S1f")
