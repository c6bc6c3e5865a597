"""The kinds of requests, for the API and the page alike: the body, the role and the event of each.

Nothing is stored here; `request_inbox.submit` checks and stores a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bot.core.access import Action
from bot.core.model.board import Board
from bot.core.model.events import (
    CancelAsked,
    Event,
    FastLaneAsked,
    LetThroughAsked,
    LockAsked,
    ModeAsked,
    MoveAsked,
    RetryAsked,
    TakenOut,
    UnlockAsked,
    WatchAsked,
)
from bot.core.model.messages import Message
from bot.core.model.pipeline import Mode
from bot.core.rules import requests, stage_notices
from bot.core.rules.freezes import why_not_let_through
from bot.runtime import PipelineContext
from bot.store.inbox import parked, take_out
from bot.web import bodies, finding
from bot.web.bodies import AnyBody
from bot.web.problems import unknown
from bot.web.shared import wake_up

#: An action, and its service if it is about one.
Wanted = tuple[Action, str | None]
#: The type of event that a request becomes.
Asked = TypeVar("Asked", bound=Event)


@dataclass(frozen=True)
class RequestKind(Generic[AnyBody, Asked]):
    """One kind of request about one stage, run, service or pipeline."""

    #: The type of its body.
    body: type[AnyBody]
    #: Returns the action and its service.
    wants: Callable[[PipelineContext, AnyBody], Wanted]
    #: Makes the event, from the board, the person's name and the body. Raises Problem if something named does not
    #: exist.
    event: Callable[[PipelineContext, Board, str, AnyBody], Asked]
    #: Returns why the next turn would refuse it; None: it would not.
    why_not: Callable[[Board, Asked], Message | None] = lambda _board, _asked: None


def lock(stage: str) -> RequestKind[bodies.LockBody, LockAsked]:
    """Return the request to close a stage to everybody, or to all but fixes."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.LockBody) -> LockAsked:
        finding.stage(context.pipeline_of(board), stage)
        return LockAsked(stage, by, body.reason, body.let_fixes_in, body.until)

    # No `why_not`: the stage may be in our file and not in force yet.
    return RequestKind(bodies.LockBody, _on_all(Action.LOCK), event)


def unlock(stage: str) -> RequestKind[bodies.UnlockBody, UnlockAsked]:
    """Return the request to open the lock of a stage; of several the named one, or all."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.UnlockBody) -> UnlockAsked:
        finding.stage(context.pipeline_of(board), stage)
        keys = [lock.key for lock in board.locks_of(stage)]
        if body.lock is not None and keys and body.lock not in keys:
            raise unknown(f"lock of {stage} called", body.lock, keys)
        return UnlockAsked(stage, by, body.reason, body.lock, body.every)

    return RequestKind(bodies.UnlockBody, _on_all(Action.UNLOCK), event, requests.why_not_unlock)


def watch(stage: str) -> RequestKind[bodies.WatchBody, WatchAsked]:
    """Return the request for one notice when a stage opens."""

    def event(context: PipelineContext, board: Board, by: str, _body: bodies.WatchBody) -> WatchAsked:
        finding.stage(context.pipeline_of(board), stage)
        return WatchAsked(stage, by)

    return RequestKind(bodies.WatchBody, _on_all(Action.WATCH), event, stage_notices.why_not_watch)


def retry(run: str) -> RequestKind[bodies.ActionBody, RetryAsked]:
    """Return the request to retry the failed build, without a new commit."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.ActionBody) -> RetryAsked:
        finding.run(context, board, run)
        return RetryAsked(run, by, body.reason)

    return RequestKind(bodies.ActionBody, _on_run(Action.RETRY, run), event, requests.why_not_retry)


