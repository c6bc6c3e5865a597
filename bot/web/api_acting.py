"""The API for acting. Each request is checked against the board, stored as an event, and decided by the next turn."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from flask import Blueprint, Response, request

from bot.core.access import Action
from bot.store.tokens import Tokens
from bot.web import actions, bodies, shapes
from bot.web.actions import Asked, RequestKind
from bot.web.api_operation import NumberParameter, Parameter, View, operation
from bot.web.bodies import AnyAction
from bot.web.identity import require, require_everywhere, signed_in
from bot.web.problems import Problem, unknown
from bot.web.request_inbox import LONGEST_WAIT, REQUEST_ID, foresee, outcome, submit
from bot.web.request_shapes import (
    ConsequenceReportShape,
    CreatedTokenShape,
    DeadLetterTakenShape,
    OutcomeShape,
    ParkedTakenShape,
    RevokedShape,
    TokensShape,
)
from bot.web.shapes import reply
from bot.web.shared import context_of, runtime

acting = Blueprint("acting", __name__, url_prefix="/api/v1/pipelines/<pipeline>")

log = structlog.get_logger()

_WAIT = NumberParameter("wait", "The seconds that the answer waits for a decision.", 0, 0, LONGEST_WAIT)
_AT_ONCE = Parameter("wait", "Has no effect here: the request is done when the answer comes.", _WAIT.described.schema)
#: The longest Idempotency-Key.
_LONGEST_KEY = 200
_KEY = Parameter(
    "Idempotency-Key",
    "A text of your choice: a request that is sent again with the same key is stored once.",
    {"type": "string", "pattern": f"^[ -~]{{1,{_LONGEST_KEY}}}$"},
    place="header",
)


def _request(body: type[bodies.RequestBody], *actions: Action) -> Callable[[View], View]:
    """Return the operation of a view that answers by `_act`."""
    return operation(
        OutcomeShape,
        status=202,
        also={200: ConsequenceReportShape},
        actions=actions,
        parameters=(_WAIT, _KEY),
        body=body,
        problems={409: "The rules refuse it, or the run is not on the board any more: nothing was stored."},
        followed_by="show_request",
    )


@acting.post("/stages/<stage>/lock")
@_request(bodies.LockBody, Action.LOCK)
def lock_stage(pipeline: str, stage: str) -> Response:
    """Close a stage to everybody, or to all but fixes."""
    return _act(pipeline, actions.lock(stage))


@acting.post("/stages/<stage>/unlock")
@_request(bodies.UnlockBody, Action.UNLOCK)
def unlock_stage(pipeline: str, stage: str) -> Response:
    """Open the lock of a stage; of several the named one, or all."""
    return _act(pipeline, actions.unlock(stage))


@acting.post("/stages/<stage>/watch")
@_request(bodies.WatchBody, Action.WATCH)
def watch_stage(pipeline: str, stage: str) -> Response:
    """Send you one notice when a locked stage opens, by your own channel (`notify: people` of the pipeline)."""
    return _act(pipeline, actions.watch(stage))


@acting.post("/runs/<run>/retry")
@_request(bodies.ActionBody, Action.RETRY)
def retry_run(pipeline: str, run: str) -> Response:
    """Retry the failed build, without a new commit."""
    return _act(pipeline, actions.retry(run))


@acting.post("/runs/<run>/cancel")
@_request(bodies.ActionBody, Action.CANCEL)
def cancel_run(pipeline: str, run: str) -> Response:
    """Take a run out."""
    return _act(pipeline, actions.cancel(run))


@acting.post("/runs/<run>/move")
@_request(bodies.ActionBody, Action.MOVE)
def move_run(pipeline: str, run: str) -> Response:
    """Put a waiting run at the front of its queue."""
    return _act(pipeline, actions.move(run))


@acting.post("/runs/<run>/let-through")
@_request(bodies.ActionBody, Action.LET_THROUGH)
def let_run_through(pipeline: str, run: str) -> Response:
    """Let a run through the freezes that allow it (W2)."""
    return _act(pipeline, actions.let_through(run))


@acting.post("/services/<service>/fast-lane")
@_request(bodies.FastLaneBody, Action.FAST_LANE, Action.FAST_LANE_INTO)
def send_fast(pipeline: str, service: str) -> Response:
    """Send the head of a service's main branch on the fast lane, once."""
    return _act(pipeline, actions.fast_lane(service))


@acting.post("/mode")
@_request(bodies.ModeBody, Action.PAUSE, Action.MODE)
def change_mode(pipeline: str) -> Response:
    """Let the pipeline run, pause it, or make it only observe."""
    return _act(pipeline, actions.change_mode())


