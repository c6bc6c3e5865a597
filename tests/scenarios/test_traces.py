"""State lost without any record: the traces at Jenkins and GitHub close stages and start heads of main."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.board import build_board
from bot.core.model.board_records import Header
from bot.core.model.effects import Compare, Notify, Survey, Trigger
from bot.core.model.events import Configured, ContainmentKnown, HeadSeen, HeadSurveyed, Merged, StateLost, UnlockAsked
from bot.core.model.facts import FactKind
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Lane, Outcome, Pipeline, Policy, Step, Track
from bot.core.model.traces import BuildTrace, DeployedCommit, LockTrace
from bot.core.rules.state_lost import lock_key, loss
from bot.reporting.view import loss_sentence
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import body_of, text_of

PRE = "pre-production"
STAGES = ("build", "acceptance", PRE, "production")
GREEN, RED = Outcome.SUCCESS, Outcome.FAILURE


class Jenkins:
    """The builds that Jenkins shows of before, each a second after the one before."""

    def __init__(self) -> None:
        self.builds: list[BuildTrace] = []

    def shows(self, run: str, sha: str, stage: str, result: Outcome | None = GREEN, **more: Any) -> BuildTrace:
        service, _, number = run.partition(".")
        at = 100.0 + len(self.builds)
        version = f"{service}-{number}-2026112900{number:0>4}"
        step = more.pop("step", Step(stage))
        made = BuildTrace(step, service, sha, run, 1, version, number=len(self.builds) + 1, result=result, started=at)
        self.builds.append(replace(made, **more))
        return self.builds[-1]

    def passed(self, run: str, sha: str, *stages: str) -> None:
        for stage in stages:
            self.shows(run, sha, stage)


@pytest.fixture
def jenkins() -> Jenkins:
    return Jenkins()


def begun(pipeline: Pipeline | None = None) -> Town:
    """A board that has just begun: nobody knows yet whether anything was lost."""
    town = Town(pipeline or shop())
    town.board = build_board(Header(Pipeline(town.board.pipeline.name, (), ())), [])
    town.quiet()
    town.send(Configured(pipeline or shop()))
    return town


def lost(jenkins: Jenkins, *locks: LockTrace, after: Town | None = None, **more: Any) -> Town:
    """The board after the loss: nobody remembers anything, Jenkins shows this."""
    town = after or begun()
    town.send(StateLost("Jenkins shows what the store does not", locks=locks, builds=tuple(jenkins.builds), **more))
    return town


def mark(build: BuildTrace | None = None, stage: str = PRE, **more: Any) -> LockTrace:
    """What the banner over a stage's job says of a lock, by default that of a person."""
    found = LockTrace(stage, Verbatim("it failed"), "kim", 90.0, banner=f"shop/{stage}")
    if build is not None:
        of = {"run": build.run, "service": build.service, "sha": build.sha, "build": build.number}
        found = replace(found, by=build.run, **of)
    return replace(found, **more)


def told(town: Town) -> Notify:
    """The one notice of the loss."""
    (notice,) = [each for each in town.did(Notify) if each.topic == "stuck"]
    return notice


def reasons(town: Town, stage: str = PRE) -> list[str]:
    return [text_of(lock.reason) for lock in town.board.locks_of(stage)]


# -- locks -----------------------------------------------------------------------------------------------------


def test_the_lock_of_a_failure_that_jenkins_confirms_stands_again_and_its_fix_opens_it(jenkins: Jenkins) -> None:
    jenkins.passed("S1.1", "S1a", "build", "acceptance")
    town = lost(jenkins, mark(jenkins.shows("S1.1", "S1a", PRE, RED)))
    lock = town.board.locks[f"{PRE}/S1.1"]
    assert (lock.automatic, lock.service, lock.build, lock.since) == (True, "S1", 3, 90.0)
    assert text_of(lock.reason) == f"it failed (read from the banner of shop/{PRE} after state was lost)"
    assert town.run("S1a").status == "failed"
    town.send(UnlockAsked(PRE, "alex", "looked", lock=lock_key(PRE)))
    town.send(Merged("S1", "S1e", "S1a"))
    assert town.run("S1e").lane is Lane.FAST
    for _ in range(4):
        town.pass_build("S1e")
    assert town.board.locks_of(PRE) == []


