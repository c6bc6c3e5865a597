"""The API for finding: what is where, lists of runs, one service, and what a few words may mean. All bounded."""

from __future__ import annotations

import time

from flask import Response, request

from bot.web import finding, shapes
from bot.web.access import readable
from bot.web.api_reading import reading, whole_number
from bot.web.run_list import PAGE, RunFilter, find, list_runs
from bot.web.shared import context_of, runtime
from bot.web.where import SERVICES, describe_service, where

#: The most runs that one page has.
MOST = 200
#: The most services, or runs, that are skipped.
FARTHEST = 1_000_000


@reading.get("/pipelines/<pipeline>/where")
def show_where(pipeline: str) -> Response:
    """What is where: per service and stage the commit that passed last, what is newer, and what changed before locks.

    `service`: of one only; `offset` and `limit`: which page of them.
    """
    context = context_of(pipeline)
    only = request.args.get("service")
    if only is not None:
        with context.look() as replica:
            only = finding.service(context.pipeline_of(replica.board), only)
    offset, limit = whole_number("offset", 0, 0, FARTHEST), whole_number("limit", SERVICES, 1, SERVICES)
    found = where(context, runtime().configuration, only, offset, limit)
    return shapes.reply({**found, "at": time.time()})


@reading.get("/pipelines/<pipeline>/runs")
def list_all_runs(pipeline: str) -> Response:
    """A page of the runs, live and ended, that fit the filter: `q`, `service`, `state`, `stage`, `lane`, `author`."""
    context = context_of(pipeline)
    wanted = RunFilter.of(request.args)
    offset, limit = whole_number("offset", 0, 0, FARTHEST), whole_number("limit", PAGE, 1, MOST)
    return shapes.reply(list_runs(context, wanted, offset, limit))


@reading.get("/pipelines/<pipeline>/services/<service>")
def show_service(pipeline: str, service: str) -> Response:
    """One service: what is where, its locks, its live runs, the last to end, and its lead time."""
    return shapes.reply(describe_service(context_of(pipeline), runtime().configuration, service))


@reading.get("/find")
def find_runs() -> Response:
    """The services and runs of all pipelines that `q` may mean."""
    return shapes.reply(find(readable(), request.args.get("q", "")))
