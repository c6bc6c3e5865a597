"""The statistics as a page with small charts, and in the API."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Response, render_template, request

from bot.core.model.messages import WeekNotice
from bot.reporting.notices import NoticeDetails, notice
from bot.reporting.statistics import changed_by, effect
from bot.runtime import PipelineContext
from bot.statistics.parts import Cause
from bot.statistics.report import report, week_figures
from bot.statistics.statistics import is_week, week_of
from bot.web import finding, shapes
from bot.web.api_operation import Parameter, operation
from bot.web.api_reading import SERVICE, reading
from bot.web.finding_pages import head
from bot.web.page import page
from bot.web.problems import Problem, shown
from bot.web.shapes import Shape
from bot.web.shared import context_of, runtime
from bot.web.statistics_shapes import StatisticsShape, WeekReportShape
from config.week_times import next_report

#: The height of a chart, the width of one week, and the gap beside its bar, in the units of its viewBox.
HEIGHT, STEP, GAP = 60, 22, 4


_NAMED = re.compile(r"[0-9]{4}-W[0-9]{2}")
_WEEK = Parameter(
    "week",
    "The week, such as `2026-W48`; `last`, the default: the last complete one.",
    {"type": "string", "pattern": f"^(last|{_NAMED.pattern})$", "default": "last"},
)


@reading.get("/pipelines/<pipeline>/statistics")
@operation(StatisticsShape, parameters=(SERVICE,))
def show_statistics(pipeline: str) -> Response:
    """Return the numbers of the last weeks, of all services or of one; docs/statistics.md explains each."""
    return shapes.reply(_report(context_of(pipeline)))


@reading.get("/pipelines/<pipeline>/statistics/week")
@operation(WeekReportShape, parameters=(_WEEK,))
def show_week_report(pipeline: str) -> Response:
    """Return the report of a week as people get it (docs/notices.md), its figures, and the time of the next one."""
    context, now = context_of(pipeline), time.time()
    asked, last = request.args.get("week") or "last", week_of(now - 7 * 86_400)
    if asked != "last" and not is_week(asked):
        status = 404 if _NAMED.fullmatch(asked) else 400
        raise Problem(status, f"`week` cannot be {shown(asked)}: there is no such week; such as `{last}`, or `last`")
    figures = week_figures(context.statistics.current(), last if asked == "last" else asked, now)
    details = NoticeDetails(runtime().page_of(pipeline), week=figures)
    subject, text = notice(WeekNotice(pipeline, figures["week"]), details)
    plan = context.pipeline.notices.weekly
    coming = None if plan is None else asdict(next_report(plan, now))
    return shapes.reply({"subject": subject, "text": text, "figures": figures, "next": coming, "at": now})


@page.get("/p/<pipeline>/statistics")
def show_statistics_page(pipeline: str) -> str:
    """Show the statistics as a page."""
    context = context_of(pipeline)
    found = _report(context)
    return render_template(
        "statistics.html",
        **head(context, "statistics"),
        found=found,
        charts=charts(found["weeks"]),
        causes=[str(cause) for cause in Cause],
        effect=effect,
        changed_by=changed_by,
    )


def _report(context: PipelineContext) -> Shape:
    service = request.args.get("service") or None
    if service is not None:
        with context.look() as replica:
            service = finding.service(context.pipeline_of(replica.board), service)
    now = time.time()
    return {**report(context.statistics.current(), now, service), "at": now}


def charts(weeks: list[Shape]) -> list[Shape]:
    """Return the charts, each with a bar for every week, the present week last."""
    return [
        _chart("Lead time", weeks, lambda week: week["lead"], "duration"),
        _stacked("Waiting", weeks),
        _chart("Failure rate", weeks, lambda week: week["failure_rate"], "share"),
        _chart("Time to restore", weeks, lambda week: week["restore"], "duration"),
        _chart("Lock time", weeks, lambda week: week["locked"] or None, "duration"),
        _chart("Cost of locks", weeks, lambda week: week["cost"] or None, "run-duration"),
        _chart("Delivered", weeks, lambda week: week["delivered"] or None, "count"),
    ]


def _chart(name: str, weeks: list[Shape], value: Callable[[Shape], float | None], unit: str) -> Shape:
    return _drawn(name, weeks, [[("", value(week))] for week in weeks], unit)


def _stacked(name: str, weeks: list[Shape]) -> Shape:
    rows = [[(str(cause), week["waits"][str(cause)] or None) for cause in Cause] for week in weeks]
    return _drawn(name, weeks, rows, "duration")


def _drawn(name: str, weeks: list[Shape], rows: list[list[tuple[str, float | None]]], unit: str) -> Shape:
    """Return a chart. `rows`: for each week the pieces of its bar, from below; a week without any has no bar."""
    sums = [sum(value for _, value in row if value is not None) for row in rows]
    most = max(sums, default=0.0) or 1.0
    bars: list[dict[str, Any]] = []
    for number, (week, row) in enumerate(zip(weeks, rows, strict=True)):
        top = float(HEIGHT)
        for kind, value in row:
            if value is None:
                continue
            high = value / most * HEIGHT
            top -= high
            bars.append({"x": number * STEP, "y": round(top, 1), "height": round(max(high, 0.5), 1), "kind": kind})
            bars[-1] |= {"week": week["week"], "value": value}
    known = [
        (week["week"], total) for week, row, total in zip(weeks, rows, sums, strict=True) if any(v for _, v in row)
    ]
    return {
        "name": name,
        "unit": unit,
        "bars": bars,
        "width": len(weeks) * STEP - GAP,
        "height": HEIGHT,
        "bar": STEP - GAP,
        "last": known[-1] if known else None,
        "most": most if known else None,
        "stacked": any(kind for row in rows for kind, _ in row),
    }
