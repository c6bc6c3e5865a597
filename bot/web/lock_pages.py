"""The lock reports: as a page, as Markdown, and through the API."""

from __future__ import annotations

import time
from dataclasses import asdict

from flask import Response, render_template, request
from markdown_it import MarkdownIt
from markupsafe import Markup

from bot import lock_reports
from bot.reporting.lock_report import LockReport, cost_of, duration_of, span
from bot.runtime import PipelineContext
from bot.web import shapes
from bot.web.api_operation import NumberParameter, operation
from bot.web.api_reading import reading
from bot.web.finding_pages import head
from bot.web.lock_shapes import LockReportListShape, LockReportShape
from bot.web.page import page
from bot.web.problems import Problem
from bot.web.shared import context_of, runtime

#: The most reports that one answer lists.
LISTED = 50
_LIMIT = NumberParameter("limit", "The most reports that are listed.", LISTED, 1, LISTED)


@page.get("/p/<pipeline>/locks")
def show_lock_reports(pipeline: str) -> str:
    """Show the reports of the locks that opened last."""
    context = context_of(pipeline)
    found = [_shape(each) for each in lock_reports.last(context, LISTED)]
    return render_template("locks.html", **head(context, "locks"), found=found)


@page.get("/p/<pipeline>/locks/<path:key>")
def show_lock_report(pipeline: str, key: str) -> str | Response:
    """Show the report of one lock, standing or open; with `?format=markdown` return its Markdown."""
    context = context_of(pipeline)
    found = _found(context, key)
    written = lock_reports.text(runtime(), context, found)
    if request.args.get("format") == "markdown":
        return Response(written, mimetype="text/markdown")
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(written)
    made = Markup(html)  # noqa: S704  made from our text; in it people's words are escaped, and HTML is text
    return render_template("lock.html", **head(context, "locks"), found=found, html=made)


@reading.get("/pipelines/<pipeline>/lock-reports")
@operation(LockReportListShape, parameters=(_LIMIT,))
def list_lock_reports(pipeline: str) -> Response:
    """List the reports of the locks that opened last, without their timelines."""
    context = context_of(pipeline)
    found = lock_reports.last(context, _LIMIT.value())
    return shapes.reply({"reports": [_shape(each) for each in found]})


@reading.get("/pipelines/<pipeline>/lock-reports/<path:key>")
@operation(LockReportShape)
def read_lock_report(pipeline: str, key: str) -> Response:
    """Return the report of one lock, with its timeline and as Markdown."""
    context = context_of(pipeline)
    found = _found(context, key)
    timeline = [asdict(line) for line in found.timeline]
    return shapes.reply(
        {
            **_shape(found),
            "timeline": timeline,
            "left_out": [str(each) for each in found.left_out],
            "markdown": lock_reports.text(runtime(), context, found),
        }
    )


def _found(context: PipelineContext, key: str) -> LockReport:
    found = lock_reports.find(context, key)
    if found is None:
        raise Problem(404, f"there is no report of a lock {key} (any more)")
    return found


def _shape(found: LockReport) -> shapes.Shape:
    """Return a report without its timeline, as plain values."""
    seconds = duration_of(found, time.time())
    return {
        "lock": found.key,
        "stage": found.stage,
        "since": found.since,
        "opened": found.opened,
        "cause": found.cause,
        "by": found.by,
        "run": found.run or None,
        "service": found.service or None,
        "build": found.build,
        "end": found.end,
        "opened_by": found.opened_by or None,
        "fix": found.fix or None,
        "duration": {"seconds": seconds, "words": span(seconds)},
        "cost": {"run_seconds": found.cost, "words": cost_of(found)},
        "held": list(found.held),
    }
