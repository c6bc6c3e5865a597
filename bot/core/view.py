"""What there is to see of a board, as plain values for the page, the API and the CLI: bounded, whatever is live."""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice
from typing import Any

from bot.core import sentences
from bot.core.explain import why, why_of_verification
from bot.core.model.board import Board
from bot.core.model.pipeline import VERIFY, Job, Policy, Stage, Step, Track
from bot.core.model.run import Run, Status, Verification
from bot.core.model.service_state import Pull
from bot.core.model.stage_state import Lock
from bot.core.rules.configuration import loss
from bot.core.rules.fast_lane import fixes

#: How many tiles of one queue, or of one stage, are shown; the count says how many there are.
TILES = 40
#: How many pull requests are listed.
VERIFIED = 20

View = dict[str, Any]


def view(board: Board, version: int, now: float) -> View:
    """The whole pipeline as JSON-able values. `now`: seconds since the epoch, for reasons that depend on time."""
    header = board.header
    failed = sorted(
        (r for r in board.runs.values() if r.status is Status.FAILED), key=lambda r: (r.since, r.queue_number)
    )
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
        "removed": [_removed(board, step, now) for step in board.removed_steps()],
        "verifications": _verifications(board, now),
        "state_lost": _state_lost(board, now),
    }


def tile(board: Board, run: Run, now: float, position: int | None = None) -> View:
    """One run as a tile: who it is, where it is, and in words why."""
    reason = why(board, run, now)
    return {
        "run": run.key,
        "service": run.service,
        "sha": run.position.sha,
        "short": sentences.short(run.position.sha),
        "title": run.merge.title,
        "author": run.merge.author,
        "pull": run.merge.pull,
        "pulls": list(run.merge.pulls),
        "lane": str(run.lane),
        "status": str(run.status),
        "stage": run.step.stage,
        "track": str(run.step.track),
        "build": run.attempt.build,
        "attempt": run.attempt.number,
        "since": run.since,
        "created": run.created,
        "passed": [str(step) for step in run.passed],
        "version": run.version,
        "position": position,
        "why": str(reason.why),
        "reason": reason.sentence,
        "fix": _fix(board, run),
        "stuck": run.attempt.abort is not None and run.attempt.abort.stuck,
    }


def _fix(board: Board, run: Run) -> str | None:
    """What is on its way to replace a run that has failed and stays: the latest fix of its service."""
    coming = fixes(board, run.service) if run.status is Status.FAILED else []
    return next((each.key for each in reversed(coming) if each.key != run.key), None)


def _stage(board: Board, stage: Stage, failed: list[Run], now: float) -> View:
    return {
        "name": stage.name,
        "policy": "lock" if stage.locks else str(Policy.REPORT),
        **_step(board, Step(stage.name), stage.job, failed, now),
        "locks": [_lock(lock) for lock in board.locks_of(stage.name)],
        "fast": _step(board, Step(stage.name, Track.FAST), stage.fast_job, failed, now) if stage.fast_job else None,
    }


def _removed(board: Board, step: Step, now: float) -> View:
    """The runs whose builds have not ended in a stage that is no longer configured."""
    inside = board.inside(step)
    return {"name": str(step), "count": len(inside), "runs": [tile(board, run, now) for run in inside[:TILES]]}


def _step(board: Board, step: Step, job: Job, failed: list[Run], now: float) -> View:
    inside = board.inside(step)
    waiting = islice(board.queue(step), TILES)
    return {
        "job": {"controller": job.controller, "name": job.name},
        "queue": {
            "count": board.queue_length(step),
            "runs": [tile(board, run, now, position) for position, run in enumerate(waiting, 1)],
        },
        "inside": {"count": len(inside), "runs": [tile(board, run, now) for run in inside[:TILES]]},
        "failed": [tile(board, run, now) for run in failed if run.step == step],
        **_room(board, step),
    }


def _room(board: Board, step: Step) -> View:
    """What else there is to say of a job: how many fit in, what occupies it, what is wrong with it."""
    backoff = board.backoffs.get(str(step))
    return {
        "capacity": board.capacity(step),
        "unmanaged": [{"number": f.number, "since": f.since} for f in board.unmanaged_builds(step)],
        "backoff": {"why": backoff.why, "since": backoff.since, "retry_at": backoff.retry_at} if backoff else None,
    }


def _state_lost(board: Board, now: float) -> View | None:
    """That all that had been stored was lost, for as long as people must still know."""
    found = loss(board, now)
    return None if found is None else {"at": found.at, "locked": list(found.locked), "sentence": found.sentence}


def _verifications(board: Board, now: float) -> View | None:
    """The pull requests that are verified, and the heads of forks that wait for somebody to ask; None if none ever."""
    verify = board.pipeline.verify
    if verify is None and not board.verifications:
        return None
    live = nsmallest(VERIFIED, board.verifications.values(), key=lambda v: (v.queue_number, v.key))
    held = [(state.key, pull) for state in board.pulls.values() for pull in state.seen if pull.held]
    rows = [_verification(v, why_of_verification(board, v, now).sentence) for v in live]
    rows += [_held(service, pull) for service, pull in sorted(held, key=lambda row: (row[0], row[1].number))]
    job = verify.job if verify is not None else None
    return {
        "job": {"controller": job.controller, "name": job.name} if job is not None else None,
        "count": len(board.verifications),
        "held": len(held),
        "list": rows[:VERIFIED],
        **_room(board, VERIFY),
    }


def _verification(verification: Verification, reason: str) -> View:
    return {
        "verification": verification.key,
        "service": verification.service,
        "pull": verification.pull,
        "sha": verification.sha,
        "short": sentences.short(verification.sha),
        "status": str(verification.status),
        "build": verification.attempt.build,
        "since": verification.since,
        "reason": reason,
    }


def _held(service: str, pull: Pull) -> View:
    return {
        "verification": None,
        "service": service,
        "pull": pull.number,
        "sha": pull.sha,
        "short": sentences.short(pull.sha),
        "status": "held",
        "build": None,
        "since": None,
        "reason": "it comes from a fork: it is verified when a maintainer asks for it",
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
