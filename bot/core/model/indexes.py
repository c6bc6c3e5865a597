"""The indexes of what has builds, which keep an event's cost flat: queues, slots, whose they are, what runs late.

The order of a queue is `queue_key`, whose fields, in order, are the rule."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple, TypeVar

from bot.core.model.pipeline import Lane, Step
from bot.core.model.run import Buildable, Status


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


@dataclass(slots=True)
class Indexes:
    """Keys of runs and verifications by what is asked for. `add` and `remove` are the only ways to change them."""

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
    #: Running builds by start, for time-outs; entries that no longer hold are skipped when met.
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

    def add(self, built: Buildable) -> None:
        """Note where a run or a verification stands now."""
        if built.verifies is None:
            self.of_service[built.service].add(built.key)
            self.of_commit[built.service, built.sha].add(built.key)
            if built.lane is Lane.FAST:
                self.fast[built.service].add(built.key)
        else:
            self.of_pull[built.service, built.verifies].add(built.key)
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
            heappush(self.started[built.step], (built.since, built.key))

    def remove(self, built: Buildable) -> None:
        """Forget where a run or a verification stood."""
        if built.verifies is None:
            self.of_service[built.service].discard(built.key)
            self.fast[built.service].discard(built.key)
            _discard(self.of_commit, (built.service, built.sha), built.key)
        else:
            _discard(self.of_pull, (built.service, built.verifies), built.key)
        self.aborting.discard(built.key)
        if built.status is Status.WAITING:
            queue = self.queues[built.step]
            del queue[bisect_left(queue, queue_key(built))]
            self._leave_line(built)
            if _is_special(built):
                _discard(self.special, built.step, built.key)
        elif built.holds_slot:
            self.slots[built.step].discard(built.key)

    def _leave_line(self, built: Buildable) -> None:
        line = self.in_line[built.step]
        line[built.service] -= 1
        if not line[built.service]:
            del line[built.service]

    def longest_running(self, find: Callable[[str], Buildable | None]) -> Iterator[Buildable]:
        """Of each step that has one, what has the build that has run longest. Forgets what no longer holds."""
        for step, started in self.started.items():
            while started:
                since, key = started[0]
                built = find(key)
                if built is not None and ticks(built) and (built.step, built.since) == (step, since):
                    yield built
                    break
                heappop(started)


def ticks(built: Buildable) -> bool:
    """Whether a time-out still matters: the build runs and was not timed out before."""
    return built.status is Status.RUNNING and not built.attempt.timed_out


def _copied(index: dict[Key, set[str]]) -> dict[Key, set[str]]:
    return defaultdict(set, {key: set(members) for key, members in index.items()})


def _is_special(built: Buildable) -> bool:
    return built.verifies is None and (bool(built.merge.labels) or built.let_through is not None)


def _discard(index: dict[Key, set[str]], key: Key, member: str) -> None:
    """Take a member out, and forget the key with its last one: there are ever new keys."""
    index[key].discard(member)
    if not index[key]:
        del index[key]
