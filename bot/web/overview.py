"""All pipelines at a glance: their locks, waiting and failed runs; the locked ones first."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.model.board import Board
from bot.core.model.pipeline import Mode
from bot.core.model.run import Status
from bot.core.model.stage_state import Lock
from bot.reporting.freezes import stages_locked
from bot.reporting.messages import words
from bot.runtime import PipelineContext
from bot.web.shapes import Shape

#: The most locks that are named of one pipeline.
LOCKS = 5


def overview(contexts: Iterable[PipelineContext]) -> list[Shape]:
    """Return the pipelines: first those locked longest, then those that do not act, then the others by name."""
    return sorted((summarize(context) for context in contexts), key=_order)


def _order(each: Shape) -> tuple[bool, float, bool, str]:
    since = each["locks"][0]["since"] if each["locks"] else 0.0
    return not each["locks"], since, each["mode"] == Mode.RUN, each["name"]


def summarize(context: PipelineContext) -> Shape:
    """Return one pipeline in a list; `locks`: the oldest ones first."""
    with context.look() as replica:
        board = replica.board
        pipeline = context.pipeline_of(board)
        locks = sorted(board.locks.values(), key=lambda lock: (lock.since, lock.key))
        shut = [stage.name for stage in pipeline.stages if board.locks_of(stage.name)]
        return {
            "name": context.pipeline.name,
            "mode": str(board.header.mode),
            "version": replica.version,
            "live": len(board.runs),
            "waiting": sum(board.queue_length(step) for step in board.steps()),
            "stages": [stage.name for stage in pipeline.stages],
            "locked": shut,
            "frozen": [name for name in shut if name not in stages_locked(board, pipeline)],
            "locks": [_lock(board, lock) for lock in locks[:LOCKS]],
            "more_locks": max(0, len(locks) - LOCKS),
            "failed": sum(1 for run in board.runs.values() if run.status is Status.FAILED),
            "services": len(pipeline.services),
        }


def _lock(board: Board, lock: Lock) -> Shape:
    """Return a lock in a list: its beginning, its reason, and whether a fix of its service is on the fast lane."""
    fixes = board.fast_runs(lock.service) if lock.service is not None else []
    coming = [run for run in fixes if run.status is not Status.FAILED and run.key != lock.run]
    return {
        "key": lock.key,
        "stage": lock.stage,
        "reason": words(lock.reason),
        "by": lock.by,
        "since": lock.since,
        "run": lock.run,
        "service": lock.service,
        "freeze": lock.freeze or None,
        "fix": coming[-1].key if coming else None,
    }
