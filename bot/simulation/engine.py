"""Run a simulation: the rules decide by a virtual clock, and a model of the outside world performs their effects.

Jenkins and GitHub answer immediately and correctly: each trigger is accepted, a build starts and ends as the model of
builds says, a withdrawn or aborted build is gone, and a question about commits is answered from the merges. Effects
that inform people are only counted. The same arrivals and models give the same simulation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Protocol

from bot.core.model.board import Board, build_board
from bot.core.model.board_records import Header
from bot.core.model.effects import Compare, Effect, Trigger, Withdraw
from bot.core.model.events import BuildSeen, ContainmentKnown, Event, Merged, TimePassed, Withdrawn
from bot.core.model.facts import Fact
from bot.core.model.pipeline import Mode, Outcome, Pipeline, Step
from bot.core.model.run import Run
from bot.core.rules.decide import decide
from bot.core.rules.decision import LIMITS, Decision, DecisionLimits
from bot.core.rules.recorded import DecidedEntry

#: The interval of the clock, in seconds, while something is due; the same as that of beat.
TICK = 1.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event from outside, such as a merge or a manual lock, with its time in seconds of the virtual clock."""

    at: float
    event: Event


@dataclass(frozen=True, slots=True)
class Intention:
    """An action that a person plans for a time. `act` returns the event for the board of that time; None: no action."""

    at: float
    act: Callable[[Board], Event | None]


@dataclass(frozen=True, slots=True)
class SimulatedBuild:
    """The course of one build: how long it waits in Jenkins' queue, how long it runs, and how it ends."""

    queued_seconds: float
    seconds: float
    outcome: Outcome = Outcome.SUCCESS
    failed_tests: tuple[str, ...] = ()


class BuildModel(Protocol):
    """The model that determines the course of each build."""

    def build(self, trigger: Trigger, at: float) -> SimulatedBuild:
        """Return the course of the build of a trigger that is posted at that time."""


class People(Protocol):
    """The model of what people do after a decision, such as a lock or a failed fix."""

    def react(self, decision: Decision) -> Iterable[Intention]:
        """Return the intentions of people because of one decision, for its time or later."""


@dataclass(slots=True)
class PlayedBuild:
    """One build that the rules triggered. Times in seconds of the virtual clock; None: not reached yet."""

    run: str
    attempt: int
    service: str
    step: Step
    asked: float
    started: float | None = None
    ended: float | None = None
    outcome: Outcome | None = None
    #: Whether the rules aborted it while it ran; `withdrawn`: whether they withdrew it before it started.
    aborted: bool = False
    withdrawn: bool = False


@dataclass(slots=True)
class Simulated:
    """The result of a simulation."""

    #: The facts, each with its time.
    facts: list[tuple[float, Fact]] = field(default_factory=list)
    #: The builds, in the order of their triggers.
    builds: list[PlayedBuild] = field(default_factory=list)
    #: The runs on the board at the end.
    runs: tuple[Run, ...] = ()
    #: The number of decided events, and of the resulting effects by kind.
    decisions: int = 0
    effects: Counter[str] = field(default_factory=Counter)
    #: The time of the last event.
    ended: float = 0.0


def simulate(
    pipeline: Pipeline,
    arrivals: Iterable[Arrival | Intention],
    builds: BuildModel,
    *,
    until: float,
    people: People | None = None,
    limits: DecisionLimits = LIMITS,
    mode: Mode = Mode.RUN,
    record: Callable[[DecidedEntry], object] | None = None,
) -> Simulated:
    """Simulate up to and including the time `until`. Arrivals of the same time keep their order.

    `record` is called with each decision, so that the simulation can be stored as a recording.
    """
    simulation = _Simulation(pipeline, builds, people, limits, mode)
    simulation.record = record
    return simulation.play(arrivals, until)


_Planned = tuple[float, int, Callable[[], Event | None]]


