"""Pull requests are verified: one build for each push, only for the newest head, reported as a commit status."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from bot.core.model.effects import AbortDuplicate, Notify, SetStatus, Trigger, Withdraw
from bot.core.model.events import (
    BuildHinted,
    BuildLost,
    BuildSeen,
    GroupFormed,
    PullClosed,
    PullMoved,
    TriggerAccepted,
    TriggerRefused,
    VerifyAsked,
    Withdrawn,
)
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import VERIFY, AbortLevel, Forks, Job, Mode, Outcome, Pipeline, Service, Track, Verify
from bot.core.model.run import Status, Verification
from bot.core.rules.verifications import PULLS
from bot.reporting.explain import why_of_verification
from tests.core.town import Town
from tests.core.world import Asked, shop
from tests.texts import text_of

JOB = Job("build", "verify")
A, B, C = "a" * 40, "b" * 40, "c" * 40


def verified(**how: Any) -> Pipeline:
    """The shop, with a job for pull requests."""
    return replace(shop(), verify=Verify(JOB, **how))


class Pulls(Town):
    """A town whose people open pull requests, all of S1."""

    def __init__(self, **how: Any) -> None:
        super().__init__(verified(**how))

    def moves(self, sha: str, pull: int = 12, **how: Any) -> None:
        """A pull request is opened, or its head moves."""
        self.send(PullMoved("S1", pull, sha, **{"at": self.now, **how}))

    def closes(self, sha: str, pull: int = 12) -> None:
        """A pull request is closed."""
        self.send(PullClosed("S1", pull, sha, at=self.now))

    def asks(self, sha: str, pull: int = 12, **how: Any) -> None:
        """A person asks for a head to be verified."""
        self.send(VerifyAsked("S1", pull, "ann", sha, **how))

    def verification(self, sha: str) -> Verification:
        """The live verification of a head."""
        found = [v for v in self.board.verifications.values() if v.sha == sha]
        assert found, f"{sha} is not being verified"
        return max(found, key=lambda v: v.key)

    def attempt(self, sha: str) -> Asked:
        """Its attempt, as Jenkins knows it."""
        verification = self.verification(sha)
        return self.jenkins.attempts[verification.key, verification.attempt.number]

    def verifying(self) -> dict[str, str]:
        """The heads that are verified, by the first letter of the sha, and how they stand."""
        return {v.sha[0]: str(v.status) for v in self.board.verifications.values()}

    def statuses(self) -> list[tuple[str, str, str]]:
        """What was said of which commit since the last `quiet`."""
        return [(e.sha[0], e.state, text_of(e.description)) for e in self.did(SetStatus, context="verify")]


# -- one build for each push -----------------------------------------------------------------------------------


def test_a_pull_request_is_verified_by_one_build_and_the_commit_is_told() -> None:
    town = Pulls()
    town.moves(A)
    (trigger,) = town.did(Trigger)
    assert (trigger.run, trigger.attempt, trigger.stage, trigger.track) == ("S1.pr12-1", 1, "verify", Track.VERIFY)
    assert (trigger.job, trigger.sha, trigger.pull, trigger.repository) == (JOB, A, 12, "shop/S1")
    town.accept_trigger(A)
    town.start_build(A)
    assert town.verifying() == {"a": "running"}
    town.pass_build(A)
    assert town.statuses() == [
        ("a", "pending", "waits for its build"),
        ("a", "pending", "build #1 runs in verify"),
        ("a", "success", "build #1 has passed"),
    ]
    assert town.verifying() == {}
    assert town.told(FactKind.BUILD_PASSED) == [A]


@pytest.mark.parametrize(
    ("result", "state", "said"),
    [
        (Outcome.FAILURE, "failure", "build #1 failed: CheckoutTest.pays"),
        (Outcome.UNSTABLE, "failure", "build #1 was unstable: CheckoutTest.pays"),
        (Outcome.ABORTED, "error", "build #1 was aborted: CheckoutTest.pays"),
        (Outcome.NOT_BUILT, "error", "build #1 was not built: CheckoutTest.pays"),
    ],
)
def test_what_a_build_says_of_a_commit(result: Outcome, state: str, said: str) -> None:
    town = Pulls()
    town.moves(A)
    town.end_build(A, result, ("CheckoutTest.pays",))
    assert town.statuses()[-1] == ("a", state, said)
    assert (town.board.locks, town.did(Notify), town.verifying()) == ({}, [], {})


def test_the_step_that_went_wrong_is_named() -> None:
    town = Pulls()
    town.moves(A)
    town.start_build(A)
    town.send(replace(town.attempt(A).seen(Outcome.FAILURE), failed_step="Compile: exit code 2"))
    assert town.statuses()[-1] == ("a", "failure", "build #1 failed: step Compile: exit code 2")


def test_a_newer_push_aborts_the_older_build_and_starts_at_once() -> None:
    town = Pulls()
    town.moves(A)
    town.start_build(A)
    town.quiet()
    town.moves(B, before=A)
    assert town.verifying() == {"a": "ending", "b": "starting"}
    (withdraw,) = town.did(Withdraw)
    assert (withdraw.run, withdraw.build, withdraw.abort) == ("S1.pr12-1", 1, True)
    assert town.statuses() == [
        ("a", "error", "superseded by a newer push (bbbbbbb)"),
        ("b", "pending", "waits for its build"),
    ]
    town.quiet()
    town.end_build(A, Outcome.SUCCESS)
    assert (town.statuses(), town.verifying()) == ([], {"b": "starting"})
    town.pass_build(B)
    assert town.statuses()[-1][:2] == ("b", "success")


def test_a_build_that_starts_after_a_newer_push_is_aborted() -> None:
    town = Pulls()
    town.moves(A)
    town.accept_trigger(A)
    town.moves(B)
    town.quiet()
    town.start_build(A)
    (withdraw,) = town.did(Withdraw)
    assert (withdraw.build, withdraw.abort) == (1, True)


def test_what_was_called_back_before_it_started_leaves_nothing() -> None:
    town = Pulls()
    town.moves(A)
    town.moves(B)
    town.confirm_withdrawal(A)
    assert town.verifying() == {"b": "starting"}


def test_an_older_build_that_does_not_end_is_asked_more_firmly_and_keeps_its_slot() -> None:
    town = Pulls(capacity=1)
    town.moves(A)
    town.start_build(A)
    town.moves(B)
    assert town.verifying() == {"a": "ending", "b": "waiting"}
    for _ in range(2):
        town.take_aborts()
        town.tick(61)
    assert [w.level for w in town.did(Withdraw)] == [AbortLevel.STOP, AbortLevel.TERM, AbortLevel.KILL]
    town.end_build(A, Outcome.ABORTED)
    assert town.verifying() == {"b": "starting"}


def test_pull_requests_wait_for_a_slot_in_the_order_in_which_they_came() -> None:
    town = Pulls(capacity=1)
    for number, sha in zip((0, 20, 10), (A, B, C), strict=True):
        town.moves(sha, pull=number)
    assert town.verifying() == {"a": "starting", "b": "waiting", "c": "waiting"}
    reason = why_of_verification(town.board, town.verification(B), town.now)
    assert reason.sentence == "verify is full (1 of 1): S1 #0 aaaaaaa"
    town.pass_build(A)
    assert town.verifying() == {"b": "starting", "c": "waiting"}


def test_a_newer_push_keeps_the_place_in_line() -> None:
    town = Pulls(capacity=1)
    town.moves(A, pull=1)
    town.moves(B, pull=2)
    town.moves(C, pull=3)
    town.moves("d" * 40, pull=2, before=B)
    town.pass_build(A)
    assert town.verifying() == {"d": "starting", "c": "waiting"}
    assert not [e for e in town.did(Trigger) if e.sha == B]


def test_a_build_that_runs_too_long_is_aborted_and_is_an_error() -> None:
    town = Pulls(timeout=600.0)
    town.moves(A)
    town.start_build(A)
    assert town.board.next_due(town.now) == town.now + 600
    town.tick(601)
    (withdraw,) = town.did(Withdraw)
    assert withdraw.abort
    assert "it has run too long" in why_of_verification(town.board, town.verification(A), town.now).sentence
    town.end_build(A, Outcome.ABORTED)
    assert town.statuses()[-1] == ("a", "error", "build #1 ran too long")


def test_a_pull_request_moves_no_run_and_takes_no_place_of_one() -> None:
    town = Pulls()
    town.moves(A)
    town.merge("S1", "a")
    town.pass_build(A)
    assert (town.board.runs["S1.1"].status, len(town.board.runs)) == (Status.STARTING, 1)
    assert town.ended == {}


# -- closed, drafts, forks -------------------------------------------------------------------------------------


def test_a_closed_pull_request_is_verified_no_longer() -> None:
    town = Pulls()
    town.moves(A)
    town.start_build(A)
    town.closes(A)
    assert town.verifying() == {"a": "ending"}
    assert town.statuses()[-1] == ("a", "error", "the pull request is closed")
    town.end_build(A, Outcome.SUCCESS)
    assert town.statuses()[-1][1] == "error"
    assert town.verifying() == {}


def test_one_that_is_opened_again_is_verified_again_unless_its_result_is_known() -> None:
    town = Pulls()
    town.moves(A)
    town.closes(A)
    town.confirm_withdrawal(A)
    town.moves(A)
    town.pass_build(A)
    town.closes(A)
    town.quiet()
    town.moves(A)
    assert (town.did(Trigger), town.statuses()) == ([], [])


def test_a_draft_is_verified_once_it_is_ready() -> None:
    town = Pulls()
    town.moves(A, draft=True)
    assert (town.did(Trigger), town.statuses()) == ([], [])
    town.moves(A)
    assert town.verifying() == {"a": "starting"}
    town.moves(A, draft=True)
    assert town.statuses()[-1] == ("a", "error", "the pull request is a draft")
    assert town.verifying() == {"a": "ending"}


def test_drafts_are_verified_where_that_is_wished_or_when_somebody_asks() -> None:
    town = Pulls(drafts=True)
    town.moves(A, draft=True)
    assert town.verifying() == {"a": "starting"}
    town = Pulls()
    town.moves(A, draft=True)
    town.asks(A)
    assert town.verifying() == {"a": "starting"}


def test_the_code_of_a_fork_is_never_built_unasked() -> None:
    town = Pulls(drafts=True)
    town.moves(A, fork=True)
    assert town.did(Trigger) == []
    (told,) = town.statuses()
    assert told == ("a", "pending", f"from a fork: a maintainer must look at it, then comment /interlock verify {A}")
    assert len(told[2]) <= 140, "GitHub takes no more"
    assert [fact.kind for fact in town.facts] == [FactKind.VERIFICATION_HELD]
    town.asks(A)
    assert town.verifying() == {"a": "starting"}
    town.quiet()
    town.moves(B, before=A, fork=True)
    assert (town.verifying(), town.did(Trigger)) == ({"a": "ending"}, [])
    assert town.statuses()[-1][:2] == ("b", "pending")


def test_what_was_asked_for_is_built_only_if_it_is_still_the_head() -> None:
    """A person looks at A and lets it be built; whoever pushes B meanwhile must not get B built by that."""
    town = Pulls()
    town.moves(A, fork=True)
    town.moves(B, before=A, fork=True)
    town.asks(A)
    assert town.did(Trigger) == []
    assert town.refused() == (
        "the head of #12 has moved on from aaaaaaa to bbbbbbb: look at the new head, then ask again"
    )
    town.asks(B)
    assert [e.sha for e in town.did(Trigger)] == [B]


def test_asking_makes_up_for_a_push_that_nobody_told_of() -> None:
    town = Pulls()
    town.moves(A)
    town.asks(B)
    assert town.verifying() == {"a": "ending", "b": "starting"}
    town.asks(C, pull=99)
    assert town.verifying() == {"a": "ending", "b": "starting", "c": "starting"}


def test_where_forks_are_never_verified_nobody_can_ask_for_it() -> None:
    town = Pulls(forks=Forks.NEVER)
    town.moves(A, fork=True)
    town.asks(A)
    assert (town.did(Trigger), town.statuses()) == ([], [])
    assert town.refused() == "#12 comes from a fork, and this pipeline verifies no forks"
    town.asks(B, pull=99)  # nobody knows where that one comes from
    assert town.did(Trigger) == []
    town.asks(B, pull=99, fork=False)
    assert [e.sha for e in town.did(Trigger)] == [B]


def test_asking_repeats_a_verification_and_a_second_time_at_once_is_refused() -> None:
    town = Pulls()
    town.moves(A)
    town.fail_build(A)
    town.asks(A)
    assert town.verification(A).key == "S1.pr12-2"
    town.asks(A)
    assert town.refused() == "S1 #12 aaaaaaa is being verified already"


@pytest.mark.parametrize(
    ("event", "refusal"),
    [
        (VerifyAsked("S9", 12, "ann", A), "Interlock verifies no pull requests of S9"),
        (VerifyAsked("S1", 12, "ann", "main; rm -rf /"), "the request names no commit to verify"),
        (VerifyAsked("S1", 12, "ann", A), "#12 is closed, or targets another branch"),
    ],
)
def test_what_cannot_be_verified_is_refused(event: VerifyAsked, refusal: str) -> None:
    town = Pulls()
    town.closes(A)
    town.send(event)
    assert town.refused() == refusal
    assert town.did(Trigger) == []


def test_another_pull_request_with_the_same_head_cannot_undo_what_was_said_of_it() -> None:
    town = Pulls()
    town.moves(A)
    town.pass_build(A)
    town.quiet()
    town.moves(A, pull=13, fork=True)
    town.closes(A, pull=13)
    assert town.statuses() == []


def test_each_head_of_a_fork_is_said_to_wait_for_permission() -> None:
    town = Pulls()
    town.moves(A, fork=True)
    town.moves(B, before=A, fork=True)
    assert [(sha, state) for sha, state, _ in town.statuses()] == [("a", "pending"), ("b", "pending")]


def test_permission_to_build_the_head_of_a_fork_ends_when_the_pull_request_is_closed() -> None:
    town = Pulls()
    town.moves(A, fork=True)
    town.asks(A)
    town.closes(A)
    town.confirm_withdrawal(A)
    town.quiet()
    town.moves(A, fork=True)
    assert town.did(Trigger) == []
    assert [(sha, state) for sha, state, _ in town.statuses()] == [("a", "pending")]


def test_whoever_asks_does_not_make_a_fork_forgotten_and_may_tell_of_one() -> None:
    town = Pulls()
    town.moves(A, fork=True)
    town.asks(A)
    town.asks(C, pull=99, fork=True)
    assert [(pull.number, pull.fork) for pull in town.board.pulls["S1"].seen] == [(12, True), (99, True)]


def test_a_pull_request_that_is_known_to_be_none_of_a_fork_can_be_asked_for_where_forks_are_never_verified() -> None:
    town = Pulls(forks=Forks.NEVER)
    town.moves(A)
    town.fail_build(A)
    town.asks(A)
    assert town.verifying() == {"a": "starting"}


def test_what_is_asked_for_and_taken_back_is_on_record() -> None:
    town = Pulls()
    town.moves(A)
    assert town.told(FactKind.VERIFICATION_ASKED) == [A]
    town.closes(A)
    assert town.told(FactKind.VERIFICATION_ENDED) == [A]
    assert text_of(town.verification(A).ending) == "the pull request is closed"


# -- late, twice, in any order ---------------------------------------------------------------------------------


def test_the_same_news_in_any_order_end_with_the_same_head() -> None:
    """Opened with A, pushed to B, pushed to C: told in each order, with GitHub's clock, in one second, with none."""
    for clock in ((1.0, 2.0, 3.0), (1.0, 1.0, 1.0), (None, None, None)):
        story = [
            PullMoved("S1", 12, A, at=clock[0]),
            PullMoved("S1", 12, B, before=A, at=clock[1]),
            PullMoved("S1", 12, C, before=B, at=clock[2]),
        ]
        for order in permutations(story):
            town = Pulls()
            for event in order:
                town.send(event)
            live = {v.sha for v in town.board.verifications.values() if v.status is not Status.ENDING}
            assert live == {C}, (clock, [event.sha[0] for event in order])


