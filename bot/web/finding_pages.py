"""The pages for finding: versions, one service, lists of runs, the log, and the search."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bot.core.model.facts import FactKind
from bot.health import judgement
from bot.runtime import PipelineContext
from bot.web import finding
from bot.web.access import readable
from bot.web.api_reading import OFFSET, before
from bot.web.buttons import service_buttons
from bot.web.drawing import Links
from bot.web.fact_list import FactFilter, list_facts
from bot.web.page import page
from bot.web.run_list import PAGE, STATES, RunFilter, find, list_runs, only_hit
from bot.web.shared import context_of, go_to, runtime
from bot.web.where import describe_service, where

#: The number of facts on one page of the log.
FACTS = 100


def head(context: PipelineContext, section: str) -> dict[str, Any]:
    """Return the values that every page of a pipeline shows around its own content."""
    here = runtime()
    name = context.pipeline.name
    return {
        "pipeline": name,
        "section": section,
        "many": len(here.pipelines) > 1,
        "health": judgement.shape(here.observer.health().of(name)),
    }


@page.get("/p/<pipeline>/where")
def show_where(pipeline: str) -> str:
    """Show the table of services and stages, and the changes before each lock."""
    context = context_of(pipeline)
    only = request.args.get("service") or None
    if only is not None:
        with context.look() as replica:
            only = finding.service(context.pipeline_of(replica.board), only)
    found = where(context, runtime().configuration, only, OFFSET.value())
    return render_template("where.html", only=only, **head(context, "where"), found=found)


@page.get("/p/<pipeline>/runs")
def show_runs(pipeline: str) -> str:
    """Show the runs, live and ended, that match a filter."""
    context = context_of(pipeline)
    wanted = RunFilter.of(request.args)
    offset = OFFSET.value()
    found = list_runs(context, wanted, offset)
    with context.look() as replica:
        configured = context.pipeline_of(replica.board)
    return render_template(
        "runs.html",
        **head(context, "runs"),
        wanted=wanted,
        found=_linked(found, Links(runtime().configuration, configured)),
        offset=offset,
        states=STATES,
        stages=[stage.name for stage in configured.stages],
        following=_address(pipeline, wanted, found["next"]),
        previous=_address(pipeline, wanted, max(0, offset - PAGE)) if offset else None,
    )


@page.get("/p/<pipeline>/services/<service>")
def show_service(pipeline: str, service: str) -> str:
    """Show one service: its versions, its locks, its runs, its lead time."""
    context, here = context_of(pipeline), runtime()
    found = describe_service(context, here.configuration, service)
    with context.look() as replica:
        links = Links(here.configuration, context.pipeline_of(replica.board))
    for rows in (found["live"], found["ended"]):
        _linked(rows, links)
    buttons = service_buttons(context, found["service"])
    return render_template("service.html", **head(context, "where"), found=found, buttons=buttons)


@page.get("/p/<pipeline>/log")
def show_log(pipeline: str) -> str:
    """Show the decisions that match a filter, with the person, the reason and the source."""
    context = context_of(pipeline)
    wanted = FactFilter.of(request.args)
    found = list_facts(context, wanted, before(), FACTS)
    with context.look() as replica:
        stages = [stage.name for stage in context.pipeline_of(replica.board).stages]
    following = {**wanted.query, "before": found["next"]}
    return render_template(
        "log.html",
        **head(context, "log"),
        wanted=wanted,
        found=found,
        kinds=[str(kind) for kind in FactKind],
        stages=stages,
        following=f"/p/{pipeline}/log?{urlencode(following)}" if found["next"] else None,
    )


@page.get("/find")
def show_found() -> AnyResponse | str:
    """Show the search results; redirect to the result if there is only one."""
    question = request.args.get("q", "").strip()
    if not question:
        return render_template("found.html", question="", found=None, health=_health())
    found = find(readable(), question)
    address = only_hit(found)
    if address is not None:
        return go_to(address)
    for each in found["pipelines"]:
        context = context_of(each["pipeline"])
        with context.look() as replica:
            links = Links(runtime().configuration, context.pipeline_of(replica.board))
        _linked(each, links)
        for row in each["pulls"]:
            row["pull_link"] = links.pull(row["service"], row["pull"])
    return render_template("found.html", question=question, found=found, health=_health())


def _health() -> dict[str, Any]:
    """Return the health of Interlock, for a page that belongs to no pipeline."""
    return judgement.shape(runtime().observer.health())


def _linked(found: dict[str, Any], links: Links) -> dict[str, Any]:
    """Add to each run of a list its links to GitHub."""
    for run in found["runs"]:
        run["commit_link"] = links.commit(run["service"], run["sha"])
        run["pull_link"] = links.pull(run["service"], run["pull"])
    return found


def _address(pipeline: str, wanted: RunFilter, offset: int | None) -> str | None:
    """Return the address of the page of the list that begins at `offset`."""
    return None if offset is None else f"/p/{pipeline}/runs?{urlencode({**wanted.query, 'offset': offset})}"
