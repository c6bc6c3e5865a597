"""The API for finding: what is where, lists of runs, one service, and what a few words may mean. All bounded."""

from __future__ import annotations

import time

from flask import Response, request

from bot.web import finding, shapes
from bot.web.api_reading import reading, whole_number
from bot.web.shared import context_of, runtime
from bot.web.where import SERVICES, where

#: The most services that are skipped.
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