def test_closed_before_late_news_of_the_time_before() -> None:
    town = Pulls()
    town.send(PullClosed("S1", 12, B, at=5.0))
    town.send(PullMoved("S1", 12, A, at=1.0))
    town.send(PullMoved("S1", 12, B, before=A, at=5.0))
    assert (town.did(Trigger), town.facts) == ([], [])


@pytest.mark.parametrize("closed", [5.0, None])
def test_old_news_after_the_end_of_a_pull_request_opens_it_only_if_github_does_not_know_when_that_was(
    closed: float | None,
) -> None:
    town = Pulls()
    town.send(PullMoved("S1", 12, A, at=2.0))
    town.send(PullClosed("S1", 12, A, at=closed))
    town.send(PullMoved("S1", 12, A, at=3.0))
    pull = town.board.pull("S1", 12)
    assert pull is not None
    assert (pull.open, pull.at) == ((False, 5.0) if closed else (True, 3.0))
    town.send(PullClosed("S1", 12, A, at=None))
    town.send(PullMoved("S1", 12, A, at=1.0))
    assert town.board.pull("S1", 12) == replace(pull, open=False)


def test_the_head_is_none_of_the_earlier_ones() -> None:
    town = Pulls()
    town.moves(A)
    town.moves(B, before=A)
    town.moves(A, before=B)
    pull = town.board.pull("S1", 12)
    assert pull is not None
    assert pull.earlier == (B,)


