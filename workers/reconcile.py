"""Asking Jenkins what it did not tell: adds events to the inbox, never touches a board."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import structlog

from bot.core.board import Board
from bot.core.events import BuildLost, BuildSeen, Event, Withdrawn
from bot.core.pipeline import Job, Outcome
from bot.core.run import Built, Foreign, Step
from workers.context import Context, Line
from workers.jenkins_client import JenkinsClient, NotAllowed, NotThere, job_path
from workers.perform import attempt, posted
from workers.perform.jenkins import client_for
from workers.perform.outcome import Never, NotNow

log = structlog.get_logger()

#: How long a build may be nowhere to be seen before it counts as lost, in seconds: queue and executor lag behind.
LOST_AFTER = 30.0
#: How long a build may be without its parameters before it counts as a stranger's, in seconds.
NAMELESS_FOR = 10.0


@dataclass(frozen=True, slots=True)
class Live:
    """What the board of this version believes about one job: what has builds there, and strangers if it is ours."""

    version: int
    job: Job
    runs: tuple[Built, ...]
    strangers: tuple[Foreign, ...] | None


def builds(context: Context, line: Line) -> int:
    """Compare every job that matters now with Jenkins; returns how many differences went into the inbox.

    Those are the jobs with live builds, and those with few slots, for a build started by hand may take one of them.
    One request per job and one per controller, however many builds run (Jenkins: `builds[...]{0,N}` under `tree=`).
    """
    with line.reading:
        copy = line.look()
        lives = _lives(line, copy.board, copy.version)
    found = 0
    for live in lives:
        try:
            found += sum(_add(line, live, event) for event in _differences(client_for(context, live.job), live))
        except (NotNow, NotAllowed, NotThere, Never) as error:
            log.warning("reconcile-later", job=live.job.name, controller=live.job.controller, why=str(error))
    return found


def _lives(line: Line, board: Board, version: int) -> list[Live]:
    watched = board.jobs()
    at: dict[Job, list[Built]] = defaultdict(list)
    everything: list[Built] = [*board.runs.values(), *board.verifications.values()]
    held = sorted((built for built in everything if built.holds_slot), key=lambda b: (b.seat, b.key))
    for run, job in zip(held, posted.jobs(line, held), strict=True):
        # A build runs where it was sent, though the configuration may know its stage no longer, or another job for it.
        where = job or board.job_of(run)
        if where is not None:
            at[where].append(run)
    lives = [_live(board, version, job, step, at.pop(job, [])) for job, step in watched.items()]
    few = [live for live in lives if live.runs or live.strangers or board.capacity(watched[live.job]) is not None]
    return few + [Live(version, job, tuple(runs), None) for job, runs in at.items()]


def _live(board: Board, version: int, job: Job, step: Step, runs: list[Built]) -> Live:
    return Live(version, job, tuple(runs), tuple(board.strangers(step)))


def _differences(jenkins: JenkinsClient, live: Live) -> list[Event]:
    listed = attempt.builds(jenkins, live.job, most=max(attempt.BUILDS, 2 * len(live.runs)))
    by_attempt = defaultdict(list)
    for build in listed:
        carried = attempt.parameters(build)
        by_attempt[carried.get(attempt.RUN), carried.get(attempt.ATTEMPT)].append(build)
    events: list[Event] = []
    known = {stranger.number for stranger in live.strangers or ()}
    queued: list[dict[str, object]] | None = None
    for run in live.runs:
        mine = by_attempt[run.key, str(run.attempt)]
        if mine:
            events += [attempt.seen(jenkins, live.job, build) for build in mine if _news(run, build, known)]
        elif run.build is not None:
            events += _gone(jenkins, live.job, run)
        else:
            queued = attempt.queue_items(jenkins) if queued is None else queued
            events += _unseen(jenkins, run, queued)
    return events if live.strangers is None else events + _strangers(jenkins, live, listed)


def _news(run: Built, build: dict[str, object], known: set[int]) -> bool:
    if run.build in (None, build.get("number")):
        return not build.get("building") or run.build is None
    return bool(build.get("building")) != (build.get("number") in known)  # a second build of the attempt


def _gone(jenkins: JenkinsClient, job: Job, run: Built) -> list[Event]:
    """The build of a run is not among the newest: ask for it by its number."""
    try:
        build = jenkins.get(f"{job_path(job.name)}/{run.build}", attempt.BUILD_TREE)
    except NotThere:
        return [BuildLost(run.key, run.attempt, f"build #{run.build} is no longer there")]
    return [attempt.seen(jenkins, job, build)] if not build.get("building") else []


def _unseen(jenkins: JenkinsClient, run: Built, queued: list[dict[str, object]]) -> list[Event]:
    """No build of the attempt yet: it waits in Jenkins' queue, was cancelled there, or is lost."""
    if run.queue_item is None or any(attempt.is_attempt(item, run.key, run.attempt) for item in queued):
        return []  # without a queue item its trigger is still on its way: that is the performer's matter
    try:
        item = jenkins.get(f"queue/item/{run.queue_item}")
    except NotThere:
        late = time.time() - run.since > LOST_AFTER
        why = f"queue item {run.queue_item} is gone and left no build"
        return [BuildLost(run.key, run.attempt, why)] if late else []
    if item.get("cancelled"):
        return [Withdrawn(run.key, run.attempt, "it was cancelled in Jenkins' queue")]
    return []


def _strangers(jenkins: JenkinsClient, live: Live, listed: list[dict[str, object]]) -> list[Event]:
    """Builds that occupy a slot without being ours, begun or ended since the last look."""
    known = {stranger.number for stranger in live.strangers or ()}
    ours = {(run.key, str(run.attempt)) for run in live.runs}
    events: list[Event] = []
    for build in listed:
        carried = attempt.parameters(build)
        mine = (carried.get(attempt.RUN, ""), carried.get(attempt.ATTEMPT, "")) in ours
        if not mine and not _nameless(build) and bool(build.get("building")) != (build.get("number") in known):
            events.append(attempt.seen(jenkins, live.job, build))
    gone = known - {build.get("number") for build in listed}
    return events + [BuildSeen(live.job.controller, live.job.name, number, Outcome.ABORTED) for number in sorted(gone)]


def _nameless(build: dict[str, Any]) -> bool:
    """Whether a build has just started and does not show yet whose it is (Jenkins: `Executor#run`)."""
    fresh = abs(time.time() - float(build.get("timestamp") or 0) / 1000) < NAMELESS_FOR
    return bool(build.get("building")) and fresh and not attempt.parameters(build)


def _add(line: Line, live: Live, event: Event) -> int:
    """Put one difference into the inbox, once however often it is seen before a turn is taken.

    A difference that is still there after a turn is said again: the turn may have been about something else.
    """
    name = f"{live.job.controller}/{live.job.name}"
    match event:
        case BuildSeen():
            key = f"{name}/{event.number}/{event.result or 'building'}/{event.run}/{event.attempt}"
        case BuildLost() | Withdrawn():
            key = f"{name}/{event.kind}/{event.run}/{event.attempt}"
        case _:
            raise AssertionError(f"the reconciler of builds made a {event.kind}")
    return 1 if line.inbox.add(event, f"seen:{live.version}:{key}") else 0
