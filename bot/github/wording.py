"""What a report to GitHub is made of: its run, where its link leads, and words cut to GitHub's limits."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bot.core.model.board import Board
from bot.core.model.effects import SetStatus
from bot.core.model.run import Run, Status
from bot.forecast.forecast import Forecast, RunForecast
from bot.reporting.estimates import said_at
from bot.runtime import PipelineContext, Runtime

#: GitHub's limits, in characters (GitHub docs: statuses, comments, check runs).
DESCRIPTION, COMMENT, SUMMARY = 140, 65_536, 65_535
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_MORE = "…"


def shortened(text: str, most: int = DESCRIPTION) -> str:
    """`text` on one line, cut to `most` characters, with an ellipsis where something is missing."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + _MORE


def cut(markdown: str, most: int) -> str:
    """Markdown cut to `most` characters: after a whole line if there is one, and an open code block is closed."""
    if len(markdown) <= most:
        return markdown
    room = most - len(_MORE) - 1
    kept = markdown[:room]
    kept = kept[: kept.rfind("\n")] if "\n" in kept else kept
    fence = _open_fence(kept)
    while fence and len(kept) + len(fence) + 1 > room and "\n" in kept:
        kept = kept[: kept.rfind("\n")]
        fence = _open_fence(kept)
    return f"{kept}\n{fence}\n{_MORE}"[:most] if fence else f"{kept}\n{_MORE}"


def _open_fence(markdown: str) -> str:
    """What closes the code block that is open at the end; empty if none is."""
    opened = ""
    for found in _FENCE.finditer(markdown):
        fence = found[1]
        if not opened:
            opened = fence
        elif fence[0] == opened[0] and len(fence) >= len(opened):
            opened = ""
    return opened


def leads_to(runtime: Runtime, context: PipelineContext, effect: SetStatus) -> str:
    """Where a status leads to: the log of a build that failed, a run's page, a build in Jenkins, or the pipeline."""
    log = runtime.log_of(effect.job, effect.build) if effect.state == "failure" else ""
    if log:
        return log
    controller = runtime.configuration.controllers.get(effect.job.controller) if effect.job is not None else None
    if effect.run is None and effect.job is not None and controller is not None and effect.build is not None:
        return controller.build_url(effect.job.name, effect.build)
    return runtime.page_of(context.pipeline.name, effect.run or "")


@contextmanager
def reported_run(context: PipelineContext, key: str) -> Iterator[tuple[Board, Run, float] | None]:
    """The board, the run, live or ended, and when that is true, in seconds since the epoch: now, or when it ended.

    None if neither the board nor the history knows the run any more. The board stays as it is until the block ends.
    """
    with context.look() as replica:
        run = replica.board.runs.get(key)
        ended = context.records.ended_run(key) if run is None else None
        if run is not None:
            yield replica.board, run, time.time()
        else:
            yield None if ended is None else (replica.board, ended.run, ended.at)


def log_of(runtime: Runtime, board: Board, run: Run) -> str:
    """The log of the build of the run's present step; empty without one."""
    return runtime.log_of(board.job_of(run), run.attempt.build)


def expected_of(context: PipelineContext, board: Board, run: Run, now: float) -> str:
    """When a waiting run will probably enter its step, with the moment of saying so; empty for all others."""
    if run.key not in board.runs or run.status is not Status.WAITING:
        return ""
    return said_at(forecast_of(context, board, run, now), run, now)


def forecast_of(context: PipelineContext, board: Board, run: Run, now: float) -> RunForecast:
    """What is expected of a live run now."""
    return Forecast(board, context.statistics.current(), now).of(run)
