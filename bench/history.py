"""A long history from a seeded generator, decided by the real rules: weeks of merges, builds, locks and fixes.

Random durations, similar to real ones, stand for GitHub, Jenkins and the people: log-normal, different for each
service and step, with outliers; merges come in working hours. The same seed makes the same history.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from random import Random

from bot.core.model.board import build_board
from bot.core.model.board_records import Header
from bot.core.model.effects import Compare, Effect, Trigger, Withdraw
from bot.core.model.events import (
    BuildSeen,
    ContainmentKnown,
    Event,
    LockAsked,
    Merged,
    RetryAsked,
    TimePassed,
    TriggerAccepted,
    UnlockAsked,
    Withdrawn,
)
from bot.core.model.facts import Fact
from bot.core.model.pipeline import Outcome, Service, Step
from bot.core.model.stage_state import Lock
from bot.core.rules.decide import decide
from bot.statistics.fold import fold
from bot.statistics.statistics import Statistics
from demo.pipeline import pipeline

#: The begin of the history: a Monday, in seconds since the epoch.
BEGIN = 1_794_182_400.0
DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0
#: The usual duration of a build by step, in minutes, and the percentage of builds that fail.
BUILDS = {
    "build": (6.0, 4),
    "acceptance": (15.0, 5),
    "fast acceptance": (9.0, 8),
    "pre-production": (11.0, 5),
    "fast pre-production": (7.0, 4),
    "production": (5.0, 1),
}
#: The scatter of durations between services and between builds; one of `ODD` builds takes up to three times as long.
BETWEEN_SERVICES, BETWEEN_BUILDS, ODD = 0.35, 0.15, 40
#: The percentage of failures in pre-production that the environment causes: a person retries them.
ENVIRONMENT = 40
#: The minutes that people take to retry, to merge a fix, to merge another one after a failed fix; and their scatter.
#: At night nobody acts.
RETRY, FIX, NEXT_FIX, PEOPLE = 7.0, 25.0, 20.0, 0.7
#: Merges of one service a day; a person locks pre-production on one of `LOCKED_BY_HAND` days, for up to an hour.
MERGES, LOCKED_BY_HAND = 3.0, 3
SERVICES = tuple(f"S{number}" for number in range(1, 11))


class MadeHistory:
    """One history. `watch` gets each fact after its decision, `hear` each event that changed anything."""

    def __init__(self, seed: int, services: Sequence[str] = SERVICES) -> None:
        self._random = Random(seed)
        self._services = services
        self.first = pipeline("shop", services=[Service(s, f"shop/{s.lower()}") for s in services])
        self.board = build_board(Header(self.first), [])
        self.statistics = Statistics()
        self.now = BEGIN
        self.watch: Callable[[Fact], None] = lambda _: None
        self.hear: Callable[[Event, float], None] = lambda _event, _at: None
        self._todo: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._factors = {(s, step): self._scatter(1.0, BETWEEN_SERVICES) for s in services for step in BUILDS}
        self._commits: dict[str, list[str]] = {service: [] for service in services}
        #: The builds that were triggered and have not begun, and the running ones, with their future results.
        self._queued: dict[tuple[str, int], Trigger] = {}
        self._running: dict[tuple[str, int], tuple[Trigger, int]] = {}

    def play(self, days: float, every: float, look: Callable[[], None]) -> None:
        """Play `days` days, and call `look` every `every` seconds of them."""
        end = BEGIN + days * DAY
        for service in self._services:
            self._plan_merge(service)
        self._repeat(every, look)
        self._repeat(MINUTE, lambda: self._send(TimePassed()))
        self._repeat(DAY, self._plan_lock)
        while self._todo and self._todo[0][0] <= end:
            self.now, _, action = heappop(self._todo)
            action()

    # -- builds and merges ------------------------------------------------------------------------------------------

    def _send(self, event: Event) -> None:
        decision = decide(self.board, event, self.now)
        if self.board.take_changes() or decision.facts or decision.effects or not isinstance(event, TimePassed):
            self.hear(event, self.now)
        for effect in decision.effects:
            self._receive(effect)
        for fact in decision.facts:
            fold(self.statistics, self.now, fact)
        for lock in decision.locked:
            self._plan_fix(lock)
        for run, _ in decision.failed_fixes:
            self._later(self._working(self._scatter(NEXT_FIX, PEOPLE) * MINUTE), self._fix_again(run.service))
        for fact in decision.facts:
            self.watch(fact)

    def _receive(self, effect: Effect) -> None:
        match effect:
            case Trigger():
                key = (effect.run, effect.attempt)
                self._queued[key] = effect
                self._later(1.0, lambda: self._send(TriggerAccepted(effect.run, effect.attempt, 1)))
                self._later(self._scatter(12.0, 0.6), lambda: self._start(key))
            case Withdraw():
                self._later(2.0, lambda: self._withdraw(effect))
            case Compare():
                told = ContainmentKnown(effect.service, effect.base, effect.head, self._contains(effect))
                self._later(2.0, lambda: self._send(told))
            case _:
                pass  # statuses, comments, banners and mail change nothing

    def _start(self, key: tuple[str, int]) -> None:
        trigger = self._queued.pop(key, None)
        if trigger is None:
            return  # it was withdrawn
        self._count += 1
        number = self._count
        self._running[key] = (trigger, number)
        step = str(Step(trigger.stage, trigger.track))
        usual, failing = BUILDS[step]
        seconds = self._scatter(usual * MINUTE, BETWEEN_BUILDS) * self._factors[trigger.service, step]
        if self._random.randrange(ODD) == 0:
            seconds *= self._random.uniform(1.5, 3.0)
        fails = self._random.randrange(100) < failing
        if fails:
            seconds *= self._random.uniform(0.3, 1.0)
        result = Outcome.FAILURE if fails else Outcome.SUCCESS
        self._later(seconds, lambda: self._end(key, result))
        self._send(self._seen(trigger, number, None))

    def _end(self, key: tuple[str, int], result: Outcome) -> None:
        found = self._running.pop(key, None)
        if found is not None:
            self._send(self._seen(*found, result))

    def _withdraw(self, effect: Withdraw) -> None:
        key = (effect.run, effect.attempt)
        if self._queued.pop(key, None) is not None:
            self._send(Withdrawn(effect.run, effect.attempt))
        elif key in self._running and effect.abort:
            self._end(key, Outcome.ABORTED)

    def _seen(self, trigger: Trigger, number: int, result: Outcome | None) -> BuildSeen:
        ended = None if result is None else self.now
        job = trigger.job
        return BuildSeen(job.controller, job.name, number, result, trigger.run, trigger.attempt, ended=ended)

    def _contains(self, question: Compare) -> bool:
        commits = self._commits[question.service]
        return commits.index(question.base) <= commits.index(question.head)

    # -- people --------------------------------------------------------------------------------------------------

    def _plan_merge(self, service: str) -> None:
        def merge() -> None:
            self._merge(service)
            self._plan_merge(service)

        # Ten working hours a day, five days a week; the `MERGES` of a day are spread over them.
        self._later(self._working(self._random.expovariate(MERGES / (10 * HOUR))), merge)

    def _merge(self, service: str) -> None:
        commits = self._commits[service]
        before = commits[-1] if commits else None
        sha = f"{service}-{len(commits)}".ljust(40, "0")
        commits.append(sha)
        self._send(Merged(service, sha, before, push_id=sha))

    def _plan_fix(self, lock: Lock) -> None:
        """Plan a retry of the build that locked a stage if the environment failed; else the merge of a fix."""
        if lock.run is None or lock.service is None:
            return
        run, service, key = lock.run, lock.service, lock.key
        if self._random.randrange(100) < ENVIRONMENT:
            wait = self._working(self._scatter(RETRY, PEOPLE) * MINUTE)
            self._later(wait, lambda: self._send(RetryAsked(run, "ann", "the environment")))
        else:
            self._later(self._working(self._scatter(FIX, PEOPLE) * MINUTE), self._fix(service, key))

    def _fix(self, service: str, lock: str) -> Callable[[], None]:
        return lambda: self._merge(service) if lock in self.board.locks else None

    def _fix_again(self, service: str) -> Callable[[], None]:
        return lambda: self._merge(service) if self.board.locks_held_by(service) else None

    def _plan_lock(self) -> None:
        if self._random.randrange(LOCKED_BY_HAND) == 0:
            self._later(self._working(self._random.uniform(0, 8) * HOUR), self._lock)

    def _lock(self) -> None:
        minutes = self._random.uniform(10, 60)
        until = self.now + minutes * MINUTE if self._random.random() < 0.5 else None
        self._send(LockAsked("pre-production", "bob", "maintenance", until=until))
        if until is None:
            self._later(minutes * MINUTE, self._unlock)

    def _unlock(self) -> None:
        for lock in self.board.locks_of("pre-production"):
            if not lock.automatic and lock.until is None:
                self._send(UnlockAsked("pre-production", "bob", "it is done", lock.key))

    # -- time ----------------------------------------------------------------------------------------------------

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._todo, (self.now + seconds, self._count, action))

    def _repeat(self, every: float, action: Callable[[], None]) -> None:
        def again() -> None:
            action()
            self._later(every, again)

        self._later(every, again)

    def _scatter(self, middle: float, by: float) -> float:
        return middle * math.exp(self._random.gauss(0.0, by))

    def _working(self, seconds: float) -> float:
        """Return the seconds from now until that much working time (08:00 to 18:00 UTC, Mon to Fri) has passed."""
        at = self.now
        while True:
            opens, closes = self._hours(at)
            at = max(at, opens)
            if at + seconds <= closes:
                return at + seconds - self.now
            seconds -= max(0.0, closes - at)
            at = closes + 1

    def is_open(self) -> bool:
        """Return whether people work at this moment."""
        opens, closes = self._hours(self.now)
        return opens <= self.now <= closes

    def _hours(self, at: float) -> tuple[float, float]:
        """Return begin and end of the working hours around `at`, or of the next ones."""
        day = (at - BEGIN) // DAY
        if at >= BEGIN + day * DAY + 18 * HOUR:
            day += 1
        while day % 7 >= 5:
            day += 1
        return BEGIN + day * DAY + 8 * HOUR, BEGIN + day * DAY + 18 * HOUR
