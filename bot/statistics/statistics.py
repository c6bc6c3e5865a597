"""The statistics of one pipeline in memory: parts by key, and which of them have changed since they were stored."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from bot.statistics.parts import (
    PERIODS_KEPT,
    RUNS_KEPT,
    EstimateErrors,
    FailingTest,
    Foretold,
    MeasuredRun,
    Part,
    PastLocks,
    ServiceWeek,
    StandingLock,
    StatisticsTotals,
    StepClock,
    StepDurations,
    StepOutcomes,
)

AnyPart = TypeVar("AnyPart", bound=Part)
Answer = TypeVar("Answer")

#: The number of weeks for which statistics are kept.
WEEKS_KEPT = 26
#: The most failing tests that are kept: those that failed last.
TESTS_KEPT = 1_000
#: How long the failure of a test counts, in seconds.
TEST_PERIOD = 30 * 86_400.0


class Statistics:
    """The statistics of all facts up to `cursor` (the id of the last one in the log)."""

    def __init__(self, parts: dict[str, Part] | None = None, cursor: str = "0-0") -> None:
        self.parts: dict[str, Part] = parts if parts is not None else {}
        self.cursor = cursor
        #: The keys of the parts that were changed or deleted since `take_changes`.
        self._changed: set[str] = set()
        #: The keys of the parts that another fork may read: they are copied before they are changed.
        self._shared: set[str] = set()
        #: A cache of values computed from durations, each with these durations.
        self._worked_out: dict[Hashable, tuple[list[float], Any]] = {}

    def fork(self) -> Statistics:
        """Return a copy that can be changed while others read this one: parts are copied when they change."""
        found = Statistics(dict(self.parts), self.cursor)
        found._shared = set(self.parts)
        found._worked_out = self._worked_out
        return found

    # -- reading ---------------------------------------------------------------------------------------------

    def of(self, family: str) -> Iterator[tuple[str, Part]]:
        """Return the parts of one family, each with the rest of its key."""
        start = f"{family}/"
        return ((key.removeprefix(start), part) for key, part in list(self.parts.items()) if key.startswith(start))

    def run(self, key: str) -> MeasuredRun | None:
        """Return a run, on its way or among the last that ended, or None."""
        return self._found(f"run/{key}", MeasuredRun)

    def durations(self, step: str, service: str = "") -> StepDurations:
        """Return the durations of the last builds of a service in a step; without a service: of all services."""
        return self._found(f"durations/{step}/{service}", StepDurations) or StepDurations()

    def outcomes(self, step: str) -> StepOutcomes:
        """Return the number of passed and failed builds of a step."""
        return self._found(f"outcomes/{step}", StepOutcomes) or StepOutcomes()

    def past_locks(self, stage: str) -> PastLocks:
        """Return the last automatic locks of a stage."""
        return self._found(f"locks/{stage}", PastLocks) or PastLocks()

    def clock(self, step: str) -> StepClock | None:
        """Return the clock of a step; None if nothing has happened there."""
        return self._found(f"clock/{step}", StepClock)

    def errors(self, kind: Foretold) -> EstimateErrors:
        """Return the errors of the estimates of a kind."""
        return self._found(f"errors/{kind}", EstimateErrors) or EstimateErrors()

    def totals(self) -> StatisticsTotals:
        """Return the sums since the statistics began."""
        return self._found("totals/all", StatisticsTotals) or StatisticsTotals()

    def failing_test(self, service: str, name: str) -> FailingTest:
        """Return the times when a test failed, and passed on a retry."""
        return self._found(f"test/{service}/{name}", FailingTest) or FailingTest()

    def weeks(self) -> Iterator[tuple[str, str, ServiceWeek]]:
        """Yield each week of each service, in no order: `2026-W48`, the service, and its part."""
        for rest, part in self.of("week"):
            week, _, service = rest.partition("/")
            if isinstance(part, ServiceWeek):
                yield week, service, part

    def worked_out(self, key: Hashable, seconds: Sequence[float], work: Callable[[Sequence[float]], Answer]) -> Answer:
        """Return `work(seconds)` for the durations of `key`, cached until these change.

        Drawing a board needs it for every service that waits. One value is cached per key, for all forks.
        """
        known = self._worked_out.get(key)
        if known is None or known[0] != seconds:
            known = self._worked_out[key] = ([*seconds], work(seconds))
        answer: Answer = known[1]
        return answer

    def _found(self, key: str, kind: type[AnyPart]) -> AnyPart | None:
        part = self.parts.get(key)
        return part if isinstance(part, kind) else None

    # -- changing --------------------------------------------------------------------------------------------

    def change(self, key: str, fresh: AnyPart) -> AnyPart:
        """Return the part under `key`, to be changed in place; store and return `fresh` if there is none."""
        self._changed.add(key)
        part = self.parts.get(key)
        if key in self._shared:
            self._shared.discard(key)
            part = self.parts[key] = deepcopy(self.parts[key])
        if isinstance(part, type(fresh)):
            return part
        self.parts[key] = fresh
        return fresh

    def drop(self, key: str) -> None:
        """Delete the part under `key`."""
        if self.parts.pop(key, None) is not None:
            self._changed.add(key)
            self._shared.discard(key)

    def take_changes(self) -> dict[str, Part | None]:
        """Return the parts that changed since the last call, None for deleted ones, and clear the list of changes."""
        changes = {key: self.parts.get(key) for key in sorted(self._changed)}
        self._changed.clear()
        return changes

    def forget_old(self, now: float, runs: int = RUNS_KEPT) -> None:
        """Delete weeks and tests that are too old, tests beyond `TESTS_KEPT`, and ended runs beyond `RUNS_KEPT`.

        Also deletes runs as old as the weeks that have not ended: the log lost their end before it was folded. `runs`:
        the number of ended runs in the history; no more of them are kept here.
        """
        first = week_of(now - WEEKS_KEPT * 7 * 86_400)
        for family in ("week", "step"):
            for rest in [rest for rest, _ in self.of(family) if rest.partition("/")[0] < first]:
                self.drop(f"{family}/{rest}")
        for rest in sorted(rest for rest, _ in self.of("period"))[:-PERIODS_KEPT]:
            self.drop(f"period/{rest}")
        last = {
            f"test/{name}": part.failed[-1] if part.failed else 0.0
            for name, part in self.of("test")
            if isinstance(part, FailingTest)
        }
        self._forget_runs(now - WEEKS_KEPT * 7 * 86_400, min(runs, RUNS_KEPT))
        newest = sorted(last, key=lambda key: last[key], reverse=True)
        for key in [*newest[TESTS_KEPT:], *(key for key in newest[:TESTS_KEPT] if last[key] < now - TEST_PERIOD)]:
            self.drop(key)

    def _forget_runs(self, began_before: float, most: int) -> None:
        runs = [(rest, part) for rest, part in self.of("run") if isinstance(part, MeasuredRun)]
        ended = sorted((part.ended, rest) for rest, part in runs if part.ended)
        unknown = [rest for rest, part in runs if not part.ended and part.began < began_before]
        for rest in (*(rest for _, rest in ended[: max(0, len(ended) - most)]), *unknown):
            self.drop(f"run/{rest}")


def week_of(at: float) -> str:
    """Return the week of a moment, by UTC: `2026-W48`."""
    year, week, _ = datetime.fromtimestamp(at, UTC).isocalendar()
    return f"{year}-W{week:02}"


def is_week(text: str) -> bool:
    """Return whether a text names a week in the form of `week_of`."""
    try:
        return week_of(begin_of(text)) == text
    except (ValueError, OverflowError):
        return False


def begin_of(week: str) -> float:
    """Return when a week begins: on Monday at midnight, by UTC. Raises ValueError if there is no such week."""
    return datetime.strptime(f"{week}-1", "%G-W%V-%u").replace(tzinfo=UTC).timestamp()


def weeks_until(at: float, count: int) -> list[str]:
    """Return the last `count` weeks; the last one is that of `at`."""
    moment = datetime.fromtimestamp(at, UTC)
    return [week_of((moment - timedelta(weeks=ago)).timestamp()) for ago in range(count - 1, -1, -1)]


def advance(clock: StepClock, at: float) -> StepClock:
    """Advance a clock to `at`, in place, and return it."""
    passed = max(0.0, at - clock.at)
    clock.at = max(clock.at, at)
    if clock.paused:
        clock.paused_sum += passed
    elif clock.backoff:
        clock.backoff_sum += passed
    elif clock.locks:
        clock.locked_sum += passed
        clock.frozen_sum += passed * any(lock.freeze for lock in clock.locks)
        clock.frozen_alone_sum += passed * all(lock.freeze for lock in clock.locks)
        clock.cost_sum += passed * clock.waiting
        clock.share_sum += passed * clock.waiting / len(clock.locks)
    return clock


def cost_so_far(clock: StepClock, lock: StandingLock, now: float) -> float:
    """Return the cost of a present lock so far, in run-seconds; if the stage has several, its share."""
    ticks = bool(clock.locks) and not clock.paused and not clock.backoff
    since = max(0.0, now - clock.at) * clock.waiting / len(clock.locks) if ticks else 0.0
    return clock.share_sum + since - lock.share_before
