"""The log as a stream of server-sent events for programs; a client that connects again continues where it was.

The id of an event is that of the fact (HTML standard: server-sent events); a client sends the last one as
`Last-Event-ID`. Events are called `fact`; `beat`, a sign of life with the position in the log; and `gap`, when facts
after the last id are not kept any more. A stream reads a page, sends it, and reads the next: a slow client delays no
other, and nothing is stored for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Generator

from flask import Response, current_app, request
from redis.exceptions import RedisError

from bot.core.model.facts import FactKind
from bot.runtime import PipelineContext
from bot.store.codec import RecordedFact
from bot.store.records import PAGE
from bot.web import shapes
from bot.web.access import bounded
from bot.web.api_operation import Parameter, filter_parameters, operation
from bot.web.api_reading import AFTER, FACT_ID, is_fact_id, reading
from bot.web.fact_list import FactFilter
from bot.web.live import BEAT, RETRY, Connections, client_address, is_gone
from bot.web.problems import Problem
from bot.web.shapes import Shape
from bot.web.shared import context_of, runtime

#: The most streams of one process, and of one address; each also counts as a live page.
MOST_STREAMS, MOST_FROM_ONE_ADDRESS = 16, 8
#: The longest wait for the store before a stream checks whether its client is still there, in milliseconds.
BLOCK = 1_000

_KINDS = Parameter(
    "kind",
    "Decisions of this kind; give it several times for several kinds.",
    {"type": "array", "items": {"type": "string", "enum": [str(kind) for kind in FactKind]}},
)
_LAST = Parameter(
    "Last-Event-ID",
    "The id of the last event that you received; it takes precedence over `after`.",
    FACT_ID,
    place="header",
)
_FILTERS = tuple(each for each in filter_parameters(FactFilter) if each.name != "kind")
_START = "0-0"

Wanted = Callable[[RecordedFact], bool]


@reading.get("/pipelines/<pipeline>/events")
@operation(
    "text/event-stream",
    parameters=(_KINDS, *_FILTERS, AFTER, _LAST),
    problems={429: "Too many streams are open, here or from your address; try again after `Retry-After` seconds."},
)
def stream_facts(pipeline: str) -> Response:
    """Send the decisions as server-sent events, from now on or after the last one that you have.

    `event: fact` has the id and, as JSON, the fact as `/facts` lists it. `event: beat` comes every 15 seconds: its id
    is the position in the log, its data is `{"at": ...}`. `event: gap` means that facts after the id `after` are not
    kept any more, as `{"after": ..., "detail": ...}`. Ids grow. After `0-0` come all facts that are kept. The stream
    may end at any time: connect again with `Last-Event-ID`, and nothing is missed or sent twice.
    """
    context = context_of(pipeline)
    wanted, after = _wanted(), _after()
    if after is None:
        after = _newest(context)
        known = False
    else:
        known = after != _START
    close = _open()
    pieces = bounded(events(context, wanted, after, request.environ.get("gunicorn.socket"), known=known))
    response = Response(pieces, mimetype="text/event-stream")
    response.call_on_close(close)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: ngx_http_proxy_module
    return response


def events(
    context: PipelineContext,
    wanted: Wanted,
    after: str,
    connection: object,
    *,
    known: bool = False,
    beat: float = BEAT,
) -> Generator[bytes, None, None]:
    """Yield the events after the fact called `after`, until the client goes away or the store cannot be reached.

    `known`: whether the client has seen that fact, so that missing facts after it are a gap. `beat`: seconds.
    """
    yield f"retry: {RETRY}\n\n".encode() + _beat(after)
    last = time.monotonic()
    try:
        while not is_gone(connection):
            page = context.records.facts_after(after)
            if known and not context.records.has_fact(after) and (gap := _gap(context, after, page)) is not None:
                after, event = gap
                yield event
            sent = b"".join(_fact(*row) for row in page if wanted(row[1]))
            if page:
                after = page[-1][0]
            known = len(page) == PAGE  # a full page: facts after it may have been deleted meanwhile
            if sent:
                last = time.monotonic()
                yield sent
            elif time.monotonic() - last >= beat:
                last, known = time.monotonic(), after != _START
                yield _beat(after)
            if not page:
                context.records.await_fact(after, BLOCK)
    except RedisError:
        return  # the client connects again, and continues


def _gap(context: PipelineContext, after: str, page: list[tuple[str, RecordedFact]]) -> tuple[str, bytes] | None:
    """Return where to continue and the `gap` event, if facts after `after` may be missing; None if none can be."""
    if page:
        detail = "Interlock does not keep older facts any more: read the pipeline again, then continue"
        return after, _event("gap", after, {"after": after, "detail": detail})
    newest = _newest(context)
    if order(newest) >= order(after):
        return None
    detail = "the store has lost facts that you have received: read the pipeline again, then continue"
    return newest, _event("gap", newest, {"after": after, "detail": detail})


def order(identity: str) -> tuple[int, int]:
    """Return a key that sorts ids of facts in the order of the decisions."""
    milliseconds, _, number = identity.partition("-")
    return int(milliseconds), int(number)


def _newest(context: PipelineContext) -> str:
    facts = context.records.facts(limit=1).facts
    return facts[0][0] if facts else _START


def _wanted() -> Wanted:
    """Return a check whether a fact matches the present request. Raises Problem (400)."""
    kinds = request.args.getlist("kind")
    for kind in kinds:
        FactFilter(kind=kind).check()
    found = FactFilter.of({**request.args, "kind": ""})
    return lambda recorded: (not kinds or recorded.fact.kind in kinds) and found.fits(recorded.fact)


def _after() -> str | None:
    """Return the id after which the present request begins; None: with new decisions. Raises Problem (400)."""
    for name, given in (("Last-Event-ID", request.headers.get("Last-Event-ID")), ("after", request.args.get("after"))):
        if given:
            if given != _START and not is_fact_id(given):
                raise Problem(400, f"`{name}` is the id of an event, such as 1700000000000-0")
            return given
    return None


def _open() -> Callable[[], None]:
    """Count one more stream; return a function that ends the count. Raises Problem (429)."""
    address = client_address(
        request.remote_addr or "", request.headers.get("X-Forwarded-For", ""), runtime().settings.trusted_proxies
    )
    closers: list[Callable[[], None]] = []
    for connections in _counted():
        close = connections.open(address)
        if isinstance(close, str):
            for each in closers:
                each()
            raise Problem(429, close.replace("live pages", "streams"))
        closers.append(close)

    def close_all() -> None:
        for each in closers:
            each()

    return close_all


def _counted() -> Collection[Connections]:
    extensions = current_app.extensions
    return extensions["interlock-streams"], extensions["interlock-connections"]


def _fact(identity: str, recorded: RecordedFact) -> bytes:
    return _event("fact", identity, shapes.fact(identity, recorded))


def _beat(after: str) -> bytes:
    return _event("beat", after, {"at": time.time()})


def _event(name: str, identity: str, data: Shape) -> bytes:
    return f"event: {name}\nid: {identity}\ndata: {json.dumps(data)}\n\n".encode()
