"""The indexes of what has builds, which keep an event's cost flat: queues, slots, whose they are, what runs late.

The order of a queue is `queue_key`, whose fields, in order, are the rule."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from bot.core.model.pipeline import Lane, Step
from bot.core.model.run import Attempt, Buildable, Status


class QueueKey(NamedTuple):
    """The order of a queue. Lower goes first."""

    #: See `Run.queue_rank`.
    rank: int
    #: See `Run.front_rank`.
    front: int
    #: First come, first served. A run that is called back keeps its number, so it is at the head again (L3, L6).
    queue_number: int
    run: str


def queue_key(run: Buildable) -> QueueKey:
    """The place of a run, or of a verification, in the order of its queue."""
    return QueueKey(run.queue_rank, run.front_rank, run.queue_number, run.key)


Key = TypeVar("Key")
Entry = TypeVar("Entry", QueueKey, tuple[float, str])


@dataclass(slots=True)
class Indexes:
    """Keys of runs and verifications by what is asked for. `change` is the only way to change them."""

    #: Of the steps in whose queue somebody stands.
    queues: dict[Step, list[QueueKey]] = field(default_factory=lambda: defaultdict(list))
    #: How many runs of which service stand in a queue.
    in_line: dict[Step, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    #: Those in a queue that a freeze may except (W2): they have labels, or a person lets them through.
    special: dict[Step, set[str]] = field(default_factory=lambda: defaultdict(set))
    slots: dict[Step, set[str]] = field(default_factory=lambda: defaultdict(set))
    of_service: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    fast: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    of_commit: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    #: The verifications of one pull request.
    of_pull: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    #: Those whose build was asked to end and has not ended: few.
    aborting: set[str] = field(default_factory=set)
    #: Running builds that were not timed out, longest running first, of the steps that have one.
    started: dict[Step, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))

    def copy(self) -> Indexes:
        """The same, apart: what is added or removed there is not here."""
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
        """Note where a run or a verification stands now, and forget where it stood. Most changes move it nowhere."""
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
        """Note what it builds, which never changes."""
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
        if built.lane is Lane.FAST:
            self.fast[built.service].add(built.key)
        if built.status is Status.WAITING:
            insort(self.queues[built.step], queue_key(built))
            self.in_line[built.step][built.service] += 1
            if _is_special(built):
                self.special[built.step].add(built.key)
        elif built.holds_slot:
            self.slots[built.step].add(built.key)
        if built.attempt.abort is not None:
            self.aborting.add(built.key)
        if ticks(built):
            insort(self.started[built.step], (built.since, built.key))

    def _leave_place(self, built: Buildable) -> None:
        if built.lane is Lane.FAST:
            self.fast[built.service].discard(built.key)
        if built.status is Status.WAITING:
            _take_out(self.queues, built.step, queue_key(built))
            self._leave_line(built)
            if _is_special(built):
                _discard(self.special, built.step, built.key)
        elif built.holds_slot:
            self.slots[built.step].discard(built.key)
        if built.attempt.abort is not None:
            self.aborting.discard(built.key)
        if ticks(built):
            _take_out(self.started, built.step, (built.since, built.key))

    def _leave_line(self, built: Buildable) -> None:
        line = self.in_line[built.step]
        line[built.service] -= 1
        if not line[built.service]:
            del line[built.service]


def _stands_alike(before: Buildable, after: Buildable) -> bool:
    """Whether all is the same that the indexes go by."""
    return (
        before.status is after.status
        and before.since == after.since
        and before.step == after.step
        and before.lane is after.lane
        and (before.attempt is after.attempt or _runs_alike(before.attempt, after.attempt))
        and (before.status is not Status.WAITING or _waits_alike(before, after))
    )


def _runs_alike(before: Attempt, after: Attempt) -> bool:
    return before.abort is after.abort and before.timed_out is after.timed_out


def _waits_alike(before: Buildable, after: Buildable) -> bool:
    return queue_key(before) == queue_key(after) and _is_special(before) is _is_special(after)


def ticks(built: Buildable) -> bool:
    """Whether a time-out still matters: the build runs and was not timed out before."""
    return built.status is Status.RUNNING and not built.attempt.timed_out


def _copied(index: dict[Key, set[str]]) -> dict[Key, set[str]]:
    return defaultdict(set, {key: set(members) for key, members in index.items()})


def _is_special(built: Buildable) -> bool:
    return built.verifies is None and (bool(built.merge.labels) or built.let_through is not None)


def _take_out(index: dict[Step, list[Entry]], step: Step, entry: Entry) -> None:
    """Take an entry out of the list of a step, which is in order and has it, and forget the step with its last one."""
    ordered = index[step]
    del ordered[bisect_left(ordered, entry)]
    if not ordered:
        del index[step]


def _discard(index: dict[Key, set[str]], key: Key, member: str) -> None:
    """Take a member out, and forget the key with its last one: there are ever new keys."""
    index[key].discard(member)
    if not index[key]:
        del index[key]
