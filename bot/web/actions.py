"""The API for acting: each request is checked against the board, kept as an event, and decided by the next turn."""

from __future__ import annotations

import re
from collections.abc import Callable

import structlog
from flask import Blueprint, Response

from bot.core import sentences
from bot.core.model.events import CancelAsked, Event, FastLaneAsked, LockAsked, ModeAsked, RetryAsked, UnlockAsked
from bot.core.model.run import Status
from bot.runtime import PipelineContext
from bot.store import parked
from bot.web import asking, auth, bodies, finding
from bot.web.problems import Problem, unknown
from bot.web.reading import whole_number
from bot.web.shapes import reply
from bot.web.site import site

actions = Blueprint("actions", __name__, url_prefix="/api/v1/pipelines/<pipeline>")
log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[0-9]{1,16}-[0-9]{1,16}")


@actions.post("/stages/<stage>/lock")
def lock(pipeline: str, stage: str) -> Response:
    """Close a stage to everybody, or to all but fixes."""

    def event(context: PipelineContext, by: str, body: bodies.Lock) -> Event:
        with context.look() as replica:
            finding.stage(context.in_force(replica.board), stage)
        return LockAsked(stage, by, body.reason, body.let_fixes_in, body.until)

    return _act(pipeline, bodies.Lock, event)


@actions.post("/stages/<stage>/unlock")
def unlock(pipeline: str, stage: str) -> Response:
    """Open the lock of a stage; of several the one that is named, or all."""

    def event(context: PipelineContext, by: str, body: bodies.Unlock) -> Event:
        with context.look() as replica:
            finding.stage(context.in_force(replica.board), stage)
            locks = replica.board.locks_of(stage)
        keys = [lock.key for lock in locks]
        if not keys:
            raise Problem(409, f"{stage} is not locked")
        if body.lock is not None and body.lock not in keys:
            raise unknown(f"lock of {stage} called", body.lock, keys)
        if body.lock is None and not body.every and len(keys) > 1:
            raise Problem(409, sentences.which_lock(stage, locks))
        return UnlockAsked(stage, by, body.reason, body.lock, body.every)

    return _act(pipeline, bodies.Unlock, event)


@actions.post("/runs/<run>/retry")
def retry(pipeline: str, run: str) -> Response:
    """Repeat the build that failed, without a new commit."""

    def event(context: PipelineContext, by: str, body: bodies.Request) -> Event:
        with context.look() as replica:
            found = finding.run(context, replica.board, run)
        if found.status is not Status.FAILED:
            raise Problem(409, f"{sentences.name(found)} has not failed: it is {found.status} in {found.step}")
        return RetryAsked(run, by, body.reason)

    return _act(pipeline, bodies.Request, event)


@actions.post("/runs/<run>/cancel")
def cancel(pipeline: str, run: str) -> Response:
    """Take a run out."""

    def event(context: PipelineContext, by: str, body: bodies.Request) -> Event:
        with context.look() as replica:
            found = finding.run(context, replica.board, run)
        if found.status is Status.ENDING or found.cancelled_by is not None:
            raise Problem(409, f"{sentences.name(found)} is on its way out already")
        return CancelAsked(run, by, body.reason)

    return _act(pipeline, bodies.Request, event)


@actions.post("/services/<service>/fast-lane")
def fast_lane(pipeline: str, service: str) -> Response:
    """Send the head of a service's main branch on the fast lane, once."""

    def event(context: PipelineContext, by: str, body: bodies.FastLane) -> Event:
        with context.look() as replica:
            finding.service(context.in_force(replica.board), service)
            if body.stage is not None:
                finding.stage(context.in_force(replica.board), body.stage)
        return FastLaneAsked(service, by, body.reason, body.stage)

    return _act(pipeline, bodies.FastLane, event)


@actions.post("/mode")
def mode(pipeline: str) -> Response:
    """Let the pipeline run, pause it, or make it only observe."""

    def event(_: PipelineContext, by: str, body: bodies.ChangeMode) -> Event:
        return ModeAsked(body.mode, by, body.reason)

    return _act(pipeline, bodies.ChangeMode, event)


@actions.post("/dead-letters/retry")
def revive(pipeline: str) -> Response:
    """Give an effect that was given up another try. Done when it answers: no turn decides about it."""
    by = auth.person()
    context = site().pipeline(pipeline)
    body = bodies.read(bodies.OfDeadLetter)
    if not context.outbox.revive(body.slot):
        raise unknown("dead letter", body.slot, (letter.slot for letter in context.outbox.dead_letters()))
    log.info("dead-letter-revived", pipeline=pipeline, slot=body.slot, by=by, reason=body.reason)
    return reply({"state": "done", "slot": body.slot})


@actions.post("/dead-letters/drop")
def drop_dead_letter(pipeline: str) -> Response:
    """Forget an effect that was given up: nobody needs it any more."""
    by = auth.person()
    context = site().pipeline(pipeline)
    body = bodies.read(bodies.OfDeadLetter)
    if not context.outbox.drop_dead(body.slot):
        raise unknown("dead letter", body.slot, (letter.slot for letter in context.outbox.dead_letters()))
    log.info("dead-letter-dropped", pipeline=pipeline, slot=body.slot, by=by, reason=body.reason)
    return reply({"state": "done", "slot": body.slot})


@actions.post("/parked/<any(retry, drop):what>")
def take_out(pipeline: str, what: str) -> Response:
    """Decide a parked delivery once more, or forget it. Done when it answers; the next turn decides."""
    by = auth.person()
    context = site().pipeline(pipeline)
    body = bodies.read(bodies.OfParked)
    rows = parked.deliveries(site().redis, context.keys)
    found = next((row for row in rows if row.entry == body.entry), None)
    wake = None if found is None else parked.take_out(site().redis, context.keys, found, again=what == "retry")
    if wake is None:
        raise unknown("parked delivery", body.entry, (row.entry for row in rows))
    if wake:
        site().poke(pipeline)
    log.info("parked-delivery-taken-out", pipeline=pipeline, entry=body.entry, what=what, by=by, reason=body.reason)
    return reply({"state": "done", "entry": body.entry})


@actions.get("/requests/<request_id>")
def request_state(pipeline: str, request_id: str) -> Response:
    """What became of a request: at once, or within `wait` seconds."""
    context = site().pipeline(pipeline)
    if not _REQUEST_ID.fullmatch(request_id):
        raise Problem(404, "a request is known by the `request` of the answer to it, such as 1700000000000-0")
    return reply(asking.outcome(site(), context, request_id, _seconds()))


def _act(
    pipeline: str, kind: type[bodies.Body], event: Callable[[PipelineContext, str, bodies.Body], Event]
) -> Response:
    """Keep what `event` makes of the request and answer 202; with `wait`, what the turn has made of it by then.

    `event` refuses what makes no sense on the present board, unless the request was kept before under its key.
    """
    by = auth.person()  # first of all: who may not act learns nothing about what there is
    context = site().pipeline(pipeline)
    body, seconds = bodies.read(kind), _seconds()
    identity = asking.kept_before(site(), context, by)
    if identity is None:
        asked = event(context, by, body)
        identity = asking.ask(site(), context, asked, by)
        log.info("request-kept", pipeline=pipeline, request=identity, kind=asked.kind, by=by)
    return reply(asking.outcome(site(), context, identity, seconds), 202)


def _seconds() -> int:
    return whole_number("wait", 0, 0, asking.LONGEST_WAIT)
