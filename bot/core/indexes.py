"""The indexes of a board's runs, which keep an event's cost flat: queues, slots, whose they are, what runs late."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from bot.core.pipeline import Lane
from bot.core.queueing import Turnstile, turnstile
from bot.core.run import Run, Status, Step


@dataclass(slots=True)
class Indexes:
    """Keys of runs by what they are asked for. `add` and `remove` are the only ways to change them."""

    queues: dict[Step, list[Turnstile]] = field(default_factory=lambda: defaultdict(list))
    slots: dict[Step, set[str]] = field(default_factory=lambda: defaultdict(set))
    of_service: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    fast: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    of_commit: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    #: Runs whose build was asked to end and has not ended: few.
    aborting: set[str] = field(default_factory=set)
    #: Running builds by start, for time-outs; entries that no longer hold are skipped when met.
    started: dict[Step, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, run: Run) -> None:
        """Note where a run stands now."""
        self.of_service[run.service].add(run.key)
        self.of_commit[run.service, run.place.sha].add(run.key)
        if run.lane is Lane.FAST:
            self.fast[run.service].add(run.key)
        if run.status is Status.WAITING:
            insort(self.queues[run.step], turnstile(run))
        elif run.holds_slot:
            self.slots[run.step].add(run.key)
        if run.abort is not None:
            self.aborting.add(run.key)
        if ticks(run):
            heappush(self.started[run.step], (run.since, run.key))

    def remove(self, run: Run) -> None:
        """Forget where a run stood."""
        self.of_service[run.service].discard(run.key)
        self.fast[run.service].discard(run.key)
        self.aborting.discard(run.key)
        commit = (run.service, run.place.sha)
        self.of_commit[commit].discard(run.key)
        if not self.of_commit[commit]:
            del self.of_commit[commit]
        if run.status is Status.WAITING:
            queue = self.queues[run.step]
            del queue[bisect_left(queue, turnstile(run))]
        elif run.holds_slot:
            self.slots[run.step].discard(run.key)

    def longest_running(self, runs: Mapping[str, Run]) -> Iterator[Run]:
        """Of each step that has one, the run whose build has run longest. Forgets what no longer holds."""
        for started in self.started.values():
            while started:
                since, key = started[0]
                run = runs.get(key)
                if run is not None and ticks(run) and run.since == since:
                    yield run
                    break
                heappop(started)


def ticks(run: Run) -> bool:
    """Whether a time-out still matters to the run: its build runs and was not timed out before."""
    return run.status is Status.RUNNING and not run.timed_out
