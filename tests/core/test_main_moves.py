"""Reports about main in any order, or found by polling: the resulting runs, and the commits that they carry."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from bot.core.model.board_records import ServiceState
from bot.core.model.effects import Comment, Compare, Notify
from bot.core.model.events import ContainmentKnown, DefaultBranchChanged, Event, HeadSeen, Merged
from bot.core.model.facts import FactKind, Why
from bot.core.model.run import Status
from bot.core.rules import stage_versions
from bot.core.rules.cleanup import dropped
from bot.core.rules.queue import run_blocked_by
from tests.core.town import Town
from tests.texts import body_of, subject_of, text_of


@pytest.fixture
def town() -> Town:
    opened = Town()
    opened.github.commit("S1", "S1-")
    opened.send(HeadSeen("S1", "S1-"))
    return opened


def state(town: Town) -> ServiceState:
    return town.board.service("S1")


def head(town: Town) -> str:
    found = state(town).history.head
    assert found is not None
    return found.sha


def rewind(town: Town, sha: str) -> None:
    """A force-push back to a known commit, which no webhook reports."""
    town.github.commit("S1", sha)


# -- how a commit came to main ---------------------------------------------------------------------------------


def accepted(town: Town) -> list[str]:
    return [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.MERGE_ACCEPTED]


def test_a_merge_whose_webhook_was_lost_is_found_by_polling_and_called_no_force_push(town: Town) -> None:
    town.merge("S1", "a")
    town.look_at_main("S1", "b")
    assert accepted(town) == ["S1a is on main of S1", "S1b is on main of S1, found by polling"]


def test_only_a_rewrite_that_was_shown_is_called_a_force_push(town: Town) -> None:
    for letter in "ab":
        town.merge("S1", letter)
    town.force_push("S1", "c", onto="S1a")
    assert accepted(town)[-1] == "S1c is on main of S1, by a force-push"
    rewind(town, "S1b")
    town.look_at_main("S1")
    town.answer_questions()
    assert accepted(town)[-1] == "S1b is on main of S1, by a force-push", "it lacks the head that was there"


# -- a head that is known --------------------------------------------------------------------------------------


def test_a_lost_force_push_back_to_an_older_commit_is_a_new_head_with_a_run(town: Town) -> None:
    for letter in "ab":
        town.merge("S1", letter)
    rewind(town, "S1a")
    town.quiet()
    town.look_at_main("S1")
    assert head(town) == "S1a"
    assert town.told(FactKind.MERGE_ACCEPTED) == ["S1a"]
    assert "a force-push dropped S1b from main" in " ".join(text_of(fact.why) for fact in town.facts)
    town.confirm_withdrawal("S1b")
    assert town.left("S1b") == ("dropped", None)
    assert town.live() == ["S1a", "S1a"]


def test_it_is_found_once_however_often_main_is_looked_at_and_the_push_comes_after_all(town: Town) -> None:
    for letter in "ab":
        town.merge("S1", letter)
    rewind(town, "S1a")
    town.look_at_main("S1")
    town.quiet()
    town.look_at_main("S1")
    town.deliver(town.merged("S1", "S1b", "S1a", forced=True))
    assert town.told(FactKind.MERGE_ACCEPTED) == []
    assert town.live() == ["S1a", "S1a", "S1b"]


def test_a_lost_force_push_shows_when_what_was_pushed_onto_it_lacks_what_was_on_main(town: Town) -> None:
    town.break_stage("S1", "b")
    town.github.commit("S1", "S1c", onto="S1-")  # by force, and nobody was told
    town.merge("S1", "d")
    town.pass_build("S1d", "S1d", "S1d")
    while town.answer_questions():
        pass
    town.pass_build("S1d")
    assert town.locks() == ["S1b"]  # GitHub has not said where main stands
    told = state(town).history.count
    town.look_at_main("S1")
    assert town.locks() == []
    assert state(town).unconfirmed_head == ""
    assert state(town).history.count == told, "all that it lacks was told before it: it stays where it stands"


def test_a_force_push_that_is_told_after_what_was_pushed_onto_it_drops_what_was_before_and_not_that(town: Town) -> None:
    town.merge("S1", "a")
    forced = town.merged("S1", *town.github.commit("S1", "S1x", onto="S1-"), forced=True)
    town.merge("S1", "b")
    town.deliver(forced)
    while town.answer_questions():
        pass
    assert head(town) == "S1b"
    assert town.status("S1a") is Status.ENDING
    assert town.run("S1a").ending == dropped(town.run("S1a"))
    assert [sha for sha in town.live() if town.status(sha) is not Status.ENDING] == ["S1b", "S1x"]
    town.look_at_main("S1")
    assert head(town) == "S1b"


def test_what_is_merged_onto_the_old_commit_goes_on_from_there(town: Town) -> None:
    for letter in "ab":
        town.merge("S1", letter)
    rewind(town, "S1a")
    town.look_at_main("S1")
    town.merge("S1", "c")
    assert head(town) == "S1c"
    assert town.did(Compare) == []  # the chain proves all of it


def test_a_head_that_was_told_before_ours_only_moves_on(town: Town) -> None:
    """Two pull requests were told in the wrong order, then what joins them."""
    town.github.commit("S1", "S1a")
    town.github.commit("S1", "S1b")
    town.send(Merged("S1", "S1b", pull=2))
    town.send(Merged("S1", "S1a", pull=1))
    assert head(town) == "S1a"
    town.quiet()
    town.look_at_main("S1")
    assert [(q.base, q.head) for q in town.github.questions] == [("S1a", "S1b")]
    assert town.told(FactKind.MERGE_ACCEPTED) == []  # nothing is believed before GitHub has answered
    town.answer_questions()
    assert head(town) == "S1b"
    assert town.live() == ["S1a", "S1b"]
    assert town.told(FactKind.MERGE_ACCEPTED) == []


def test_a_head_that_does_not_contain_ours_comes_back_once_github_says_so(town: Town) -> None:
    town.merge("S1", "a")
    town.force_push("S1", "b", onto="S1-")
    town.answer_questions()
    rewind(town, "S1a")
    town.quiet()
    town.look_at_main("S1")
    town.answer_questions()
    assert head(town) == "S1a"
    assert town.told(FactKind.MERGE_ACCEPTED) == ["S1a"]


def test_a_doubt_that_is_settled_by_a_push_is_forgotten(town: Town) -> None:
    town.github.commit("S1", "S1a")
    town.github.commit("S1", "S1b")
    town.send(Merged("S1", "S1b", pull=2))
    town.send(Merged("S1", "S1a", pull=1))
    town.look_at_main("S1")
    assert state(town).unconfirmed_head == "S1b"
    town.merge("S1", "c")
    assert state(town).unconfirmed_head == ""
    town.quiet()
    town.send(ContainmentKnown("S1", "S1a", "S1b", contains=False))
    assert town.told(FactKind.MERGE_ACCEPTED) == []
    assert head(town) == "S1c"


def test_a_head_that_is_ours_again_is_no_doubt(town: Town) -> None:
    town.github.commit("S1", "S1a")
    town.github.commit("S1", "S1b")
    town.send(Merged("S1", "S1b", pull=2))
    town.send(Merged("S1", "S1a", pull=1))
    town.look_at_main("S1")
    town.send(HeadSeen("S1", "S1a", state(town).moves))
    assert state(town).unconfirmed_head == ""


# -- several merges in one push --------------------------------------------------------------------------------


def landed_together(town: Town) -> list[Event]:
    """The push that brings pull requests 1, 2 and 3, and their own deliveries."""
    for letter in "abc":
        town.github.commit("S1", f"S1{letter}")
    push = town.merged("S1", "S1-", "S1c", commits=("S1a", "S1b"), title="The last of three")
    return [push, *(Merged("S1", f"S1{letter}", pull=n, title=f"PR {n}") for n, letter in enumerate("abc", 1))]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_pull_requests_that_land_in_one_push_are_carried_by_its_run_in_any_order(
    town: Town, order: tuple[int, ...]
) -> None:
    deliveries = landed_together(town)
    for number in order:
        town.send(deliveries[number])
    for sha in ("S1a", "S1b"):
        if sha in town.live():
            town.confirm_withdrawal(sha)
        assert town.left(sha) in (None, ("superseded", "S1c"))
    assert town.live() == ["S1c"]
    run = town.run("S1c")
    assert set(run.merge.pulls) == {1, 2, 3}
    assert run.merge.pull in run.merge.pulls
    assert run.merge.title == f"PR {run.merge.pull}"
    assert head(town) == "S1c"
    town.merge("S1", "d")
    assert town.did(Compare) == []


def test_all_of_them_are_told_what_becomes_of_the_run(town: Town) -> None:
    for delivery in landed_together(town):
        town.send(delivery)
    town.quiet()
    town.fail_build("S1c")
    assert sorted(comment.pull for comment in town.did(Comment)) == [1, 2, 3]
    assert ["has failed in" in comment.text for comment in town.comments[-3:]] == [True] * 3
    assert len({comment.slot for comment in town.did(Comment)}) == 3


def test_a_late_pull_request_does_not_set_main_back_even_if_its_run_is_over(town: Town) -> None:
    push, first, *_ = landed_together(town)
    town.send(push)
    town.fail_build("S1c")
    town.quiet()
    town.send(first)
    assert (town.live(), head(town)) == ([], "S1c")
    assert town.told(FactKind.MERGE_KNOWN) == ["S1a"]


def test_a_run_that_is_on_its_way_already_goes_on(town: Town) -> None:
    push, first, *_ = landed_together(town)
    town.send(first)
    town.pass_build("S1a")
    town.send(push)
    assert town.live() == ["S1a", "S1c"]


def test_a_merge_that_was_pushed_on_its_own_keeps_its_run(town: Town) -> None:
    town.merge("S1", "a")
    town.pull("S1", "a", 1)
    town.github.commit("S1", "S1b")
    town.send(town.merged("S1", "S1-", "S1b", commits=("S1a",)))
    assert town.live() == ["S1a", "S1b"]


def test_what_is_remembered_of_pushes_is_bounded(town: Town) -> None:
    for push in range(40):
        commits = tuple(f"c{push}.{number}" for number in range(300))
        town.deliver(town.merged("S1", None, f"h{push}", commits=commits))
    assert len(state(town).pushed) == 8
    assert max(len(pushed.commits) for pushed in state(town).pushed) == 50
    for number in range(60):
        town.send(Merged("S1", f"c39.{299 - number % 50}", pull=number))
    assert len(town.run("h39").merge.pulls) == 20


def test_two_merges_of_one_second_have_versions_of_their_own(town: Town) -> None:
    first, second = town.merge("S2", "b"), town.merge("S2", "c")
    town.now -= 1
    third = town.merge("S2", "d")
    versions = [town.run(sha).version for sha in (first, second, third)]
    assert len(set(versions)) == 3
    assert versions[1].rsplit("-", 1)[1] == versions[2].rsplit("-", 1)[1]  # the second is the same


# -- the default branch ----------------------------------------------------------------------------------------


def test_another_default_branch_is_told_and_not_followed(town: Town) -> None:
    town.send(DefaultBranchChanged("S1", "main", "trunk"))
    (notice,) = town.did(Notify)
    assert subject_of(notice) == "shop/S1: its default branch is now trunk"
    assert "S1 still follows main" in body_of(notice)
    assert [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.DEFAULT_BRANCH_CHANGED]


@pytest.mark.parametrize(("before", "now"), [("old", "main"), ("a", "b")])
def test_a_default_branch_that_is_none_of_ours_is_not_told(town: Town, before: str, now: str) -> None:
    town.quiet()
    decision: Any = town.send(DefaultBranchChanged("S1", before, now))
    assert (decision.facts, decision.effects) == ([], [])


def test_who_came_back_to_main_unheard_is_not_dropped(town: Town) -> None:
    """Main was forced away and back, and the way back was not told: GitHub knows it is there."""
    b = town.merge("S1", "b")
    town.github.commit("S1", "S1c", onto="S1-")
    town.send(Merged("S1", "S1c", before=b, forced=True, push_id="away"))
    town.github.commit("S1", b, onto=b)  # back again: that webhook is lost, and so is the push of the next commit
    town.github.commit("S1", "S1d")
    before, after = town.github.commit("S1", "S1e")
    town.send(Merged("S1", after, before=before, push_id="onto d"))
    assert town.answer_questions()  # of the questions of before, and of those that the answers raise
    assert town.told(FactKind.RUN_LEAVING) == []
    assert town.did(Compare, base=b, head=after)


# -- force-pushes that are told late ---------------------------------------------------------------------------


def test_a_force_push_that_is_told_long_after_main_went_on_from_it_moves_nothing(town: Town) -> None:
    """S1b was on main, by force S1c came, then S1d onto it: of these only S1d was seen, by looking."""
    b = town.merge("S1", "b")
    town.github.commit("S1", "S1c", onto="S1-")
    town.look_at_main("S1", "d")
    town.send(Merged("S1", "S1c", before=b, forced=True, push_id="late"))
    assert head(town) == "S1d"
    (fact,) = [fact for fact in town.facts if fact.kind is FactKind.FORCE_PUSH_UNPLACED]
    assert text_of(fact.why).startswith("a force-push from S1b to S1c arrived, but main was at S1d")
    while town.answer_questions():
        pass
    town.look_at_main("S1")
    assert [sha for sha in town.live() if town.status(sha) is not Status.ENDING] == ["S1d"]


def test_a_force_push_that_began_elsewhere_than_we_think_is_taken_once_github_names_its_head(town: Town) -> None:
    """The force-push back to S1a is lost; then main is moved by force once more, from S1a to S1c."""
    for letter in "ab":
        town.merge("S1", letter)
    rewind(town, "S1a")
    town.force_push("S1", "c", onto="S1-")
    assert head(town) == "S1b"
    town.look_at_main("S1")
    while town.answer_questions():
        pass
    assert head(town) == "S1c"
    assert [sha for sha in town.live() if town.status(sha) is not Status.ENDING] == ["S1c"]


def test_who_stands_on_a_forced_head_is_asked_before_what_that_lacks_is_dropped(town: Town) -> None:
    """Main went S1f (by force), S1g, S1b, S1h; the pushes of S1f and S1g are told after S1b was seen."""
    town.github.commit("S1", "S1z", onto="S1-")
    forced = town.merged("S1", *town.github.commit("S1", "S1f", onto="S1-"), forced=True)
    pushed = town.push("S1", "g")
    town.look_at_main("S1", "b")
    town.deliver(forced)
    town.deliver(pushed)
    town.look_at_main("S1", "h")
    while town.answer_questions():
        pass
    assert head(town) == "S1h"
    assert town.status("S1b") is not Status.ENDING


def all_pass(town: Town) -> None:
    """Every build that there is passes, and GitHub answers, until nothing goes on."""
    while going := [run.sha for run in town.board.runs.values() if run.holds_slot]:
        town.pass_build(*going[:1])
        town.answer_questions()


def test_what_the_head_lacks_waits_until_github_says_where_main_stands(town: Town) -> None:
    """Main went S1a, back by force unheard, S1c, which is delivered first."""
    town.merge("S1", "a")
    rewind(town, "S1-")
    town.merge("S1", "c")
    for _ in range(4):
        town.pass_build("S1c")
    town.pass_build("S1a", "S1a")
    town.answer_questions()
    assert town.says("S1a") == (
        "Interlock is asking GitHub for the head of main of S1: S1c, the last known one, lacks S1a"
    )
    reason = run_blocked_by(town.board, town.run("S1a"))
    assert reason is not None
    assert (reason.why, reason.stops_queue) == (Why.PROOF, False)
    town.look_at_main("S1")
    assert town.left("S1a") == ("dropped", None)


def test_what_main_has_left_is_not_rolled_out_after_the_head_though_it_was_told_later(town: Town) -> None:
    """Main went S1a, S1b, back by force unheard, S1c, S1d; the pushes of S1a and S1c come when S1d is delivered."""
    before = town.push("S1", "a")
    town.merge("S1", "b")
    rewind(town, "S1-")
    after = town.push("S1", "c")
    town.merge("S1", "d")
    all_pass(town)
    town.deliver(before)
    town.deliver(after)
    town.look_at_main("S1")
    dropped = town.run("S1a").position
    town.pass_build("S1a", "S1a")
    town.answer_questions()
    assert town.left("S1a") == ("dropped", None)
    all_pass(town)
    assert head(town) == "S1d"
    town.merge("S1", "e")
    assert stage_versions.off_main(town.board, "S1", dropped) is True, (
        "what is merged since stands on the head that lacks it"
    )