def test_the_lock_of_a_failure_has_no_end_and_lets_no_others_fixes_in_whatever_the_banner_claims(
    jenkins: Jenkins,
) -> None:
    town = lost(jenkins, mark(jenkins.shows("S1.1", "S1a", PRE, RED), by="kim", until=90_000.0, let_fixes_in=True))
    lock = town.board.locks[f"{PRE}/S1.1"]
    assert (lock.automatic, lock.by, lock.until, lock.let_fixes_in) == (True, "S1.1", None, False)


def test_a_failure_that_is_named_twice_locks_once(jenkins: Jenkins) -> None:
    told = mark(jenkins.shows("S1.1", "S1a", PRE, RED))
    assert [lock.key for lock in lost(jenkins, told, told).board.locks_of(PRE)] == [f"{PRE}/S1.1", lock_key(PRE)]


def test_those_that_hold_locks_again_have_each_a_place_in_line_of_their_own(jenkins: Jenkins) -> None:
    marks = [mark(jenkins.shows(f"{service}.1", f"{service}a", PRE, RED)) for service in ("S1", "S2", "S3")]
    town = lost(jenkins, *marks)
    assert [run.queue_number for run in town.board.runs.values()] == [1, 2, 3]


def test_a_merge_that_came_before_the_loss_was_found_is_not_blamed_for_the_failure_of_an_older_run(
    jenkins: Jenkins,
) -> None:
    """The new board counts its runs from 1 again: its first run has the key of the one that failed."""
    for first in ("S1x", "S1a"):
        town = begun()
        town.merge("S1", first.removeprefix("S1"))
        assert town.run(first).key == "S1.1"
        lost(jenkins, mark(jenkins.shows("S1.1", "S1a", PRE, RED)), after=town)
        (lock,) = [lock for lock in town.board.locks_of(PRE) if lock.key != lock_key(PRE)]
        assert (lock.automatic, lock.run) == (False, None)
        assert town.run(first).status == "starting"


def test_a_banner_that_is_older_than_the_fix_locks_only_until_github_has_said_what_contains_what(
    jenkins: Jenkins,
) -> None:
    failed = jenkins.shows("S1.1", "S1a", PRE, RED)
    jenkins.shows("S1.2", "S1e", PRE, lane=Lane.FAST)
    town = lost(jenkins, mark(failed))
    assert f"{PRE}/S1.1" in town.board.locks
    (ask,) = [ask for ask in town.did(Compare) if ask.head == "S1e"]
    town.send(ContainmentKnown("S1", ask.base, ask.head, contains=True))
    assert [lock.key for lock in town.board.locks_of(PRE)] == [lock_key(PRE)]


def test_its_failed_run_can_be_retried(jenkins: Jenkins) -> None:
    jenkins.passed("S1.1", "S1a", "build", "acceptance")
    town = lost(jenkins, mark(jenkins.shows("S1.1", "S1a", PRE, RED)))
    town.send(UnlockAsked(PRE, "alex", "looked", lock=lock_key(PRE)))
    town.quiet()
    town.retry("S1a")
    (trigger,) = town.did(Trigger)
    assert (trigger.run, trigger.attempt, trigger.stage) == ("S1.1", 2, PRE)


@pytest.mark.parametrize(
    "change",
    [
        {"build": 99},
        {"build": None},
        {"sha": "S1z"},
        {"sha": ""},
        {"service": "S2"},
        {"service": "nobody"},
        {"run": "S1.7"},
    ],
    ids=str,
)
def test_a_lock_that_only_the_banner_tells_of_closes_and_opens_nothing(
    jenkins: Jenkins, change: dict[str, Any]
) -> None:
    """Whoever may edit a job's description can lock; no fast lane is opened, and only a person opens the lock."""
    town = lost(jenkins, replace(mark(jenkins.shows("S1.1", "S1a", PRE, RED)), **change))
    (lock,) = [lock for lock in town.board.locks_of(PRE) if lock.key != lock_key(PRE)]
    assert not lock.automatic
    assert town.board.service("S1").history.find("") is None
    town.send(Merged("S1", "S1e", "S1a"))
    assert town.run("S1e").lane is Lane.MAIN
    assert town.key("S1e") == ("S1.8" if "run" in change else "S1.2"), "no key is given twice"


