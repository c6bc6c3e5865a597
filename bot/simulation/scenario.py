"""Make the load of a scenario: merges, builds and people, drawn from a seed.

Each draw depends on the seed and its subject (a commit, a step, an attempt), never on earlier draws. So two scenarios
that differ in one key have the same merges and, as far as possible, the same builds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random

from bot.core.model.board import Board
from bot.core.model.effects import Trigger
from bot.core.model.events import Event, FastLaneAsked, Merged, RetryAsked
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import FastLaneStart, Lane, Outcome, Pipeline, Step
from bot.core.model.run import Run, Status
from bot.core.rules.decision import Decision
from bot.simulation.engine import Arrival, Intention, SimulatedBuild

DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0
#: The weekdays on which people work, from Monday, 0; the epoch began on a Thursday.
WORKDAYS, EPOCH_WEEKDAY = 5, 3
#: The name of the person who asks for retries.
DEVELOPER = "developer"
#: The time, in seconds, within which merges that were held back during a lock follow its opening.
HELD_BACK = 15 * MINUTE


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """The builds of one step. Times in seconds, the others as shares of 1.

    `spread` is the standard deviation of the logarithm of the duration. `fails`: the share of commits that break the
    stage, until the defect is fixed; `flakes`: the share of builds that fail although the commit is good.
    """

    seconds: float
    spread: float = 0.0
    queued: float = 0.0
    fails: float = 0.0
    flakes: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkHours:
    """Hours of a working day in which people merge, in seconds since midnight UTC; `share`: their weight in the day."""

    begins: float
    ends: float
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class PeoplePlan:
    """The time that people take to merge a fix, and to retry a flaky failure, in seconds, and how much it varies.

    `spread` is the standard deviation of its logarithm. `on_call`: they work at night and at weekends as well.
    `hold_back`: they merge nothing else while their service holds a lock.
    """

    fix: float
    retry: float
    spread: float = 0.0
    on_call: bool = False
    hold_back: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """An invented load of one pipeline. `merges`: the average number on a working day, by service."""

    pipeline: Pipeline
    #: Midnight of the first day, in seconds since the epoch, and the number of days, weekends included.
    begins: float
    days: int
    merges: Mapping[str, float]
    builds: Mapping[Step, BuildPlan]
    people: PeoplePlan
    hours: tuple[WorkHours, ...] = (WorkHours(8 * HOUR, 18 * HOUR),)
    #: Other arrivals, such as freeze windows.
    others: tuple[Arrival, ...] = field(default=(), repr=False)

    @property
    def ends(self) -> float:
        """The end of the merges; runs that are on their way then continue."""
        return self.begins + self.days * DAY

    def work(self) -> Iterator[tuple[float, WorkHours]]:
        """Yield the working hours of every day, each with the midnight before it, in order and without an end."""
        midnight = self.begins
        while True:
            if (midnight // DAY + EPOCH_WEEKDAY) % 7 < WORKDAYS:
                for hours in self.hours:
                    yield midnight, hours
            midnight += DAY


class ScenarioLoad:
    """The developers and the builds of a scenario, for one simulation."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._seed = seed
        self._stages = [stage.name for stage in scenario.pipeline.stages]
        self._heads: dict[str, str] = {}
        #: The stages that each commit breaks.
        self._defects: dict[str, frozenset[str]] = {}
        self._fixes: defaultdict[str, int] = defaultdict(int)
        #: The merges of a service that are held back until it holds no lock.
        self._held: defaultdict[str, list[Callable[[Board], Event | None]]] = defaultdict(list)
        #: The services whose fix a person must send on the fast lane.
        self._to_send: list[str] = []

    def arrivals(self) -> Iterator[Arrival | Intention]:
        """Yield all arrivals: the merges, and the others of the scenario."""
        yield from self._scenario.others
        for service, rate in self._scenario.merges.items():
            random = self._random("merges", service)
            for number, at in enumerate(self._times(random, rate)):
                yield Intention(at, self._ordinary(service, f"{service}-{number}"))

    def _times(self, random: Random, rate: float) -> Iterator[float]:
        """Yield the times of one service's merges, `rate` a day: random, weighted by the shares of the hours."""
        shares = sum(hours.share for hours in self._scenario.hours)
        if rate <= 0.0:
            return
        for midnight, hours in self._scenario.work():
            if midnight >= self._scenario.ends:
                return
            mean = (hours.ends - hours.begins) * shares / (rate * hours.share)
            at = hours.begins + random.expovariate(1.0 / mean)
            while at < hours.ends:
                yield midnight + at
                at += random.expovariate(1.0 / mean)

    # -- builds ------------------------------------------------------------------------------------------------------

    def build(self, trigger: Trigger, at: float) -> SimulatedBuild:
        """Draw a build, which fails if its commit breaks the stage, or by chance."""
        step = Step(trigger.stage, trigger.track)
        plan = self._scenario.builds[step]
        random = self._random(trigger.sha, str(step), trigger.attempt)
        seconds = plan.seconds * math.exp(random.gauss(0.0, plan.spread))
        flaky = random.random() < plan.flakes
        fails = flaky or self._breaks(trigger.sha, trigger.stage)
        return SimulatedBuild(plan.queued, seconds, Outcome.FAILURE if fails else Outcome.SUCCESS)

    def _breaks(self, sha: str, stage: str) -> bool:
        return stage in self._defects.get(sha, ())

    # -- people ------------------------------------------------------------------------------------------------------

    def react(self, decision: Decision) -> Iterator[Intention]:
        """Yield the intentions after failures: a retry if it was flaky, else a later merge of a fix."""
        for fact in decision.facts:
            if fact.kind is FactKind.BUILD_FAILED and fact.run is not None:
                yield from self._look_at_failure(decision, fact.run)
            elif fact.kind is FactKind.REQUEST_REFUSED and fact.by == DEVELOPER and fact.run is not None:
                yield from self._fix_instead(decision, fact.run)
        for lock, _ in decision.unlocked:
            if lock.service is not None:
                yield from self._let_go(decision, lock.service)
        while self._to_send:
            asked = FastLaneAsked(self._to_send.pop(), DEVELOPER, "the fix")
            yield Intention(decision.now, partial(_same, asked))

    def _look_at_failure(self, decision: Decision, key: str) -> Iterator[Intention]:
        """Yield the response to a failure: a run that stays on the board is retried or fixed; after one that has ended
        the commit is merged again or main is fixed."""
        run = decision.board.runs.get(key)
        if run is not None and run.status is Status.FAILED:
            yield self._respond(decision.now, run, self._retry(run), self._fix(run))
        for ended, _ in decision.failed_runs:
            if ended.key == key:
                yield self._respond(decision.now, ended, self._again(ended), self._mend(ended))

    def _fix_instead(self, decision: Decision, key: str) -> Iterator[Intention]:
        """Yield the merge of a fix in place of a retry that was refused."""
        run = decision.board.runs.get(key)
        if run is not None:
            yield self._respond(decision.now, run, self._fix(run), self._fix(run))

    def _respond(
        self, now: float, run: Run, retry: Callable[[Board], Event | None], fix: Callable[[Board], Event | None]
    ) -> Intention:
        people, broken = self._scenario.people, self._breaks(run.sha, run.step.stage)
        random = self._random("people", run.sha, str(run.step), run.attempt.number)
        seconds = (people.fix if broken else people.retry) * math.exp(random.gauss(0.0, people.spread))
        return Intention(self._later(now, seconds), fix if broken else retry)

    def _later(self, now: float, seconds: float) -> float:
        """Return the time after this many seconds of work."""
        if self._scenario.people.on_call:
            return now + seconds
        for midnight, hours in self._work_from(now):
            opens, closes = max(now, midnight + hours.begins), midnight + hours.ends
            if opens + seconds <= closes:
                return opens + seconds
            seconds -= max(0.0, closes - opens)
        raise AssertionError("work has no end")

    def _work_from(self, now: float) -> Iterator[tuple[float, WorkHours]]:
        return ((midnight, hours) for midnight, hours in self._scenario.work() if midnight + hours.ends > now)

    def _let_go(self, decision: Decision, service: str) -> Iterator[Intention]:
        """Yield the merges that were held back, one after the other."""
        held = self._held.pop(service, [])
        for number, merge in enumerate(held, 1):
            yield Intention(self._later(decision.now, number * HELD_BACK / (len(held) + 1)), merge)

    # -- the actions, for the board of their time ----------------------------------------------------------------------

    def _ordinary(self, service: str, sha: str) -> Callable[[Board], Event | None]:
        def act(board: Board) -> Event | None:
            if self._scenario.people.hold_back and board.locks_held_by(service):
                self._held[service].append(act)
                return None
            return self._merge(service, sha)

        return act

    def _retry(self, run: Run) -> Callable[[Board], Event | None]:
        def act(board: Board) -> Event | None:
            found = board.runs.get(run.key)
            if found is None or found.status is not Status.FAILED:
                return None
            return RetryAsked(run.key, DEVELOPER, "it failed by chance")

        return act

    def _fix(self, run: Run) -> Callable[[Board], Event | None]:
        """Return the merge of a fix for a locked stage, unless it has opened or another fix is on its way."""

        def act(board: Board) -> Event | None:
            on_its_way = any(fast.status is not Status.FAILED for fast in board.fast_runs(run.service))
            if on_its_way or not board.locks_held_by(run.service):
                return None
            if self._scenario.pipeline.fast_lane.start is FastLaneStart.MANUAL:
                self._to_send.append(run.service)
            return self._merge(run.service, self._name_of_fix(run.service), run.step.stage)

        return act

    def _mend(self, run: Run) -> Callable[[Board], Event | None]:
        """Return the merge of a fix for a stage that does not lock, unless main is fixed already."""

        def act(board: Board) -> Event | None:
            if not self._breaks(self._heads[run.service], run.step.stage):
                return None
            if run.lane is Lane.MAIN and board.locks_held_by(run.service):
                self._held[run.service].append(act)
                return None
            return self._merge(run.service, self._name_of_fix(run.service), run.step.stage)

        return act

    def _again(self, run: Run) -> Callable[[Board], Event | None]:
        """Return the merge of an empty commit, which builds the same again, unless something was merged since."""

        def act(board: Board) -> Event | None:
            if self._heads[run.service] != run.sha:
                return None
            return self._ordinary(run.service, self._name_of_fix(run.service))(board)

        return act

    def _name_of_fix(self, service: str) -> str:
        self._fixes[service] += 1
        return f"{service}-fix-{self._fixes[service]}"

    def _merge(self, service: str, sha: str, mends: str = "") -> Merged:
        """Merge on top of main: the commit has the defects of main but the one that it fixes, and perhaps new ones."""
        before = self._heads.get(service)
        inherited = self._defects.get(before, frozenset()) if before is not None else frozenset()
        self._defects[sha] = (inherited - {mends}) | {stage for stage in self._stages if self._is_new(sha, stage)}
        self._heads[service] = sha
        return Merged(service, sha, before, push_id=sha)

    def _is_new(self, sha: str, stage: str) -> bool:
        return self._random("defect", sha, stage).random() < self._scenario.builds[Step(stage)].fails

    def _random(self, *about: str | int) -> Random:
        return Random("/".join(map(str, (self._seed, *about))))  # noqa: S311  no secret depends on it


def _same(event: Event, _: Board) -> Event:
    """Return the event, whatever the board shows."""
    return event
