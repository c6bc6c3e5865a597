"""Pull requests and their verifications: which head is built, when it is held, and its commit status."""

from __future__ import annotations

import re

from bot.core.model.board import Board
from bot.core.model.board_records import Pull
from bot.core.model.effects import SetStatus
from bot.core.model.events import GroupFormed, PullClosed, PullMoved, VerifyAsked
from bot.core.model.facts import FactKind
from bot.core.model.github_messages import (
    NewerPush,
    NotVerifiedAnyMore,
    VerificationHeld,
    VerificationLeft,
    VerificationQueued,
)
from bot.core.model.messages import Message, Phrase, Phrased, StepPassed, VerificationEnded, Who
from bot.core.model.pipeline import VERIFY, Forks, Outcome, Verify
from bot.core.model.refusals import No, Refusal
from bot.core.model.replaced import replace
from bot.core.model.run import Status, Verification, version_stamp
from bot.core.rules.cleanup import withdraw
from bot.core.rules.decision import Decision, run_failed
from bot.core.rules.queue import stage_blocked_by, start_build

#: How many earlier heads of a pull request are remembered.
EARLIER = 8
#: Why a verification is not needed any more.
CLOSED, ELSEWHERE = Phrased(Phrase.PULL_CLOSED), Phrased(Phrase.PULL_ELSEWHERE)
_SHA = re.compile(r"[0-9a-f]{40}\Z")


def move_pull_request(decision: Decision, event: PullMoved) -> None:
    """Take the head of an open pull request and verify it, unless the event is outdated or none is wanted."""
    known = _news(decision.board, event)
    if known is not None:
        pull = _with_head(known, event.sha, event.before)
        at = known.at if event.at is None else event.at
        _follow(decision, event.service, replace(pull, at=at, open=True, draft=event.draft, fork=event.fork))


def close_pull_request(decision: Decision, event: PullClosed) -> None:
    """End the verification of a pull request that was closed or now goes to another branch.

    The pull request stays remembered, for late events.
    """
    known = _news(decision.board, event)
    if known is not None:
        pull = _with_head(known, event.sha, None)
        at = known.at if event.at is None else event.at
        gone = ELSEWHERE if event.elsewhere else CLOSED
        _follow(decision, event.service, replace(pull, at=at, open=False, asked=False), gone=gone)


def verify_on_request(decision: Decision, event: VerifyAsked) -> None:
    """Verify a head on a person's request: from a fork, of a draft, or once more."""
    board = decision.board
    known = board.pull(event.service, event.pull)
    no = why_not_verify(board, event)
    if no is not None:
        decision.tell(FactKind.REQUEST_REFUSED, no, service=event.service, sha=event.sha, by=event.by)
        return
    pull = _with_head(known or Pull(event.pull, event.sha), event.sha, None)
    fork = pull.fork if event.fork is None else event.fork
    _follow(decision, event.service, replace(pull, fork=fork, asked=True, done=False), by=event.by)


def form_merge_group(decision: Decision, event: GroupFormed) -> None:
    """Set the verify status of a merge group to success, because the merge queue may require it and wait.

    Each of its pull requests was verified by itself, and the status says so. The commits are built like every merge
    once they land.
    """
    service = decision.board.pipeline.service(event.service)
    if service is not None and decision.board.pipeline.verifies(event.service):
        told = Phrased(Phrase.GROUP_VERIFIED)
        decision.do(SetStatus(service.repository, event.sha, VERIFY.stage, "success", told, None))


def configure_verifications(decision: Decision) -> None:
    """Apply a changed configuration to the verifications."""
    board = decision.board
    for state in sorted(board.pulls.values(), key=lambda state: state.key):
        if board.pipeline.verifies(state.key):
            for pull in state.seen:
                _follow(decision, state.key, pull)
        else:
            board.put(replace(state, seen=()))
    for verification in sorted(board.verifications.values(), key=lambda v: (v.queue_number, v.key)):
        if verification.status is not Status.ENDING and not board.pipeline.verifies(verification.service):
            leave_verification(decision, verification, NotVerifiedAnyMore(verification.service))


# -- the meaning of an event -----------------------------------------------------------------------------------


def _news(board: Board, event: PullMoved | PullClosed) -> Pull | None:
    """Return the record of the pull request before this event; None: the event is outdated, or nothing is verified."""
    if not board.pipeline.verifies(event.service):
        return None
    known = board.pull(event.service, event.pull)
    before = event.before if isinstance(event, PullMoved) else None
    if known is None:
        return Pull(event.pull, event.sha, earlier=(before,) if before is not None else ())
    if event.at is not None and known.at is not None and event.at != known.at:
        return known if event.at > known.at else None
    return known if isinstance(event, PullClosed) or _may_follow(known, event.sha, before) else None


