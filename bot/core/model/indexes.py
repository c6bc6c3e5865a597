"""The lookup tables of a board, which keep an event's cost flat.

`Indexes` finds runs and verifications: those at a step (`StepIndex`), and those of a service or a commit. The order of
a queue is `queue_key`: the fields of `QueueKey`, in order. `Layout` finds steps, jobs and limits of the configuration.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from bot.core.model.pipeline import VERIFY, Job, Lane, Pipeline, Step, Track
from bot.core.model.run import HOLDS_SLOT, Buildable, Status
from bot.core.model.stage_state import UnmanagedBuild


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
class StepIndex:
    """The runs and verifications at one step, by key: who waits for it, and who holds a slot of it."""

    step: Step
    #: How many the configuration in force admits at once (None: no limit; 0: it has no such step).
    capacity: int | None = 0
    queue: list[QueueKey] = field(default_factory=list)
    #: How many runs of each service wait in the queue.
    in_line: dict[str, int] = field(default_factory=dict)
    #: The runs in the queue that a freeze may except (W2): they have labels, or a person let them through.
    special: set[str] = field(default_factory=set)
    slots: set[str] = field(default_factory=set)
    #: How many unmanaged builds take a slot.
    unmanaged: int = 0
    #: The running builds that were not timed out, longest running first.
    started: list[tuple[float, str]] = field(default_factory=list)

    def copy(self) -> StepIndex:
        """Return an independent copy."""
        return StepIndex(
            self.step,
            self.capacity,
            list(self.queue),
            dict(self.in_line),
            set(self.special),
            set(self.slots),
            self.unmanaged,
            list(self.started),
        )

    @property
    def occupied(self) -> int:
        """How many slots are taken."""
        return len(self.slots) + self.unmanaged

    @property
    def is_full(self) -> bool:
        """Whether no slot is free."""
        return self.capacity is not None and len(self.slots) + self.unmanaged >= self.capacity

    def take_in(self, built: Buildable) -> None:
        """Add a run or a verification to the queue or to the slots, as its status says."""
        status, key = built.status, built.key
        if status is Status.WAITING:
            insort(self.queue, queue_key(built))
            self.in_line[built.service] = self.in_line.get(built.service, 0) + 1
            if _is_special(built):
                self.special.add(key)
        elif status in HOLDS_SLOT:
            self.slots.add(key)
            if ticks(built):
                insort(self.started, (built.since, key))

    def let_go(self, built: Buildable) -> None:
        """Remove a run or a verification, which was added with these values."""
        status, key = built.status, built.key
        if status is Status.WAITING:
            _take_out(self.queue, queue_key(built))
            self._leave_line(built.service)
            if self.special:
                self.special.discard(key)
        elif status in HOLDS_SLOT:
            self.slots.discard(key)
            if ticks(built):
                _take_out(self.started, (built.since, key))

    def _leave_line(self, service: str) -> None:
        left = self.in_line[service] - 1
        if left:
            self.in_line[service] = left
        else:
            del self.in_line[service]


#: A step where nobody is, and where nobody can be.
NOBODY = StepIndex(Step(""))


@dataclass(slots=True)
class Indexes:
    """Keys of runs and verifications by each property that the board looks them up by. `change` updates them."""

    #: Every configured step, and every other one that somebody was at.
    steps: dict[Step, StepIndex] = field(default_factory=dict)
    #: The configured steps of runs, in the order of the stages.
    in_order: list[StepIndex] = field(default_factory=list)
    of_service: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    fast: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    of_commit: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    #: The verifications of one pull request.
    of_pull: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    #: Runs and verifications whose build was asked to end and has not ended: few.
    aborting: set[str] = field(default_factory=set)

    def copy(self) -> Indexes:
        """Return an independent copy."""
        steps = {step: at.copy() for step, at in self.steps.items()}
        return Indexes(
            steps=steps,
            in_order=[steps[at.step] for at in self.in_order],
            of_service=_copied(self.of_service),
            fast=_copied(self.fast),
            of_commit=_copied(self.of_commit),
            of_pull=_copied(self.of_pull),
            aborting=set(self.aborting),
        )

    def follow(self, layout: Layout) -> None:
        """Take the steps and capacities of the configuration in force."""
        for at in self.steps.values():
            at.capacity = 0
        for step, capacity in layout.capacities.items():
            self.at(step).capacity = capacity
        self.in_order = [self.at(step) for step in layout.steps]

    def at(self, step: Step) -> StepIndex:
        """Return the record of a step, which is added if nobody was there before."""
        found = self.steps.get(step)
        if found is None:
            found = self.steps[step] = StepIndex(step)
        return found

    def steps_with_room(self) -> list[Step]:
        """Return the configured steps with a queue and a free slot; written out because every event asks for them."""
        return [
            at.step
            for at in self.in_order
            if at.queue and (at.capacity is None or len(at.slots) + at.unmanaged < at.capacity)
        ]

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

    def change_unmanaged(self, before: UnmanagedBuild | None, after: UnmanagedBuild | None) -> None:
        """Count an unmanaged build at its step."""
        if before is not None:
            self.at(before.step).unmanaged -= 1
        if after is not None:
            self.at(after.step).unmanaged += 1

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
        self.at(built.step).take_in(built)
        if built.lane is Lane.FAST:
            self.fast[built.service].add(built.key)
        if built.attempt.abort is not None:
            self.aborting.add(built.key)

    def _leave_place(self, built: Buildable) -> None:
        self.steps[built.step].let_go(built)
        if built.lane is Lane.FAST:
            self.fast[built.service].discard(built.key)
        if built.attempt.abort is not None:
            self.aborting.discard(built.key)


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


def _take_out(ordered: list[Entry], entry: Entry) -> None:
    """Remove an entry from a sorted list, which must contain it."""
    del ordered[bisect_left(ordered, entry)]


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
