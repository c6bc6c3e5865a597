"""Read traces in Jenkins of an Interlock from before this board: banners, builds and queue items.

If there are none, this is the first start, or nothing is left. If there are any, state was lost, and the traces say
what there was; `bot.core.rules.traces` decides what follows from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bot.core.model.board import Board
from bot.core.model.events import StateLost
from bot.core.model.messages import Message, Verbatim
from bot.core.model.pipeline import Job, Lane, Step, Track
from bot.core.model.run import version_stamp
from bot.core.model.traces import BuildTrace, LockTrace
from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.jenkins import builds
from bot.jenkins.banners import locks_in_banner, marks_in_banner
from bot.jenkins.callbacks import outcome
from bot.jenkins.client import JenkinsClient, JenkinsForbidden, JenkinsNotFound, client_for
from bot.jenkins.differences import CLOCKS_APART
from bot.payloads import is_sha, line
from bot.runtime import Runtime
from config.configuration import job_path

#: The number of newest builds of a job that are read; Jenkins lists no more at once (`Job#getBuilds`, 100).
BUILDS = 100
#: The longest name of a run or a service in a parameter.
NAME = 100


@dataclass(slots=True)
class FoundTraces:
    """The traces in all jobs of a pipeline, and the jobs about which Jenkins did not answer, with the reason."""

    locked: list[tuple[str, Message]] = field(default_factory=list)
    locks: list[LockTrace] = field(default_factory=list)
    builds: list[BuildTrace] = field(default_factory=list)
    #: Former builds of ours, in words; also those of which nothing else can be read.
    signs: list[str] = field(default_factory=list)
    silent: dict[Job, str] = field(default_factory=dict)

    @property
    def shows_any(self) -> bool:
        """Whether there was an Interlock before this board."""
        return bool(self.locked or self.signs)

    def as_lost(self) -> StateLost:
        """Return the event that state was lost."""
        first = self.signs[0] if self.signs else f"the banner of {self.locked[0][0]} shows a lock"
        return StateLost(
            f"Jenkins shows a board that the store does not have: {first}",
            tuple(self.locked),
            locks=tuple(self.locks),
            builds=tuple(self.builds),
            silent=tuple(sorted(job.name for job in self.silent)),
        )


def read_traces(runtime: Runtime, board: Board) -> FoundTraces:
    """Read every job of the pipeline: one request for each, and one for the queue of each controller."""
    found, queues = FoundTraces(), dict[str, list[builds.Build]]()
    for job, step in board.jobs().items():
        try:
            client = client_for(runtime, job)
            if job.controller not in queues:
                queues[job.controller] = builds.queue_items(client)
            _look(found, client, board, job, step)
        except (RetryLater, JenkinsForbidden, PermanentFailure) as error:
            found.silent[job] = str(error)
        except JenkinsNotFound:
            continue  # without a job there are no traces in it
        else:
            found.builds += _queued(board, job, step, queues[job.controller])
    return found


def _look(found: FoundTraces, client: JenkinsClient, board: Board, job: Job, step: Step) -> None:
    answer = builds.read_job(client, job, BUILDS, description=True)
    description = answer.get("description")
    if step.track is Track.REAL and isinstance(description, str):
        found.locked += [(step.stage, Verbatim(reason)) for reason in locks_in_banner(description)]
        found.locks += marks_in_banner(description, step.stage, job.name)
    ours = [build for build in answer.get("builds") or [] if _is_older(board, build)]
    if ours:
        run = builds.parameters(ours[0])[builds.RUN]
        found.signs.append(f"build #{ours[0].get('number')} of {job.name} was started for {line(run, NAME)}")
    found.builds += [trace for build in ours if (trace := _trace(step, build)) is not None]


def _queued(board: Board, job: Job, step: Step, items: list[builds.Build]) -> Iterator[BuildTrace]:
    """Yield the traces of the queue items that wait for this job."""
    for item in items:
        url = str((item.get("task") or {}).get("url") or "").rstrip("/")
        if url.endswith(f"/{job_path(job.name)}") and _is_older(board, item):
            trace = _trace(step, item)
            if trace is not None:
                yield trace


def _is_older(board: Board, thing: builds.Build) -> bool:
    """Return whether it was triggered before this board began, by the time in its version or else by its start."""
    carried, born = builds.parameters(thing), board.header.born
    if not carried.get(builds.RUN):
        return False
    stamp = carried.get(builds.VERSION, "").rpartition("-")[2]
    if stamp.isdecimal():
        return stamp < version_stamp(born)
    return float(thing.get("timestamp") or 0) / 1000 < born - CLOCKS_APART


def _trace(step: Step, thing: builds.Build) -> BuildTrace | None:
    """Return the trace from its parameters, each bounded; None if they do not name a commit of a service."""
    carried = builds.parameters(thing)
    sha, service = carried.get(builds.SHA, ""), line(carried.get("INTERLOCK_SERVICE", ""), NAME)
    if not is_sha(sha) or not service or carried.get("INTERLOCK_STAGE", step.stage) != step.stage:
        return None
    attempt, number = carried.get(builds.ATTEMPT, ""), thing.get("number")
    ended = number is not None and not thing.get("building")
    return BuildTrace(
        step,
        service,
        sha,
        line(carried[builds.RUN], NAME),
        int(attempt) if attempt.isdecimal() else 0,
        line(carried.get(builds.VERSION, ""), NAME),
        lane=Lane.FAST if carried.get("INTERLOCK_LANE") == Lane.FAST else Lane.MAIN,
        number=number,
        result=outcome(thing.get("result") or "ABORTED") if ended else None,
        started=float(thing.get("timestamp") or 0) / 1000 if number is not None else 0.0,
    )