def test_a_build_that_passed_confirms_no_failure(jenkins: Jenkins) -> None:
    town = lost(jenkins, mark(jenkins.shows("S1.1", "S1a", PRE, GREEN)))
    assert not any(lock.automatic for lock in town.board.locks_of(PRE))


def test_a_lock_of_a_person_stands_again_with_its_end(jenkins: Jenkins) -> None:
    town = begun()
    ended = mark(stage="production", until=town.now + 1)  # at the very second in which it would be put up again
    lost(jenkins, mark(let_fixes_in=True, until=90_000.0), ended, after=town)
    lock, closed = town.board.locks_of(PRE)
    assert (lock.by, lock.until, lock.let_fixes_in) == ("kim", 90_000.0, True)
    assert closed.key == lock_key(PRE) and not closed.let_fixes_in and closed.until is None
    assert "production" not in {lock.stage for lock in town.board.locks.values()}
    assert "production" not in {fact.step.stage for fact in town.facts if fact.kind is FactKind.STAGE_UNLOCKED}


def test_each_lock_that_a_person_is_to_open_has_a_key_of_its_own(jenkins: Jenkins) -> None:
    town = lost(jenkins, mark(), mark(reason=Verbatim("the fair")), mark(stage="production"))
    assert [lock.key for lock in town.board.locks_of(PRE) if lock.by == "kim"] == [f"{PRE}/1", f"{PRE}/2"]
    assert town.board.counters.next_lock == 4


def test_a_mark_that_claims_to_be_of_tomorrow_began_at_the_latest_now(jenkins: Jenkins) -> None:
    town = lost(jenkins, mark(since=9e12), mark(jenkins.shows("S1.1", "S1a", PRE, RED), since=9e12))
    assert all(lock.since <= town.now for lock in town.board.locks.values())
    assert town.run("S1a").since == town.now


def test_a_stage_that_is_not_configured_any_more_is_not_locked(jenkins: Jenkins) -> None:
    assert "attic" not in {lock.stage for lock in lost(jenkins, mark(stage="attic")).board.locks.values()}


# -- the heads of main -----------------------------------------------------------------------------------------


def test_a_commit_that_was_on_its_way_starts_again_and_no_key_is_given_twice(jenkins: Jenkins) -> None:
    jenkins.passed("S1.3", "S1b", "build")
    jenkins.shows("S1.3", "S1b", "acceptance", None)
    jenkins.passed("S1.4", "S1c", "build")
    town = lost(jenkins)
    assert [(run.sha, run.key) for run in town.board.runs.values()] == [("S1c", "S1.5")]
    assert "S1.4 was in build" in text_of(town.run("S1c").story[-1].what)


def test_the_newest_run_is_the_one_that_began_last_whatever_its_number(jenkins: Jenkins) -> None:
    """Numbers began again at 1 when state was lost before; a build that was started by hand may have any name."""
    jenkins.shows("S1.2", "S1c", "build", version="S1-2-20261129100000")
    jenkins.shows("S1.9", "S1b", "build", version="S1-9-20261128100000")
    jenkins.shows("S1.by-hand", "S1a", "build", version="")
    town = lost(jenkins)
    assert [(run.sha, run.key) for run in town.board.runs.values()] == [("S1c", "S1.10")]
    jenkins.builds = jenkins.builds[2:]
    assert lost(jenkins).run("S1a").key == "S1.1"


def test_a_commit_that_came_back_to_main_is_its_head(jenkins: Jenkins) -> None:
    for run, sha in ("S1.1", "S1a"), ("S1.2", "S1b"), ("S1.3", "S1a"):
        jenkins.passed(run, sha, *STAGES)
    head = lost(jenkins).board.service("S1").history.head
    assert head is not None and head.sha == "S1a"


