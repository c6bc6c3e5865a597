"""The pages for finding: what is where, one service, lists of runs, the log, and what a few words may mean."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from bot.health import judgement
from bot.runtime import PipelineContext
from bot.web import finding
from bot.web.api_finding import FARTHEST
from bot.web.api_reading import whole_number
from bot.web.page import page
from bot.web.shared import context_of, runtime
from bot.web.where import where


def _head(context: PipelineContext, section: str) -> dict[str, Any]:
    """What every page of a pipeline shows around its own content."""
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
    """The table service by stage, and what changed before each lock."""
    context = context_of(pipeline)
    only = request.args.get("service") or None
    if only is not None:
        with context.look() as replica:
            only = finding.service(context.pipeline_of(replica.board), only)
    found = where(context, runtime().configuration, only, whole_number("offset", 0, 0, FARTHEST))
    return render_template("where.html", only=only, **_head(context, "where"), found=found)
