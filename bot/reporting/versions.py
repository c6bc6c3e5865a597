"""What is where: per service and stage the commit that passed last, what is newer, and what changed before a lock.

Plain values for the page, the API and the command line; made of the board alone, and bounded by what the caller asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bot.core.model.board import Board
from bot.core.model.facts import Fact, FactKind
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
    """What changed in the stage of a lock since its holder's service last passed there, as far as the board knows.

    `baseline` is what that service had passed there last. For a manual lock, and for a service that never passed,
    there is none: then all that is there is listed. The board has the latest version of each service; `add_log` adds
    those between.
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
    """In how many services the stage of a lock has changed since its holder's service last passed there; 0: unknown."""
    baseline = _baseline(board, lock)
    if baseline is None:
        return 0
    there = (version.present for version in board.versions.values() if version.step == Step(lock.stage))
    return sum(version is not None and version.since > baseline.since for version in there)


def _baseline(board: Board, lock: Lock) -> Version | None:
    return board.version(lock.service, Step(lock.stage)).whole if lock.service is not None else None


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


#: What the log says of a version that came to a stage: its build has ended there.
CAME = (FactKind.BUILD_PASSED, FactKind.BUILD_FAILED, FactKind.BUILD_REPEATED)


def came_to(log: Iterable[tuple[float, Fact]], stage: str) -> dict[tuple[str, str], Shape]:
    """The versions that came to a stage by a log (newest first; when, what), by service and run; of each the last end.

    A build that was stopped because its run was removed is not among them.
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
    """The changes before a lock with the versions between, which only the log knows: newest first, the newest of them.

    `reached` is how far back the log was read; `known_since` from when on no version is missing. Before that the
    latest version of each service is known.
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