def test_what_is_delivered_does_not_start_again_though_an_older_commit_was_told_after_it(jenkins: Jenkins) -> None:
    """Nothing was forced: that GitHub names the commit that contains the other only moves the head on."""
    jenkins.passed("S1.1", "S1b", *STAGES)
    jenkins.passed("S1.2", "S1a", "build")
    town = lost(jenkins)
    for sha in "S1a", "S1b":
        town.github.commit("S1", sha)
    town.look_at_main("S1")
    town.answer_questions()
    head = town.board.service("S1").history.head
    assert head is not None and head.sha == "S1b"
    assert town.live() == ["S1a"]


def test_what_github_said_of_main_before_the_loss_was_found_is_old(jenkins: Jenkins) -> None:
    jenkins.passed("S1.1", "S1b", *STAGES)
    town = begun()
    asked_at = town.board.service("S1").moves
    lost(jenkins, after=town)
    town.send(HeadSeen("S1", "S1a", moves=asked_at))
    assert not town.board.runs
    town.send(Merged("S1", "S1c", "S1b"))
    town.send(HeadSeen("S1", "S1a", moves=asked_at))
    assert [run.sha for run in town.board.runs.values()] == ["S1c"]


@pytest.mark.parametrize(
    ("stage", "result", "starts"),
    [
        ("production", GREEN, False),  # delivered
        ("acceptance", RED, False),  # its run had ended as a reported failure
        ("acceptance", GREEN, True),  # it waited
        ("acceptance", None, True),
        ("acceptance", Outcome.ABORTED, True),  # a crash may have ended it
    ],
)
def test_what_had_ended_does_not_start_again(
    jenkins: Jenkins, stage: str, result: Outcome | None, starts: bool
) -> None:
    jenkins.passed("S1.1", "S1a", "build")
    jenkins.shows("S1.1", "S1a", stage, result)
    assert ("S1a" in {run.sha for run in lost(jenkins).board.runs.values()}) is starts


def test_what_a_merge_has_started_before_the_loss_was_found_does_not_start_twice(jenkins: Jenkins) -> None:
    jenkins.shows("S1.1", "S1a", "build", None)
    town = begun()
    town.merge("S1", "a")
    lost(jenkins, after=town)
    assert [run.sha for run in town.board.runs.values()] == ["S1a"]


def test_a_build_that_waits_in_the_queue_of_jenkins_counts(jenkins: Jenkins) -> None:
    jenkins.shows("S1.1", "S1a", "build", None, number=None, started=0.0)
    town = lost(jenkins)
    assert town.run("S1a").key == "S1.2"
    notice = told(town)
    assert "S1 S1a, in build: in Jenkins' queue" in body_of(notice)


@pytest.mark.parametrize("order", ["head first", "loss first"])
def test_a_merge_that_nobody_was_told_of_starts(jenkins: Jenkins, order: str) -> None:
    """GitHub may name the head of main before or after Jenkins has shown the loss."""
    jenkins.passed("S1.1", "S1a", *STAGES)
    after = begun()
    event = StateLost("x", builds=tuple(jenkins.builds))
    if order == "head first":
        after.send(HeadSeen("S1", "S1b"))
        after.send(event)
    else:
        after.send(event)
        after.send(HeadSeen("S1", "S1b", moves=after.board.service("S1").moves))
    assert [run.sha for run in after.board.runs.values()] == ["S1b"]


def test_what_is_delivered_is_not_delivered_again_when_github_names_it(jenkins: Jenkins) -> None:
    jenkins.passed("S1.1", "S1a", *STAGES)
    town = lost(jenkins)
    town.send(HeadSeen("S1", "S1a", moves=town.board.service("S1").moves))
    assert not town.board.runs


def test_a_fix_that_was_on_the_fast_lane_is_there_again_and_another_commit_is_not(jenkins: Jenkins) -> None:
    jenkins.passed("S1.1", "S1a", "build", "acceptance")
    failed = jenkins.shows("S1.1", "S1a", PRE, RED)
    jenkins.shows("S1.2", "S1b", "build", lane=Lane.FAST)
    assert lost(jenkins, mark(failed)).run("S1b").lane is Lane.FAST
    jenkins.builds[-1] = replace(jenkins.builds[-1], lane=Lane.MAIN)
    assert lost(jenkins, mark(failed)).run("S1b").lane is Lane.MAIN


