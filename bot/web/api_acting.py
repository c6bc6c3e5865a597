"""The API for acting: each request is checked against the board, kept as an event, and decided by the next turn."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar, cast

import structlog
from flask import Blueprint, Response, request

from bot.core.access import Action
from bot.core.model.board import Board
from bot.core.model.events import CancelAsked, Event, FastLaneAsked, LockAsked, ModeAsked, RetryAsked, UnlockAsked
from bot.core.model.facts import FactKind
from bot.core.model.messages import Message
from bot.core.model.pipeline import Mode
from bot.core.rules import requests
from bot.reporting.messages import words
from bot.runtime import PipelineContext
from bot.store.inbox import Accepted, parked, take_out
from bot.store.records import PAGE
from bot.web import bodies, finding, shapes
from bot.web.api_reading import whole_number
from bot.web.identity import require, signed_in
from bot.web.problems import Problem, unknown
from bot.web.shapes import Shape, reply
from bot.web.shared import beyond, context_of, wake_up

acting = Blueprint("acting", __name__, url_prefix="/api/v1/pipelines/<pipeline>")
log = structlog.get_logger()

#: The longest that a request is waited for, in seconds.
LONGEST_WAIT = 5
#: How many requests wait at once in this process: each holds a thread, and deliveries must not queue behind people.
MOST_WAITING = 6
#: How many pages of the log are looked through for the facts that came of a request.
PAGES = 5

_REQUEST_ID = re.compile(r"[0-9]{1,16}-[0-9]{1,16}")
#: An action, and the service that it is about if it is about one.
Wanted = tuple[Action, str | None]
#: What a person asks for.
Asked = TypeVar("Asked", bound=Event)
_waiting = threading.BoundedSemaphore(MOST_WAITING)


@acting.post("/stages/<stage>/lock")
def lock_stage(pipeline: str, stage: str) -> Response:
    """Close a stage to everybody, or to all but fixes."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.LockBody) -> LockAsked:
        finding.stage(context.pipeline_of(board), stage)
        return LockAsked(stage, by, body.reason, body.let_fixes_in, body.until)

    return _act(
        pipeline, bodies.LockBody, _on_all(Action.LOCK), event
    )  # no question: the stage may be in our file and not in force yet


@acting.post("/stages/<stage>/unlock")
def unlock_stage(pipeline: str, stage: str) -> Response:
    """Open the lock of a stage; of several the one that is named, or all."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.UnlockBody) -> UnlockAsked:
        finding.stage(context.pipeline_of(board), stage)
        keys = [lock.key for lock in board.locks_of(stage)]
        if body.lock is not None and keys and body.lock not in keys:
            raise unknown(f"lock of {stage} called", body.lock, keys)
        return UnlockAsked(stage, by, body.reason, body.lock, body.every)

    return _act(pipeline, bodies.UnlockBody, _on_all(Action.UNLOCK), event, requests.why_not_unlock)


@acting.post("/runs/<run>/retry")
def retry_run(pipeline: str, run: str) -> Response:
    """Repeat the build that failed, without a new commit."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.RequestBody) -> RetryAsked:
        finding.run(context, board, run)
        return RetryAsked(run, by, body.reason)

    return _act(pipeline, bodies.RequestBody, _on_run(Action.RETRY, run), event, requests.why_not_retry)


@acting.post("/runs/<run>/cancel")
def cancel_run(pipeline: str, run: str) -> Response:
    """Take a run out."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.RequestBody) -> CancelAsked:
        finding.run(context, board, run)
        return CancelAsked(run, by, body.reason)

    return _act(pipeline, bodies.RequestBody, _on_run(Action.CANCEL, run), event, requests.why_not_cancel)


@acting.post("/services/<service>/fast-lane")
def send_fast(pipeline: str, service: str) -> Response:
    """Send the head of a service's main branch on the fast lane, once."""

    def event(context: PipelineContext, board: Board, by: str, body: bodies.FastLaneBody) -> FastLaneAsked:
        finding.service(context.pipeline_of(board), service)
        if body.stage is not None:
            finding.stage(context.pipeline_of(board), body.stage)
        return FastLaneAsked(service, by, body.reason, body.stage)

    def wants(_context: PipelineContext, body: bodies.FastLaneBody) -> Wanted:
        return (Action.FAST_LANE, service) if body.stage is None else (Action.FAST_LANE_INTO, None)

    return _act(pipeline, bodies.FastLaneBody, wants, event, requests.why_not_fast_lane)