def test_a_head_that_comes_back_by_force_is_built_anew() -> None:
    town = Pulls()
    town.moves(A)
    town.pass_build(A)
    town.moves(B, before=A)
    town.moves(A, before=B)
    assert town.verifying() == {"b": "ending", "a": "starting"}


def test_old_news_and_redeliveries_change_nothing() -> None:
    town = Pulls()
    story = [
        PullMoved("S1", 12, A, at=1.0),
        PullMoved("S1", 12, B, before=A, at=2.0),
        PullClosed("S1", 12, B, at=3.0),
        PullMoved("S1", 12, B, at=4.0),
    ]
    for event in story:
        town.send(event)
    town.quiet()
    known = dict(town.board.pulls), dict(town.board.verifications)
    for event in story:
        town.send(event)
    assert (town.effects, town.facts) == ([], [])
    assert (town.board.pulls, town.board.verifications) == known


def test_only_so_many_pull_requests_are_remembered_and_closed_ones_go_first() -> None:
    town = Pulls()
    for number in range(PULLS + 3):
        town.moves(A, pull=number)
        if number == PULLS - 2:
            town.closes(A, pull=40)
    seen = [pull.number for pull in town.board.pulls["S1"].seen]
    assert len(seen) == PULLS
    assert 40 not in seen
    assert seen[:2] == [2, 3]


