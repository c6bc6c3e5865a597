"""The live page: the list of pipelines, and one pipeline drawn from left to right; live.py updates it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from types import CodeType
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template, request
from jinja2.bccache import Bucket, BytecodeCache
from markupsafe import Markup, escape
from redis.exceptions import RedisError
from werkzeug.wrappers import Response as AnyResponse

from bot.health import judgement
from bot.reporting.estimates import cost_sentence
from bot.reporting.freezes import stages_locked
from bot.runtime import PipelineContext, Runtime
from bot.store.records import Repairs
from bot.store.scripts import OtherSchema
from bot.web import compression, shapes
from bot.web.access import bounded, readable
from bot.web.buttons import board_roles
from bot.web.drawing import Links, draw
from bot.web.identity import current_user
from bot.web.live import Connections, Feed, client_address, events, events_beyond_limit
from bot.web.overview import overview
from bot.web.problems import RETRY_AFTER, Problem
from bot.web.run_list import waiting_of
from bot.web.shared import context_of, go_to, runtime

page = Blueprint("page", __name__)

#: The number of facts and ended runs below the pipeline.
FACTS, ENDED = 40, 20

#: Anybody can write a title or a branch name. If one ever got into the page as HTML, the browser would run nothing.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


class CompiledTemplates(BytecodeCache):
    """The templates of the pages, compiled once in a process, by the name of a template and a checksum of its text.

    When another configuration is put in force, the process makes another application (bot/web/app.py). To compile all
    templates takes about 0.3 seconds of the processor, which would be missing just when every live page connects again.
    """

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template what was compiled of the same text."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was just compiled."""
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = CompiledTemplates()


def install(app: Flask) -> None:
    """Add the page to `app`, with its filters and feeds."""
    here: Runtime = app.extensions["interlock"]
    app.jinja_env.filters["clock"] = clock
    app.jinja_env.filters["iso"] = iso
    app.jinja_env.filters["commands"] = commands
    app.jinja_env.filters["cost"] = cost_sentence
    app.jinja_env.filters["lasting"] = lasting
    app.jinja_env.globals["stages_locked"] = _stages_locked
    app.jinja_env.globals["root"] = here.configuration.web.root
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.bytecode_cache = _COMPILED
    app.extensions["interlock-connections"] = Connections()
    app.extensions["interlock-feeds"] = {name: _feed(app, here, context) for name, context in here.pipelines.items()}
    app.register_blueprint(page)


def _stages_locked(pipeline: str) -> list[str]:
    """Return the locked stages of a pipeline, for the title and the icon of each of its pages."""
    context = context_of(pipeline)
    with context.look() as replica:
        return stages_locked(replica.board, context.pipeline_of(replica.board))


