"""The statistics as they are shown: by week, by service, by stage; plain values. Durations in seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bot.statistics.parts import Cause, FailingTest, Foretold, ServiceWeek
from bot.statistics.statistics import TEST_PERIOD, Statistics, cost_so_far, weeks_until

Shape = dict[str, Any]

#: How many weeks are shown, and how many failing tests.
WEEKS, TESTS = 12, 20


@dataclass(slots=True)
class _Sum:
    """Several weeks, or services, added up."""

    ends: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    passed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    waits: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    locked: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cost: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    built: float = 0.0
    leads: list[float] = field(default_factory=list)
    restores: list[float] = field(default_factory=list)

    def add(self, week: ServiceWeek) -> None:
        """One more week of one more service."""
        for mine, its in ((self.ends, week.ends), (self.passed, week.passed), (self.failed, week.failed)):
            for name, number in its.items():
                mine[name] += number
        for sums, more in ((self.waits, week.waits), (self.locked, week.locked), (self.cost, week.cost)):
            for name, seconds in more.items():
                sums[str(name)] += seconds
        self.built += week.built
        self.leads += week.leads
        self.restores += week.restores

    def shape(self) -> Shape:
        """The sums as plain values; medians and rates are None where there is nothing to make them of."""
        passed, failed = sum(self.passed.values()), sum(self.failed.values())
        return {
            "ended": dict(self.ends),
            "delivered": self.ends.get("delivered", 0),
            "lead": median(self.leads) if self.leads else None,
            "waits": {str(cause): self.waits.get(str(cause), 0.0) for cause in Cause},
            "built": self.built,
            "builds": passed + failed,
            "failure_rate": failed / (passed + failed) if passed + failed else None,
            "restore": median(self.restores) if self.restores else None,
            "locked": sum(self.locked.values()),
            "cost": sum(self.cost.values()),
        }


def report(statistics: Statistics, now: float, service: str | None = None) -> Shape:
    """What page, API and command show of the last `WEEKS` weeks: of all services, or of one."""
    weeks = weeks_until(now, WEEKS)
    rows = [
        (week, name, part)
        for week, name, part in statistics.weeks()
        if week in weeks and (service is None or name == service)
    ]
    return {
        "service": service,
        "weeks": [{"week": week, **_sum(part for at, _, part in rows if at == week).shape()} for week in weeks],
        "all": _sum(part for _, _, part in rows).shape(),
        "services": _services(rows),
        "stages": _stages(_sum(part for _, _, part in rows)),
        "standing": _standing(statistics, now, service),
        "tests": _tests(statistics, now, service),
        "estimates": [_estimates(statistics, kind) for kind in Foretold],
    }


def _sum(parts: Iterable[ServiceWeek]) -> _Sum:
    found = _Sum()
    for part in parts:
        found.add(part)
    return found


def _services(rows: list[tuple[str, str, ServiceWeek]]) -> list[Shape]:
    """Each service, the one whose locks cost most first; `""` stands for the locks of people."""
    names = sorted({name for _, name, _ in rows})
    found = [{"service": name, **_sum(part for _, each, part in rows if each == name).shape()} for name in names]
    return sorted(found, key=lambda row: (-row["cost"], row["service"]))


def _stages(found: _Sum) -> list[Shape]:
    names = list(dict.fromkeys([*found.passed, *found.failed, *found.locked]))
    return [
        {
            "stage": name,
            "builds": (builds := found.passed.get(name, 0) + found.failed.get(name, 0)),
            "failure_rate": found.failed.get(name, 0) / builds if builds else None,
            "locked": found.locked.get(name, 0.0),
            "cost": found.cost.get(name, 0.0),
        }
        for name in names
    ]


def _standing(statistics: Statistics, now: float, service: str | None) -> list[Shape]:
    """The locks that stand, each with its cost so far."""
    found = []
    for stage in [stage for stage, _ in statistics.of("clock")]:
        clock = statistics.clock(stage)
        for lock in clock.locks if clock is not None else ():
            if clock is not None and service in (None, lock.service):
                cost = cost_so_far(clock, lock, now)
                found.append({"stage": stage, "service": lock.service, "since": lock.since, "cost": cost})
    return found


def _tests(statistics: Statistics, now: float, service: str | None) -> list[Shape]:
    """The tests that failed in the last 30 days, the one that failed most often first."""
    found: list[Shape] = []
    for rest, part in statistics.of("test"):
        name, _, test = rest.partition("/")
        if isinstance(part, FailingTest) and service in (None, name):
            lately = part.since(now - TEST_PERIOD)
            row = {"service": name, "test": test, "failed": len(lately.failed), "passed": len(lately.passed)}
            found.append({**row, "flaky": lately.flaky})
    found.sort(key=lambda row: (-row["failed"], row["service"], row["test"]))
    return [row for row in found if row["failed"]][:TESTS]


def _estimates(statistics: Statistics, kind: Foretold) -> Shape:
    """How far the last estimates of a kind were off, and how often the truth lay in their range."""
    found = statistics.errors(kind)
    return {
        "kind": str(kind),
        "count": len(found.errors),
        "error": median(abs(error) for error in found.errors) if found.errors else None,
        "inside": sum(found.inside) / len(found.inside) if found.inside else None,
        "ahead": median(found.ahead) if found.ahead else None,
    }