# -- Jenkins ---------------------------------------------------------------------------------------------------


def test_a_refused_trigger_is_tried_again_after_a_pause_as_another_attempt() -> None:
    town = Pulls()
    town.moves(A)
    town.send(TriggerRefused("S1.pr12-1", 1, "the job is disabled"))
    assert town.verifying() == {"a": "waiting"}
    assert (
        "Jenkins did not take the build for verify: the job is disabled"
        in why_of_verification(town.board, town.verification(A), town.now).sentence
    )
    assert town.board.next_due(town.now) == town.now + 5
    town.tick(6)
    assert (town.verification(A).attempt.number, town.verification(A).status) == (2, Status.STARTING)
    town.accept_trigger(A)
    assert town.board.backoffs == {}


def test_a_build_that_is_given_back_is_asked_for_and_timed_as_if_it_were_the_first() -> None:
    town = Pulls(timeout=600.0)
    town.moves(A)
    town.accept_trigger(A)
    assert town.verification(A).attempt.queue_item is not None
    town.confirm_withdrawal(A, "somebody cancelled it in Jenkins' queue")
    assert (town.verification(A).attempt.queue_item, town.verification(A).status) == (None, Status.WAITING)
    town.tick(6)
    town.start_build(A)
    town.tick(600)
    assert town.told(FactKind.BUILD_TIMED_OUT) == [A]