def _may_follow(known: Pull, sha: str, before: str | None) -> bool:
    """Return whether a head can have come after the known one, where no time shows it."""
    if before is None:
        return sha == known.sha
    return known.open and (sha == known.sha or before == known.sha or sha not in known.earlier)


def _with_head(known: Pull, sha: str, before: str | None) -> Pull:
    """Return the pull request with this head. The state of another head does not count for it."""
    if known.sha == sha:
        return known
    heads = dict.fromkeys([*known.earlier, known.sha, *([] if before is None else [before])])
    earlier = tuple(head for head in heads if head != sha)[-EARLIER:]
    return replace(known, sha=sha, asked=False, held=False, done=False, earlier=earlier)


def _follow(decision: Decision, service: str, pull: Pull, by: str | None = None, gone: Message = CLOSED) -> None:
    """Start, hold or end the verification of a pull request, as its present state requires."""
    verify = decision.board.pipeline.verify
    if verify is None:
        raise AssertionError("followed a pull request that nobody verifies")
    wanted = _is_wanted(verify, pull)
    held = wanted and pull.fork and not pull.asked and not pull.done
    live = current(decision.board, service, pull.number)
    remember_pull(decision.board, service, replace(pull, held=held))
    queue_number = None
    if live is not None and (live.sha != pull.sha or not wanted):
        queue_number = live.queue_number if live.status is Status.WAITING else None
        leave_verification(decision, live, _why_not(pull, live, gone))
        live = None
    if held and not pull.held:
        hold_verification(decision, service, pull)
    elif wanted and not held and not pull.done and live is None:
        start_verification(decision, verify, service, pull, queue_number=queue_number, by=by)


def _is_wanted(verify: Verify, pull: Pull) -> bool:
    if not pull.open or (pull.fork and verify.forks is Forks.NEVER):
        return False
    return pull.asked or verify.drafts or not pull.draft


def _why_not(pull: Pull, live: Verification, gone: Message) -> Message:
    if not pull.open:
        return gone
    if live.sha != pull.sha:
        return NewerPush(pull.sha)
    return Phrased(Phrase.PULL_IS_DRAFT if pull.draft else Phrase.PULL_FROM_FORK)


def why_not_verify(board: Board, event: VerifyAsked) -> Refusal | None:
    """Return why a head is not verified though a person asks for it; None: it is."""
    verify, known = board.pipeline.verify, board.pull(event.service, event.pull)
    if verify is None or not board.pipeline.verifies(event.service):
        return Refusal(No.NOT_VERIFIED, service=event.service)
    if not _SHA.match(event.sha):
        return Refusal(No.NO_COMMIT_NAMED, service=event.service)
    fork = known.fork if event.fork is None and known is not None else event.fork
    if verify.forks is Forks.NEVER and fork is not False:
        return Refusal(No.FORKS_NEVER, pull=event.pull)
    return None if known is None else _no_more(board, event, known)


def _no_more(board: Board, event: VerifyAsked, known: Pull) -> Refusal | None:
    """Return why a head of a known pull request is not verified: it is outdated, or is being verified."""
    if not known.open:
        return Refusal(No.PULL_GONE, pull=known.number)
    if event.sha != known.sha and event.sha in known.earlier:
        return Refusal(No.HEAD_MOVED, pull=known.number, sha=event.sha, head=known.sha)
    live = current(board, event.service, known.number)
    if live is not None and live.sha == event.sha:
        return Refusal(No.VERIFIED_NOW, live.key, live.who)
    return None


# -- one verification ------------------------------------------------------------------------------------------


#: The status of a commit by the outcome of its build. Other outcomes prove nothing about it: that is an error.
_VERDICTS = {Outcome.SUCCESS: "success", Outcome.UNSTABLE: "failure", Outcome.FAILURE: "failure"}


def current(board: Board, service: str, pull: int) -> Verification | None:
    """Return the verification of a pull request that is not ending; None: there is none."""
    return next((v for v in board.of_pull(service, pull) if v.status is not Status.ENDING), None)