def test_builds_of_pull_requests_and_of_services_that_are_not_configured_start_nothing(jenkins: Jenkins) -> None:
    jenkins.builds.append(replace(jenkins.shows("S1.1", "S1a", "build"), run="S1.pr12-1"))
    jenkins.builds.pop(0)
    jenkins.shows("S9.1", "S9a", "build")
    assert not lost(jenkins).board.runs


# -- never backwards (F11) -------------------------------------------------------------------------------------


def test_what_jenkins_rolled_out_last_is_what_is_in_the_stage(jenkins: Jenkins) -> None:
    jenkins.passed("S1.1", "S1a", *STAGES)
    jenkins.shows("S1.2", "S1b", "production", RED)
    version = lost(jenkins).board.version("S1", Step("production"))
    assert version.whole is not None and version.broken is not None
    assert (version.whole.position.sha, version.broken.position.sha) == ("S1a", "S1b")


def test_of_the_builds_of_before_those_are_remembered_that_say_what_is_in_a_stage_and_the_newest(
    jenkins: Jenkins,
) -> None:
    """A history remembers a bounded number of commits."""
    jenkins.shows("S1.1", "S1z", "production")
    jenkins.shows("S1.2", "S1a", "production")
    jenkins.shows("S1.3", "S1b", "build")
    board = lost(jenkins).board
    assert [position.sha for position in board.service("S1").history.positions] == ["S1a", "S1b"]
    whole = board.version("S1", Step("production")).whole
    assert whole is not None and whole.position.sha == "S1a"


def test_what_counts_as_passed_is_what_the_stage_lets_pass(jenkins: Jenkins) -> None:
    jenkins.passed("S1.1", "S1a", "build", "acceptance")
    jenkins.shows("S1.1", "S1a", PRE, Outcome.UNSTABLE)
    town = lost(jenkins, after=begun(shop(outcomes=((Outcome.UNSTABLE, Policy.PASS),))))
    version = town.board.version("S1", Step(PRE))
    assert version.whole is not None and version.broken is None
    assert town.run("S1a"), "it was on its way to production"


def test_a_build_that_runs_or_was_not_built_has_brought_nothing_into_its_stage(jenkins: Jenkins) -> None:
    jenkins.shows("S1.1", "S1a", "build", Outcome.NOT_BUILT)
    jenkins.shows("S1.1", "S1a", "acceptance", None)
    assert not lost(jenkins).board.versions


def test_of_a_stage_that_is_not_configured_any_more_nothing_is_noted(jenkins: Jenkins) -> None:
    jenkins.shows("S1.1", "S1a", "attic")
    jenkins.shows("S1.1", "S1a", "build")
    assert [version.step.stage for version in lost(jenkins).board.versions.values()] == ["build"]


def test_an_older_head_does_not_get_on_top_of_a_newer_commit_until_github_has_said_what_contains_what(
    jenkins: Jenkins,
) -> None:
    """Main may have been forced back: then GitHub says so. Or an answer of GitHub is old."""
    jenkins.passed("S1.2", "S1b", *STAGES)
    town = lost(jenkins)
    for stage in (PRE, "production"):
        town.send(UnlockAsked(stage, "alex", "looked"))
    town.quiet()
    town.send(HeadSeen("S1", "S1a", moves=town.board.service("S1").moves))
    for _ in range(2):
        town.pass_build("S1a")
    assert not [trigger for trigger in town.did(Trigger) if trigger.stage == PRE]
    assert {(ask.base, ask.head) for ask in town.did(Compare)} & {("S1a", "S1b"), ("S1b", "S1a")}


def test_in_a_fast_job_only_the_fast_step_has_it(jenkins: Jenkins) -> None:
    jenkins.shows("S1.1", "S1a", "acceptance", step=Step("acceptance", Track.FAST), lane=Lane.FAST)
    board = lost(jenkins).board
    assert board.version("S1", Step("acceptance", Track.FAST)).whole is not None
    assert board.version("S1", Step("acceptance")).whole is None


