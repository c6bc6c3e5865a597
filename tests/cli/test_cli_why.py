"""`interlock why` never says two things that contradict each other: nothing to do, and yet something."""

from __future__ import annotations

import re

import pytest

from bot.cli.sentences import run_sentence
from bot.core.model.events import LockAsked, ModeAsked, PullMoved
from bot.core.model.pipeline import Mode, Outcome
from bot.core.model.run import Run
from tests.cli.conftest import Interlock
from tests.web.conftest import Story, sha

#: What a sentence says when somebody is to act.
ACTION = re.compile(r"merge (the|a|another) fix|Merge (the|a|another)|end it in Jenkins|`interlock |by hand")


def contradicts(sentence: str) -> bool:
    """Whether the sentence tells the reader to do something, and also to do nothing."""
    return "Nothing to do" in sentence and ACTION.search(sentence) is not None


def said(interlock: Interlock, query: str) -> str:
    shown = interlock("why", query)
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_who_waits_behind_a_lock_is_not_told_both_to_merge_a_fix_and_to_do_nothing(
    interlock: Interlock, broken: Run
) -> None:
    assert not contradicts(said(interlock, "S2"))
    assert "merge the fix to S1" in said(interlock, "S2")


def test_a_fix_that_is_on_its_way_is_not_asked_for_again(interlock: Interlock, story: Story, broken: Run) -> None:
    assert "Merge the fix to main of S1" in said(interlock, broken.key)
    fix = story.merge("S1", "e")
    told = said(interlock, broken.key)
    assert "Nothing to do while S1.2 is on its way" in told
    assert not contradicts(told)
    story.build(fix, Outcome.FAILURE)
    told = said(interlock, broken.key)
    assert "Merge the fix to main of S1" in told
    assert not contradicts(told)


def test_every_run_of_every_state_is_told_one_thing(interlock: Interlock, story: Story, broken: Run) -> None:
    story.tell(LockAsked("production", "sam", "the fair"))
    story.merge("S1", "e")
    for mode in (Mode.RUN, Mode.PAUSE, Mode.OBSERVE):
        story.tell(ModeAsked(mode, "alex", "to see"))
        told = interlock("why").output.splitlines()
        assert len(told) == len(story.board.runs)
        assert [line for line in told if contradicts(line)] == []


def test_a_build_that_does_not_end_is_to_be_ended() -> None:
    tile = {
        "run": "S1.1", "service": "S1", "short": "b22c32c", "stage": "acceptance", "track": "real", "status": "ending",
        "build": 7, "why": "ending", "reason": "superseded by S1.2; build #7 does not end: end it in Jenkins",
        "stuck": True, "fix": None, "position": None,
    }  # fmt: skip
    sentence = run_sentence(tile)
    assert "End build #7 in Jenkins by hand" in sentence
    assert not contradicts(sentence)


@pytest.mark.parametrize("passes", [0, 4])
def test_who_asks_after_an_old_failure_is_not_told_to_fix_what_is_fixed(
    interlock: Interlock, story: Story, passes: int
) -> None:
    story.start()
    story.build(story.merge("S1", "a"), Outcome.FAILURE)
    assert "Merge a fix" in said(interlock, "S1.1")
    story.pass_stages(story.merge("S1", "b"), passes)
    assert "Nothing to do for this one: S1.2 came after it" in said(interlock, "S1.1")


def test_a_lock_is_not_lifted_by_mending_interlock() -> None:
    health = {"status": "degraded", "findings": [{"holds_up": True}]}
    tile = {
        "run": "S2.1", "service": "S2", "short": "80fe969", "stage": "production", "track": "real", "status": "waiting",
        "build": None, "why": "locked", "reason": "production is locked: the fair", "position": 1,
    }  # fmt: skip
    assert "then the run continues" not in run_sentence(tile, health)


def test_of_a_single_run_its_attempts_their_logs_and_its_waiting_are_told(
    interlock: Interlock, story: Story, broken: Run
) -> None:
    told = said(interlock, broken.key).splitlines()
    build = story.board.runs[broken.key].attempt.build
    assert told[1] == "Attempts:"
    assert told[2].startswith("  1  build: passed, build #")
    assert re.fullmatch(rf"  3  pre-production: failure, build #{build}, \d+ s \(CheckoutTest\)", told[4])
    assert told[5].strip() == f"https://cdp.example.com/job/shop/job/pre-production/{build}/console"
    assert told[6].startswith("Waited ")
    story.merge("S1", "e")
    assert "It also carries what S1.1 brought." in said(interlock, "S1.2")
    assert "Attempts:" not in said(interlock, "S1")  # two runs: name one


def test_what_is_said_of_a_run_never_contradicts_its_attempts(interlock: Interlock, story: Story, broken: Run) -> None:
    """Where the run is and its last attempt are of one moment."""
    states = {"running": "runs in", "starting": "is asking Jenkins for", "failure": "failed in"}
    for run in list(story.board.runs):
        first, *others = said(interlock, run).splitlines()
        last = [line for line in others if re.match(r"  \d+  ", line)][-1]
        outcome = re.sub(r".*?: ([\w -]+?)(,.*)?$", r"\1", last)
        assert states.get(outcome, "waits for") in first, (first, last)


def test_the_build_of_a_pull_request_is_explained_and_nothing_can_be_done_to_it(
    interlock: Interlock, story: Story
) -> None:
    story.start()
    story.tell(PullMoved("S1", 12, sha("S1p"), at=1.0))
    told = said(interlock, "#12")
    assert told.startswith(f"S1.pr12-1 (S1 #12 {sha('S1p')[:7]}): Interlock is asking Jenkins for its build in verify")
    for command in ("watch", "cancel"):
        shown = interlock(command, "#12", *(["--reason", "x"] if command == "cancel" else []))
        assert shown.exit_code == 1
        assert "it is a pull request that is being verified" in shown.output