@acting.post("/mode")
def change_mode(pipeline: str) -> Response:
    """Let the pipeline run, pause it, or make it only observe."""

    def event(_context: PipelineContext, _board: Board, by: str, body: bodies.ModeBody) -> ModeAsked:
        return ModeAsked(body.mode, by, body.reason)

    def wants(context: PipelineContext, body: bodies.ModeBody) -> Wanted:
        with context.look() as replica:
            modes = (replica.board.header.mode, body.mode)
        return (Action.MODE if Mode.OBSERVE in modes else Action.PAUSE), None

    return _act(pipeline, bodies.ModeBody, wants, event)


@acting.post("/dead-letters/<any(retry, drop):what>")
def take_out_dead_letter(pipeline: str, what: str) -> Response:
    """Give an effect that was given up another try, or forget it. Done when it answers: no turn decides about it."""
    signed_in()  # who is not learns nothing about what there is
    context = context_of(pipeline)
    by = require(Action.DEAD_LETTERS, context).name
    body = bodies.read(bodies.DeadLetterBody)
    take = context.outbox.revive if what == "retry" else context.outbox.drop_dead
    if not take(body.slot):
        raise unknown("dead letter", body.slot, (letter.slot for letter in context.outbox.dead_letters()))
    log.info("dead-letter-taken-out", pipeline=pipeline, slot=body.slot, what=what, by=by, reason=body.reason)
    return reply({"state": "done", "slot": body.slot})


@acting.post("/parked/<any(retry, drop):what>")
def take_out_parked(pipeline: str, what: str) -> Response:
    """Decide a parked delivery once more, or forget it. Done when it answers; the next turn decides."""
    signed_in()
    context = context_of(pipeline)
    by = require(Action.PARKED, context).name
    body = bodies.read(bodies.ParkedBody)
    rows = parked(context.redis, context.keys)
    found = next((row for row in rows if row.entry == body.entry), None)
    wake = None if found is None else take_out(context.redis, context.keys, found, again=what == "retry")
    if wake is None:
        raise unknown("parked delivery", body.entry, (row.entry for row in rows))
    if wake:
        wake_up(pipeline)
    log.info("parked-delivery-taken-out", pipeline=pipeline, entry=body.entry, what=what, by=by, reason=body.reason)
    return reply({"state": "done", "entry": body.entry})


@acting.get("/requests/<request_id>")
def show_request(pipeline: str, request_id: str) -> Response:
    """What became of a request: at once, or within `wait` seconds."""
    context = context_of(pipeline)
    if not _REQUEST_ID.fullmatch(request_id):
        raise Problem(404, "a request is known by the `request` of the answer to it, such as 1700000000000-0")
    return reply(_outcome(context, request_id, _seconds()))


def _on_all(action: Action) -> Callable[[PipelineContext, Any], Wanted]:
    """An action on what all services share."""
    return lambda _context, _body: (action, None)


def _on_run(action: Action, run: str) -> Callable[[PipelineContext, Any], Wanted]:
    """An action on a run, whose key begins with its service."""
    return lambda _context, _body: (action, run.rpartition(".")[0])