@acting.post("/dead-letters/<any(retry, drop):what>")
@operation(DeadLetterTakenShape, actions=(Action.DEAD_LETTERS,), parameters=(_AT_ONCE,), body=bodies.DeadLetterBody)
def take_out_dead_letter(pipeline: str, what: str) -> Response:
    """Give an effect that was given up another try, or drop it.

    It is done when the answer comes, because no turn decides it.
    """
    signed_in()  # first, because others must not learn what exists
    context = context_of(pipeline)
    by = require(Action.DEAD_LETTERS, context).name
    body = bodies.read(bodies.DeadLetterBody)
    actions.take_out_dead_letter(context, body.slot, by, body.reason, again=what == "retry")
    return reply({"state": "done", "slot": body.slot})


@acting.post("/parked/<any(retry, drop):what>")
@operation(ParkedTakenShape, actions=(Action.PARKED,), parameters=(_AT_ONCE,), body=bodies.ParkedBody)
def take_out_parked(pipeline: str, what: str) -> Response:
    """Decide a parked delivery once more, or drop it.

    It is stored or dropped when the answer comes; the next turn decides it.
    """
    signed_in()
    context = context_of(pipeline)
    by = require(Action.PARKED, context).name
    body = bodies.read(bodies.ParkedBody)
    actions.take_out_parked(context, body.entry, by, body.reason, again=what == "retry")
    return reply({"state": "done", "entry": body.entry})


@acting.get("/requests/<request_id>")
@operation(OutcomeShape, parameters=(_WAIT,))
def show_request(pipeline: str, request_id: str) -> Response:
    """Return the outcome of a request, at once or within `wait` seconds."""
    context = context_of(pipeline)
    if not REQUEST_ID.fullmatch(request_id):
        raise Problem(404, "a request is known by the `request` of the answer to it, such as 1700000000000-0")
    return reply(outcome(context, request_id, _WAIT.value()))


def _act(pipeline: str, kind: RequestKind[AnyAction, Asked]) -> Response:
    """Store the request and answer 202; with `wait`, include the decision if it comes in time.

    A dry run stores nothing and is answered with the consequences.
    """
    by = signed_in().name  # first, because others must not learn what exists
    context = context_of(pipeline)
    body, seconds = bodies.read(kind.body), _WAIT.value()
    if body.dry_run:
        return reply(shapes.foreseen(foresee(context, kind, body, by)))
    identity = submit(context, kind, body, by, _key())
    return reply(outcome(context, identity, seconds), 202)


def _key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and (not key or len(key) > _LONGEST_KEY or not key.isascii() or not key.isprintable()):
        raise Problem(400, f"the header Idempotency-Key is plain text of at most {_LONGEST_KEY} characters")
    return key


# -- API tokens, for people who are admin of every pipeline ------------------------------------------------------------

tokens = Blueprint("tokens", __name__, url_prefix="/api/v1/tokens")
_DAY = 86_400.0


@tokens.get("")
@operation(TokensShape, actions=(Action.TOKENS,))
def list_tokens() -> Response:
    """List the tokens, without their text."""
    require_everywhere(Action.TOKENS)
    store = Tokens(runtime().redis)
    return reply({"tokens": [store.shape(token) for token in store.all()]})


@tokens.post("")
@operation(CreatedTokenShape, status=201, actions=(Action.TOKENS,), body=bodies.TokenBody)
def create_token() -> Response:
    """Make a token. Only this answer ever contains its text."""
    by = require_everywhere(Action.TOKENS).name
    body, now = bodies.read(bodies.TokenBody), time.time()
    store = Tokens(runtime().redis)
    text, made = store.create(body.name, body.scope, body.days and now + body.days * _DAY, now)
    log.info("token-created", token=made.id, name=made.name, scope=str(made.scope), by=by)
    return reply({"text": text, "token": store.shape(made)}, 201)


@tokens.post("/revoke")
@operation(
    RevokedShape,
    actions=(Action.TOKENS,),
    body=bodies.RevokedBody,
    problems={404: "No token has this id or name."},
)
def revoke_tokens() -> Response:
    """Revoke the token with an id, or all tokens of a name."""
    by = require_everywhere(Action.TOKENS).name
    which = bodies.read(bodies.RevokedBody).which
    store = Tokens(runtime().redis)
    known = [word for token in store.all() for word in (token.name, token.id)]
    gone = store.revoke(which)
    if not gone:
        raise unknown("token of the id or name", which, known)
    log.info("tokens-revoked", tokens=[token.id for token in gone], name=gone[0].name, by=by)
    return reply({"revoked": [store.shape(token) for token in gone]})
