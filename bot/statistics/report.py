"""Make the reports of the statistics: by week, by service, by stage, as plain values. Durations in seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bot.statistics.parts import Cause, FailingTest, Foretold, ServiceWeek, StepWeek
from bot.statistics.periods import last_changes
from bot.statistics.statistics import TEST_PERIOD, Statistics, begin_of, cost_so_far, week_of, weeks_until

Shape = dict[str, Any]

#: The number of weeks that are shown, and the most failing tests.
WEEKS, TESTS = 12, 20
#: The most services, tests and steps in the report of a week.
NAMED = 5


@dataclass(slots=True)
class _Sum:
    """The sum of several weeks or services."""

    ends: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    passed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    waits: dict[Cause, float] = field(default_factory=lambda: defaultdict(float))
    locked: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cost: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    built: float = 0.0
    leads: list[float] = field(default_factory=list)
    restores: list[float] = field(default_factory=list)
    locks: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    held: int = 0
    aborted: int = 0

    def add(self, more: ServiceWeek | _Sum) -> None:
        """Add one week of one service, or another sum."""
        for counts, numbers in (
            (self.ends, more.ends),
            (self.passed, more.passed),
            (self.failed, more.failed),
            (self.locks, more.locks),
        ):
            for name, number in numbers.items():
                counts[name] += number
        for cause, waited in more.waits.items():
            self.waits[cause] += waited
        for sums, durations in ((self.locked, more.locked), (self.cost, more.cost)):
            for name, seconds in durations.items():
                sums[name] += seconds
        self.built += more.built
        self.leads += more.leads
        self.restores += more.restores
        self.held += more.held
        self.aborted += more.aborted

    def shape(self) -> Shape:
        """Return the sums as plain values; medians and rates are None if there is no data for them."""
        passed, failed = sum(self.passed.values()), sum(self.failed.values())
        return {
            "ended": dict(self.ends),
            "delivered": self.ends.get("delivered", 0),
            "lead": median(self.leads) if self.leads else None,
            "waits": _by_cause(self.waits),
            "built": self.built,
            "builds": passed + failed,
            "failure_rate": failed / (passed + failed) if passed + failed else None,
            "restore": median(self.restores) if self.restores else None,
            "locks": sum(self.locks.values()),
            "locked": sum(self.locked.values()),
            "cost": sum(self.cost.values()),
            "held": self.held,
            "aborted": self.aborted,
        }


def _by_cause(waits: Mapping[Any, float]) -> dict[str, float]:
    return {str(cause): waits.get(cause, 0.0) for cause in Cause}


def report(statistics: Statistics, now: float, service: str | None = None) -> Shape:
    """Return the statistics of the last `WEEKS` weeks for page, API and command: of all services, or of one."""
    weeks = {week: _Sum() for week in weeks_until(now, WEEKS)}
    services: defaultdict[str, _Sum] = defaultdict(_Sum)
    for week, name, part in statistics.weeks():
        if week in weeks and service in (None, name):
            weeks[week].add(part)
            services[name].add(part)
    together = _Sum()
    for found in weeks.values():
        together.add(found)
    return {
        "service": service,
        "weeks": [{"week": week, **found.shape()} for week, found in weeks.items()],
        "all": together.shape(),
        "services": service_rows(services),
        "stages": _stages(together),
        "steps": step_rows(statistics, weeks) if service is None else [],
        "standing": standing_rows(statistics, now, service),
        "tests": test_rows(statistics, now - TEST_PERIOD, now, service)[:TESTS],
        "changes": last_changes(statistics, now) if service is None else [],
        "estimates": [_estimates(statistics, kind) for kind in Foretold],
    }


def service_rows(services: Mapping[str, _Sum]) -> list[Shape]:
    """Return a row for each service, the one with the most expensive locks first; `""` stands for manual locks."""
    found = [{"service": name, **services[name].shape()} for name in sorted(services)]
    return sorted(found, key=lambda row: (-row["cost"], -row["locked"], row["service"]))


def _stages(found: _Sum) -> list[Shape]:
    names = list(dict.fromkeys([*found.passed, *found.failed, *found.locked]))
    return [
        {
            "stage": name,
            "builds": (builds := found.passed.get(name, 0) + found.failed.get(name, 0)),
            "failure_rate": found.failed.get(name, 0) / builds if builds else None,
            "locks": found.locks.get(name, 0),
            "locked": found.locked.get(name, 0.0),
            "cost": found.cost.get(name, 0.0),
        }
        for name in names
    ]


def step_rows(statistics: Statistics, weeks: Container[str]) -> list[Shape]:
    """Return the time of all runs by step, with waiting by cause and builds, the step that took most first."""
    steps: dict[str, StepWeek] = {}
    for rest, part in statistics.of("step"):
        week, _, step = rest.partition("/")
        if isinstance(part, StepWeek) and week in weeks:
            found = steps.setdefault(step, StepWeek())
            found.built += part.built
            for cause, seconds in part.waits.items():
                found.waits[cause] = found.waits.get(cause, 0.0) + seconds
    rows = [{"step": step, "waits": _by_cause(found.waits), "built": found.built} for step, found in steps.items()]
    return sorted(rows, key=lambda row: (-row["built"] - sum(row["waits"].values()), row["step"]))


def standing_rows(statistics: Statistics, now: float, service: str | None) -> list[Shape]:
    """Return the present locks, each with its cost so far."""
    found = []
    for stage in [stage for stage, _ in statistics.of("clock")]:
        clock = statistics.clock(stage)
        for lock in clock.locks if clock is not None else ():
            if clock is not None and service in (None, lock.service):
                cost = cost_so_far(clock, lock, now)
                found.append({"stage": stage, "service": lock.service, "since": lock.since, "cost": cost})
    return found


def test_rows(statistics: Statistics, since: float, until: float, service: str | None = None) -> list[Shape]:
    """Return the tests that failed in a time, sorted by the number of locks that they caused, then of failures."""
    found: list[Shape] = []
    for rest, part in statistics.of("test"):
        name, _, test = rest.partition("/")
        if isinstance(part, FailingTest) and service in (None, name):
            then = part.since(since, until)
            row = {"service": name, "test": test, "failed": len(then.failed), "passed": len(then.passed)}
            row |= {"locks": len(then.locks), "locked": sum(lock.seconds for lock in then.locks)}
            flaky = part.since(until - TEST_PERIOD, until).flaky
            found.append({**row, "cost": sum(lock.cost for lock in then.locks), "flaky": flaky})
    found.sort(key=lambda row: (-row["locks"], -row["failed"], row["service"], row["test"]))
    return [row for row in found if row["failed"] or row["locks"]]


def week_figures(statistics: Statistics, week: str, now: float) -> Shape:
    """Return the figures of the report of a week, and of the week before; `now`: when it is written."""
    begins = begin_of(week)
    ends = begins + 7 * 86_400
    before = week_of(begins - 1)
    sums, services = {week: _Sum(), before: _Sum()}, dict[str, _Sum]()
    for each, name, part in statistics.weeks():
        if each in sums:
            sums[each].add(part)
        if each == week:
            services.setdefault(name, _Sum()).add(part)
    return {
        "week": week,
        "begins": begins,
        "ends": ends,
        "numbers": sums[week].shape(),
        "before": sums[before].shape(),
        "services": [row for row in service_rows(services) if row["locks"]][:NAMED],
        "tests": test_rows(statistics, begins, ends)[:NAMED],
        "steps": step_rows(statistics, {week})[:NAMED],
        "standing": standing_rows(statistics, now, None),
        "changes": [change for change in last_changes(statistics, now) if change["at"] >= begins],
    }


def _estimates(statistics: Statistics, kind: Foretold) -> Shape:
    """Return the median error of the last estimates of a kind, and how often the real time was in their range."""
    found = statistics.errors(kind)
    return {
        "kind": str(kind),
        "count": len(found.errors),
        "error": median(abs(error) for error in found.errors) if found.errors else None,
        "inside": sum(found.inside) / len(found.inside) if found.inside else None,
        "ahead": median(found.ahead) if found.ahead else None,
    }