class _Simulation:
    def __init__(
        self, pipeline: Pipeline, builds: BuildModel, people: People | None, limits: DecisionLimits, mode: Mode
    ) -> None:
        self._board = build_board(Header(pipeline, mode), [])
        self._model = builds
        self._people = people
        self._limits = limits
        self.record: Callable[[DecidedEntry], object] | None = None
        self._mains = MainBranches()
        self._now = 0.0
        #: When the clock next leads to a decision; None: never.
        self._due: float | None = None
        self._planned: list[_Planned] = []
        self._count = 0
        #: The builds that have not ended, by run and attempt; and the number of the last build that started.
        self._open: dict[tuple[str, int], PlayedBuild] = {}
        self._number = 0
        self._simulated = Simulated()

    def play(self, arrivals: Iterable[Arrival | Intention], until: float) -> Simulated:
        self._planned = [(each.at, number, self._act(each)) for number, each in enumerate(arrivals)]
        self._count = len(self._planned)
        heapify(self._planned)
        while (at := self._next()) is not None and at <= until:
            self._now = max(self._now, round(at, 3))  # milliseconds, as in the inbox
            due = not self._planned or self._planned[0][0] > at
            event = TimePassed() if due else heappop(self._planned)[2]()
            if event is not None:
                self._decide(event)
        self._simulated.runs = tuple(self._board.runs.values())
        self._simulated.ended = self._now
        return self._simulated

    def _next(self) -> float | None:
        """Return the time of the next event, or None if there is none."""
        planned = self._planned[0][0] if self._planned else None
        if planned is None or self._due is None:
            return self._due if planned is None else planned
        return min(planned, self._due)

    def _decide(self, event: Event) -> None:
        if isinstance(event, Merged):
            self._mains.merge(event)
        decision = decide(self._board, event, self._now, self._limits)
        self._board.forget_changes()
        self._simulated.decisions += 1
        if self.record is not None:
            entry = f"{round(self._now * 1000)}-{self._simulated.decisions}"
            self.record(DecidedEntry(entry, self._now, (event,), tuple(decision.facts), tuple(decision.effects)))
        self._simulated.facts += ((self._now, fact) for fact in decision.facts)
        # People react before the effects are performed: the next build of a commit depends on how the last one ended.
        intentions = list(self._people.react(decision)) if self._people is not None else []
        for effect in decision.effects:
            self._simulated.effects[effect.kind] += 1
            self._perform(effect)
        for intention in intentions:
            self._plan(intention.at, self._act(intention))
        due = self._board.next_due(self._now)
        if due is not None and due <= self._now and not self._board.clean_ups:
            due = self._now + TICK
        self._due = due

    def _act(self, planned: Arrival | Intention) -> Callable[[], Event | None]:
        if isinstance(planned, Arrival):
            event = planned.event
            return lambda: event
        return partial(planned.act, self._board)

    def _plan(self, at: float, act: Callable[[], Event | None]) -> None:
        self._count += 1
        heappush(self._planned, (at, self._count, act))

    def _answer(self, event: Event) -> None:
        """Plan an immediate answer, which is decided before anything later happens."""
        self._plan(self._now, lambda: event)

    # -- effects at Jenkins and GitHub -------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Trigger():
                self._post(effect)
            case Withdraw():
                self._withdraw(effect)
            case Compare():
                contains = self._mains.contains(effect.service, effect.head, effect.base)
                self._answer(ContainmentKnown(effect.service, effect.base, effect.head, contains))
            case _:
                pass  # it informs people, or asks about things that a simulation does not have

    def _post(self, trigger: Trigger) -> None:
        """Put a trigger into Jenkins' queue. No acceptance is reported, because no trigger is ever refused."""
        will = self._model.build(trigger, self._now)
        build = PlayedBuild(
            trigger.run, trigger.attempt, trigger.service, Step(trigger.stage, trigger.track), self._now
        )
        self._open[trigger.run, trigger.attempt] = build
        self._simulated.builds.append(build)
        self._plan(self._now + will.queued_seconds, partial(self._start, trigger, will))

    def _start(self, trigger: Trigger, will: SimulatedBuild) -> Event | None:
        build = self._open.get((trigger.run, trigger.attempt))
        if build is None:
            return None  # it was withdrawn
        self._number += 1
        build.started = self._now
        started = BuildSeen(trigger.job.controller, trigger.job.name, self._number, None, trigger.run, trigger.attempt)
        self._plan(self._now + will.seconds, partial(self._end, trigger, self._number, will.outcome, will.failed_tests))
        return started

    def _end(self, trigger: Trigger, number: int, outcome: Outcome, failed_tests: tuple[str, ...]) -> Event | None:
        build = self._open.pop((trigger.run, trigger.attempt), None)
        if build is None:
            return None  # it was aborted
        build.ended, build.outcome = self._now, outcome
        job = trigger.job
        return BuildSeen(
            job.controller, job.name, number, outcome, trigger.run, trigger.attempt, failed_tests, ended=self._now
        )

    def _withdraw(self, effect: Withdraw) -> None:
        build = self._open.get((effect.run, effect.attempt))
        if build is None:
            return  # it has ended, and that was reported already
        if build.started is None:
            del self._open[effect.run, effect.attempt]
            build.withdrawn, build.ended = True, self._now
            self._answer(Withdrawn(effect.run, effect.attempt))
        elif effect.abort:
            del self._open[effect.run, effect.attempt]
            build.aborted, build.ended, build.outcome = True, self._now, Outcome.ABORTED
            seen = (effect.job.controller, effect.job.name, effect.build or 0, Outcome.ABORTED)
            self._answer(BuildSeen(*seen, effect.run, effect.attempt, ended=self._now))


class MainBranches:
    """The main branches of the services according to the merges: which commit follows which."""

    def __init__(self) -> None:
        self._heads: dict[str, str] = {}
        self._before: dict[tuple[str, str], str | None] = {}

    def merge(self, event: Merged) -> None:
        """Add a merge. One without `before` is assumed to follow the head."""
        service, before = event.service, event.before
        if event.forced:
            before = None  # the parent of a force-push is not known
        elif before is None:
            before = self._heads.get(service)
        if event.forced or (service, event.sha) not in self._before:
            self._heads[service] = event.sha
        for sha in dict.fromkeys((*event.commits, event.sha)):
            self._before.setdefault((service, sha), before)
            before = sha

    def contains(self, service: str, head: str, base: str) -> bool:
        """Return whether `base` is `head` or an ancestor of it."""
        at: str | None = head
        while at is not None and at != base:
            at = self._before.get((service, at))
        return at == base