# -- what GitHub shows -----------------------------------------------------------------------------------------


def test_of_services_that_nothing_tells_of_github_is_asked(jenkins: Jenkins) -> None:
    jenkins.passed("S1.1", "S1a", *STAGES)
    town = lost(jenkins)
    assert {(ask.service, ask.last_stage) for ask in town.did(Survey)} == {("S2", "production"), ("S3", "production")}
    assert {ask.environments for ask in town.did(Survey)} == {()}, "no stage of these has one"
    notice = told(town)
    assert "For 2 services neither a worker nor Jenkins shows anything: Interlock asks GitHub." in body_of(notice)


@pytest.mark.parametrize(
    ("state", "deployed", "starts", "says"),
    [
        ("pending", (), True, "was on its way: it starts again"),
        ("success", (), False, "was delivered"),
        ("failure", (), False, "had ended without being delivered"),
        ("error", (), False, "had ended without being delivered"),
        ("", (), False, "nothing shows whether it was delivered"),
        ("", (DeployedCommit("production", "S2a", 50.0),), False, "was delivered"),
        ("", (DeployedCommit("production", "S2z", 50.0),), True, "was on its way: it starts again"),
    ],
)
def test_the_head_of_main_starts_if_github_shows_that_it_was_on_its_way(
    jenkins: Jenkins, state: Any, deployed: tuple[DeployedCommit, ...], starts: bool, says: str
) -> None:
    town = lost(jenkins)
    town.send(HeadSurveyed("S2", "S2a", state, deployed))
    started = town.board.of_service("S2")
    assert [run.sha for run in started] == (["S2a"] if starts else [])
    assert ["starts again" in text_of(run.story[-1].what) for run in started] == [True] * len(started)
    (fact,) = [fact for fact in town.facts if fact.kind is FactKind.HEAD_SURVEYED]
    assert says in text_of(fact.why)
    head = town.board.service("S2").history.head
    assert head is not None and head.sha == "S2a"
    whole = town.board.version("S2", Step("production")).whole
    assert (whole.position.sha if whole else None) == (deployed[0].sha if deployed else None)


def test_the_head_is_what_github_names_whatever_is_deployed_and_is_delivered_only_by_the_last_stage(
    jenkins: Jenkins,
) -> None:
    town = lost(jenkins)
    moves = town.board.service("S2").moves
    deployed = (DeployedCommit("acceptance", "S2a", 60.0), DeployedCommit(PRE, "S2z", 50.0))
    town.send(HeadSurveyed("S2", "S2a", "", deployed))
    state = town.board.service("S2")
    assert state.history.head is not None and state.history.head.sha == "S2a"
    assert (state.undecided_head, state.moves) == ("S2a", moves + 1)
    whole = {str(each.step): each.whole.position.sha for each in town.board.versions.values() if each.whole}
    assert whole == {"acceptance": "S2a", PRE: "S2z"}


def test_what_a_deployment_says_replaces_nothing_that_is_known_of_a_stage(jenkins: Jenkins) -> None:
    town = lost(jenkins)
    for sha, at in ("S2b", 60.0), ("S2a", 50.0):
        town.send(HeadSurveyed("S2", "S2b", "success", (DeployedCommit("production", sha, at),)))
    whole = town.board.version("S2", Step("production")).whole
    assert whole is not None and whole.position.sha == "S2b"


def test_a_merge_that_is_told_after_that_answer_starts_once(jenkins: Jenkins) -> None:
    """GitHub tells of it late, or again: its push and its pull request."""
    town = lost(jenkins)
    town.send(HeadSurveyed("S2", "S2a", ""))
    assert not town.board.of_service("S2")
    number = town.board.service("S2").number
    town.send(Merged("S2", "S2a", "S2z", push_id="z-a"))
    town.send(Merged("S2", "S2a", None, pull=7))
    (run,) = town.board.of_service("S2")
    assert (run.sha, run.key, run.merge.pulls) == ("S2a", f"S2.{number + 1}", (7,))
    assert len(town.told(FactKind.MERGE_KNOWN)) == 1, "of the pull request; its push was news"
    head = town.board.service("S2").history.head
    assert head is not None and head.sha == "S2a"
    town.send(Merged("S2", "S2a", "S2z", push_id="once more"))
    assert len(town.board.of_service("S2")) == 1
    town.send(Merged("S2", "S2c", "S2a", push_id="a-c"))
    assert [run.key for run in town.board.of_service("S2")] == [f"S2.{number + 1}", f"S2.{number + 2}"]


