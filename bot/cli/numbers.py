"""The statistics as tables and sentences for the terminal, from the API's data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from bot.cli.common import clean, duration

View = dict[str, Any]

#: The causes of waiting, in the order of docs/statistics.md.
CAUSES = ("capacity", "lock", "freeze", "jenkins", "person", "proof")
_KINDS = {"enters": "a run enters its stage", "passes": "a run passes its stage", "opens": "a lock opens"}


def by_week(found: View) -> Table:
    """The weeks in which anything ended, the present one last."""
    return _table("week", [(week["week"], week) for week in found["weeks"] if week["builds"] or week["ended"]])


def by_service(found: View) -> Table:
    """The services, the one whose locks cost most first."""
    return _table("service", [(row["service"] or "locks of people", row) for row in found["services"]])


def sentences(found: View) -> Iterator[str]:
    """Locks that stand, flaky tests, and how far estimates were off."""
    for lock in found["standing"]:
        whose = lock["service"] or "by a person"
        yield f"{lock['stage']} is locked ({whose}): {_run_minutes(lock['cost'])} so far"
    for test in found["tests"]:
        if test["flaky"]:
            yield (
                f"{test['service']} {test['test']}: failed {test['failed']} times in 30 days, passed on retry "
                f"{test['passed']} times: likely flaky"
            )
    for each in found["estimates"]:
        if each["count"]:
            off, inside = duration(each["error"]), round(100 * each["inside"])
            when = f"estimates when {_KINDS[each['kind']]}"
            yield f"{when}: off by {off} (median of {each['count']}), {inside} % in range"


def _table(first: str, rows: list[tuple[str, View]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first)
    for name in ("delivered", "lead", *CAUSES, "failed", "restored", "locked", "cost"):
        table.add_column(name, justify="right")
    for name, row in rows:
        table.add_row(
            clean(name),
            str(row["delivered"]),
            _lasting(row["lead"]),
            *(_lasting(row["waits"][cause]) for cause in CAUSES),
            "–" if row["failure_rate"] is None else f"{100 * row['failure_rate']:.0f} %",
            _lasting(row["restore"]),
            _lasting(row["locked"]),
            _run_minutes(row["cost"]),
        )
    return table


def _lasting(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds, 1)


def _run_minutes(seconds: float) -> str:
    return f"{round(seconds / 60)} run-min"
