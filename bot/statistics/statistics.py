"""The statistics of one pipeline: parts by key, and which of them have changed since they were stored."""

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

#: For how many weeks statistics are kept.
WEEKS_KEPT = 26
#: How many tests that failed are remembered; those that failed last stay.
TESTS_KEPT = 1_000
#: For how long the failure of a test counts, in seconds.
TEST_PERIOD = 30 * 86_400.0


class Statistics:
    """What the facts up to `cursor` (the id of the last one in the log) amount to."""

    def __init__(self, parts: dict[str, Part] | None = None, cursor: str = "0-0") -> None:
        self.parts: dict[str, Part] = parts if parts is not None else {}
        self.cursor = cursor
        #: The keys of the parts that changed or went since `take_changes`.
        self._changed: set[str] = set()
        #: The keys of the parts that others read: they are copied before they are changed.
        self._shared: set[str] = set()
        #: What was worked out of durations, each beside the durations it was worked out of.
        self._worked_out: dict[Hashable, tuple[list[float], Any]] = {}

    def fork(self) -> Statistics:
        """The same statistics, to be carried on while others read these: what changes is copied."""
        found = Statistics(dict(self.parts), self.cursor)
        found._shared = set(self.parts)
        found._worked_out = self._worked_out
        return found

    # -- reading ---------------------------------------------------------------------------------------------

    def of(self, family: str) -> Iterator[tuple[str, Part]]:
        """The parts of one family, each with the rest of its key."""
        start = f"{family}/"
        return ((key.removeprefix(start), part) for key, part in list(self.parts.items()) if key.startswith(start))

    def run(self, key: str) -> MeasuredRun | None:
        """A run, on its way or among the last to end, if it is known."""
        return self._found(f"run/{key}", MeasuredRun)

    def durations(self, step: str, service: str = "") -> StepDurations:
        """How long the last builds of a service took in a step; without a service: of all services."""
        return self._found(f"durations/{step}/{service}", StepDurations) or StepDurations()

    def outcomes(self, step: str) -> StepOutcomes:
        """How the builds of a step ended."""
        return self._found(f"outcomes/{step}", StepOutcomes) or StepOutcomes()

    def past_locks(self, stage: str) -> PastLocks:
        """The last automatic locks of a stage."""
        return self._found(f"locks/{stage}", PastLocks) or PastLocks()

    def clock(self, step: str) -> StepClock | None:
        """The clock of a step; None if nothing has happened there."""
        return self._found(f"clock/{step}", StepClock)

    def errors(self, kind: Foretold) -> EstimateErrors:
        """What became of the estimates of a kind."""
        return self._found(f"errors/{kind}", EstimateErrors) or EstimateErrors()

    def totals(self) -> StatisticsTotals:
        """The sums since the statistics began."""
        return self._found("totals/all", StatisticsTotals) or StatisticsTotals()

    def failing_test(self, service: str, name: str) -> FailingTest:
        """When a test failed, and passed on a retry."""
        return self._found(f"test/{service}/{name}", FailingTest) or FailingTest()

    def weeks(self) -> Iterator[tuple[str, str, ServiceWeek]]:
        """Each week of each service, in no order: `2026-W48`, the service, what ended then."""
        for rest, part in self.of("week"):
            week, _, service = rest.partition("/")
            if isinstance(part, ServiceWeek):
                yield week, service, part

    def worked_out(self, key: Hashable, seconds: Sequence[float], work: Callable[[Sequence[float]], Answer]) -> Answer:
        """What `work` makes of the durations of `key`; worked out anew only when these have changed.

        A drawing asks for those of every service that waits. One answer is kept for each key, for all forks.
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
        """The part under `key` to be changed in place; `fresh` if there is none."""
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
        """Forget the part under `key`."""
        if self.parts.pop(key, None) is not None:
            self._changed.add(key)
            self._shared.discard(key)

    def take_changes(self) -> dict[str, Part | None]:
        """The parts that changed since the last call, None for those that went; forgets which."""
        changes = {key: self.parts.get(key) for key in sorted(self._changed)}
        self._changed.clear()
        return changes

    def forget_old(self, now: float, runs: int = RUNS_KEPT) -> None:
        """Drop the weeks and tests that count no more, the tests beyond `TESTS_KEPT`, ended runs beyond `RUNS_KEPT`.

        And runs that are as old as the weeks and have not ended: the log forgot how, while nobody read it. `runs`: how
        many ended runs the history keeps; more of them are not kept here.
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
    """The week of a moment, by UTC: `2026-W48`."""
    year, week, _ = datetime.fromtimestamp(at, UTC).isocalendar()
    return f"{year}-W{week:02}"


def is_week(text: str) -> bool:
    """Whether a text names a week, as `week_of` does."""
    try:
        return week_of(begin_of(text)) == text
    except (ValueError, OverflowError):
        return False


def begin_of(week: str) -> float:
    """When a week begins: on Monday at midnight, by UTC. Raises ValueError if there is no such week."""
    return datetime.strptime(f"{week}-1", "%G-W%V-%u").replace(tzinfo=UTC).timestamp()


def weeks_until(at: float, count: int) -> list[str]:
    """The last `count` weeks, that of `at` last."""
    moment = datetime.fromtimestamp(at, UTC)
    return [week_of((moment - timedelta(weeks=ago)).timestamp()) for ago in range(count - 1, -1, -1)]


def advance(clock: StepClock, at: float) -> StepClock:
    """Bring a clock to `at`, in place."""
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
    """Run-seconds that runs have waited for a lock that stands, its share where there are several."""
    ticks = bool(clock.locks) and not clock.paused and not clock.backoff
    since = max(0.0, now - clock.at) * clock.waiting / len(clock.locks) if ticks else 0.0
    return clock.share_sum + since - lock.share_before