def test_the_result_of_a_pull_request_that_nobody_remembers_any_more_is_told_all_the_same() -> None:
    town = Pulls()
    town.moves(A)
    for number in range(100, 100 + PULLS):
        town.moves(B, pull=number)
    assert town.board.pull("S1", 12) is None
    town.pass_build(A)
    assert town.statuses()[-1][:2] == ("a", "success")


def test_an_item_that_somebody_cancels_in_jenkins_is_asked_for_again() -> None:
    town = Pulls()
    town.moves(A)
    town.accept_trigger(A)
    town.confirm_withdrawal(A, "somebody cancelled it in Jenkins' queue")
    town.tick(6)
    assert town.verification(A).attempt.number == 2


def test_a_build_that_is_lost_is_an_error_and_can_be_asked_for_again() -> None:
    town = Pulls()
    town.moves(A)
    town.start_build(A)
    town.send(BuildLost("S1.pr12-1", 1, "build #1 is no longer there"))
    assert town.statuses()[-1] == ("a", "error", "build #1 is no longer there")
    town.asks(A)
    assert town.verification(A).key == "S1.pr12-2"


def test_news_of_another_attempt_move_nothing() -> None:
    town = Pulls()
    town.moves(A)
    town.send(TriggerRefused("S1.pr12-1", 1, "503"))
    town.tick(6)
    before = town.verification(A)
    for event in (TriggerAccepted("S1.pr12-1", 1, 9), Withdrawn("S1.pr12-1", 1), BuildLost("S1.pr12-1", 1, "gone")):
        town.send(event)
    assert town.verification(A) == before


