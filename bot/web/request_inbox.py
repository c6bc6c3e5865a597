"""Requests of people: checked against the board, stored as an event in the inbox, and asked for their outcome."""

from __future__ import annotations

import re
import threading
import time
import uuid
from typing import Any, cast

import structlog

from bot.core.model.board import Board
from bot.core.model.events import Event
from bot.core.model.facts import FactKind
from bot.core.model.messages import Message
from bot.core.model.refusals import SeveralLocks
from bot.core.rules import consequences
from bot.core.rules.consequences import Consequences
from bot.reporting.messages import words
from bot.reporting.view import lock_shape
from bot.runtime import PipelineContext
from bot.store.inbox import Accepted
from bot.store.records import PAGE
from bot.web import shapes
from bot.web.actions import Asked, RequestKind
from bot.web.bodies import AnyBody
from bot.web.identity import require
from bot.web.problems import Problem
from bot.web.shapes import Shape
from bot.web.shared import beyond, wake_up

log = structlog.get_logger()

#: The longest wait for a decision, in seconds.
LONGEST_WAIT = 5
#: The most requests that wait at once in this process, because each holds a thread, and deliveries must not wait for
#: people.
MOST_WAITING = 6
#: The most pages of the log that are searched for the facts of a request.
PAGES = 5

#: The form of the id of a request.
REQUEST_ID = re.compile(r"[0-9]{1,16}-[0-9]{1,16}")
_waiting = threading.BoundedSemaphore(MOST_WAITING)


def submit(context: PipelineContext, kind: RequestKind[AnyBody, Asked], body: AnyBody, by: str, key: str | None) -> str:
    """Store a request as an event, once for each `key`; return the id by which its outcome can be asked for.

    Raises Problem: 403 if the person may not; 404 if something named does not exist; 409 if the next turn would refuse
    it. The last two are not checked if the request was stored before under its key, because its reply may have been
    lost.
    """
    _require(context, kind, body)
    identity = _kept_before(context, by, key)
    if identity is None:
        with context.look() as replica:
            asked = _checked(context, replica.board, kind, body, by)
        identity = _keep(context, asked, by, key)
        log.info("request-kept", pipeline=context.pipeline.name, request=identity, kind=asked.kind, by=by)
    return identity


def foresee(context: PipelineContext, kind: RequestKind[AnyBody, Asked], body: AnyBody, by: str) -> Consequences:
    """Return the consequences of a request if it were decided now.

    Nothing is stored. Raises Problem as `submit` does.
    """
    _require(context, kind, body)
    with context.look() as replica:
        asked = _checked(context, replica.board, kind, body, by)
        board = replica.board.copy()  # other readers continue while the rules decide
    found = consequences.foresee(board, asked, time.time(), context.decision_limits)
    if found.refusal is not None:
        raise refused(found.refusal)
    return found


def refused(why: Message) -> Problem:
    """Return a 409 for a request that the present board forbids; if one of several locks must be named, list them."""
    if not isinstance(why, SeveralLocks):
        return Problem(409, words(why))
    how = 'give its key as "lock", or "all": true'
    return Problem(409, f"{words(why)}: {how}", locks=[lock_shape(lock) for lock in why.locks])


def _require(context: PipelineContext, kind: RequestKind[AnyBody, Asked], body: AnyBody) -> None:
    action, service = kind.wants(context, body)
    require(action, context, service)


def _checked(
    context: PipelineContext, board: Board, kind: RequestKind[AnyBody, Asked], body: AnyBody, by: str
) -> Asked:
    """Return the event of a request.

    Raises Problem: 404 if something named does not exist, 409 if it would be refused.
    """
    asked = kind.event(context, board, by, body)
    no = kind.why_not(board, asked)
    if no is not None:
        raise refused(no)
    return asked


def _kept_before(context: PipelineContext, by: str, key: str | None) -> str | None:
    """Return the id of the request that was stored under the same key, if any."""
    if key is None:
        return None
    identity = cast("bytes | None", context.redis.get(context.keys.seen(f"event:{_delivery(by, key)}")))
    return None if identity is None else identity.decode()


def _keep(context: PipelineContext, event: Event, by: str, key: str | None) -> str:
    accepted, identity = context.inbox.add_identified(event, _delivery(by, key or uuid.uuid4().hex))
    if accepted is Accepted.WAKE_UP:
        wake_up(context.pipeline.name)
    return identity


def _delivery(by: str, key: str) -> str:
    return f"api/{by}/{key}"


def outcome(context: PipelineContext, identity: str, seconds: float) -> Shape:
    """Return the outcome of a request now, or within `seconds`: `waiting`, `done` or `refused`, with its facts."""
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
    """Wait until a turn has taken the entry. Each commit is a change, so waiting for changes misses none."""
    deadline = time.monotonic() + seconds
    while True:
        taken, version = _taken(context, identity)
        left = deadline - time.monotonic()
        if taken or left <= 0:
            return taken
        context.redis.xread({context.keys.changes: beyond(version)}, count=1, block=max(1, int(min(left, 2.0) * 1000)))


def _taken(context: PipelineContext, identity: str) -> tuple[bool, int]:
    """Return whether the inbox's cursor has reached the entry, and the version of the board at that moment."""
    version, cursor = cast("list[bytes | None]", context.redis.hmget(context.keys.meta, ["version", "cursor"]))
    return _order((cursor or b"0-0").decode()) >= _order(identity), int(version or 0)


def _order(identity: str) -> tuple[int, int]:
    milliseconds, _, number = identity.partition("-")
    return int(milliseconds), int(number)


def _facts_of(context: PipelineContext, identity: str) -> list[Shape]:
    """Return the facts of the entry. They were stored after it came in, in one commit."""
    found: list[dict[str, Any]] = []
    after = f"{_order(identity)[0] - 1}-0"
    for _ in range(PAGES):
        page = context.records.facts_after(after)
        found += [shapes.fact(*row) for row in page if row[1].entry == identity]
        if not page or len(page) < PAGE or (found and page[-1][1].entry != identity):
            break
        after = page[-1][0]
    return found