def cancel(run: str) -> RequestKind[bodies.ActionBody, CancelAsked]:
    """Return the request to take a run out."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.ActionBody) -> CancelAsked:
        finding.run(context, board, run)
        return CancelAsked(run, by, body.reason)

    return RequestKind(bodies.ActionBody, _on_run(Action.CANCEL, run), event, requests.why_not_cancel)


def move(run: str) -> RequestKind[bodies.ActionBody, MoveAsked]:
    """Return the request to put a waiting run at the front of its queue.

    The run passes those of other services, so the action is about all services.
    """

    def event(context: PipelineContext, board: Board, by: str, body: bodies.ActionBody) -> MoveAsked:
        finding.run(context, board, run)
        return MoveAsked(run, by, body.reason)

    return RequestKind(bodies.ActionBody, _on_all(Action.MOVE), event, requests.why_not_move)


def let_through(run: str) -> RequestKind[bodies.ActionBody, LetThroughAsked]:
    """Return the request to let a run through the freezes that allow it.

    All services share the stages, so the action is about all services.
    """

    def event(context: PipelineContext, board: Board, by: str, body: bodies.ActionBody) -> LetThroughAsked:
        finding.run(context, board, run)
        return LetThroughAsked(run, by, body.reason)

    return RequestKind(bodies.ActionBody, _on_all(Action.LET_THROUGH), event, why_not_let_through)


def fast_lane(service: str) -> RequestKind[bodies.FastLaneBody, FastLaneAsked]:
    """Return the request to send the head of a service's main branch on the fast lane, once."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.FastLaneBody) -> FastLaneAsked:
        finding.service(context.pipeline_of(board), service)
        if body.stage is not None:
            finding.stage(context.pipeline_of(board), body.stage)
        return FastLaneAsked(service, by, body.reason, body.stage)

    def wants(_context: PipelineContext, body: bodies.FastLaneBody) -> Wanted:
        return (Action.FAST_LANE, service) if body.stage is None else (Action.FAST_LANE_INTO, None)

    return RequestKind(bodies.FastLaneBody, wants, event, requests.why_not_fast_lane)


def change_mode() -> RequestKind[bodies.ModeBody, ModeAsked]:
    """Return the request to let the pipeline run, pause it, or make it only observe."""

    def event(_context: PipelineContext, _board: Board, by: str, body: bodies.ModeBody) -> ModeAsked:
        return ModeAsked(body.mode, by, body.reason)

    def wants(context: PipelineContext, body: bodies.ModeBody) -> Wanted:
        with context.look() as replica:
            modes = (replica.board.header.mode, body.mode)
        return (Action.MODE if Mode.OBSERVE in modes else Action.PAUSE), None

    return RequestKind(bodies.ModeBody, wants, event)


# -- actions without a turn: done at once ------------------------------------------------------------------------------


def take_out_dead_letter(context: PipelineContext, slot: str, by: str, reason: str, *, again: bool) -> None:
    """Give a dead letter another try, or drop it. Raises Problem (404)."""
    wake = context.outbox.take_out(TakenOut("dead-letter", slot, again, by, reason))
    if wake is None:
        raise unknown("dead letter", slot, (letter.slot for letter in context.outbox.dead_letters()))
    if wake:
        wake_up(context.pipeline.name)


def take_out_parked(context: PipelineContext, entry: str, by: str, reason: str, *, again: bool) -> None:
    """Have the next turn decide a parked delivery once more, or drop it. Raises Problem (404)."""
    rows = parked(context.redis, context.keys)
    found = next((row for row in rows if row.entry == entry), None)
    taken = TakenOut("parked-delivery", entry, again, by, reason)
    wake = None if found is None else take_out(context.redis, context.keys, found, taken)
    if wake is None:
        raise unknown("parked delivery", entry, (row.entry for row in rows))
    if wake:
        wake_up(context.pipeline.name)


def _on_all(action: Action) -> Callable[[PipelineContext, Any], Wanted]:
    """Return the `wants` of an action that is about all services."""
    return lambda _context, _body: (action, None)


def _on_run(action: Action, run: str) -> Callable[[PipelineContext, Any], Wanted]:
    """Return the `wants` of an action on a run, whose key begins with its service."""
    return lambda _context, _body: (action, run.rpartition(".")[0])
