"""The lookup tables of a board, which keep an event's cost flat.

`Indexes` finds runs and verifications: by queue, by slot, by service or commit, and by running time. `queue_key` is the
order of a queue: the fields of `QueueKey`, in order. `Layout` finds steps, jobs and limits of the configuration.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from bot.core.model.pipeline import VERIFY, Job, Lane, Pipeline, Step, Track
from bot.core.model.run import HOLDS_SLOT, Buildable, Status


class QueueKey(NamedTuple):
    """The order of a queue, lowest first."""

    #: See `Run.queue_rank`.
    rank: int
    #: See `Run.front_rank`.
    front: int
    #: First come, first served. A run that is called back keeps its number, so it is at the head again (L3, L6).
    queue_number: int
    run: str


def queue_key(run: Buildable) -> QueueKey:
    """Return the place of a run or a verification in the order of its queue."""
    return QueueKey(run.queue_rank, run.front_rank, run.queue_number, run.key)


Key = TypeVar("Key")
Entry = TypeVar("Entry", QueueKey, tuple[float, str])


@dataclass(slots=True)
class Indexes:
    """Keys of runs and verifications by each property that the board looks them up by. `change` updates them."""

    #: By step; only steps with a queue that is not empty.
    queues: dict[Step, list[QueueKey]] = field(default_factory=lambda: defaultdict(list))
    #: How many runs of each service wait in a queue.
    in_line: dict[Step, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    #: The runs in a queue that a freeze may except (W2): they have labels, or a person let them through.
    special: dict[Step, set[str]] = field(default_factory=lambda: defaultdict(set))
    slots: dict[Step, set[str]] = field(default_factory=lambda: defaultdict(set))
    of_service: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    fast: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    of_commit: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    #: The verifications of one pull request.
    of_pull: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    #: Runs and verifications whose build was asked to end and has not ended: few.
    aborting: set[str] = field(default_factory=set)
    #: By step, only steps with entries: the running builds that were not timed out, longest running first.
    started: dict[Step, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))

    def copy(self) -> Indexes:
        """Return an independent copy."""
        return Indexes(
            queues=defaultdict(list, {step: list(queue) for step, queue in self.queues.items()}),
            in_line=defaultdict(Counter, {step: Counter(line) for step, line in self.in_line.items()}),
            special=_copied(self.special),
            slots=_copied(self.slots),
            of_service=_copied(self.of_service),
            fast=_copied(self.fast),
            of_commit=_copied(self.of_commit),
            of_pull=_copied(self.of_pull),
            aborting=set(self.aborting),
            started=defaultdict(list, {step: list(started) for step, started in self.started.items()}),
        )

    def change(self, before: Buildable | None, after: Buildable | None) -> None:
        """Update the indexes for a change of a run or a verification. Most changes do not affect its place."""
        if before is not None and after is not None:
            if not _stands_alike(before, after):
                self._leave_place(before)
                self._take_place(after)
        elif after is not None:
            self._find_by_origin(after)
            self._take_place(after)
        elif before is not None:
            self._leave_place(before)
            self._forget_origin(before)

    def _find_by_origin(self, built: Buildable) -> None:
        """Index it by its service and commit, or by its pull request. These never change."""
        if built.verifies is None:
            self.of_service[built.service].add(built.key)
            self.of_commit[built.service, built.sha].add(built.key)
        else:
            self.of_pull[built.service, built.verifies].add(built.key)

    def _forget_origin(self, built: Buildable) -> None:
        if built.verifies is None:
            self.of_service[built.service].discard(built.key)
            _discard(self.of_commit, (built.service, built.sha), built.key)
        else:
            _discard(self.of_pull, (built.service, built.verifies), built.key)

    def _take_place(self, built: Buildable) -> None:
        status, step, key = built.status, built.step, built.key
        if built.lane is Lane.FAST:
            self.fast[built.service].add(key)
        if status is Status.WAITING:
            insort(self.queues[step], queue_key(built))
            self.in_line[step][built.service] += 1
            if _is_special(built):
                self.special[step].add(key)
        elif status in HOLDS_SLOT:
            self.slots[step].add(key)
        if built.attempt.abort is not None:
            self.aborting.add(key)
        if ticks(built):
            insort(self.started[step], (built.since, key))

    def _leave_place(self, built: Buildable) -> None:
        status, step, key = built.status, built.step, built.key
        if built.lane is Lane.FAST:
            self.fast[built.service].discard(key)
        if status is Status.WAITING:
            _take_out(self.queues, step, queue_key(built))
            self._leave_line(built)
            if _is_special(built):
                _discard(self.special, step, key)
        elif status in HOLDS_SLOT:
            self.slots[step].discard(key)
        if built.attempt.abort is not None:
            self.aborting.discard(key)
        if ticks(built):
            _take_out(self.started, step, (built.since, key))

    def _leave_line(self, built: Buildable) -> None:
        line, service = self.in_line[built.step], built.service
        line[service] -= 1
        if not line[service]:
            del line[service]


def _stands_alike(before: Buildable, after: Buildable) -> bool:
    """Return whether all properties are equal that decide the place of a run or a verification."""
    status, was, is_now = after.status, before.attempt, after.attempt
    return (
        before.status is status
        and before.since == after.since
        and (before.step is after.step or before.step == after.step)
        and before.lane is after.lane
        and (was is is_now or (was.abort is is_now.abort and was.timed_out is is_now.timed_out))
        and (status is not Status.WAITING or _waits_alike(before, after))
    )


def _waits_alike(before: Buildable, after: Buildable) -> bool:
    """Return whether all properties are equal that decide the place in a queue (`queue_key`, `_is_special`)."""
    if before.queue_number != after.queue_number:
        return False
    if before.verifies is not None or after.verifies is not None:
        return True
    where, to = (before.retrying, before.moved, before.let_through), (after.retrying, after.moved, after.let_through)
    return where == to and before.merge.labels == after.merge.labels


def ticks(built: Buildable) -> bool:
    """Return whether a time limit still applies: the build runs and was not timed out before."""
    return built.status is Status.RUNNING and not built.attempt.timed_out


def _copied(index: dict[Key, set[str]]) -> dict[Key, set[str]]:
    return defaultdict(set, {key: set(members) for key, members in index.items()})


def _is_special(built: Buildable) -> bool:
    return built.verifies is None and (bool(built.merge.labels) or built.let_through is not None)


def _take_out(index: dict[Step, list[Entry]], step: Step, entry: Entry) -> None:
    """Remove an entry from the sorted list of a step, which must contain it; remove an empty list."""
    ordered = index[step]
    del ordered[bisect_left(ordered, entry)]
    if not ordered:
        del index[step]


def _discard(index: dict[Key, set[str]], key: Key, member: str) -> None:
    """Remove a member; remove its key with the last member, because there are always new keys."""
    index[key].discard(member)
    if not index[key]:
        del index[key]


# -- the layout that follows from the configuration --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """The steps, jobs and limits of a configuration, by key.

    `steps` are in the order of the stages, the fast step of a stage first; `places`: the index of each step there.
    `jobs`: the step of each job; `jobs_by_name`: the same by controller and name; `jobs_of`: the job of each step.
    `capacities`: how many runs a step takes at once (None: no limit). `timeouts`: the time limit of builds in seconds,
    for the steps that have one.
    """

    steps: tuple[Step, ...]
    places: dict[Step, int]
    jobs: dict[Job, Step]
    jobs_by_name: dict[tuple[str, str], Step]
    jobs_of: dict[Step, Job]
    capacities: dict[Step, int | None]
    timeouts: dict[Step, float]


def lay_out(pipeline: Pipeline) -> Layout:
    """Return the layout of a configuration."""
    steps = tuple(_steps(pipeline))
    every = (*steps, VERIFY) if pipeline.verify is not None else steps
    jobs_of = {step: job for step in every if (job := pipeline.job(step.stage, step.track)) is not None}
    jobs = {job: step for step, job in jobs_of.items()}
    by_name = {(job.controller, job.name): step for job, step in jobs.items()}
    places = {step: place for place, step in enumerate(steps)}
    capacities = {step: pipeline.capacity(step.stage, step.track) for step in every}
    return Layout(steps, places, jobs, by_name, jobs_of, capacities, dict(_timeouts(pipeline)))


def _timeouts(pipeline: Pipeline) -> Iterator[tuple[Step, float]]:
    """Yield the steps with a time limit in seconds.

    Both steps of a stage have it, because a build may still run in a fast job that is no longer configured.
    """
    for stage in pipeline.stages:
        if stage.timeout is not None:
            yield from ((Step(stage.name, track), stage.timeout) for track in (Track.FAST, Track.REAL))
    if pipeline.verify is not None and pipeline.verify.timeout is not None:
        yield VERIFY, pipeline.verify.timeout


def _steps(pipeline: Pipeline) -> Iterator[Step]:
    fast = {step.stage: step for step in pipeline.fast_steps if step.track is Track.FAST}
    for stage, step in zip(pipeline.stages, pipeline.real_steps, strict=True):
        if stage.fast_job is not None:
            yield fast.get(stage.name) or Step(stage.name, Track.FAST)
        yield step
