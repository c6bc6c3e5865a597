"""The API for reading: pipelines, runs, reasons, facts, history, versions. Each list is paged or bounded."""

from __future__ import annotations

import re
import time
from dataclasses import asdict

from flask import Blueprint, Response, request

from bot.health import judgement
from bot.reporting.estimates import add_estimates, add_to_tiles
from bot.reporting.freezes import freezes
from bot.reporting.view import tile, view
from bot.store.inbox import parked
from bot.store.records import PAGE as FACTS_OF_A_PAGE
from bot.store.records import Repairs
from bot.web import fact_list, finding, shapes
from bot.web.access import readable
from bot.web.api_operation import LONGEST, NumberParameter, Parameter, filter_parameters, operation
from bot.web.board_shapes import BoardShape
from bot.web.evidence import describe_run, ended_shapes, ended_verifications, position_of, verification_shape
from bot.web.fact_list import FactFilter
from bot.web.list_shapes import (
    EndedPageShape,
    FactPageShape,
    FoundShape,
    PipelinesShape,
    RunListShape,
    ServiceShape,
    WaitReasonShape,
    WhereShape,
)
from bot.web.lock_shapes import FreezesShape
from bot.web.overview import overview
from bot.web.problems import Problem
from bot.web.request_shapes import DeadLettersShape, ParkedShape
from bot.web.run_list import PAGE, RunFilter, find, list_runs
from bot.web.run_shapes import RunRecordShape
from bot.web.shapes import reply
from bot.web.shared import context_of, runtime
from bot.web.where import SERVICES, describe_service, where

reading = Blueprint("reading", __name__, url_prefix="/api/v1")

_FACT_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
LONGEST_QUESTION = 200

FACT_ID = {"type": "string", "pattern": f"^{_FACT_ID.pattern}$", "examples": ["1700000000000-0"]}
#: The parameters that several lists have.
BEFORE = Parameter("before", "The `next` of the page before this one.", FACT_ID)
AFTER = Parameter("after", "The id of a fact: only later facts are returned.", FACT_ID)
LIMIT = NumberParameter("limit", "The most entries of one page.", 50, 1, FACTS_OF_A_PAGE)
_OFFSET = NumberParameter("offset", "The number of entries to skip.", 0, 0, 10_000_000)
_QUESTION = Parameter(
    "q",
    "A run, a service, the beginning of a commit's sha, or a pull request (#12).",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_QUESTION},
    required=True,
)


@reading.get("/pipelines")
@operation(PipelinesShape)
def list_pipelines() -> Response:
    """List the pipelines with their states, the locked ones first."""
    health = judgement.shape(runtime().observer.health())
    return reply({"pipelines": overview(readable()), "at": time.time(), "health": health})


@reading.get("/pipelines/<pipeline>")
@operation(BoardShape)
def show_board(pipeline: str) -> Response:
    """Return the whole pipeline: stages, queues, locks, lanes, and each run with the reason for its state."""
    context = context_of(pipeline)
    more = {
        "health": judgement.shape(runtime().observer.health().of(pipeline)),
        "held_up": [asdict(delay) for delay in context.delays.all()],
        "repairs": Repairs(context.redis, context.keys).shapes(),
    }
    statistics = context.statistics.current()
    with context.look() as replica:
        shown, now = replica.board, time.time()
        seen = add_estimates(view(shown, replica.version, now), shown, statistics, now)
        return reply({**seen, **more})


@reading.get("/pipelines/<pipeline>/freezes")
@operation(FreezesShape)
def show_freezes(pipeline: str) -> Response:
    """List the freezes of the pipeline, each with the window in force and the next ones."""
    context, now = context_of(pipeline), time.time()
    with context.look() as replica:
        return reply({"pipeline": pipeline, "at": now, "freezes": freezes(replica.board, now)})


@reading.get("/pipelines/<pipeline>/runs/<run>")
@operation(RunRecordShape)
def show_run(pipeline: str, run: str) -> Response:
    """Return one run or verification, live or ended: attempts, decisions with their rules, waiting times."""
    return reply(describe_run(runtime(), context_of(pipeline), run))


@reading.get("/pipelines/<pipeline>/why")
@operation(WaitReasonShape, parameters=(_QUESTION,))
def explain_waiting(pipeline: str) -> Response:
    """List the runs that match `q` (key, service, commit, pull request), each with the reason why it waits."""
    context = context_of(pipeline)
    question = request.args.get("q", "").strip()
    if not question or len(question) > LONGEST_QUESTION:
        raise Problem(400, "ask with q=: a run, a service, the beginning of a commit's sha, or a pull request (#12)")
    now, statistics = time.time(), context.statistics.current()
    with context.look() as replica:
        shown = replica.board
        found, more = finding.runs(shown, question)
        tiles = [tile(shown, run, now, position_of(shown, run)) for run in found]
        ended = [] if tiles else ended_shapes(context, shown, finding.finished(context, shown, question))
        add_to_tiles(tiles, shown, statistics, now)
        verified = [verification_shape(shown, each, now) for each in finding.verifications(shown, question)]
        if not tiles and not ended and not verified:
            verified = ended_verifications(context, shown, question)[:1]
    if not tiles and not ended and not verified:
        raise Problem(404, f"no run is known by {question[:80]!r}: neither on the board nor among the latest to end")
    health = judgement.shape(runtime().observer.health().of(pipeline))
    return reply(
        {"q": question, "runs": tiles, "more": more, "ended": ended, "verifications": verified, "health": health}
    )


