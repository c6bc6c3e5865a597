"""What is heard of pull requests, and which of their heads are verified because of it.

GitHub's deliveries come late, twice and in any order. Its clock tells which is older. Within one second, and without
a time, only a push moves the head: from the present one, or to one that the pull request has not had before.
"""

from __future__ import annotations

import re
from dataclasses import replace

from bot.core import sentences
from bot.core.model.board import Board
from bot.core.model.effects import SetStatus
from bot.core.model.events import GroupFormed, PullClosed, PullMoved, VerifyAsked
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Forks, Verify
from bot.core.model.run import VERIFY, Pull, Status, Verification
from bot.core.rules import verifications
from bot.core.rules.decision import Decision

#: How many earlier heads of a pull request are remembered.
EARLIER = 8
#: Why nobody waits for a verification any more.
CLOSED, ELSEWHERE = "the pull request is closed", "the pull request goes to another branch now"
_SHA = re.compile(r"[0-9a-f]{40}\Z")


def moved(decision: Decision, event: PullMoved) -> None:
    """A pull request is open with this head: it is verified, unless that is old news or not wished."""
    known = _news(decision.board, event)
    if known is not None:
        pull = _with_head(known, event.sha, event.before)
        at = known.at if event.at is None else event.at
        _follow(decision, event.service, replace(pull, at=at, open=True, draft=event.draft, fork=event.fork))


def closed(decision: Decision, event: PullClosed) -> None:
    """A pull request is closed, for this branch at least: nobody waits for its verification.

    It is remembered, for what may still come late.
    """
    known = _news(decision.board, event)
    if known is not None:
        pull = _with_head(known, event.sha, None)
        at = known.at if event.at is None else event.at
        gone = ELSEWHERE if event.elsewhere else CLOSED
        _follow(decision, event.service, replace(pull, at=at, open=False, asked=False), gone=gone)


def asked(decision: Decision, event: VerifyAsked) -> None:
    """A person wants a head verified: from a fork, of a draft, or once more."""
    board = decision.board
    known = board.pull(event.service, event.pull)
    no = _no(board, event, known)
    if no is not None:
        decision.tell(FactKind.REQUEST_REFUSED, no, service=event.service, sha=event.sha, by=event.by)
        return
    pull = _with_head(known or Pull(event.pull, event.sha), event.sha, None)
    fork = pull.fork if event.fork is None else event.fork
    _follow(decision, event.service, replace(pull, fork=fork, asked=True, done=False), by=event.by)


def group_formed(decision: Decision, event: GroupFormed) -> None:
    """A merge queue may require our status on its own commits, and would wait for ever: each of the pull requests in it
    was verified by itself, and that is what the status says. What lands is built as every merge is."""
    service = decision.board.pipeline.service(event.service)
    if service is not None and decision.board.pipeline.verifies(event.service):
        text = "its pull requests were verified one by one; what lands is built"
        decision.do(SetStatus(service.repository, event.sha, VERIFY.stage, "success", text, None))


def configured(decision: Decision) -> None:
    """The configuration has changed: what is verified follows it."""
    board = decision.board
    for state in sorted(board.pulls.values(), key=lambda state: state.key):
        if board.pipeline.verifies(state.key):
            for pull in state.seen:
                _follow(decision, state.key, pull)
        else:
            board.put(replace(state, seen=()))
    for verification in sorted(board.verifications.values(), key=lambda v: (v.queue_number, v.key)):
        if verification.status is not Status.ENDING and not board.pipeline.verifies(verification.service):
            verifications.leave(
                decision, verification, f"pull requests of {verification.service} are no longer verified"
            )


# -- what it means ---------------------------------------------------------------------------------------------


def _news(board: Board, event: PullMoved | PullClosed) -> Pull | None:
    """What was known before this news; None if it is none, or if nobody cares."""
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
    """Whether a head can have come after the known one, where no clock tells."""
    if before is None:
        return sha == known.sha
    return known.open and (sha == known.sha or before == known.sha or sha not in known.earlier)


def _with_head(known: Pull, sha: str, before: str | None) -> Pull:
    """The pull request with this head. What was said and asked about another head does not count for it."""
    if known.sha == sha:
        return known
    heads = dict.fromkeys([*known.earlier, known.sha, *([] if before is None else [before])])
    earlier = tuple(head for head in heads if head != sha)[-EARLIER:]
    return replace(known, sha=sha, asked=False, held=False, done=False, earlier=earlier)


def _follow(decision: Decision, service: str, pull: Pull, by: str | None = None, gone: str = CLOSED) -> None:
    """Have verified what is to be verified of this pull request now, and nothing else."""
    verify = decision.board.pipeline.verify
    if verify is None:
        raise AssertionError("followed a pull request that nobody verifies")
    wanted = _is_wanted(verify, pull)
    held = wanted and pull.fork and not pull.asked and not pull.done
    live = verifications.current(decision.board, service, pull.number)
    verifications.remember(decision.board, service, replace(pull, held=held))
    queue_number = None
    if live is not None and (live.sha != pull.sha or not wanted):
        queue_number = live.queue_number if live.status is Status.WAITING else None
        verifications.leave(decision, live, _why_not(pull, live, gone))
        live = None
    if held and not pull.held:
        verifications.hold(decision, service, pull)
    elif wanted and not held and not pull.done and live is None:
        verifications.start(decision, verify, service, pull, queue_number=queue_number, by=by)


def _is_wanted(verify: Verify, pull: Pull) -> bool:
    if not pull.open or (pull.fork and verify.forks is Forks.NEVER):
        return False
    return pull.asked or verify.drafts or not pull.draft


def _why_not(pull: Pull, live: Verification, gone: str) -> str:
    if not pull.open:
        return gone
    if live.sha != pull.sha:
        return f"superseded by a newer push ({sentences.short(pull.sha)})"
    return "the pull request is a draft" if pull.draft else "it comes from a fork, and those are never verified"


def _no(board: Board, event: VerifyAsked, known: Pull | None) -> str | None:
    """Why a head is not verified though a person asks for it."""
    verify = board.pipeline.verify
    if verify is None or not board.pipeline.verifies(event.service):
        return f"pull requests of {event.service} are not verified"
    if not _SHA.match(event.sha):
        return "which commit is to be verified was not said"
    fork = known.fork if event.fork is None and known is not None else event.fork
    if verify.forks is Forks.NEVER and fork is not False:
        return f"#{event.pull} comes from a fork, and those are never verified here"
    return None if known is None else _no_more(board, event, known)


def _no_more(board: Board, event: VerifyAsked, known: Pull) -> str | None:
    """Why a head of a known pull request is not verified: it is not its head any more, or is being verified."""
    if not known.open:
        return f"#{known.number} is closed, or goes to another branch"
    if event.sha != known.sha and event.sha in known.earlier:
        has, had = sentences.short(known.sha), sentences.short(event.sha)
        return f"the head of #{known.number} has moved on from {had} to {has}: look at that, and ask again"
    live = verifications.current(board, event.service, known.number)
    if live is not None and live.sha == event.sha:
        return f"{sentences.name(live)} is being verified already"
    return None
