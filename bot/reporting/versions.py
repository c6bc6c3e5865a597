"""What is where: per service and stage the commit that passed last, what is newer, and what changed before a lock.

Plain values for the page, the API and the command line; made of the board alone, and bounded by what the caller asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bot.core.model.board import Board
from bot.core.model.pipeline import Pipeline, Stage, Step, Track
from bot.core.model.run import Run, Status
from bot.core.model.stage_state import Lock, Version

#: How many live runs one cell names; the count says how many there are.
NEWER = 5
#: How many changes are listed of one lock.
CHANGES = 20
#: How many characters of a sha people are shown.
SHORT = 7

Shape = dict[str, Any]


def where(board: Board, pipeline: Pipeline, services: Iterable[str]) -> list[Shape]:
    """A row for each of these services: for each stage what is there and what is on its way there."""
    return [_row(board, pipeline, service) for service in services]


def _row(board: Board, pipeline: Pipeline, service: str) -> Shape:
    live = [run for run in board.of_service(service) if run.status is not Status.ENDING]
    head = board.service(service).history.head
    return {
        "service": service,
        "head": None if head is None else {"sha": head.sha, "short": head.sha[:SHORT]},
        "live": len(live),
        "stages": [_cell(board, service, stage, live) for stage in pipeline.stages],
    }


def _cell(board: Board, service: str, stage: Stage, live: list[Run]) -> Shape:
    """One service in one stage. `fast`: what its fast job passed after the real one; `newer`: newest first."""
    there = board.version(service, Step(stage.name))
    fast = board.version(service, Step(stage.name, Track.FAST)).whole if stage.fast_job is not None else None
    if fast is not None and there.whole is not None and fast.since <= there.whole.since:
        fast = None
    failed = there.broken.position.sha if there.broken is not None else None
    newer = [run for run in newer_runs(board, service, stage.name, live) if run.sha != failed]
    return {
        "stage": stage.name,
        "locked": bool(board.locks_of(stage.name)),
        "passed": _version(there.whole),
        "broken": _version(there.broken),
        "fast": _version(fast),
        "newer": [_run(run) for run in newer[:NEWER]],
        "newer_count": len(newer),
    }


def newer_runs(board: Board, service: str, stage: str, live: Iterable[Run]) -> list[Run]:
    """The live runs that may still change what is in a stage: they have not passed it, and it does not contain them."""
    step = Step(stage)
    passed, history = board.version(service, step).whole, board.service(service).history
    upstream = {each.name for each in board.pipeline.stages[: board.pipeline.index(stage) + 1]}
    found = [
        run
        for run in live
        if run.step.stage in upstream
        and step not in run.passed
        and (passed is None or not history.contains(passed.position, run.position))
    ]
    return sorted(found, key=lambda run: (-run.created, -run.queue_number))


def changes(board: Board, lock: Lock) -> Shape:
    """What changed in the stage of a lock since its holder's service last passed there: all services, newest first.

    `baseline` is what that service had passed there last. For a manual lock, and for a service that never passed,
    there is none: then all that is known of the stage is listed.
    """
    step = Step(lock.stage)
    held = board.version(lock.service, step).whole if lock.service is not None else None
    since = held.since if held is not None else 0.0
    found = sorted(_changes_in(board, step), key=lambda row: (-row["since"], row["service"]))
    later = [row for row in found if row["since"] > since]
    return {
        "lock": lock.key,
        "stage": lock.stage,
        "service": lock.service,
        "baseline": _version(held),
        "changes": later[:CHANGES],
        "count": len(later),
    }


def _changes_in(board: Board, step: Step) -> Iterator[Shape]:
    """What each service has brought to a step: what failed there, and what passed there last."""
    for there in board.versions.values():
        if there.step != step:
            continue
        if there.broken is not None:
            before = there.whole.position.sha if there.whole is not None else None
            yield {"service": there.service, "passed": False, "before": before, **_known(there.broken)}
        if there.whole is not None:
            before = there.replaced.position.sha if there.replaced is not None else None
            yield {"service": there.service, "passed": True, "before": before, **_known(there.whole)}


def _known(version: Version) -> Shape:
    sha = version.position.sha
    return {"sha": sha, "short": sha[:SHORT], "run": version.run, "lane": str(version.lane), "since": version.since}


def _version(version: Version | None) -> Shape | None:
    return None if version is None else _known(version)


def _run(run: Run) -> Shape:
    return {
        "run": run.key,
        "sha": run.sha,
        "short": run.sha[:SHORT],
        "title": run.merge.title,
        "author": run.merge.author,
        "pull": run.merge.pull,
        "lane": str(run.lane),
        "status": str(run.status),
        "stage": run.step.stage,
        "track": str(run.step.track),
        "since": run.since,
    }
