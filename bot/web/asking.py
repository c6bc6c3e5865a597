"""A person's request on its way: into the inbox, a poke, and what the turn made of it."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any, cast

from flask import request

from bot.core.model.events import Event
from bot.core.model.facts import FactKind
from bot.runtime import PipelineContext
from bot.store.inbox import Accepted
from bot.store.records import PAGE
from bot.web import shapes
from bot.web.problems import Problem
from bot.web.shapes import Shape
from bot.web.site import Site, beyond

#: The longest that a request is waited for, in seconds.
LONGEST_WAIT = 5
#: How many requests wait at once in this process: each holds a thread, and deliveries must not queue behind people.
MOST_WAITING = 6
#: How many pages of the log are looked through for the facts that came of a request.
PAGES = 5

_waiting = threading.BoundedSemaphore(MOST_WAITING)


def kept_before(site: Site, context: PipelineContext, by: str) -> str | None:
    """The id of the request that was kept under the same Idempotency-Key, if it was: a reply may have been lost."""
    key = _key()
    if key is None:
        return None
    identity = cast("bytes | None", site.redis.get(context.keys.seen(f"event:{_delivery(by, key)}")))
    return None if identity is None else identity.decode()


def ask(site: Site, context: PipelineContext, event: Event, by: str) -> str:
    """Put a person's request into the inbox, once per Idempotency-Key; returns the id to ask after it by."""
    accepted, identity = context.inbox.add_and_tell(event, _delivery(by, _key() or uuid.uuid4().hex))
    if accepted is Accepted.POKE:
        site.poke(context.pipeline.name)
    return identity


def _key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and (not key or len(key) > 200 or not key.isascii() or not key.isprintable()):
        raise Problem(400, "the header Idempotency-Key is plain text of at most 200 characters")
    return key


def _delivery(by: str, key: str) -> str:
    return f"api/{by}/{key}"


def outcome(site: Site, context: PipelineContext, identity: str, seconds: float) -> Shape:
    """What became of a request by now, or within `seconds`: `waiting`, `done`, or `refused` with its facts."""
    taken = _taken(site, context, identity)[0]
    if not taken and seconds > 0 and _waiting.acquire(blocking=False):
        try:
            taken = _wait(site, context, identity, seconds)
        finally:
            _waiting.release()
    facts = _facts_of(context, identity) if taken else []
    refused = any(fact["kind"] == FactKind.REQUEST_REFUSED for fact in facts)
    state = "refused" if refused else "done" if taken else "waiting"
    return {"request": identity, "state": state, "facts": facts}


def _wait(site: Site, context: PipelineContext, identity: str, seconds: float) -> bool:
    """Wait until a turn has taken the entry; each commit is a change, so waiting for changes misses none."""
    deadline = time.monotonic() + seconds
    while True:
        taken, version = _taken(site, context, identity)
        left = deadline - time.monotonic()
        if taken or left <= 0:
            return taken
        site.redis.xread({context.keys.changes: beyond(version)}, count=1, block=max(1, int(min(left, 2.0) * 1000)))


def _taken(site: Site, context: PipelineContext, identity: str) -> tuple[bool, int]:
    """Whether the inbox's cursor has reached the entry, and the version of the board at that moment."""
    version, cursor = cast("list[bytes | None]", site.redis.hmget(context.keys.meta, ["version", "cursor"]))
    return _order((cursor or b"0-0").decode()) >= _order(identity), int(version or 0)


def _order(identity: str) -> tuple[int, int]:
    milliseconds, _, number = identity.partition("-")
    return int(milliseconds), int(number)


def _facts_of(context: PipelineContext, identity: str) -> list[Shape]:
    """The facts that carry the entry. They were told after it came in, and all in one commit."""
    found: list[dict[str, Any]] = []
    after = f"{_order(identity)[0] - 1}-0"
    for _ in range(PAGES):
        page = context.records.facts_after(after)
        found += [shapes.fact(*row) for row in page if row[1].entry == identity]
        if not page or len(page) < PAGE or (found and page[-1][1].entry != identity):
            break
        after = page[-1][0]
    return found
