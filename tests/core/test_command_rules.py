"""Commands at GitHub: obeyed once and in time, like requests by the API, and refused with an answer."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.effects import Answer, AuthorizeCommand
from bot.core.model.events import (
    Command,
    CommandAllowed,
    CommandRefused,
    CommandSaid,
    Configured,
    FreezesPlanned,
    HeadSeen,
    RetryAsked,
    UnlockAsked,
)
from bot.core.model.facts import FactKind
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import FastLaneStart, Job, Mode, Verify
from bot.core.model.run import Run, Status
from bot.core.rules import commands
from bot.reporting.command_answer import answer
from bot.reporting.sentences import moment
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

NUMBER = 7
NUMBERS = itertools.count(1)


@pytest.fixture
def town() -> Town:
    opened = Town()
    opened.now = 1_000_000.0  # no hour begins with the clock
    for service in ("S1", "S2"):
        opened.github.commit(service, f"{service}-")
        opened.send(HeadSeen(service, f"{service}-"))
    return opened


def _written(effect: Answer, town: Town) -> Answer:
    """The answer with what stands in the comment."""
    return replace(effect, text=answer(effect, town.board, town.now))


class Talk:
    """An author of comments, and a GitHub that knows their permissions."""

    def __init__(self, town: Town, by: str = "dana") -> None:
        self.town, self.by = town, by

    def says(self, *words: str, pull: int = NUMBER, **changes: Any) -> CommandSaid:
        """A comment arrives; GitHub has not authorized it yet."""
        lines = tuple(Command(verb, rest) for verb, _, rest in (word.partition(" ") for word in words))
        number = next(NUMBERS)
        said = CommandSaid(f"comment/{number}", "shop/S1", self.by, lines, pull, number, self.town.now)
        self.town.send(replace(said, **changes))
        return replace(said, **changes)

    def may(self, *words: str, about: dict[str, Any] | None = None, **changes: Any) -> Answer | None:
        """A comment of somebody who may; what they are answered."""
        said = self.says(*words, **changes)
        known: dict[str, Any] = {"head": "0" * 40, "open": False, "merged": "S1a", **(about or {})}
        decision = self.town.send(CommandAllowed(said, "S1", **known))
        return next((_written(effect, self.town) for effect in decision.effects if isinstance(effect, Answer)), None)

    def may_not(self, *words: str, **changes: Any) -> Answer | None:
        """A comment of somebody who may not."""
        decision = self.town.send(CommandRefused(self.says(*words, **changes), "mallory may not write"))
        return next((_written(effect, self.town) for effect in decision.effects if isinstance(effect, Answer)), None)


@pytest.fixture
def dana(town: Town) -> Talk:
    return Talk(town)


def broken(town: Town) -> str:
    """S1a, merged by pull request 7, has failed in pre-production and locks it."""
    sha = town.break_stage("S1", "a")
    town.pull("S1", "a", NUMBER)
    town.quiet()
    return sha


# -- done ------------------------------------------------------------------------------------------------------


def test_retry_repeats_the_failed_build_and_says_so(town: Town, dana: Talk) -> None:
    sha = broken(town)
    answer = dana.may("retry the network was down")
    assert town.at(sha) == "pre-production"
    assert town.run(sha).retrying
    assert answer is not None
    assert (answer.reaction, answer.pull, answer.repository) == ("+1", NUMBER, "shop/S1")
    wanted = "`retry`: github:dana retried S1 S1a in pre-production: the network was down."
    assert answer.text == wanted


def test_the_log_says_who_and_where_from(town: Town, dana: Talk) -> None:
    broken(town)
    answer = dana.may("retry")
    assert answer is not None
    where = f"shop/S1#7, comment {answer.comment}"
    kinds = [fact.kind for fact in town.facts if (fact.by, fact.via) == ("github:dana", where)]
    assert kinds[:2] == [FactKind.COMMAND_SAID, FactKind.RUN_RETRIED]


def test_and_so_of_all_that_follows_from_it(town: Town, dana: Talk) -> None:
    broken(town)
    dana.may("unlock pre-production fine")
    assert {fact.by for fact in town.facts if fact.kind in (FactKind.STAGE_UNLOCKED, FactKind.RUN_FAILED)} == {
        "github:dana"
    }


def test_it_does_what_the_api_does(town: Town, dana: Talk) -> None:
    sha, other = broken(town), Town()
    other.github.commit("S1", "S1-")
    other.send(HeadSeen("S1", "S1-"))
    broken(other)
    other.send(RetryAsked(other.key(sha), "github:dana", "flaky"))
    dana.may("retry flaky")
    timeless: dict[str, Any] = {"since": 0, "queued": 0, "created": 0, "version": "", "story": ()}
    assert replace(town.run(sha), **timeless) == replace(other.run(sha), **timeless)


def test_cancel_takes_the_run_out(town: Town, dana: Talk) -> None:
    sha = town.merge("S1", "a")
    town.pull("S1", "a", NUMBER)
    answer = dana.may("cancel not wanted")
    assert answer is not None
    assert answer.reaction == "+1"
    assert "cancelled by github:dana: not wanted" in answer.text
    town.confirm_withdrawal(sha)
    assert town.left(sha) == ("cancelled", None)


def test_a_run_that_does_not_know_its_pull_request_is_found_by_its_commit(town: Town, dana: Talk) -> None:
    sha = town.break_stage("S1", "a")
    dana.may("retry", about={"merged": sha})
    assert town.run(sha).retrying


def test_lock_and_unlock_with_a_reason(town: Town, dana: Talk) -> None:
    locked = dana.may("lock acceptance the test data is being renewed")
    assert town.locks("acceptance") == ["github:dana"]
    (lock,) = town.board.locks_of("acceptance")
    assert (lock.until, lock.let_fixes_in) == (None, False)
    assert locked is not None
    assert "the test data is being renewed" in locked.text
    dana.may("unlock acceptance it is done")
    assert town.locks("acceptance") == []


def test_a_lock_with_an_end_that_lets_fixes_in(town: Town, dana: Talk) -> None:
    dana.may("lock acceptance --until 2h --let-fixes-in the test data is being renewed")
    (lock,) = town.board.locks_of("acceptance")
    assert (lock.until, lock.let_fixes_in) == (town.now + 7_200, True)
    assert text_of(lock.reason) == "the test data is being renewed"
    dana.may("lock production --let-fixes-in --until 23:30 the fair")
    (lock,) = town.board.locks_of("production")
    assert (lock.until, lock.let_fixes_in) == (1_035_000, True)  # 23:30 UTC of 12 January 1970


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lock acceptance --until soon because", "soon is not a time within a year: give `16:00` (UTC)"),
        ("lock acceptance --until", "is not a time within a year"),
        ("lock acceptance --until 2h", "name the stage and the reason"),
        ("lock acceptance --let-fixes-in", "name the stage and the reason"),
        ("lock acceptance --force because", "there is no option --force"),
    ],
)
def test_a_lock_that_says_no_end_or_no_reason_is_not_made(town: Town, dana: Talk, words: str, said: str) -> None:
    answer = dana.may(words)
    assert answer is not None
    assert said in answer.text
    assert town.locks("acceptance") == []


def two_locks(town: Town) -> None:
    """Pre-production is locked by S1a, and by a person."""
    broken(town)
    town.lock("pre-production")


def test_of_several_locks_one_must_be_named_and_the_answer_says_how(town: Town, dana: Talk) -> None:
    two_locks(town)
    answer = dana.may("unlock pre-production fine")
    assert answer is not None
    assert answer.text.splitlines() == [
        "`unlock`: not done: pre-production has 2 locks. Name the one to open:",
        "",
        "- `/interlock unlock pre-production pre-production/S1.1 <reason>`: S1 S1a failed in pre-production, "
        f"by S1.1 since {moment(town.board.locks['pre-production/S1.1'].since)}",
        "- `/interlock unlock pre-production pre-production/1 <reason>`: maintenance, "
        f"by ann since {moment(town.board.locks['pre-production/1'].since)}",
        "- `/interlock unlock pre-production --all <reason>`: all of them",
    ]
    assert len(town.locks()) == 2


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("unlock pre-production pre-production/1 fine", ["S1a"]),
        ("unlock pre-production/1 fine", ["S1a"]),
        ("unlock pre-production --all fine", []),
    ],
)
def test_one_lock_or_all_are_opened(town: Town, dana: Talk, words: str, left: list[str]) -> None:
    two_locks(town)
    dana.may(words)
    assert town.locks() == left


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("unlock pre-production pre-production/9 fine", "pre-production is not closed by lock pre-production/9"),
        ("unlock pre-production/9 fine", "pre-production is not closed by lock pre-production/9"),
        ("unlock pre-production --all", "name the stage and the reason"),
        ("unlock pre-production pre-production/1", "name the stage and the reason"),
    ],
)
def test_a_lock_that_is_not_there_opens_no_other(town: Town, dana: Talk, words: str, said: str) -> None:
    """The key must not be taken for the reason: the one lock that is there would be opened."""
    broken(town)
    answer = dana.may(words)
    assert answer is not None
    assert said in answer.text
    assert town.locks() == ["S1a"]


def test_a_move_puts_the_waiting_run_of_the_pull_request_at_the_front(town: Town, dana: Talk) -> None:
    town.mode(Mode.PAUSE)
    town.merge("S2", "a")
    sha = town.merge("S1", "a")
    answer = dana.may("move the fair is tomorrow", about={"merged": sha})
    assert answer is not None
    assert (answer.reaction, town.queue("build")) == ("+1", ["S2a", sha])
    assert "github:dana moved S1 S1a to the front of the queue for build: the fair is tomorrow" in answer.text
    (fact,) = [fact for fact in town.facts if fact.kind is FactKind.RUN_MOVED]
    assert fact.via is not None
    again = dana.may("move", about={"merged": sha})
    assert again is not None
    assert "is at the front of the queue for build already" in again.text


def test_a_move_means_the_run_that_waits(town: Town, dana: Talk) -> None:
    town.configure(shop(acceptance=1))
    for letter in "ab":
        town.merge_up_to("S2", letter, "acceptance")
    older = town.merge_up_to("S1", "a", "acceptance")
    younger = town.merge("S1", "b")
    for letter in "ab":
        town.pull("S1", letter, NUMBER)
    assert town.status(younger) is Status.STARTING
    dana.may("move the fair", about={"merged": younger})
    assert town.queue("acceptance") == ["S2b", older]


def test_the_waiting_run_of_the_pull_request_is_let_through_freezes(town: Town, dana: Talk) -> None:
    window = FreezeWindow(town.now, town.now + 5_000)
    town.send(FreezesPlanned((Freeze("fair", ("production",), (window,), role="operator"),)))
    sha = town.merge_up_to("S1", "a", "production")
    assert town.queue("production") == [sha]
    answer = dana.may("let-through customers cannot pay", about={"merged": sha})
    assert answer is not None
    assert (answer.reaction, town.runs_in("production")) == ("+1", [sha])
    assert "github:dana lets S1 S1a through freezes: customers cannot pay" in answer.text
    again = dana.may("let-through", about={"merged": sha})
    assert again is not None
    assert "is let through already" in again.text


def test_a_run_that_leaves_is_not_let_through_instead_of_the_one_that_stays(town: Town, dana: Talk) -> None:
    window = FreezeWindow(town.now + 1_000, town.now + 5_000)
    town.send(FreezesPlanned((Freeze("fair", ("production",), (window,), role="operator"),)))
    staying = town.merge("S1", "a")
    leaving = town.merge("S1", "b")
    for letter in "ab":
        town.pull("S1", letter, NUMBER)
    town.start_build(staying, leaving)
    town.cancel(leaving)
    assert town.status(leaving) is Status.ENDING
    dana.may("let-through customers cannot pay", about={"merged": leaving})
    assert town.run(staying).let_through is not None


def test_of_two_runs_of_a_commit_the_one_that_waits_is_let_through_freezes(town: Town, dana: Talk) -> None:
    """It came back to main by force: its new run is only being built."""
    window = FreezeWindow(town.now, town.now + 5_000)
    town.send(FreezesPlanned((Freeze("fair", ("production",), (window,), role="operator"),)))
    town.merge_up_to("S1", "a", "production")
    town.merge("S1", "b")
    town.force_push("S1", "a", onto="S1-")
    waiting, built = town.board.of_commit("S1", "S1a")
    assert (waiting.status, built.status) == (Status.WAITING, Status.STARTING)
    dana.may("let-through customers cannot pay", about={"merged": "S1a"})
    assert [run.let_through is not None for run in town.board.of_commit("S1", "S1a")] == [True, False]


def test_whoever_watches_names_the_stage_or_means_the_one_that_their_run_waits_for(town: Town, dana: Talk) -> None:
    town.break_stage("S2", "a")
    town.lock("acceptance")
    sha = town.merge_up_to("S1", "b", "acceptance")
    town.pull("S1", "b", 8)
    for words, about, stage in (
        ("watch pre-production", {"merged": sha}, "pre-production"),
        ("watch", {"merged": sha}, "acceptance"),
    ):
        answer = dana.may(words, about=about, pull=8)
        assert answer is not None and answer.reaction == "+1", words
        assert [watcher.pull for watcher in town.board.follow_up(stage).watchers] == [8], words
    town.unlock("acceptance", every=True)
    town.lock("production")
    assert town.at(sha) == "acceptance"
    answer = dana.may("watch", about={"merged": sha}, pull=8)
    assert answer is not None
    assert "pre-production, production" in answer.text, "it waits for none of the two"


def test_a_button_is_answered_by_its_check_and_not_in_a_comment(town: Town, dana: Talk) -> None:
    sha = broken(town)
    assert dana.may("retry", comment=None, sha=sha) is None
    assert town.run(sha).retrying


def test_nobody_is_let_through_by_a_comment_where_no_freeze_allows_it(town: Town, dana: Talk) -> None:
    sha = town.merge("S1", "a")
    answer = dana.may("let-through", about={"merged": sha})
    assert answer is not None
    assert (answer.reaction, "no freeze lets single runs through" in answer.text) == ("-1", True)


def test_fast_lane_with_and_without_a_stage(town: Town, dana: Talk) -> None:
    town.break_stage("S2", "a")
    sha = town.merge("S1", "b")
    answer = dana.may("fast-lane")
    assert answer is not None
    assert answer.reaction == "-1"
    assert "name the stage to open for it" in answer.text
    dana.may("fast-lane pre-production customers wait")
    assert town.on_fast_lane() == [sha]
    assert town.run(sha).permits == ("pre-production",)


def test_several_commands_are_done_in_their_order(town: Town, dana: Talk) -> None:
    broken(town)
    answer = dana.may("unlock pre-production fine", "retry", "status")
    assert answer is not None
    assert answer.reaction == "-1"  # unlocked, so the failed run has left
    assert [row.split(":")[0] for row in answer.text.split("\n\n")[:2]] == ["`unlock`", "`retry`"]
    assert town.locks() == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("fast-lane the shop is down", "the shop is down"),
        ("fast-lane production customers wait", "customers wait"),
        ("fast-lane production", f"asked on shop/S1#{NUMBER}"),
        ("fast-lane", f"asked on shop/S1#{NUMBER}"),
    ],
)
def test_the_reason_is_what_is_left_of_the_command_and_a_stage_is_no_part_of_it(
    town: Town, dana: Talk, words: str, reason: str
) -> None:
    town.configure(shop(start=FastLaneStart.MANUAL))
    town.break_stage("S1", "a")
    town.merge("S1", "b")
    dana.may(words)
    (promoted,) = [fact for fact in town.facts if fact.kind is FactKind.RUN_PROMOTED]
    assert text_of(promoted.why).endswith(f"github:dana: {reason}")


# -- of several runs ---


def came_back(town: Town, stage: str) -> tuple[Run, Run]:
    """Main was forced away from S1a, of pull request 7, and back: one run in acceptance, a younger one in `stage`."""
    town.github.commit("S1", "S1a")
    town.send(town.merged("S1", "S1-", "S1a"))
    town.pull("S1", "a", NUMBER)
    town.pass_build("S1a")
    town.start_build("S1a")
    older = town.run("S1a").key
    town.merge("S1", "b")
    town.force_push("S1", "a", onto=None)
    while town.at("S1a") != stage:
        town.pass_build("S1a")
    town.start_build("S1a")
    return town.board.runs[older], town.run("S1a")


@pytest.mark.parametrize("stage", ["build", "pre-production"])
def test_cancel_takes_out_the_latest_run_that_nobody_has_taken_out_yet(town: Town, dana: Talk, stage: str) -> None:
    older, younger = came_back(town, stage)
    dana.may("cancel")
    assert town.board.runs[younger.key].taken_out
    assert not town.board.runs[older.key].taken_out
    dana.may("cancel")
    assert town.board.runs[older.key].taken_out
    answer = dana.may("cancel")
    assert answer is not None
    assert f"{younger.key} is leaving the board already" in answer.text


def test_retry_repeats_the_run_that_has_failed_though_a_younger_one_has_not(town: Town, dana: Talk) -> None:
    broken(town)
    town.merge("S1", "b")
    town.force_push("S1", "a", onto=None)
    assert len(town.board.of_commit("S1", "S1a")) == 2
    dana.may("retry")
    assert town.board.runs["S1.1"].retrying


@pytest.mark.parametrize("merged", ["", "S1a"])
def test_a_comment_is_about_the_runs_of_its_pull_request_and_no_other_of_the_service(
    town: Town, dana: Talk, merged: str
) -> None:
    town.merge("S1", "a")
    town.pull("S1", "a", NUMBER)
    town.merge("S1", "b")
    dana.may("cancel", about={"merged": merged})
    assert [run.sha for run in town.board.runs.values() if run.taken_out] == ["S1a"]


@pytest.mark.parametrize("named", ["older", "younger"])
def test_a_button_means_the_run_that_it_names_if_that_is_of_its_commit(town: Town, named: str) -> None:
    runs = dict(zip(("older", "younger"), came_back(town, "build"), strict=True))
    press(town, "cancel", "S1a", f"shop/{runs[named].key}")
    assert [run.key for run in town.board.runs.values() if run.taken_out and run.sha == "S1a"] == [runs[named].key]


def test_a_button_means_no_run_of_another_repository_though_it_has_the_same_commit(town: Town) -> None:
    town.merge("S1", "a")
    town.send(town.merged("S2", "S2-", "S1a"))
    press(town, "cancel", "S1a")
    assert {run.key: run.status for run in town.board.runs.values()} == {
        "S1.1": Status.ENDING,
        "S2.1": Status.STARTING,
    }


def test_a_button_of_another_pipelines_check_is_not_heard(town: Town) -> None:
    sha = broken(town)
    press(town, "retry", sha, f"other/{town.key(sha)}")
    assert (town.facts, town.run(sha).retrying) == ([], False)
    press(town, "retry", sha, f"shop/{town.key(sha)}")
    assert town.run(sha).retrying


# -- refused in words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lock", "name the stage and the reason"),
        ("lock acceptance", "name the stage and the reason"),
        ("unlock pre-production", "name the stage and the reason"),
        ("lock acceptence because", "shop has no stage 'acceptence'; it has build, acceptance,"),
        ("unlock acceptance because", "acceptance is not locked"),
        ("retry", "#7 is not merged, so it has no run"),
        ("cancel", "#7 is not merged, so it has no run"),
        ("verify", "#7 is not open"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(town: Town, dana: Talk, words: str, said: str) -> None:
    answer = dana.may(words, about={"merged": ""})
    assert answer is not None
    assert answer.reaction == "-1"
    assert said in answer.text
    assert said in town.refused()


def test_a_run_that_has_not_failed_is_not_repeated(town: Town, dana: Talk) -> None:
    town.merge("S1", "a")
    answer = dana.may("retry")
    assert answer is not None
    assert "has not failed: it is starting in build" in answer.text


def test_what_has_ended_is_told_instead(town: Town, dana: Talk) -> None:
    answer = dana.may("retry", about={"past": "S1.1 ended as delivered in production: S1 1234567 is in production"})
    assert answer is not None
    assert "no run of #7 is live any more: S1.1 ended as delivered" in answer.text


def test_whoever_may_not_is_told_why_and_nothing_happens(town: Town) -> None:
    sha = broken(town)
    answer = Talk(town, "mallory").may_not("retry")
    assert answer is not None
    assert (answer.reaction, answer.text) == ("-1", "not done: mallory may not write.")
    assert not town.run(sha).retrying
    assert "github:mallory" in town.refused()


def test_what_is_not_understood_is_answered_with_what_was_meant(town: Town, dana: Talk) -> None:
    said = dana.says("help")
    said = replace(said, key="comment/1", comment=1, commands=(Command("", meant="retry"),))
    town.send(said)
    (effect,) = town.send(CommandAllowed(said, "S1")).effects
    assert isinstance(effect, Answer)
    assert (effect.reaction, _written(effect, town).text.splitlines()[0]) == (
        "confused",
        "Not understood: did you mean `/interlock retry`? `/interlock help` names all there are.",
    )


# -- asked -----------------------------------------------------------------------------------------------------


def test_why_says_the_sentence_of_the_board(town: Town, dana: Talk) -> None:
    sha = broken(town)
    answer = dana.may("why")
    assert answer is not None
    assert answer.reaction == "+1"
    assert town.says(sha) in answer.text


def test_status_names_the_stages_and_their_locks(town: Town, dana: Talk) -> None:
    broken(town)
    answer = dana.may("status")
    assert answer is not None
    assert "**shop** runs; 1 live run." in answer.text
    shown = "**locked**, 0 inside, 0 waiting\n  - `pre-production/S1.1`: S1 S1a failed in pre-production, by S1.1 since"
    assert f"- pre-production: {shown}" in answer.text


def test_no_line_of_help_would_be_obeyed(town: Town, dana: Talk) -> None:
    answer = dana.may("help")
    assert answer is not None
    assert not any(row.startswith("/") for row in answer.text.splitlines())
    for verb in commands.ASKS | {"retry", "cancel", "move", "let-through", "fast-lane", "lock", "unlock", "verify"}:
        assert f"`/interlock {verb}" in answer.text


def test_only_what_acts_needs_permission(town: Town, dana: Talk) -> None:
    town.quiet()
    dana.says("status", "why", "help")
    dana.says("status", "retry")
    assert [effect.acts for effect in town.did(AuthorizeCommand)] == [False, True]


def test_what_was_left_out_of_a_long_comment_is_said(town: Town, dana: Talk) -> None:
    answer = dana.may("help", more=97)
    assert answer is not None
    assert "Three commands of a comment count: 97 more were left out." in answer.text


# -- once, in time, not too often ------------------------------------------------------------------------------


def test_a_comment_counts_once_however_often_it_is_delivered(town: Town, dana: Talk) -> None:
    said = dana.says("lock acceptance because")
    before = len(town.effects)
    town.send(said)
    assert len(town.effects) == before
    allowed = CommandAllowed(said, "S1")
    town.send(allowed)
    town.send(allowed)
    town.send(said)
    town.send(CommandRefused(said, "no"))
    assert len(town.locks("acceptance")) == 1
    assert len(town.did(Answer)) == 1


def test_what_we_have_not_heard_is_not_done(town: Town) -> None:
    town.send(
        CommandAllowed(CommandSaid("comment/9", "shop/S1", "eve", (Command("lock", "build x"),), 7, 9, 1.0), "S1")
    )
    assert town.locks("build") == []
    assert town.did(Answer) == []


def test_a_comment_older_than_an_hour_is_not_heard(town: Town, dana: Talk) -> None:
    town.quiet()
    dana.says("retry", at=town.now - 3_601)
    dana.says("retry", at=None)
    assert town.did(AuthorizeCommand) == []
    assert "more than an hour ago" in town.refused()
    dana.says("retry", at=town.now - 3_500)
    assert len(town.did(AuthorizeCommand)) == 1


def test_another_repository_is_none_of_ours(town: Town, dana: Talk) -> None:
    town.quiet()
    dana.says("retry", repository="shop/other")
    assert (town.did(AuthorizeCommand), town.facts) == ([], [])
    dana.says("retry", repository="SHOP/s1")
    assert len(town.did(AuthorizeCommand)) == 1


def test_one_person_is_heard_so_often_in_an_hour_and_others_still(town: Town, dana: Talk) -> None:
    town.quiet()
    for _ in range(60):
        dana.says("retry")
    assert len(town.did(AuthorizeCommand)) == commands.FROM_ONE
    assert town.told(FactKind.REQUEST_REFUSED) == [None]  # said once
    Talk(town, "kim").says("retry")
    assert len(town.did(AuthorizeCommand)) == commands.FROM_ONE + 1
    town.tick(3_600)
    dana.says("retry", at=town.now)
    assert len(town.did(AuthorizeCommand)) == commands.FROM_ONE + 2


def test_an_hour_is_over_when_it_is_over(town: Town, dana: Talk) -> None:
    town.quiet()
    dana.says("retry", at=town.now + 1 - commands.TOO_OLD)
    assert len(town.did(AuthorizeCommand)) == 1, "what is just an hour old is not too old"
    began = town.now
    for _ in range(commands.FROM_ONE - 1):
        dana.says("retry")
    town.now = began + commands.TOO_OLD - 1
    dana.says("retry", at=town.now)
    assert len(town.did(AuthorizeCommand)) == commands.FROM_ONE + 1, "and counts no more"


def test_so_it_is_with_the_answers_that_strangers_get(town: Town) -> None:
    Talk(town, "first").may_not("retry")
    began = town.now
    for number in range(commands.ON_ONE - 1):
        assert Talk(town, f"stranger{number}").may_not("retry") is not None
    said = Talk(town, "last").says("retry")
    town.now = began + commands.TOO_OLD - 1
    (answer,) = town.send(CommandRefused(said, "no")).effects
    assert isinstance(answer, Answer) and answer.replies, "the first of them was an hour ago"


def test_strangers_get_a_few_answers_on_a_pull_request_in_an_hour(town: Town) -> None:
    answers = [Talk(town, f"stranger{number}").may_not("retry") for number in range(20)]
    assert [bool(answer and answer.replies) for answer in answers] == [True] * commands.ON_ONE + [False] * 15
    assert {answer.reaction for answer in answers if answer} == {"-1"}, "beyond that there is a reaction alone"
    asking = [Talk(town, f"asks{number}").may("status") for number in range(20)]
    assert [answer is not None for answer in asking] == [True] * (commands.ON_ALL - 20) + [False] * 10
    assert Talk(town, "kim").may("lock acceptance because") is not None
    town.tick(3_600)
    assert Talk(town, "stranger0").may_not("retry", at=town.now) is not None


def test_strangers_get_a_few_answers_on_all_pull_requests_together(town: Town) -> None:
    answers = [Talk(town, f"stranger{number}").may_not("retry", pull=number) for number in range(100)]
    assert sum(answer is not None for answer in answers) == commands.ON_ALL


def test_what_is_remembered_is_bounded(town: Town) -> None:
    for number in range(300):
        Talk(town, f"stranger{number}").may_not("retry", pull=number)
    state = town.board.service("S1")
    assert len(state.handled_commands) == commands.HEARD
    assert len(state.answered) <= commands.ON_ALL


# -- modes and configuration -----------------------------------------------------------------------------------


def test_observing_asks_and_decides_and_answers_nothing(town: Town, dana: Talk) -> None:
    town.mode(Mode.OBSERVE)
    assert dana.may("lock acceptance because") is None
    assert town.locks("acceptance") == ["github:dana"]


def test_a_service_that_is_gone_when_github_answers_is_not_acted_upon(town: Town, dana: Talk) -> None:
    said = dana.says("lock acceptance because")
    town.send(Configured(shop(services=("S2", "S3"))))
    assert town.send(CommandAllowed(said, "S1")).effects == []
    assert town.locks("acceptance") == []


# -- buttons ---------------------------------------------------------------------------------------------------


def press(town: Town, verb: str, sha: str, run: str = "", pull: int | None = None, **about: Any) -> list[Any]:
    said = CommandSaid(f"check/1/{town.now}", "shop/S1", "dana", (Command(verb),), pull, sha=sha, run=run)
    town.send(said)
    return town.send(CommandAllowed(said, **about)).effects


def test_a_button_repeats_the_run_of_its_commit_and_answers_nothing(town: Town) -> None:
    sha = broken(town)
    effects = press(town, "retry", sha, town.key(sha))
    assert town.run(sha).retrying
    assert [e for e in effects if isinstance(e, Answer)] == []


@pytest.mark.parametrize("run", ["S1.99", "S2.1", ""])
def test_a_button_that_names_no_run_of_its_commit_means_the_latest_of_those(town: Town, run: str) -> None:
    town.merge("S2", "a")
    sha = broken(town)
    press(town, "rerun", sha, run)
    assert town.run(sha).retrying


def test_a_button_of_a_commit_that_is_gone_does_nothing(town: Town) -> None:
    press(town, "retry", "f" * 40)
    assert "no run of this check is on the board" in town.refused()
    press(town, "fast-lane", "f" * 40)
    assert "no run of this check is on the board" in town.refused()


def test_the_fast_lane_button_sends_the_head_of_its_service(town: Town) -> None:
    broken(town)
    fix = town.merge("S1", "b", title="fix")
    town.send(UnlockAsked("pre-production", "ann", "x"))
    press(town, "fast-lane", fix)
    assert "the fast lane is closed to S1" in town.refused()


# -- verify ----------------------------------------------------------------------------------------------------

HEAD = "abcdef0" + "1" * 33


@pytest.fixture
def verifies(town: Town) -> Town:
    """The same, and pull requests are verified."""
    town.configure(replace(shop(), verify=Verify(Job("build", "verify"))))
    town.quiet()
    return town


ABOUT: dict[str, Any] = {"service": "S1", "head": HEAD, "open": True}


@pytest.mark.parametrize("fork", [False, True])
def test_the_button_of_a_verified_head_verifies_it_again_as_it_names_the_commit(verifies: Town, fork: bool) -> None:
    press(verifies, "rerun", HEAD, pull=NUMBER, fork=fork, **ABOUT)
    assert [verification.sha for verification in verifies.board.verifications.values()] == [HEAD]


def test_but_not_if_the_head_has_moved_since_or_the_pull_request_is_not_known(verifies: Town) -> None:
    press(verifies, "rerun", "1" * 40, pull=NUMBER, **ABOUT)
    press(verifies, "rerun", HEAD, **ABOUT)
    assert not verifies.board.verifications
    assert verifies.told(FactKind.REQUEST_REFUSED) == [None, None]


def test_the_button_of_a_run_repeats_that_and_verifies_nothing(verifies: Town) -> None:
    sha = broken(verifies)
    press(verifies, "rerun", sha, pull=NUMBER, **ABOUT)
    assert verifies.run(sha).retrying
    assert not verifies.board.verifications


def test_verify_refuses_a_head_that_has_moved(town: Town, dana: Talk) -> None:
    answer = dana.may("verify 1234567", about={"head": HEAD, "open": True, "merged": ""})
    assert answer is not None
    assert answer.text == "`verify`: not done: the head of #7 is abcdef0 by now: look at it, then ask again."


def test_verify_on_a_fork_wants_the_commit_named(town: Town, dana: Talk) -> None:
    answer = dana.may("verify", about={"head": HEAD, "open": True, "fork": True, "merged": ""})
    assert answer is not None
    assert f"look at the commit, then write its full sha, as in `verify {HEAD}`" in answer.text


@pytest.mark.parametrize("digits", [7, 12, 39])
def test_the_beginning_of_a_forks_commit_is_not_enough_as_another_may_begin_alike(dana: Talk, digits: int) -> None:
    answer = dana.may(f"verify {HEAD[:digits]}", about={"head": HEAD, "open": True, "fork": True, "merged": ""})
    assert answer is not None
    assert "write its full sha" in answer.text


def test_a_forks_head_that_has_moved_is_named_in_full(dana: Talk) -> None:
    answer = dana.may(f"verify {'1' * 40}", about={"head": HEAD, "open": True, "fork": True, "merged": ""})
    assert answer is not None
    assert f"the head of #7 is {HEAD} by now" in answer.text


def asked_to_verify(town: Town, words: str, **about: Any) -> list[tuple[Any, ...]]:
    """What the rules for verifying are asked for."""
    seen: list[tuple[Any, ...]] = []
    said = CommandSaid("comment/5", "shop/S1", "dana", (Command("verify", words),), 7, 5, town.now)
    town.send(said)
    from bot.core.model.events import VerifyAsked
    from bot.core.rules.decision import Decision

    def apply(_: Decision, event: Any) -> None:
        assert isinstance(event, VerifyAsked)
        seen.append((event.service, event.pull, event.by, event.sha))

    commands.obey_command(Decision(town.board, town.now), CommandAllowed(said, "S1", HEAD, open=True, **about), apply)
    return seen


@pytest.mark.parametrize(("words", "fork"), [("", False), ("please", False), ("ABCDEF0", False), (HEAD.upper(), True)])
def test_verify_asks_for_the_head_that_github_named(town: Town, words: str, *, fork: bool) -> None:
    assert asked_to_verify(town, words, fork=fork) == [("S1", 7, "github:dana", HEAD)]
