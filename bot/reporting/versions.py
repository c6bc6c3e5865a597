"""The versions: per service and stage the commit that passed last, the newer runs, and the changes before a lock.

Plain values for the page, the API and the command line, made from the board; the caller bounds the services.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bot.core.model.board import Board
from bot.core.model.facts import Fact, FactKind
from bot.core.model.pipeline import Pipeline, Stage, Step, Track
from bot.core.model.run import Run, Status
from bot.core.model.stage_state import Lock, Version

#: The most live runs that one cell names; the count covers all.
NEWER = 5
#: The most changes that are listed of one lock.
CHANGES = 20
#: How many characters of a sha are shown.
SHORT = 7

Shape = dict[str, Any]


def where(board: Board, pipeline: Pipeline, services: Iterable[str]) -> list[Shape]:
    """Return a row for each of these services: per stage the version in it and the runs on their way to it."""
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
    """Return one service in one stage. `fast`: what its fast job passed after the real one; `newer`: newest first."""
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
    """Return the live runs that may still change what is in a stage, newest first.

    These have not passed it, and it does not contain them.
    """
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
    """Return what changed in the stage of a lock since its holder's service last passed there, as the board has it.

    `baseline` is the version of that service that had passed there last. A manual lock, or a service that never passed,
    has none: then every version in the stage is listed. The board has the latest version of each service; `add_log`
    adds those between.
    """
    step = Step(lock.stage)
    baseline = _baseline(board, lock)
    since = baseline.since if baseline is not None else 0.0
    return {
        "lock": lock.key,
        "stage": lock.stage,
        "service": lock.service,
        "baseline": _version(baseline),
        "changes": [row for row in _changes_in(board, step) if row["since"] > since],
    }


def changed_services(board: Board, lock: Lock) -> int:
    """Return in how many services a locked stage has changed since the lock's service last passed it; 0: unknown."""
    baseline = _baseline(board, lock)
    if baseline is None:
        return 0
    there = (version.present for version in board.versions.values() if version.step == Step(lock.stage))
    return sum(version is not None and version.since > baseline.since for version in there)


def _baseline(board: Board, lock: Lock) -> Version | None:
    return board.version(lock.service, Step(lock.stage)).whole if lock.service is not None else None


def _changes_in(board: Board, step: Step) -> Iterator[Shape]:
    """Yield what each service brought to a step: the version that failed there, and the one that passed there last."""
    for there in board.versions.values():
        if there.step != step:
            continue
        if there.broken is not None:
            before = there.whole.position.sha if there.whole is not None else None
            yield {"service": there.service, "passed": False, "before": before, **_known(there.broken)}
        if there.whole is not None:
            before = there.replaced.position.sha if there.replaced is not None else None
            yield {"service": there.service, "passed": True, "before": before, **_known(there.whole)}


#: The facts that record the arrival of a version in a stage: its build has ended there.
CAME = (FactKind.BUILD_PASSED, FactKind.BUILD_FAILED, FactKind.BUILD_REPEATED)


def came_to(log: Iterable[tuple[float, Fact]], stage: str) -> dict[tuple[str, str], Shape]:
    """Return the versions that came to a stage, by service and run; for each the last end of its build.

    `log` is newest first, each fact with its time. A build that was stopped because its run was removed is not
    included.
    """
    found: dict[tuple[str, str], Shape] = {}
    for at, fact in log:
        if fact.kind not in CAME or fact.step != Step(stage) or not (fact.service and fact.run and fact.sha):
            continue
        passed = fact.kind is FactKind.BUILD_PASSED
        row = {"service": fact.service, "passed": passed, "before": None, "sha": fact.sha, "short": fact.sha[:SHORT]}
        found.setdefault((fact.service, fact.run), {**row, "run": fact.run, "lane": None, "since": at})
    return found


def add_log(found: Shape, log: Iterable[tuple[float, Fact]], reached: float) -> Shape:
    """Return the changes before a lock with the versions between, which only the log has; newest first, up to CHANGES.

    `reached` is how far back the log was read. From `known_since` on no version is missing; before that only the latest
    version of each service is known.
    """
    baseline = found["baseline"]
    since = baseline["since"] if baseline is not None else 0.0
    rows = {key: row for key, row in came_to(log, found["stage"]).items() if row["since"] > since}
    rows |= {(row["service"], row["run"]): row for row in found["changes"]}
    ordered = sorted(rows.values(), key=lambda row: (-row["since"], row["service"]))
    there = {found["service"]: baseline["sha"]} if baseline is not None else {}
    for row in reversed(ordered):
        before = row["before"] or there.get(row["service"])
        row["before"] = before if before != row["sha"] else None
        if row["passed"]:
            there[row["service"]] = row["sha"]
    return {**found, "changes": ordered[:CHANGES], "count": len(ordered), "known_since": max(since, reached)}


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