@pytest.mark.parametrize("state", ["success", "failure"])
def test_a_merge_that_github_shows_as_over_does_not_start_because_it_is_told_again(
    jenkins: Jenkins, state: Any
) -> None:
    town = lost(jenkins)
    town.send(HeadSurveyed("S2", "S2a", state))
    town.send(Merged("S2", "S2a", "S2z", push_id="z-a"))
    assert not town.board.of_service("S2")


def test_a_head_that_a_person_has_sent_is_not_started_again_by_its_merge(jenkins: Jenkins) -> None:
    town = lost(jenkins)
    town.send(HeadSurveyed("S2", "S2a", ""))
    town.fast_lane("S2", "production")
    (run,) = town.board.of_service("S2")
    town.send(Merged("S2", "S2a", "S2z", push_id="z-a"))
    assert [each.key for each in town.board.of_service("S2")] == [run.key]


def test_a_head_that_started_by_its_merge_and_was_cancelled_does_not_start_again(jenkins: Jenkins) -> None:
    town = lost(jenkins)
    town.send(HeadSurveyed("S2", "S2a", ""))
    town.send(Merged("S2", "S2a", "S2z", push_id="z-a"))
    town.cancel("S2a")
    town.confirm_withdrawal("S2a")
    town.send(Merged("S2", "S2a", "S2z", push_id="once more"))
    assert not town.board.of_service("S2")


def test_an_answer_that_comes_after_a_merge_takes_nothing_back(jenkins: Jenkins) -> None:
    town = lost(jenkins)
    town.send(Merged("S2", "S2b", "S2a"))
    town.send(HeadSurveyed("S2", "S2a", "success"))
    head = town.board.service("S2").history.head
    assert head is not None and head.sha == "S2b"
    assert [run.sha for run in town.board.of_service("S2")] == ["S2b"]


def test_without_a_loss_github_is_asked_nothing_and_its_answer_means_nothing() -> None:
    town = Town()
    town.send(HeadSurveyed("S2", "S2a", "pending"))
    assert not town.board.of_service("S2")


# -- what is told ----------------------------------------------------------------------------------------------


def test_people_are_told_what_was_put_back_what_goes_on_and_what_is_not_known(jenkins: Jenkins) -> None:
    jenkins.shows("S1.2", "S1b", "acceptance", None)
    failed = jenkins.shows("S1.1", "S1a", PRE, RED)
    town = lost(jenkins, mark(failed), silent=("shop/production",))
    notice = told(town)
    for part in (
        "Interlock has put these locks back, from the memory of a worker or from banners; confirm or open each:",
        f"  {PRE}: it failed (read from the banner of shop/{PRE} after state was lost)",
        "  S1 S1b, in acceptance: build #1 runs",
        "Jenkins did not answer about shop/production",
        "Lost for good: the order of the queues",
        "Started again from the first stage: S1 S1b.",
    ):
        assert part in body_of(notice)
    assert "build #2 runs" not in body_of(notice), "it has failed"


def test_until_the_lock_of_the_loss_is_opened_the_locks_that_were_read_are_to_be_confirmed(jenkins: Jenkins) -> None:
    town = lost(jenkins, mark(jenkins.shows("S1.1", "S1a", PRE, RED)))
    found = loss(town.board, town.now)
    assert found is not None
    assert f"confirm or open these locks, read from banners: {PRE} (it failed)" in loss_sentence(found)
    town.send(UnlockAsked(PRE, "alex", "looked", lock=lock_key(PRE)))
    found = loss(town.board, town.now)
    assert found is not None and found.found == ()
    assert len(reasons(town)) == 1
