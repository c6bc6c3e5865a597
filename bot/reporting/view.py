"""The view of a board: plain values for the page, the API and the CLI, of bounded size however many runs are live."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import Any

from bot.core.model.board import Board
from bot.core.model.board_records import Pull
from bot.core.model.pipeline import VERIFY, Job, Lane, Policy, Stage, Step, Track
from bot.core.model.run import Run, Status, Verification
from bot.core.model.stage_state import Lock, StageBackoff
from bot.core.rules.fast_lane import fixes
from bot.core.rules.state_lost import Loss, loss
from bot.reporting.explain import refused, why, why_of_verification
from bot.reporting.freezes import closes
from bot.reporting.messages import words
from bot.reporting.rules import rule_of_reason
from bot.reporting.sentences import short

#: The most tiles of one queue, or of one stage, that are shown; the count covers all.
TILES = 40
#: The most pull requests that are listed.
VERIFIED = 20

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """The number of tiles shown: of a queue at its head and at its tail, and of the runs inside a step.

    With a tail, a queue that is only one longer than both is shown whole.
    """

    head: int = TILES
    tail: int = 0
    inside: int = TILES


#: The limits of the API and the command line.
LONG = Shown()


def view(board: Board, version: int, now: float, shown: Shown = LONG) -> View:
    """Return the whole pipeline as JSON-able values.

    `now`: seconds since the epoch, for reasons that depend on time.
    """
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
        "stages": [_stage(board, stage, failed, now, shown) for stage in header.pipeline.stages],
        "removed": [_removed(board, step, now) for step in board.removed_steps()],
        "verifications": _verifications(board, now),
        "state_lost": _state_lost(board, now),
        "revision": _revision(board),
    }


def tile(board: Board, run: Run, now: float, position: int | None = None) -> View:
    """Return one run as a tile: its identity, its place, and the reason for its state."""
    reason = why(board, run, now)
    return {
        **run_shape(run),
        "status": str(run.status),
        "attempt": run.attempt.number,
        "since": run.since,
        "version": run.version,
        "position": position,
        "moved": _moved(run),
        "why": str(reason.why),
        "reason": reason.sentence,
        "rule": rule_of_reason(reason.why, fast=run.lane is Lane.FAST),
        "fix": _fix(board, run),
        "stuck": run.attempt.abort is not None and run.attempt.abort.stuck,
    }


def run_shape(run: Run) -> View:
    """Return the values that live and ended runs have in common."""
    return {
        "run": run.key,
        "service": run.service,
        "sha": run.position.sha,
        "short": short(run.position.sha),
        "title": run.merge.title,
        "author": run.merge.author,
        "pull": run.merge.pull,
        "pulls": list(run.merge.pulls),
        "lane": str(run.lane),
        "stage": run.step.stage,
        "track": str(run.step.track),
        "build": run.attempt.build,
        "created": run.created,
        "passed": [str(step) for step in run.passed],
    }


def _moved(run: Run) -> View | None:
    """Return who moved a waiting run to the front of its queue, and why; None if nobody did."""
    if run.moved is None or run.status is not Status.WAITING:
        return None
    return {"by": run.moved.by, "reason": run.moved.reason}


def _fix(board: Board, run: Run) -> str | None:
    """Return the latest fix of the service that will replace a failed run; None if there is none."""
    coming = fixes(board, run.service) if run.status is Status.FAILED else []
    return next((each.key for each in reversed(coming) if each.key != run.key), None)


def _stage(board: Board, stage: Stage, failed: list[Run], now: float, shown: Shown) -> View:
    fast = stage.fast_job and _step(board, Step(stage.name, Track.FAST), stage.fast_job, failed, now, shown)
    return {
        "name": stage.name,
        "policy": "lock" if stage.locks else str(Policy.REPORT),
        **_step(board, Step(stage.name), stage.job, failed, now, shown),
        "locks": [lock_shape(lock) for lock in board.locks_of(stage.name)],
        "closes": closes(board, stage.name, now),
        "fast": fast or None,
    }


def _removed(board: Board, step: Step, now: float) -> View:
    """Return the runs whose builds have not ended in a stage that is no longer configured."""
    inside = board.inside(step)
    return {"name": str(step), "count": len(inside), "runs": [tile(board, run, now) for run in inside[:TILES]]}


def _step(board: Board, step: Step, job: Job, failed: list[Run], now: float, shown: Shown) -> View:
    inside = board.inside(step)
    return {
        "job": {"controller": job.controller, "name": job.name},
        "queue": _queue(board, step, now, shown),
        "inside": {"count": len(inside), "runs": [tile(board, run, now) for run in inside[: shown.inside]]},
        "failed": [tile(board, run, now) for run in failed if run.step == step],
        **_room(board, step),
    }


def _queue(board: Board, step: Step, now: float, shown: Shown) -> View:
    """Return the head of a queue in `runs` and its tail in `tail`; `count` covers the whole queue."""
    count = board.queue_length(step)
    is_whole = shown.tail > 0 and count <= shown.head + shown.tail + 1
    head = islice(board.queue(step), count if is_whole else shown.head)
    skipped = count if is_whole or not shown.tail else count - shown.tail
    tail = board.queue(step, skipped)
    return {
        "count": count,
        "runs": [tile(board, run, now, position) for position, run in enumerate(head, 1)],
        "tail": [tile(board, run, now, position) for position, run in enumerate(tail, skipped + 1)],
    }


def _room(board: Board, step: Step) -> View:
    """Return the capacity of a job, the unmanaged builds in it, and its backoff."""
    backoff = board.backoffs.get(str(step))
    return {
        "capacity": board.capacity(step),
        "unmanaged": [{"number": f.number, "since": f.since} for f in board.unmanaged_builds(step)],
        "backoff": _backoff(backoff) if backoff else None,
    }


def _backoff(backoff: StageBackoff) -> View:
    return {"why": refused(backoff), "since": backoff.since, "retry_at": backoff.retry_at}


def _revision(board: Board) -> View | None:
    """Return the revision that the pipeline decides with; None: it was not stored."""
    revision = board.header.revision
    return {"digest": revision.digest, "since": revision.since} if revision.since else None


def _state_lost(board: Board, now: float) -> View | None:
    """Return the loss of state, as long as people must still be shown it."""
    found = loss(board, now)
    return None if found is None else {"at": found.at, "locked": list(found.locked), "sentence": loss_sentence(found)}


def loss_sentence(found: Loss) -> str:
    """Return what is lost, and what to do about it."""
    stages = ", ".join(found.locked)
    todo = f"look, then unlock {stages}" if stages else "its stages have been unlocked"
    read = ", ".join(f"{stage} ({words(why)})" for stage, why in found.found)
    confirm = f"; confirm or open these locks, read from banners: {read}" if read else ""
    return f"state was lost: {found.why}; {todo}{confirm}"


def _verifications(board: Board, now: float) -> View | None:
    """Return the live verifications and the held heads of forks; None if pull requests are not verified."""
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
        "short": short(verification.sha),
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
        "short": short(pull.sha),
        "status": "held",
        "build": None,
        "since": None,
        "reason": "it comes from a fork: Interlock verifies it when a maintainer asks for it",
    }


def lock_shape(lock: Lock) -> View:
    """Return one lock as plain values."""
    return {
        "key": lock.key,
        "stage": lock.stage,
        "reason": words(lock.reason),
        "by": lock.by,
        "since": lock.since,
        "until": lock.until,
        "run": lock.run,
        "service": lock.service,
        "automatic": lock.automatic,
        "let_fixes_in": lock.let_fixes_in,
        "freeze": lock.freeze or None,
        "build": lock.build,
    }
