"""One service in one pipeline: what is where, its locks, its runs, and how long its commits took to be delivered."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from bot.runtime import PipelineContext
from bot.store.ended_index import EndedRow
from bot.web import finding
from bot.web.run_list import RunFilter, list_runs
from bot.web.where import where
from config.configuration import Configuration

Shape = dict[str, Any]

#: How many live runs, and how many that have ended, are shown.
LIVE, ENDED = 50, 20
#: Over how many of the last deliveries the lead time is told.
DELIVERIES = 50


def describe_service(context: PipelineContext, configuration: Configuration, service: str) -> Shape:
    """All that is told of a service. Raises Problem (404)."""
    with context.look() as replica:
        pipeline = context.pipeline_of(replica.board)
        name = finding.service(pipeline, service)
        found = pipeline.service(name)
    live = list_runs(context, RunFilter(service=name, state="live"), 0, LIVE)
    ended = list_runs(context, RunFilter(service=name, state="ended"), 0, ENDED)
    delivered = [row for row in context.records.index.rows() if row.service == name and row.end == "delivered"]
    return {
        "service": name,
        "repository": found.repository if found is not None else None,
        "where": where(context, configuration, name),
        "live": live,
        "ended": ended,
        "lead_time": lead_time(delivered[:DELIVERIES]),
    }


def lead_time(delivered: Sequence[EndedRow]) -> Shape | None:
    """From merge to delivery in seconds, over these runs, the last to end first: median, nine of ten, the last one."""
    if not delivered:
        return None
    took = [row.at - row.created for row in delivered]
    ranked = sorted(took)
    return {
        "deliveries": len(took),
        "median": median(ranked),
        "p90": ranked[min(len(ranked) - 1, int(len(ranked) * 0.9))],
        "last": took[0],
    }