def commands(text: str) -> Markup:
    """Return a sentence as HTML, with the parts between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped before


@page.get("/")
def show_pipelines() -> AnyResponse | str:
    """Show the pipelines; redirect to the pipeline if there is only one."""
    here, shown = runtime(), readable()
    if len(here.pipelines) == 1 and shown:
        return go_to(f"/p/{shown[0].pipeline.name}")
    health = judgement.shape(here.observer.health())
    return render_template("pipelines.html", health=health, pipelines=overview(shown))


@page.get("/p/<pipeline>")
def show_pipeline(pipeline: str) -> str:
    """Show one pipeline, live."""
    here = runtime()
    context = context_of(pipeline)
    more = {"many": len(here.pipelines) > 1, "roles": board_roles(context), **own_runs(context)}
    return render_template("pipeline.html", **more, **picture(here, context))


@page.get("/p/<pipeline>/mine")
def show_own_runs(pipeline: str) -> str:
    """Show the personal part of the board's page: the person's own waiting runs."""
    return render_template("mine.html", pipeline=pipeline, **own_runs(context_of(pipeline)))


def own_runs(context: PipelineContext) -> dict[str, Any]:
    """Return the waiting runs of the signed-in person; empty if nobody is signed in."""
    try:
        person = current_user()
    except Problem:
        person = None  # not identified, as on every page
    return {} if person is None else {"mine": waiting_of(context, person.login or person.name)}


@page.get("/p/<pipeline>/live")
def stream_board(pipeline: str) -> Response:
    """Send the changing part of the page as server-sent events at each change, or once beyond the limit of viewers."""
    context_of(pipeline)
    return stream(current_app.extensions["interlock-feeds"][pipeline])


def stream(feed: Feed) -> Response:
    """Send the frames of `feed` to the sender of the present request, within the limits of connections."""
    connections: Connections = current_app.extensions["interlock-connections"]
    forwarded = request.headers.get("X-Forwarded-For", "")
    close = connections.open(client_address(request.remote_addr or "", forwarded, runtime().settings.trusted_proxies))
    if isinstance(close, str):
        return Response(events_beyond_limit(feed, close), mimetype="text/event-stream")
    pieces = bounded(events(feed, request.environ.get("gunicorn.socket")))
    packs = compression.takes_gzip()
    response = Response(compression.stream(pieces) if packs else pieces, mimetype="text/event-stream")
    response.vary.add("Accept-Encoding")
    if packs:
        response.headers["Content-Encoding"] = "gzip"
    response.call_on_close(close)
    response.headers["X-Accel-Buffering"] = "no"  # nginx: ngx_http_proxy_module
    return response


def picture(here: Runtime, context: PipelineContext) -> dict[str, Any]:
    """Return everything that the board's template shows."""
    statistics = context.statistics.current()
    with context.look() as replica:
        configured = context.pipeline_of(replica.board)
        links = Links(here.configuration, configured)
        drawn = draw(replica.board, replica.version, time.time(), configured, links, statistics)
    ended, total = context.records.ended(0, ENDED)
    facts = context.records.facts(limit=FACTS).facts
    return {
        **drawn,
        "pipeline": context.pipeline.name,
        "health": judgement.shape(here.observer.health().of(context.pipeline.name)),
        "facts": [shapes.fact(*row) for row in facts],
        "ended": [shapes.ended(row) for row in ended],
        "ended_total": total,
        "repairs": Repairs(here.redis, context.keys).shapes(),
    }


def _feed(app: Flask, here: Runtime, context: PipelineContext) -> Feed:
    """Return the feed of one pipeline. It renders outside of requests, so templates use plain addresses."""

    def render() -> tuple[int, str]:
        shown = picture(here, context)
        # Loaded here (Jinja keeps it compiled), so that a process without viewers never compiles it.
        return shown["version"], app.jinja_env.get_template("board.html").render(shown)

    return Feed(here.redis, context.keys.changes, render, lambda: here.observer.health().of(context.pipeline.name))


def _guard(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def _problem(problem: Problem) -> tuple[str, int]:
    return render_template("problem.html", problem=problem), problem.status


def _other_schema(error: OtherSchema) -> tuple[str, int, dict[str, str]]:
    problem = Problem(503, str(error))
    return render_template("problem.html", problem=problem), 503, {"Retry-After": str(RETRY_AFTER)}


def _redis(_: RedisError) -> tuple[str, int, dict[str, str]]:
    problem = Problem(503, "The store cannot be reached at the moment. Nothing is lost; try again.")
    return render_template("problem.html", problem=problem), 503, {"Retry-After": str(RETRY_AFTER)}


def as_page(blueprint: Blueprint) -> None:
    """Make the answers of `blueprint` pages: with the headers of a page, and refusals as HTML."""
    blueprint.after_request(_guard)
    blueprint.register_error_handler(Problem, _problem)
    blueprint.register_error_handler(OtherSchema, _other_schema)
    blueprint.register_error_handler(RedisError, _redis)


as_page(page)


def clock(at: float) -> str:
    """Return a time for people without JavaScript: `07:12 UTC`, with the day if it is not today's."""
    moment = datetime.fromtimestamp(at, UTC)
    day = "" if moment.date() == datetime.now(UTC).date() else f"{moment.day} {moment:%b} "
    return f"{day}{moment:%H:%M} UTC"


def lasting(seconds: float) -> str:
    """Return a duration: `40 s`, `12 min`, `2.5 h`, `3 d`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 48 * 3_600 else f"{seconds / 86_400:.0f} d"


def iso(at: float) -> str:
    """Return a time for machines."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
