"""Asking Jenkins what it did not tell: adds events to the inbox, never touches a board."""

from __future__ import annotations

import time
from collections import defaultdict

import structlog

from bot.core.banners import banners
from bot.core.model.board import Board
from bot.core.model.effects import Banner
from bot.core.model.events import BannerOverwritten, BuildLost, BuildSeen, Event, Withdrawn
from bot.core.model.pipeline import Job, Mode, Step, Track
from bot.core.model.run import Buildable
from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.jenkins import posted
from bot.jenkins.banners import shown_on
from bot.jenkins.client import JenkinsForbidden, JenkinsNotFound, client_for
from bot.jenkins.differences import ControllerPoll, WatchedJob, differences
from bot.runtime import PipelineContext, Runtime
from bot.store.records import Repairs
from config.logs import Once

log = structlog.get_logger()

_said = Once()


def builds(runtime: Runtime, context: PipelineContext) -> int:
    """Compare every job that matters now with Jenkins; returns how many differences went into the inbox.

    Those are the jobs with live builds, those with few slots, for a build started by hand may take one of them, and
    those that carry a banner. One request per job and one per controller, however many builds run (Jenkins:
    `builds[...]{0,N}` under `tree=`).
    """
    with context.look() as copy:
        lives = _lives(context, copy.board, copy.version)
    poll: dict[str, ControllerPoll] = {}
    later: dict[str, dict[str, str]] = {}
    found = 0
    for live in lives:
        try:
            if live.job.controller not in poll:
                poll[live.job.controller] = _poll(runtime, context, live.job)
            found += sum(_add(context, live, event) for event in differences(poll[live.job.controller], live))
        except (RetryLater, JenkinsForbidden, JenkinsNotFound, PermanentFailure) as error:
            later.setdefault(live.job.controller, {})[live.job.name] = str(error)
    for controller in {live.job.controller for live in lives}:
        _say(context, controller, later.get(controller, {}))
    return found


def _say(context: PipelineContext, controller: str, later: dict[str, str]) -> None:
    """Log which jobs of a controller could not be compared, if they were others the last time."""
    matter = (context.pipeline.name, controller)
    if not later:
        if _said.is_over(matter):
            log.info("reconcile-resumed", pipeline=context.pipeline.name, controller=controller)
    elif _said.is_new(matter, frozenset(later)):
        job, why = next(iter(later.items()))
        log.warning("reconcile-later", controller=controller, jobs=len(later), job=job, why=why)


def _lives(context: PipelineContext, board: Board, version: int) -> list[WatchedJob]:
    watched = board.jobs()
    at: dict[Job, list[Buildable]] = defaultdict(list)
    everything: list[Buildable] = [*board.runs.values(), *board.verifications.values()]
    held = sorted((built for built in everything if built.holds_slot), key=lambda b: (b.queue_number, b.key))
    for run, job in zip(held, posted.jobs(context, held), strict=True):
        # A build runs where it was sent, though the configuration may know its stage no longer, or another job for it.
        where = job or board.job_of(run)
        if where is not None:
            at[where].append(run)
    shown = banners(board)
    lives = [_live(board, version, job, step, at.pop(job, []), shown.get(job)) for job, step in watched.items()]
    few = [live for live in lives if _matters(board, live, watched[live.job], shown)]
    return few + [WatchedJob(version, job, tuple(runs), None, None) for job, runs in at.items()]


def _live(board: Board, version: int, job: Job, step: Step, runs: list[Buildable], shown: Banner | None) -> WatchedJob:
    # Where there should be none, one of ours may have been left: with a description that was applied anew, say.
    wanted = shown or Banner(job, step.stage)
    real = step.track is Track.REAL and board.pipeline.stage(step.stage) is not None
    # Until it is proven that nothing was lost, a banner may be all that is left of a lock.
    carries = real and board.header.mode is not Mode.OBSERVE and not board.header.unproven
    return WatchedJob(version, job, tuple(runs), tuple(board.unmanaged_builds(step)), wanted if carries else None)


def _matters(board: Board, live: WatchedJob, step: Step, shown: dict[Job, Banner]) -> bool:
    return bool(live.runs or live.unmanaged_builds) or board.capacity(step) is not None or live.job in shown


def _poll(runtime: Runtime, context: PipelineContext, job: Job) -> ControllerPoll:
    jenkins = client_for(runtime, job)
    lost_after = jenkins.limits.lost_after
    patience = lost_after + 2 * runtime.configuration.polling.builds

    def amiss(description: str, banner: Banner) -> bool:
        wrong = shown_on(runtime, context, description, banner) != description
        return wrong and not context.outbox.has(banner.slot)  # it is on its way, or an operator has been told why not

    return ControllerPoll(jenkins, lambda run: _missing_for(context, run, patience) >= lost_after, amiss)


def _missing_for(context: PipelineContext, run: Buildable, patience: float) -> float:
    """For how long each look at a run's build was in vain, in seconds; `patience`: what ends such a series."""
    now, key = time.time(), context.keys.missing(run.key, run.attempt.number)
    context.redis.set(key, repr(now), nx=True)
    context.redis.pexpire(key, int(patience * 1000))
    return now - float(context.redis.get(key) or now)


def _add(context: PipelineContext, live: WatchedJob, event: Event) -> int:
    """Put one difference into the inbox, once however often it is seen before a turn is taken.

    A difference that is still there after a turn is said again: the turn may have been about something else.
    """
    name = f"{live.job.controller}/{live.job.name}"
    match event:
        case BuildSeen():
            key = f"{name}/{event.number}/{event.result or 'building'}/{event.run}/{event.attempt}"
        case BuildLost() | Withdrawn():
            key = f"{name}/{event.kind}/{event.run}/{event.attempt}"
        case BannerOverwritten():
            key = f"{name}/{event.kind}"
        case _:
            raise AssertionError(f"the reconciler of builds made a {event.kind}")
    if not context.inbox.add(event, f"seen:{live.version}:{key}"):
        return 0
    if not isinstance(event, BannerOverwritten):
        Repairs(context.redis, context.keys).count("build")
    return 1