def test_a_second_build_of_an_attempt_is_stopped() -> None:
    town = Pulls()
    town.moves(A)
    town.start_build(A)
    town.send(BuildSeen("build", "verify", 77, None, "S1.pr12-1", 1))
    (stop,) = town.did(AbortDuplicate)
    assert (stop.job, stop.number) == (JOB, 77)


def test_a_build_started_by_hand_takes_a_slot() -> None:
    town = Pulls(capacity=1)
    town.send(BuildSeen("build", "verify", 900, None))
    assert town.board.unmanaged_builds(VERIFY)
    town.moves(A)
    assert town.verifying() == {"a": "waiting"}
    town.send(BuildSeen("build", "verify", 900, Outcome.SUCCESS))
    assert town.verifying() == {"a": "starting"}


def test_a_callback_about_the_verify_job_asks_for_a_look() -> None:
    town = Pulls()
    town.send(BuildHinted("build", "verify", 3))
    assert [(e.job, e.number) for e in town.effects] == [(JOB, 3)]


# -- modes and configuration -----------------------------------------------------------------------------------


def test_paused_nothing_is_started_and_what_is_superseded_is_taken_back() -> None:
    town = Pulls()
    town.moves(A)
    town.start_build(A)
    town.mode(Mode.PAUSE)
    town.quiet()
    town.moves(B)
    assert (town.did(Trigger), len(town.did(Withdraw))) == ([], 1)
    assert (
        why_of_verification(town.board, town.verification(B), town.now).sentence
        == "the pipeline is paused by ann: because"
    )
    town.mode(Mode.RUN)
    assert town.verifying() == {"a": "ending", "b": "starting"}