def _act(
    pipeline: str,
    kind: type[bodies.AnyBody],
    wants: Callable[[PipelineContext, bodies.AnyBody], Wanted],
    event: Callable[[PipelineContext, Board, str, bodies.AnyBody], Asked],
    why_not: Callable[[Board, Asked], Message | None] = lambda *_: None,
) -> Response:
    """Keep what `event` makes of the request and answer 202; with `wait`, what the turn has made of it by then.

    `wants` says which action it is, and on which service. `event` raises Problem for what does not exist, and
    `why_not`, a question of the rules, is what the next turn would refuse: 409. Neither of the two is asked if the
    request was kept before under its key.
    """
    by = signed_in().name  # first of all: who is not signed in learns nothing about what there is
    context = context_of(pipeline)
    body, seconds = bodies.read(kind), _seconds()
    action, service = wants(context, body)
    require(action, context, service)
    identity = _kept_before(context, by)
    if identity is None:
        with context.look() as replica:
            asked = event(context, replica.board, by, body)
            no = why_not(replica.board, asked)
        if no is not None:
            raise Problem(409, words(no))
        identity = _keep(context, asked, by)
        log.info("request-kept", pipeline=pipeline, request=identity, kind=asked.kind, by=by)
    return reply(_outcome(context, identity, seconds), 202)


def _seconds() -> int:
    return whole_number("wait", 0, 0, LONGEST_WAIT)


def _kept_before(context: PipelineContext, by: str) -> str | None:
    """The id of the request that was kept under the same Idempotency-Key, if it was: a reply may have been lost."""
    key = _key()
    if key is None:
        return None
    identity = cast("bytes | None", context.redis.get(context.keys.seen(f"event:{_delivery(by, key)}")))
    return None if identity is None else identity.decode()


def _keep(context: PipelineContext, event: Event, by: str) -> str:
    """Put a person's request into the inbox, once per Idempotency-Key; returns the id to ask after it by."""
    accepted, identity = context.inbox.add_identified(event, _delivery(by, _key() or uuid.uuid4().hex))
    if accepted is Accepted.WAKE_UP:
        wake_up(context.pipeline.name)
    return identity


def _key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and (not key or len(key) > 200 or not key.isascii() or not key.isprintable()):
        raise Problem(400, "the header Idempotency-Key is plain text of at most 200 characters")
    return key


def _delivery(by: str, key: str) -> str:
    return f"api/{by}/{key}"


def _outcome(context: PipelineContext, identity: str, seconds: float) -> Shape:
    """What became of a request by now, or within `seconds`: `waiting`, `done`, or `refused` with its facts."""
    taken = _taken(context, identity)[0]
    if not taken and seconds > 0 and _waiting.acquire(blocking=False):
        try:
            taken = _wait(context, identity, seconds)
        finally:
            _waiting.release()
    facts = _facts_of(context, identity) if taken else []
    refused = any(fact["kind"] == FactKind.REQUEST_REFUSED for fact in facts)
    state = "refused" if refused else "done" if taken else "waiting"
    return {"request": identity, "state": state, "facts": facts}


def _wait(context: PipelineContext, identity: str, seconds: float) -> bool:
    """Wait until a turn has taken the entry; each commit is a change, so waiting for changes misses none."""
    deadline = time.monotonic() + seconds
    while True:
        taken, version = _taken(context, identity)
        left = deadline - time.monotonic()
        if taken or left <= 0:
            return taken
        context.redis.xread({context.keys.changes: beyond(version)}, count=1, block=max(1, int(min(left, 2.0) * 1000)))


def _taken(context: PipelineContext, identity: str) -> tuple[bool, int]:
    """Whether the inbox's cursor has reached the entry, and the version of the board at that moment."""
    version, cursor = cast("list[bytes | None]", context.redis.hmget(context.keys.meta, ["version", "cursor"]))
    return _order((cursor or b"0-0").decode()) >= _order(identity), int(version or 0)


def _order(identity: str) -> tuple[int, int]:
    milliseconds, _, number = identity.partition("-")
    return int(milliseconds), int(number)


def _facts_of(context: PipelineContext, identity: str) -> list[Shape]:
    """The facts that carry the entry: they were stored after it came in, in one commit."""
    found: list[dict[str, Any]] = []
    after = f"{_order(identity)[0] - 1}-0"
    for _ in range(PAGES):
        page = context.records.facts_after(after)
        found += [shapes.fact(*row) for row in page if row[1].entry == identity]
        if not page or len(page) < PAGE or (found and page[-1][1].entry != identity):
            break
        after = page[-1][0]
    return found
