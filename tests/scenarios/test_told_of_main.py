"""Reports about main that are repeated, late, or about old commits: they start nothing new and lose nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.effects import Comment, Compare, FindPull, Notify
from bot.core.model.events import ContainmentKnown, DefaultBranchChanged, Merged, PullFound
from bot.core.model.facts import FactKind
from bot.core.model.history import Position
from bot.core.model.messages import DroppedFromMain
from bot.core.model.pipeline import Lane
from bot.core.model.run import End, Ending, Status
from tests.core.town import Town
from tests.core.world import shop

PRE, ACC = "pre-production", "acceptance"


def head(town: Town, service: str = "S1") -> str | None:
    found = town.board.service(service).history.head
    return found.sha if found is not None else None


def test_a_push_that_is_delivered_again_after_main_was_forced_back_starts_nothing() -> None:
    town = Town()
    town.merge("S1", "a")
    push = town.push("S1", "b")
    town.deliver(push)
    town.force_push("S1", "a", onto=None)
    town.quiet()
    town.deliver(push)
    assert head(town) == "S1a"
    assert town.told(FactKind.MERGE_KNOWN) == ["S1b"]
    assert not town.told(FactKind.MERGE_ACCEPTED)


def landed_together(town: Town) -> None:
    """S1a and S1b land in one push, of which we are told after the pull request of S1a."""
    town.deliver(replace(town.merged("S1", "S1-", "S1b"), commits=("S1a",)))


def told_early() -> Town:
    """The pull request of S1a is merged: its run has begun. The push, with S1b on top of it, is told later."""
    town = Town()
    town.merge("S1", "-")
    for letter in "ab":
        town.github.commit("S1", f"S1{letter}")
    town.send(Merged("S1", "S1a", pull=7))
    return town


def test_a_run_that_has_only_begun_is_given_over_to_that_of_the_head() -> None:
    town = told_early()
    landed_together(town)
    town.confirm_withdrawal("S1a")
    assert town.left("S1a") == ("superseded", "S1b")
    assert town.run("S1b").merge.pulls == (7,)


def test_one_that_has_passed_a_stage_goes_on() -> None:
    town = told_early()
    town.pass_build("S1a")
    landed_together(town)
    assert town.runs_in(ACC) == ["S1a"]
    assert town.run("S1a").ending is None


def test_one_on_the_fast_lane_goes_on() -> None:
    town = told_early()
    town.fast_lane("S1", PRE)
    assert town.run("S1a").lane is Lane.FAST
    landed_together(town)
    assert town.run("S1a").ending is None


def far_behind(town: Town, sha: str) -> None:
    """Main moves on until nobody remembers where the commit stood; the last commit is found by polling."""
    for number in range(60):
        town.merge("S1", f"m{number}")
        town.cancel(f"S1m{number}")
        town.confirm_withdrawal(f"S1m{number}")
    assert town.board.service("S1").history.find(sha) is None
    for version in list(town.board.versions_of("S1")):  # as on a board from before it was kept what is in a stage
        town.board.drop(version)
    town.look_at_main("S1", "e")


def contains(town: Town, position: Position) -> bool | None:
    """Return whether the head of main is known to contain a commit."""
    history = town.board.service("S1").history
    assert history.head is not None
    return history.contains(history.head, position)


@pytest.mark.parametrize("answer", [True, False])
def test_of_a_lock_whose_commit_stands_far_behind_github_can_tell(*, answer: bool) -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.cancel("S1a")
    far_behind(town, "S1a")
    (lock,) = town.board.locks_of(PRE)
    assert lock.position is not None
    assert contains(town, lock.position) is None
    town.send(ContainmentKnown("S1", base="S1a", head="S1e", contains=answer))
    assert contains(town, lock.position) is answer


def test_a_push_of_what_a_pull_request_told_before_counts_as_told_though_nobody_knows_what_came_before_it() -> None:
    town = Town()
    town.pull("S1", "a")
    town.deliver(town.merged("S1", None, "S1a"))
    assert town.board.service("S1").push_count == 1
    assert town.live() == ["S1a"]


def test_a_pull_request_that_was_looked_up_is_carried_by_the_run_that_was_missing_one_and_by_no_other() -> None:
    town = Town()
    town.merge("S1", "a")
    town.send(PullFound("S1", "S1a", 7))
    town.send(PullFound("S1", "S1a", 8))
    assert town.run("S1a").merge.pulls == (7,)


def test_a_merge_of_a_service_that_is_not_configured_is_refused() -> None:
    town = Town()
    town.send(Merged("S9", "S9a", pull=1))
    assert town.refused() == "S9 is not configured in this pipeline"
    assert town.live() == []


def test_of_a_run_whose_commit_stands_far_behind_github_can_tell() -> None:
    town = Town()
    town.lock(ACC)
    town.merge_up_to("S1", "a", ACC)
    far_behind(town, "S1a")
    assert contains(town, town.run("S1a").position) is None
    town.send(ContainmentKnown("S1", base="S1a", head="S1e", contains=True))
    assert contains(town, town.run("S1a").position) is True


def test_what_landed_with_a_head_is_remembered_though_the_head_itself_was_known() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "ab":
        town.github.commit("S1", f"S1{letter}")
    town.send(Merged("S1", "S1b", pull=8))
    town.deliver(replace(town.merged("S1", None, "S1b"), commits=("S1a",)))
    assert town.board.service("S1").pushed_count == 1
    town.send(Merged("S1", "S1a", pull=7))
    assert town.run("S1b").merge.pulls == (8, 7)
    assert "S1a" not in town.live()


def test_of_several_pull_requests_the_run_is_called_by_that_of_its_head_and_else_by_the_first_that_has_one() -> None:
    for head_pull, named in (8, 8), (None, 7):
        town = told_early()
        if head_pull is not None:
            town.send(Merged("S1", "S1b", pull=head_pull))
        landed_together(town)
        assert town.run("S1b").merge.pull == named
        assert set(town.run("S1b").merge.pulls) == {7, head_pull} - {None}


def test_runs_are_not_given_over_to_one_that_is_on_its_way_out() -> None:
    town = told_early()
    town.send(Merged("S1", "S1b", pull=8))
    town.start_build("S1b")
    town.cancel("S1b")
    assert town.run("S1b").taken_out
    landed_together(town)
    assert town.run("S1a").ending is None


def test_the_author_of_a_pull_request_that_is_told_after_its_push_is_that_of_the_run() -> None:
    town = Town()
    town.merge("S1", "a")
    town.pull("S1", "a", 7)
    assert (town.run("S1a").merge.author, town.run("S1a").merge.title) == ("ann", "PR 7")


def test_a_pull_request_is_commented_on_after_the_end_of_its_run_only_if_there_is_something_to_say() -> None:
    town = Town()
    town.quiet()
    town.send(PullFound("S1", "S1a", 7))
    assert not town.did(Comment)
    town.send(PullFound("S1", "S1a", 7, run="S1.1"))
    assert [(comment.pull, comment.run) for comment in town.did(Comment)] == [(7, "S1.1")]
    town.merge("S1", "b")
    town.quiet()
    town.send(PullFound("S1", "S1b", 8, run="S1.0"))
    assert "S1.0" not in [comment.run for comment in town.did(Comment)]


def test_each_time_that_main_moves_counts_once_and_a_baseline_is_on_record() -> None:
    town = Town()
    town.look_at_main("S1", "-")
    assert [fact.sha for fact in town.facts if fact.kind is FactKind.BASELINE_TAKEN] == ["S1-"]
    moves = town.board.service("S1").moves
    for count, letter in enumerate("abc", start=1):
        push = town.push("S1", letter)
        town.deliver(push)
        town.deliver(push)
        assert town.board.service("S1").moves == moves + count


def test_github_is_asked_for_the_pull_request_of_a_commit_only_where_none_was_told() -> None:
    town = Town()
    town.pull("S1", "a", 7)
    assert not town.did(FindPull)
    town.merge("S1", "b")
    assert [search.sha for search in town.did(FindPull)] == ["S1b"]


def test_that_the_default_branch_has_changed_is_told_to_those_of_the_first_stage() -> None:
    town = Town()
    town.send(DefaultBranchChanged("S1", before="main", now="trunk"))
    assert [notice.stage for notice in town.did(Notify)] == ["build"]


def test_a_push_that_is_told_after_the_fix_on_top_of_it_has_passed_starts_a_run_that_is_superseded_at_once() -> None:
    town = Town()
    town.break_stage("S1", "a")
    late = town.push("S1", "b")
    town.merge("S1", "e")
    town.answer_questions()
    while "S1e" in town.live():
        town.pass_build("S1e")
        town.answer_questions()
    town.deliver(late)
    assert town.left("S1b") == ("superseded", "S1e")


def test_what_github_has_answered_is_asked_no_more_and_the_rest_still_is() -> None:
    town = Town()
    town.break_stage("S1", "a")
    for letter in "ef":
        town.look_at_main("S1", letter)
    open_now = town.board.service("S1").asked
    assert len(open_now) > 1
    base, head = open_now[0]
    town.quiet()
    town.send(ContainmentKnown("S1", base, head, contains=True))
    new = {(compare.base, compare.head) for compare in town.did(Compare)}
    assert set(town.board.service("S1").asked) == {*open_now[1:], *new}


# -- the head of a push that brought several -------------------------------------------------------------------


def test_a_push_that_is_told_after_one_that_lists_its_commit_has_a_run_of_its_own() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "ab":
        town.github.commit("S1", f"S1{letter}")
    landed_together(town)
    town.quiet()
    town.deliver(town.merged("S1", "S1-", "S1a"))
    assert town.told(FactKind.MERGE_ACCEPTED) == ["S1a"]


def test_runs_are_not_given_over_to_one_whose_roll_out_a_person_has_cancelled() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "ab":
        town.github.commit("S1", f"S1{letter}")
    town.send(Merged("S1", "S1b", pull=8))
    while town.at("S1b") != PRE:
        town.pass_build("S1b")
    town.start_build("S1b")
    town.cancel("S1b")
    town.send(Merged("S1", "S1a", pull=7))
    landed_together(town)
    assert town.run("S1a").ending is None


def test_of_two_runs_of_a_head_the_latest_carries_what_landed_with_it() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "ab":
        town.github.commit("S1", f"S1{letter}")
    landed_together(town)
    town.merge("S1", "c")
    town.force_push("S1", "b", onto=None)
    older, younger = town.board.of_commit("S1", "S1b")
    town.send(Merged("S1", "S1a", pull=7))
    assert [town.board.runs[run.key].merge.pulls for run in (older, younger)] == [(), (7,)]


def test_of_two_runs_of_a_head_the_latest_carries_what_is_found_of_a_commit_that_landed_with_it() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "ab":
        town.github.commit("S1", f"S1{letter}")
    landed_together(town)
    town.merge("S1", "c")
    town.force_push("S1", "b", onto=None)
    older, younger = town.board.of_commit("S1", "S1b")
    town.send(PullFound("S1", "S1a", 7, "a change", "ann"))
    assert [town.board.runs[run.key].merge.pulls for run in (older, younger)] == [(), (7,)]


# -- forced, and not known to be -------------------------------------------------------------------------------


def test_a_force_push_back_from_a_commit_that_nobody_knows_is_news() -> None:
    town = Town()
    for letter in "ab":
        town.merge("S1", letter)
    town.send(Merged("S1", "S1a", before="unknown", forced=True, push_id="back"))
    assert head(town) == "S1a"
    assert town.told(FactKind.MERGE_ACCEPTED) == ["S1a", "S1b", "S1a"]


@pytest.mark.parametrize("told", [True, False])
def test_what_a_forced_head_dropped_that_was_found_by_polling_may_be_pushed_again(*, told: bool) -> None:
    """S1x and S1b landed in one push; main goes back to S1x, which is told late or never, and on to S1b again."""
    town = Town()
    town.merge("S1", "-")
    for letter in "xb":
        town.github.commit("S1", f"S1{letter}")
    town.deliver(town.merged("S1", "S1-", "S1b"))
    town.github.commit("S1", "S1x")
    town.look_at_main("S1")
    if told:
        town.deliver(town.merged("S1", "S1b", "S1x", forced=True))
    town.answer_questions()
    town.confirm_withdrawal("S1b")
    assert town.left("S1b") == ("dropped", None)
    town.quiet()
    town.merge("S1", "b")
    assert town.told(FactKind.MERGE_ACCEPTED) == ["S1b"]
    assert head(town) == "S1b"


def test_so_may_what_was_dropped_by_one_whose_pull_request_was_told_first_though_github_has_not_answered_yet() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "xb":
        town.github.commit("S1", f"S1{letter}")
    town.deliver(town.merged("S1", "S1-", "S1b"))
    town.github.commit("S1", "S1x")
    town.send(Merged("S1", "S1x", pull=7))
    town.deliver(town.merged("S1", "S1b", "S1x", forced=True))
    town.quiet()
    town.merge("S1", "b")
    assert town.told(FactKind.MERGE_ACCEPTED) == ["S1b"]


# -- where main stands -----------------------------------------------------------------------------------------


def in_doubt() -> Town:
    """The pull requests of S1b and S1a were told in the wrong order: whether main stands at S1b is being asked."""
    town = Town()
    town.merge("S1", "-")
    for letter in "ab":
        town.github.commit("S1", f"S1{letter}")
    for letter in "ba":
        town.send(Merged("S1", f"S1{letter}", pull=1))
    town.look_at_main("S1")
    assert town.board.service("S1").unconfirmed_head == "S1b"
    return town


def test_a_push_that_does_not_move_main_leaves_the_question_where_it_stands() -> None:
    town = in_doubt()
    town.deliver(town.merged("S1", "S1-", "S1a"))
    assert (head(town), town.board.service("S1").unconfirmed_head) == ("S1a", "S1b")


def test_one_that_moves_it_settles_the_question() -> None:
    town = in_doubt()
    town.deliver(town.merged("S1", "S1a", "S1b"))
    assert (head(town), town.board.service("S1").unconfirmed_head) == ("S1b", "")


def test_an_answer_that_main_lacks_a_commit_raises_no_question_where_that_was_dropped_or_the_answer_is_of_no_head() -> (
    None
):
    town = Town()
    town.merge("S1", "-")
    town.merge("S1", "a")
    town.force_push("S1", "y", onto="S1-")
    town.answer_questions()
    assert town.board.service("S1").unconfirmed_head == "", "S1a was dropped: that is known"
    town.send(Merged("S1", "S1z", pull=7))
    town.send(ContainmentKnown("S1", base="S1z", head="S1y", contains=False))
    assert town.board.service("S1").unconfirmed_head == "", "main stands at S1z"


def test_a_known_head_that_came_right_after_a_force_push_is_no_news_if_it_contains_what_was_taken_for_the_head() -> (
    None
):
    town = Town()
    town.merge("S1", "-")
    town.merge("S1", "a")
    town.force_push("S1", "y", onto="S1-")
    town.github.commit("S1", "S1z")
    town.github.commit("S1", "S1w")
    town.deliver(town.merged("S1", "S1y", "S1w"))
    town.send(Merged("S1", "S1z", pull=1))
    assert head(town) == "S1z"
    town.quiet()
    town.look_at_main("S1")
    while town.answer_questions():
        pass
    assert (head(town), town.told(FactKind.MERGE_ACCEPTED)) == ("S1w", [])


def test_an_answer_about_commits_that_nobody_knows_any_more_or_that_tells_nothing_new_changes_nothing() -> None:
    town = Town()
    for letter in "ab":
        town.merge("S1", letter)
    history = town.board.service("S1").history
    for base, to in ("gone", "S1b"), ("S1a", "gone"), ("S1a", "S1b"):
        town.send(ContainmentKnown("S1", base, to, contains=True))
    assert town.board.service("S1").history == history


def test_a_push_that_is_told_after_the_force_push_that_dropped_it_is_dropped_as_well() -> None:
    """S1b was pushed before S1c, which main was forced away from; its push is delivered last of all."""
    town = Town()
    town.merge("S1", "a")
    town.github.commit("S1", "S1lost")
    late = town.push("S1", "b")
    town.merge("S1", "c")
    town.force_push("S1", "x", onto="S1a")
    town.answer_questions()
    town.deliver(late)
    town.merge("S1", "y")
    town.look_at_main("S1")
    while town.answer_questions():
        pass
    town.confirm_withdrawal("S1b")
    assert town.left("S1b") == ("dropped", None)
    assert head(town) == "S1y"
    assert "S1y" in town.live()


def test_the_head_that_a_force_push_took_main_from_is_dropped_when_its_push_is_told_after_that() -> None:
    """Main stood at S1c, of which nobody had told, when it was put back to S1a."""
    town = Town()
    town.merge("S1", "a")
    town.github.commit("S1", "S1lost")
    pushes = [town.push("S1", letter) for letter in "bc"]
    town.force_push("S1", "a", onto=None)
    for push in pushes:
        town.deliver(push)
    town.merge("S1", "y")
    town.look_at_main("S1")
    while town.answer_questions():
        pass
    town.confirm_withdrawal("S1b")
    town.confirm_withdrawal("S1c")
    assert [town.left(f"S1{letter}") for letter in "bc"] == [("dropped", None), ("dropped", None)]
    assert head(town) == "S1y"
    assert "S1y" in town.live()


def test_a_head_that_a_force_push_took_main_from_and_that_was_pushed_again_since_is_on_main() -> None:
    town = Town()
    town.merge("S1", "a")
    late = town.push("S1", "b")
    town.force_push("S1", "a", onto=None)
    town.deliver(town.merged("S1", "S1a", "S1b"))
    town.deliver(late)
    town.look_at_main("S1", "b")
    while town.answer_questions():
        pass
    assert head(town) == "S1b"
    assert "S1b" in town.live()


def test_a_push_that_is_told_after_an_unreported_force_push_dropped_it_is_not_rolled_out_over_the_head() -> None:
    """S1b failed, S1c was pushed onto it; main was put back to S1a, and S1d and S1e were pushed. S1c is told last."""
    town = Town()
    town.merge_up_to("S1", "a", before="production")
    town.pass_build("S1a")
    town.break_stage("S1", "b")
    late = [town.push("S1", "c")]
    town.github.commit("S1", "S1a", onto="S1a")
    late.append(town.push("S1", "d"))
    town.merge("S1", "e")
    for push in late:
        town.deliver(push)
    town.look_at_main("S1")
    town.pass_build("S1e")
    while town.answer_questions():  # GitHub says that S1e lacks S1b: one of the two was taken off main
        pass
    town.look_at_main("S1")
    town.confirm_withdrawal("S1c")
    assert town.left("S1c") == ("dropped", None)
    town.pass_fix("S1e")
    town.pass_build("S1e")
    town.confirm_withdrawal("S1d")
    assert town.left("S1e") == ("delivered", None)
    assert town.left("S1d") == ("superseded", "S1e")
    assert not town.live()


def test_a_commit_that_came_back_by_force_is_not_dropped_for_a_push_that_is_told_late() -> None:
    """Main went from S1e back to S1a, then forward to S1d, which S1e contains; S1b, pushed before S1c, is told last."""
    town = Town()
    town.merge("S1", "a")
    late = town.push("S1", "b")
    town.merge("S1", "c")
    town.github.commit("S1", "S1d")
    town.github.commit("S1", "S1e")
    for letter in "ed":
        town.send(Merged("S1", f"S1{letter}", pull=7))
    town.deliver(replace(town.merged("S1", "S1c", "S1e"), commits=("S1d",)))
    town.force_push("S1", "a", onto=None)
    town.force_push("S1", "d", onto=None)
    town.deliver(late)
    while town.answer_questions():
        pass
    town.look_at_main("S1")
    while town.answer_questions():
        pass
    assert head(town) == "S1d"
    assert "S1d" in town.live()
    assert town.status("S1d") is not Status.ENDING


def test_what_was_pushed_again_after_the_head_as_it_seems_but_is_not_in_it_is_not_rolled_out_over_it() -> None:
    """Main went from S1a over S1b, S1c and S1d back to S1a and on to S1e and S1f; most pushes are told at the end."""
    town = Town()
    town.merge("S1", "a")
    for _ in range(4):
        town.pass_build("S1a")
    town.break_stage("S1", "b")
    late = [town.push("S1", "c"), town.push("S1", "d")]
    town.look_at_main("S1", "d")
    town.force_push("S1", "a", onto=None)
    late.append(town.push("S1", "e"))
    town.merge("S1", "f")
    for push in late:
        town.deliver(push)
    town.look_at_main("S1")
    while town.answer_questions():
        pass
    for _ in range(8):
        for sha in [run.sha for run in town.board.runs.values() if run.holds_slot and run.status is not Status.ENDING]:
            town.pass_build(sha)
        while town.answer_questions():
            pass
    assert town.left("S1f") == ("delivered", None)
    assert "S1d" not in [sha for sha, ending in town.ended.values() if str(ending.end) == "delivered"]


def test_a_commit_that_main_was_put_back_to_is_delivered_though_a_late_push_hides_that() -> None:
    """Main went S1a, S1b, S1c, S1d, S1e, back to S1a unheard, forward to S1c; then the push of S1b is told."""
    town = Town()
    town.merge("S1", "a")
    for _ in range(4):
        town.pass_build("S1a")
    late = town.push("S1", "b")
    town.github.commit("S1", "S1c")
    town.github.commit("S1", "S1d")
    for letter in "dc":
        town.send(Merged("S1", f"S1{letter}", pull=7))
    town.deliver(replace(town.merged("S1", "S1b", "S1d"), commits=("S1c",)))
    town.look_at_main("S1", "e")
    town.github.commit("S1", "S1a", onto="S1a")
    town.force_push("S1", "c", onto=None)
    town.look_at_main("S1")
    town.deliver(late)
    while town.answer_questions():
        pass
    town.look_at_main("S1")
    while town.answer_questions():
        pass
    assert head(town) == "S1c"
    assert town.status("S1c") is not Status.ENDING
    assert town.left("S1e") == ("dropped", None) or town.status("S1e") is Status.ENDING


def test_what_was_pushed_onto_the_head_before_main_was_put_back_to_it_unheard_is_dropped() -> None:
    """Main went S1a, S1e, S1lost, S1c, S1d; S1e is told last and taken for the head; main was put back to S1c."""
    town = Town()
    town.merge("S1", "a")
    town.github.commit("S1", "S1e")
    town.github.commit("S1", "S1lost")
    for letter in "cd":
        town.merge("S1", letter)
    town.send(Merged("S1", "S1e", pull=7))
    town.github.commit("S1", "S1c", onto="S1c")
    for _ in range(2):
        town.look_at_main("S1")
        while town.answer_questions():
            pass
    assert head(town) == "S1c"
    assert [sha for sha in town.live() if town.run(sha).ending is not None] == ["S1d"]
    assert town.run("S1d").ending == Ending(End.DROPPED, DroppedFromMain("S1d"))


def test_what_came_back_with_the_head_is_not_overwritten_by_what_main_was_put_back_to_meanwhile() -> None:
    """S1a failed; main was put back to S1-, went on to S1b, and was forced to S1c, on S1a. The first is told last."""
    town = Town()
    town.look_at_main("S1", "-")
    town.break_stage("S1", "a")
    town.github.commit("S1", "S1-", onto="S1-")
    late = replace(town.merged("S1", "S1a", "S1-"), forced=True)
    town.merge("S1", "b")
    town.force_push("S1", "c", onto="S1a")
    town.deliver(late)
    for _ in range(2):
        while town.answer_questions():
            pass
        town.look_at_main("S1")
    for _ in range(3):  # build, and the jobs of the fast lane; S1c is slower
        if town.left("S1-") is None and town.run("S1-").holds_slot:
            town.pass_build("S1-")
    while town.answer_questions():
        pass
    assert town.left("S1-") is not None or town.at("S1-") != PRE or not town.run("S1-").holds_slot
    for _ in range(8):
        for sha in [run.sha for run in town.board.runs.values() if run.holds_slot and run.status is not Status.ENDING]:
            town.pass_build(sha)
        while town.answer_questions():
            pass
    assert town.left("S1c") == ("delivered", None)
    assert town.left("S1-") == ("superseded", "S1a"), "it is in the stage, on main, and contains S1-"


def test_only_a_force_push_takes_main_from_a_commit_that_nobody_told_of() -> None:
    town = Town()
    town.merge("S1", "a")
    town.push("S1", "lost")
    town.merge("S1", "b")
    assert town.board.service("S1").history.dropped_heads == ()
    town.push("S1", "gone")
    town.force_push("S1", "c", onto="S1b")
    assert [each.sha for each in town.board.service("S1").history.dropped_heads] == ["S1gone"]


def test_of_pull_requests_that_were_told_in_the_wrong_order_github_says_which_is_the_head_and_nothing_was_forced() -> (
    None
):
    town = Town()
    town.merge("S1", "a")
    town.github.commit("S1", "S1b")
    town.github.commit("S1", "S1c")
    for sha, pull in ("S1c", 8), ("S1b", 7):
        town.send(Merged("S1", sha, pull=pull))
    town.look_at_main("S1")
    town.answer_questions()
    state = town.board.service("S1")
    assert state.history.head is not None and state.history.head.sha == "S1c"
    assert (state.forced_heads, state.history.forced) == ((), 0)


# -- merges of which no webhook came ------------------------------------------------------------------------------


def found_by_polling(letters: str) -> Town:
    """Main stands at the last of these commits, and the webhooks of all of them were lost."""
    town = Town()
    town.merge("S1", "-")
    town.quiet()
    for letter in letters[:-1]:
        town.github.commit("S1", f"S1{letter}")
    town.look_at_main("S1", letters[-1])
    town.answer_questions()
    return town


def searched(town: Town) -> list[tuple[str, str]]:
    """The commits whose pull requests GitHub is asked for, and by the run of which head each is carried."""
    return [(search.sha, search.carried_by) for search in town.did(FindPull)]


def test_the_pull_requests_of_all_merges_whose_webhooks_were_lost_are_looked_up_and_told() -> None:
    town = found_by_polling("abc")
    assert searched(town) == [("S1c", ""), ("S1a", "S1c"), ("S1b", "S1c")]
    for sha, pull, author in (("S1a", 7, "ann"), ("S1c", 9, "cyd"), ("S1b", 8, "ben")):
        town.send(PullFound("S1", sha, pull, f"PR {pull}", author))
    (run,) = [run for run in town.board.runs.values() if run.sha == "S1c"]
    assert (run.merge.pull, run.merge.title, run.merge.author) == (9, "PR 9", "cyd"), "it is called by its own"
    assert set(run.merge.pulls) == {7, 8, 9}
    assert {(each.pull, each.login) for each in run.merge.authors} == {(7, "ann"), (8, "ben")}
    town.quiet()
    town.fail_build("S1c")
    assert {comment.pull for comment in town.did(Comment)} == {7, 8, 9}


def test_an_answer_that_is_delivered_again_looks_up_nothing_that_was_told_and_is_forgotten() -> None:
    town = Town()
    town.merge("S1", "-")
    town.github.commit("S1", "S1lost")
    for number in range(8):
        before = town.github.heads["S1"]
        for letter in "ab":
            town.github.commit("S1", f"S1{letter}{number}")
        town.deliver(replace(town.merged("S1", before, f"S1b{number}"), commits=(f"S1a{number}",)))
    town.quiet()
    answer = town.github.answer(town.github.questions.pop())
    town.send(answer)
    town.send(answer)
    assert searched(town) == [("S1lost", "S1b0")]


def test_of_a_head_that_was_told_before_ours_the_lost_merges_in_between_are_looked_up_too() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "blc":
        town.github.commit("S1", f"S1{letter}")
    for letter in "cb":
        town.send(Merged("S1", f"S1{letter}", pull=7))
    town.quiet()
    town.look_at_main("S1")
    town.answer_questions()
    assert head(town) == "S1c"
    assert searched(town) == [("S1l", "S1c")]


def test_a_merge_that_was_told_before_the_answer_is_not_looked_up_though_its_run_has_ended() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "bl":
        town.github.commit("S1", f"S1{letter}")
    town.look_at_main("S1", "c")
    town.send(Merged("S1", "S1b", pull=7))
    town.cancel("S1b")
    town.confirm_withdrawal("S1b")
    assert town.left("S1b") == ("cancelled", None)
    town.quiet()
    town.answer_questions()
    assert searched(town) == [("S1l", "S1c")]


def test_nothing_is_looked_up_for_a_service_that_has_left_the_configuration_meanwhile() -> None:
    town = Town()
    town.merge("S1", "-")
    town.github.commit("S1", "S1a")
    town.look_at_main("S1", "b")
    town.configure(shop(services=("S2", "S3")))
    town.quiet()
    town.answer_questions()
    assert searched(town) == []


def test_a_webhook_that_comes_after_all_starts_no_run_of_what_the_found_head_carries() -> None:
    town = found_by_polling("abc")
    town.send(Merged("S1", "S1a", pull=7, title="PR 7", author="ann"))
    assert "S1a" not in town.live()
    assert town.run("S1c").merge.pulls == (7,)
    town.send(PullFound("S1", "S1a", 7, "PR 7", "ann"))
    assert town.run("S1c").merge.pulls == (7,)


def test_what_lies_before_a_push_onto_an_unknown_commit_is_looked_up_and_what_the_push_tells_is_not() -> None:
    town = Town()
    town.merge("S1", "-")
    for letter in "abc":
        town.github.commit("S1", f"S1{letter}")
    town.quiet()
    town.deliver(town.merged("S1", "S1b", "S1d", commits=("S1c",)))
    town.github.commit("S1", "S1d")
    town.answer_questions()
    assert searched(town) == [("S1d", ""), ("S1a", "S1d"), ("S1b", "S1d")]


def test_after_a_force_push_or_where_nothing_came_between_nothing_more_is_looked_up() -> None:
    town = found_by_polling("a")
    assert searched(town) == [("S1a", "")]
    town.quiet()
    town.github.commit("S1", "S1x", onto="S1-")
    town.look_at_main("S1", "y")
    town.answer_questions()
    assert searched(town) == [("S1y", "")]
    town.quiet()
    town.force_push("S1", "z", onto="S1a")
    town.answer_questions()
    assert searched(town) == [("S1z", "")]


def test_of_a_great_many_lost_merges_the_last_ten_are_looked_up() -> None:
    town = found_by_polling("abcdefghijklmn")
    assert searched(town)[1:] == [(f"S1{letter}", "S1n") for letter in "defghijklm"]
    assert town.board.service("S1").head_over("S1a") == "S1n", "all are carried"


def test_a_carried_pull_request_that_is_found_after_the_end_of_the_run_hears_of_it() -> None:
    town = found_by_polling("ab")
    key = town.key("S1b")
    town.cancel("S1b")
    town.confirm_withdrawal("S1b")
    town.quiet()
    town.send(PullFound("S1", "S1a", 7, run=key, began=1.0))
    assert [(comment.pull, comment.run) for comment in town.did(Comment)] == [(7, key)]