def start_verification(
    decision: Decision, verify: Verify, service: str, pull: Pull, *, queue_number: int | None, by: str | None
) -> None:
    """Start the verification of a pull request's head.

    `queue_number`: that of the waiting verification that it replaces; None: it gets a new one.
    """
    board = decision.board
    state = board.pulls_of(service)
    number = state.number + 1
    board.put(replace(state, number=number))
    stamp = version_stamp(decision.now)
    verification = Verification(
        key=f"{service}.pr{pull.number}-{number}",
        service=service,
        pull=pull.number,
        sha=pull.sha,
        status=Status.WAITING,
        queue_number=board.queue_number() if queue_number is None else queue_number,
        created=decision.now,
        since=decision.now,
        version=f"{service}-pr{pull.number}-{stamp}",
        job=verify.job,
    )
    board.put(verification)
    decision.tell(FactKind.VERIFICATION_ASKED, VerificationQueued(verification.who, by), verification, by=by)
    decision.status(verification, VERIFY, "pending", Phrased(Phrase.WAITS_FOR_BUILD))


def admit_verifications(decision: Decision) -> None:
    """Start as many as there is room for, first come first served. Called once after every event."""
    board = decision.board
    while (first := next(board.verifying(), None)) is not None:
        if start_build(decision, first, stage_blocked_by(board, first.step, decision.now)) is None:
            return


def leave_verification(decision: Decision, verification: Verification, why: Message) -> None:
    """End a verification; its build keeps the slot until it has ended, and its result does not count."""
    told = VerificationLeft(verification.who, why, stopping=verification.holds_slot)
    decision.tell(FactKind.VERIFICATION_ENDED, told, verification)
    if not is_shared(decision.board, verification.service, verification.pull, verification.sha):
        decision.status(verification, VERIFY, "error", why)
    if not verification.holds_slot:
        decision.board.drop(verification)
        return
    ending = decision.update(verification, status=Status.ENDING, ending=why)
    withdraw(decision, ending, abort=True)


def hold_verification(decision: Decision, service: str, pull: Pull) -> None:
    """Report that a head from a fork is held until a person asks for it: anybody may have written it."""
    told = VerificationHeld(pull.sha, Who(service, pull.sha, pull.number))
    decision.tell(FactKind.VERIFICATION_HELD, told, service=service, sha=pull.sha, step=VERIFY)
    configured = decision.board.pipeline.service(service)
    if configured is not None and not is_shared(decision.board, service, pull.number, pull.sha):
        asked_for = replace(told, who=None)
        decision.do(SetStatus(configured.repository, pull.sha, VERIFY.stage, "pending", asked_for, None))


def is_shared(board: Board, service: str, pull: int, sha: str) -> bool:
    """Return whether another open pull request has the same head: a commit has one status, and its result counts.

    Otherwise anybody could overwrite the status of a commit, by opening a pull request of it and closing it again.
    """
    return any(p.sha == sha and p.number != pull and p.open for p in board.pulls_of(service).seen)


# -- reports of Jenkins ----------------------------------------------------------------------------------------


def give_back_verification(decision: Decision, verification: Verification) -> None:
    """Remove an ending verification that has no build; any other waits again at its place in the queue."""
    if verification.status is Status.ENDING:
        decision.board.drop(verification)
    else:
        decision.update(verification, status=Status.WAITING, attempt=verification.attempt.over())


def end_verification(decision: Decision, verification: Verification, outcome: Outcome) -> None:
    """Remove a verification whose build has ended, and set the status of its commit. An ending one sets none."""
    board = decision.board
    board.drop(verification)
    if verification.status is Status.ENDING:
        return
    passed = outcome is Outcome.SUCCESS
    told = StepPassed(VERIFY, verification.who) if passed else run_failed(verification, outcome)
    decision.tell(FactKind.BUILD_PASSED if passed else FactKind.BUILD_FAILED, told, verification)
    decision.status(verification, VERIFY, _VERDICTS.get(outcome, "error"), _verdict(verification, outcome))
    pull = board.pull(verification.service, verification.pull)
    if pull is not None and pull.sha == verification.sha:
        remember_pull(board, verification.service, replace(pull, done=True))


def _verdict(verification: Verification, outcome: Outcome) -> VerificationEnded:
    broken = (verification.attempt.failed_tests, verification.attempt.failed_step, verification.attempt.lost)
    return VerificationEnded(verification.attempt.build, outcome, *broken)


# -- remembered pull requests ----------------------------------------------------------------------------------

#: How many pull requests of one service are remembered. A forgotten one counts as new when it moves.
PULLS = 64


def remember_pull(board: Board, service: str, pull: Pull) -> None:
    """Store the record of a pull request; beyond the limit a closed one is forgotten first, then the oldest."""
    state = board.pulls_of(service)
    if state.find(pull.number) == pull:
        return
    seen = [*(p for p in state.seen if p.number != pull.number), pull]
    if len(seen) > PULLS:
        seen.remove(next((p for p in seen if not p.open), seen[0]))
    board.put(replace(state, seen=tuple(seen)))
