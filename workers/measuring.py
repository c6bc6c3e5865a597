"""Update the statistics at intervals: fold the log into them, and delete what is too old.

It also stores the estimates of some runs and locks, to compare them with what happens and so measure their error. The
estimates that people see are never stored.

It also adds an event when the weekly report is due. The board stores which one was sent last, so that each is sent
once.
"""

from __future__ import annotations

import time
from itertools import islice

from bot import lock_reports
from bot.core.model.board import Board
from bot.core.model.events import WeekEnded
from bot.core.model.pipeline import Mode, Track
from bot.core.model.run import Run, Status
from bot.forecast.forecast import Forecast
from bot.forecast.spread import Estimate
from bot.runtime import PipelineContext
from bot.statistics.fold import set_paused
from bot.statistics.parts import Foretold, MeasuredRun, SaidEstimate, StepClock
from bot.statistics.statistics import Statistics
from bot.store.inbox import Accepted
from config.week_times import last_report

#: The most runs in each queue, and in each step, whose estimates are stored.
NOTED = 20


def measure(context: PipelineContext, history: int = 5_000) -> None:
    """Update the stored statistics of a pipeline. Safe to run repeatedly, and in several processes at once.

    This also stores the reports of locks that have opened. `history`: the most lock reports, and the most ended runs,
    that are kept.
    """

    def also(statistics: Statistics) -> None:
        with context.look() as replica:
            now = time.time()
            set_paused(statistics, now, paused=replica.board.header.mode is not Mode.RUN)
            note_estimates(statistics, replica.board, now)
        lock_reports.keep(context, statistics, history)
        statistics.forget_old(now, history)

    context.statistics.advance(also)


def note_estimates(statistics: Statistics, board: Board, now: float) -> None:
    """Store the estimates of runs and locks for which none is stored yet."""
    forecast = Forecast(board, statistics, now)
    for step in board.steps():
        for run in (*islice(board.queue(step), NOTED), *board.inside(step)[:NOTED]):
            _note_run(statistics, forecast, run, now)
        if step.track is Track.REAL:
            _note_locks(statistics, forecast, board, step.stage, now)


def _note_run(statistics: Statistics, forecast: Forecast, run: Run, now: float) -> None:
    known = statistics.run(run.key)
    kind = {Status.WAITING: Foretold.ENTERS, Status.RUNNING: Foretold.PASSES}.get(run.status)
    if known is None or kind is None or known.step != str(run.step) or kind in known.said:
        return
    found = forecast.of(run)
    estimate = found.enters if kind is Foretold.ENTERS else found.passes
    if estimate is not None:
        changed = statistics.change(f"run/{run.key}", MeasuredRun(run.service, now))
        changed.said[kind] = _said(estimate, now)


def _note_locks(statistics: Statistics, forecast: Forecast, board: Board, stage: str, now: float) -> None:
    for lock in board.locks_of(stage):
        clock = statistics.clock(stage)
        known = next((each for each in clock.locks if each.holder == lock.run), None) if clock is not None else None
        if not lock.automatic or known is None or known.said is not None:
            continue
        estimate = forecast.of_lock(lock).opens
        if estimate is not None:
            known.said = _said(estimate, now)
            statistics.change(f"clock/{stage}", StepClock(now))


def _said(estimate: Estimate, now: float) -> SaidEstimate:
    return SaidEstimate(now, estimate.at, estimate.low, estimate.high)


# -- the report of a week ----------------------------------------------------------------------------------------------


def report_week(context: PipelineContext) -> bool:
    """Add an event to the inbox if a weekly report is due; return whether a turn is needed.

    Nothing is sent while the mode is observe. A board that began after the report was due has nothing to report.
    """
    plan = context.pipeline.notices.weekly
    if plan is None:
        return False
    now = time.time()
    due = last_report(plan, now)
    with context.look() as copy:
        header, version = copy.board.header, copy.version
    if not due.is_sent(now) or not 0 < header.born < due.at:
        return False
    if header.mode is Mode.OBSERVE or due.week <= header.reported_week:
        return False
    return context.inbox.add(WeekEnded(due.week), f"week:{due.week}:{version}") is not Accepted.DUPLICATE
