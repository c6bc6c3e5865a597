"""The versions by service and stage, with titles from the history and links to GitHub, for page and API."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import islice
from statistics import median
from typing import Any

from bot.core.model.board import Board
from bot.core.model.facts import Fact
from bot.core.model.pipeline import Pipeline
from bot.reporting import versions
from bot.reporting.freezes import closed
from bot.reporting.messages import words
from bot.runtime import PipelineContext
from bot.store.records import EndedRow
from bot.web import finding
from bot.web.drawing import Links
from bot.web.run_list import RunFilter, list_runs
from bot.web.shapes import Shape
from config.configuration import Configuration

#: The number of services on one page of the table.
SERVICES = 100
#: The most locks that are shown with the changes before them.
LOCKS = 20
#: The most pages of the log that are read for these changes.
PAGES = 20


def where(
    context: PipelineContext, configuration: Configuration, only: str | None, offset: int = 0, limit: int = SERVICES
) -> Shape:
    """Return the table of services and stages, for one service or a page of all, and the changes before each lock."""
    with context.look() as replica:
        board = replica.board
        pipeline = context.pipeline_of(board)
        names = [only] if only is not None else [service.name for service in pipeline.services]
        shown = names[offset : offset + limit]
        rows = versions.where(board, pipeline, shown)
        held = lock_changes(board, only)
        stages = [_stage(board, stage.name) for stage in pipeline.stages]
        version = replica.version
        live = {run.key: _titles(run.merge) for run in board.runs.values()} if held else {}
    locks = _with_log(context, held)
    links = Links(configuration, pipeline)
    for row in rows:
        _link(row, pipeline, links)
    _add_titles(locks, live | _ended_titles(context, locks, live), links)
    more = offset + limit < len(names)
    return {
        "pipeline": context.pipeline.name,
        "version": version,
        "stages": stages,
        "services": rows,
        "total": len(names),
        "next": offset + limit if more else None,
        "locks": locks,
    }


def lock_changes(board: Board, only: str | None = None) -> list[Shape]:
    """Return the changes before each lock by the board, of one service or of all, oldest lock first; at most `LOCKS`.

    Freezes are left out, because no change led to them.
    """
    locks = sorted((k for k in board.locks.values() if not k.freeze), key=lambda lock: (lock.since, lock.key))
    found = [lock for lock in locks if only is None or lock.service == only][:LOCKS]
    return [
        {
            **versions.changes(board, lock),
            "reason": words(lock.reason),
            "by": lock.by,
            "locked_since": lock.since,
            "automatic": lock.automatic,
            "run": lock.run,
        }
        for lock in found
    ]


def _with_log(context: PipelineContext, held: Sequence[Shape]) -> list[Shape]:
    """Add the versions that only the log has to the changes before these locks."""
    if not held:
        return []
    log, reached = _read_log(context, held)
    return [versions.add_log(found, log, reached) for found in held]


def _read_log(context: PipelineContext, held: Sequence[Shape]) -> tuple[list[tuple[float, Fact]], float]:
    """Return the builds that ended in the stages of these locks, newest first, and how far back the log was read.

    It is read back to where the service of each lock last passed; if none did, until enough versions are known for the
    list; and at most `PAGES` pages.
    """
    oldest = min((found["baseline"]["since"] for found in held if found["baseline"]), default=math.inf)
    unbounded = [found["stage"] for found in held if not found["baseline"]]
    log: list[tuple[float, Fact]] = []
    reached = time.time()
    for at, page in islice(context.records.facts_back(versions.CAME, {found["stage"] for found in held}), PAGES):
        log += [(recorded.at, recorded.fact) for recorded in page]
        reached = at
        if at <= oldest and all(len(versions.came_to(log, stage)) > versions.CHANGES for stage in unbounded):
            break
    return log, reached


def _stage(board: Board, name: str) -> Shape:
    locks = board.locks_of(name)
    return {"name": name, "locked": bool(locks), "closed": closed(locks) if locks else None}


def _link(row: Shape, pipeline: Pipeline, links: Links) -> None:
    """Add to each cell the links to its commit, and to the difference between it and the newest run on its way."""
    service = row["service"]
    for cell in row["stages"]:
        passed, newer = cell["passed"], cell["newer"]
        for version in filter(None, (passed, cell["broken"], cell["fast"])):
            version["link"] = links.commit(service, version["sha"])
            version["href"] = f"/p/{pipeline.name}/runs/{version['run']}"
        head = newer[0]["sha"] if newer else cell["broken"] and cell["broken"]["sha"]
        cell["compare"] = links.compare(service, passed["sha"], head) if passed and head else None
        for run in newer:
            run["href"] = f"/p/{pipeline.name}/runs/{run['run']}"


def _runs(locks: Sequence[Shape]) -> list[str]:
    return list(dict.fromkeys(row["run"] for lock in locks for row in lock["changes"]))


def _ended_titles(context: PipelineContext, locks: Sequence[Shape], known: dict[str, Shape]) -> dict[str, Shape]:
    """Return the titles of the ended runs: one request to the store, of at most `LOCKS` times `CHANGES` runs."""
    missing = [key for key in _runs(locks) if key not in known]
    return {key: _titles(ended.run.merge) for key, ended in context.records.ended_runs(missing).items()}


def _titles(merge: Any) -> Shape:
    return {"title": merge.title, "author": merge.author, "pull": merge.pull}


def _add_titles(locks: Sequence[Shape], titles: dict[str, Shape], links: Links) -> None:
    """Add to each change before a lock its title, its author and its links."""
    for lock in locks:
        if lock["baseline"] is not None and lock["service"] is not None:
            lock["baseline"]["link"] = links.commit(lock["service"], lock["baseline"]["sha"])
        for row in lock["changes"]:
            row |= titles.get(row["run"], {"title": "", "author": "", "pull": None})
            row["link"] = links.commit(row["service"], row["sha"])
            row["pull_link"] = links.pull(row["service"], row["pull"])
            row["compare"] = links.compare(row["service"], row["before"], row["sha"]) if row["before"] else None


# -- one service -------------------------------------------------------------------------------------------------------

#: The most live runs, and the most ended runs, that are shown.
LIVE, ENDED = 50, 20
#: The number of last deliveries from which the lead time is computed.
DELIVERIES = 50


def describe_service(context: PipelineContext, configuration: Configuration, service: str) -> Shape:
    """Return everything that the page of a service shows. Raises Problem (404)."""
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
    """Return the lead time over these runs, the last to end first, in seconds: median, nine of ten, the last one."""
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