@reading.get("/pipelines/<pipeline>/facts")
@operation(FactPageShape, parameters=(*filter_parameters(FactFilter), BEFORE, AFTER, LIMIT))
def list_facts(pipeline: str) -> Response:
    """Return a page of the log of decisions, newest first; filters are combined."""
    context = context_of(pipeline)
    limit = LIMIT.value()
    return reply(fact_list.list_facts(context, FactFilter.of(request.args), before(), limit, _after()))


def before() -> str | None:
    """Return the id before which the wanted page of the log begins, if given. Raises Problem (400)."""
    given = request.args.get("before")
    if given is not None and not is_fact_id(given):
        raise Problem(400, "`before` is the `next` of another page, such as 1700000000000-0")
    return given


def _after() -> str:
    given = request.args.get("after", "0-0")
    if given != "0-0" and not is_fact_id(given):
        raise Problem(400, "`after` is the id of a fact, such as 1700000000000-0")
    return given


@reading.get("/pipelines/<pipeline>/history")
@operation(EndedPageShape, parameters=(_OFFSET, LIMIT))
def list_history(pipeline: str) -> Response:
    """Return a page of ended runs, the last to end first."""
    context = context_of(pipeline)
    offset, limit = _OFFSET.value(), LIMIT.value()
    rows, total = context.records.ended(offset, limit)
    more = offset + limit < total
    return reply(
        {"runs": [shapes.ended(row) for row in rows], "total": total, "next": offset + limit if more else None}
    )


@reading.get("/pipelines/<pipeline>/dead-letters")
@operation(DeadLettersShape)
def list_dead_letters(pipeline: str) -> Response:
    """List the effects that were given up, newest first."""
    context = context_of(pipeline)
    letters = context.outbox.dead_letters()
    return reply({"dead_letters": [shapes.dead_letter(letter) for letter in letters]})


def is_fact_id(text: str) -> bool:
    """Return whether Redis accepts the id as the exclusive end of a range: two numbers of 64 bits, not both 0."""
    if not _FACT_ID.fullmatch(text):
        return False
    numbers = [int(part) for part in text.split("-")]
    return any(numbers) and max(numbers) < 2**64


@reading.get("/pipelines/<pipeline>/parked")
@operation(ParkedShape)
def list_parked(pipeline: str) -> Response:
    """List the parked deliveries, newest first, without their bodies."""
    context = context_of(pipeline)
    return reply({"parked": [shapes.parked(row) for row in parked(context.redis, context.keys)]})


# -- finding: versions, lists of runs, one service, and a search -------------------------------------------------------

#: The most runs of one page.
MOST = 200
#: The largest offset of services or runs.
FARTHEST = 1_000_000
OFFSET = NumberParameter("offset", "The number of entries to skip.", 0, 0, FARTHEST)
_SERVICES = NumberParameter("limit", "The most services of one page.", SERVICES, 1, SERVICES)
_RUNS = NumberParameter("limit", "The most runs of one page.", PAGE, 1, MOST)
SERVICE = Parameter("service", "Of this service only.")
_WORDS = Parameter(
    "q",
    "A service, a run, the beginning of a sha, #12, an author, or words of a title.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST},
    required=True,
)


@reading.get("/pipelines/<pipeline>/where")
@operation(WhereShape, parameters=(SERVICE, OFFSET, _SERVICES))
def show_where(pipeline: str) -> Response:
    """Return by service and stage the version that passed last, the newer runs, and the changes before each lock."""
    context = context_of(pipeline)
    only = request.args.get("service")
    if only is not None:
        with context.look() as replica:
            only = finding.service(context.pipeline_of(replica.board), only)
    offset, limit = OFFSET.value(), _SERVICES.value()
    found = where(context, runtime().configuration, only, offset, limit)
    return shapes.reply({**found, "at": time.time()})


@reading.get("/pipelines/<pipeline>/runs")
@operation(RunListShape, parameters=(*filter_parameters(RunFilter), OFFSET, _RUNS))
def list_all_runs(pipeline: str) -> Response:
    """Return a page of the runs, live and ended, that match all filters."""
    context = context_of(pipeline)
    wanted = RunFilter.of(request.args)
    offset, limit = OFFSET.value(), _RUNS.value()
    return shapes.reply(list_runs(context, wanted, offset, limit))


@reading.get("/pipelines/<pipeline>/services/<service>")
@operation(ServiceShape)
def show_service(pipeline: str, service: str) -> Response:
    """Return one service: its versions, its locks, its live runs, the last to end, and its lead time."""
    return shapes.reply(describe_service(context_of(pipeline), runtime().configuration, service))


@reading.get("/find")
@operation(FoundShape, parameters=(_WORDS,))
def find_runs() -> Response:
    """List the services and runs of all pipelines that match `q`."""
    return shapes.reply(find(readable(), request.args.get("q", "")))
