"""Tables and sentences of the statistics for the terminal, from the API's data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.table import Table

from bot.cli.common import clean, duration
from bot.reporting.sentences import moment
from bot.reporting.statistics import changed_by, effect, times

View = dict[str, Any]

#: The causes of waiting, in the order of docs/statistics.md.
CAUSES = ("capacity", "lock", "freeze", "jenkins", "person", "proof")
_KINDS = {"enters": "a run enters its stage", "passes": "a run passes its stage", "opens": "a lock opens"}


def by_week(found: View, width: int) -> list[Table]:
    """Return the weeks in which anything ended, the present one last.

    One table, or two if the terminal is narrower.
    """
    rows = [(week["week"], week) for week in found["weeks"] if week["builds"] or week["ended"]]
    return _tables("week", rows, width)


def by_service(found: View, width: int) -> list[Table]:
    """Return the services as tables, those with the most expensive locks first."""
    return _tables("service", [(row["service"] or "locks of people", row) for row in found["services"]], width)


#: The most services that are listed with their locks.
LOCKING = 10


def by_locks(found: View) -> list[Table]:
    """Return a table of the services with the most expensive locks and their effects; empty if nothing was locked."""
    rows = [(row["service"] or "people", row) for row in found["services"] if row["locks"]]
    return [_table("locks of", ("locks", "locked", "held", "cost", "aborted"), rows[:LOCKING])] if rows else []


def by_step(found: View) -> list[Table]:
    """Return a table of the time of all runs by step, the largest first."""
    rows = [(row["step"], row) for row in found["steps"]]
    return [_table("time in", ("built", *CAUSES), rows)] if rows else []


def sentences(found: View) -> Iterator[str]:
    """Yield sentences: the effect of the last change, standing locks, locking or flaky tests, errors of estimates."""
    for change in found["changes"][:1]:
        keys = ", ".join(key["key"] for key in change["changes"])
        yield f"{moment(change['at'])}: {keys} changed by {changed_by(change)}: {effect(change)}"
    for lock in found["standing"]:
        whose = lock["service"] or "by a person"
        yield f"{lock['stage']} is locked ({whose}): {_run_minutes(lock['cost'])} so far"
    for test in found["tests"]:
        if test["locks"]:
            yield (
                f"{test['service']} {test['test']}: caused {times(test['locks'], 'lock')} in 30 days: "
                f"{duration(test['locked'], 1)} locked, {_run_minutes(test['cost'])}"
            )
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


#: The width, in characters, from which on all columns fit into one table.
WIDE = 116
#: The text of each column for a week or a service.
_COLUMNS: dict[str, Callable[[View], str]] = {
    "delivered": lambda row: str(row["delivered"]),
    "lead": lambda row: _lasting(row["lead"]),
    "failed": lambda row: "–" if row["failure_rate"] is None else f"{100 * row['failure_rate']:.0f} %",
    "restored": lambda row: _lasting(row["restore"]),
    "locked": lambda row: _lasting(row["locked"]),
    "cost": lambda row: _run_minutes(row["cost"]),
    "locks": lambda row: str(row["locks"]),
    "held": lambda row: str(row["held"]),
    "aborted": lambda row: str(row["aborted"]),
    "built": lambda row: _lasting(row["built"]),
}


def _tables(first: str, rows: list[tuple[str, View]], width: int) -> list[Table]:
    ended, locks = ("delivered", "lead"), ("failed", "restored", "locked", "cost")
    if width >= WIDE:
        return [_table(first, (*ended, *CAUSES, *locks), rows)]
    return [_table(first, (*ended, *locks), rows), _table(f"{first}, waited for", CAUSES, rows)]


def _table(first: str, names: Sequence[str], rows: list[tuple[str, View]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in rows:
        cells = (_COLUMNS[each](row) if each in _COLUMNS else _lasting(row["waits"][each]) for each in names)
        table.add_row(clean(name), *cells)
    return table


def _lasting(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds, 1)


def _run_minutes(seconds: float) -> str:
    return f"{round(seconds / 60)} run-min"
