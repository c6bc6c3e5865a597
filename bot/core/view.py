"""What there is to see of a board, as plain values for the page, the API and the CLI: bounded, whatever is live."""

from __future__ import annotations

from itertools import islice
from typing import Any

from bot.core import sentences
from bot.core.board import Board
from bot.core.explain import why
from bot.core.pipeline import Job, Policy, Stage, Track
from bot.core.run import Lock, Run, Status, Step

#: How many tiles of one queue, or of one stage, are shown; the count says how many there are.
TILES = 40

View = dict[str, Any]


def view(board: Board, version: int, now: float) -> View:
    """The whole pipeline as JSON-able values. `now`: seconds since the epoch, for reasons that depend on time."""
    header = board.header
    failed = sorted((r for r in board.runs.values() if r.status is Status.FAILED), key=lambda r: (r.since, r.seat))
    return {
        "pipeline": header.pipeline.name,
        "mode": str(header.mode),
        "mode_by": header.mode_by,
        "mode_why": header.mode_why,
        "version": version,
        "at": now,
        "live": len(board.runs),
        "fast_lane": header.pipeline.fast_lane.start.value,
        "stages": [_stage(board, stage, failed, now) for stage in header.pipeline.stages],
    }


def tile(board: Board, run: Run, now: float, position: int | None = None) -> View:
    """One run as a tile: who it is, where it is, and in words why."""
    reason = why(board, run, now)
    return {
        "run": run.key,
        "service": run.service,
        "sha": run.place.sha,
        "short": sentences.short(run.place.sha),
        "title": run.title,
        "author": run.author,
        "pull": run.pull,
        "pulls": list(run.carries),
        "lane": str(run.lane),
        "status": str(run.status),
        "stage": run.step.stage,
        "track": str(run.step.track),
        "build": run.build,
        "attempt": run.attempt,
        "since": run.since,
        "created": run.created,
        "passed": [str(step) for step in run.passed],
        "version": run.version,
        "position": position,
        "why": str(reason.why),
        "reason": reason.sentence,
    }


def _stage(board: Board, stage: Stage, failed: list[Run], now: float) -> View:
    return {
        "name": stage.name,
        "policy": "lock" if stage.locks else str(Policy.REPORT),
        **_step(board, Step(stage.name), stage.job, failed, now),
        "locks": [_lock(lock) for lock in board.locks_of(stage.name)],
        "fast": _step(board, Step(stage.name, Track.FAST), stage.fast_job, failed, now) if stage.fast_job else None,
    }


def _step(board: Board, step: Step, job: Job, failed: list[Run], now: float) -> View:
    trouble = board.troubles.get(str(step))
    inside = board.inside(step)
    waiting = islice(board.queue(step), TILES)
    return {
        "job": {"controller": job.controller, "name": job.name},
        "capacity": board.capacity(step),
        "queue": {
            "count": board.queue_length(step),
            "runs": [tile(board, run, now, place) for place, run in enumerate(waiting, 1)],
        },
        "inside": {"count": len(inside), "runs": [tile(board, run, now) for run in inside[:TILES]]},
        "failed": [tile(board, run, now) for run in failed if run.step == step],
        "strangers": [{"number": f.number, "since": f.since} for f in board.strangers(step)],
        "trouble": {"why": trouble.why, "since": trouble.since, "retry_at": trouble.retry_at} if trouble else None,
    }


def _lock(lock: Lock) -> View:
    return {
        "key": lock.key,
        "stage": lock.stage,
        "reason": lock.reason,
        "by": lock.by,
        "since": lock.since,
        "until": lock.until,
        "run": lock.run,
        "service": lock.service,
        "automatic": lock.automatic,
        "let_fixes_in": lock.let_fixes_in,
    }