def test_observing_sends_nothing_and_makes_up_for_it_later() -> None:
    town = Pulls()
    town.moves(A)
    town.start_build(A)
    town.mode(Mode.OBSERVE)
    town.quiet()
    town.moves(B)
    town.moves(C, pull=13)
    town.moves("d" * 40, pull=13)
    assert town.effects == []
    assert town.verifying() == {"a": "ending", "b": "waiting", "d": "waiting"}
    assert "only observes" in why_of_verification(town.board, town.verification(B), town.now).sentence
    town.mode(Mode.RUN)
    assert [(e.run, e.abort) for e in town.did(Withdraw)] == [("S1.pr12-1", True)]
    assert sorted(e.sha[0] for e in town.did(Trigger)) == ["b", "d"]


def test_without_verify_in_the_configuration_pull_requests_are_not_heard() -> None:
    town = Town()
    town.send(PullMoved("S1", 12, A, at=1.0))
    town.send(PullClosed("S1", 12, A, at=2.0))
    assert (town.effects, town.facts, town.board.pulls) == ([], [], {})


@pytest.mark.parametrize(
    "without",
    [
        shop(),
        replace(verified(), services=(Service("S2", "shop/S2"),)),
        replace(verified(), services=(Service("S1", "shop/S1", verify=False), Service("S2", "shop/S2"))),
    ],
    ids=["no verify", "no such service", "not for this service"],
)
def test_what_the_configuration_no_longer_verifies_is_taken_back_where_it_runs(without: Pipeline) -> None:
    town = Pulls()
    town.moves(A)
    town.start_build(A)
    town.moves(B, pull=13)
    town.configure(without)
    assert {(e.run, e.job, e.abort) for e in town.did(Withdraw)} == {("S1.pr12-1", JOB, True), ("S1.pr13-2", JOB, True)}
    town.end_build(A, Outcome.ABORTED)
    town.confirm_withdrawal(B)
    assert town.verifying() == {}
    town.configure(verified())
    town.moves(C)
    assert town.verification(C).key == "S1.pr12-3"  # a key is never used twice: Jenkins would find the old build


def test_a_new_policy_counts_for_what_is_known() -> None:
    town = Pulls()
    town.moves(A, draft=True)
    town.configure(verified(drafts=True))
    assert town.verifying() == {"a": "starting"}
    town.configure(verified())
    assert town.verifying() == {"a": "ending"}


def test_the_page_shows_what_is_verified_and_what_waits_for_permission() -> None:
    town = Pulls(capacity=1)
    town.moves(A)
    town.start_build(A)
    town.moves(B, pull=13)
    town.moves(C, pull=14, fork=True)
    seen = town.view()["verifications"]
    assert (seen["count"], seen["held"], seen["capacity"]) == (2, 1, 1)
    assert [(row["pull"], row["short"], row["status"], row["build"]) for row in seen["list"]] == [
        (12, "aaaaaaa", "running", 1),
        (13, "bbbbbbb", "waiting", None),
        (14, "ccccccc", "held", None),
    ]
    assert all(row["reason"] for row in seen["list"])
    assert Town().view()["verifications"] is None


def test_a_merge_queue_that_requires_the_status_is_not_kept_waiting() -> None:
    town = Pulls()
    town.send(GroupFormed("S1", "group"))
    (status,) = town.did(SetStatus)
    assert (status.repository, status.sha, status.context, status.state) == ("shop/S1", "group", "verify", "success")
    assert town.board.verifications == {}


def test_where_nothing_is_verified_a_merge_queue_is_told_nothing() -> None:
    town = Town()
    town.send(GroupFormed("S1", "group"))
    assert town.did(SetStatus) == []


def test_a_build_is_asked_for_and_taken_back_in_the_job_that_is_configured_when_it_starts() -> None:
    town = Pulls(capacity=1)
    town.moves(A)
    town.moves(B, pull=13)
    other = Job("build", "verify-2")
    town.configure(replace(shop(), verify=Verify(other, capacity=1)))
    town.pass_build(A)
    assert [trigger.job for trigger in town.did(Trigger)] == [JOB, other]
    town.closes(B, pull=13)
    assert [withdraw.job for withdraw in town.did(Withdraw)] == [other]
