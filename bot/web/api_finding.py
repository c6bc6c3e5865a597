"""The API for finding: what is where, lists of runs, one service, and what a few words may mean. All bounded."""

from __future__ import annotations

import time

from flask import Response, request

from bot.web import finding, shapes
from bot.web.access import readable
from bot.web.api_operation import NumberParameter, Parameter, filter_parameters, operation
from bot.web.api_reading import reading
from bot.web.list_filter import LONGEST
from bot.web.list_shapes import FoundShape, RunListShape, ServiceShape, WhereShape
from bot.web.run_list import PAGE, RunFilter, find, list_runs
from bot.web.shared import context_of, runtime
from bot.web.where import SERVICES, describe_service, where

#: The most runs that one page has.
MOST = 200
#: The most services, or runs, that are skipped.
FARTHEST = 1_000_000
OFFSET = NumberParameter("offset", "How many are skipped.", 0, 0, FARTHEST)
_SERVICES = NumberParameter("limit", "How many services one page has at most.", SERVICES, 1, SERVICES)
_RUNS = NumberParameter("limit", "How many runs one page has at most.", PAGE, 1, MOST)
SERVICE = Parameter("service", "Of this service only.")
_QUESTION = Parameter(
    "q",
    "A service, a run, the beginning of a sha, #12, an author, or words of a title.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST},
    required=True,
)


@reading.get("/pipelines/<pipeline>/where")
@operation(WhereShape, parameters=(SERVICE, OFFSET, _SERVICES))
def show_where(pipeline: str) -> Response:
    """What is where: by service and stage the commit that passed last, what is newer, what changed before locks."""
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
    """A page of the runs, live and ended, that fit all filters."""
    context = context_of(pipeline)
    wanted = RunFilter.of(request.args)
    offset, limit = OFFSET.value(), _RUNS.value()
    return shapes.reply(list_runs(context, wanted, offset, limit))


@reading.get("/pipelines/<pipeline>/services/<service>")
@operation(ServiceShape)
def show_service(pipeline: str, service: str) -> Response:
    """One service: what is where, its locks, its live runs, the last to end, and its lead time."""
    return shapes.reply(describe_service(context_of(pipeline), runtime().configuration, service))


@reading.get("/find")
@operation(FoundShape, parameters=(_QUESTION,))
def find_runs() -> Response:
    """The services and runs of all pipelines that `q` may mean."""
    return shapes.reply(find(readable(), request.args.get("q", "")))
