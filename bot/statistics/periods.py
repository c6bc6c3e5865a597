"""Compare the runs and locks before and after a change of the configuration, by periods.

A run counts if it began and ended under one configuration; one that overlaps a change counts on neither side.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from math import erfc, sqrt
from statistics import median, quantiles
from typing import Any

from bot.core.model.pipeline import ConfigurationChange
from bot.core.model.run import End
from bot.core.model.stage_messages import PipelineConfigured
from bot.statistics.parts import PERIOD_KEPT, Cause, ConfigurationPeriod, MeasuredRun, StatisticsTotals, keep
from bot.statistics.statistics import Statistics

#: Keys that do not affect the way of a run: reading, notices, access, retention.
_NO_FLOW = frozenset({"web", "keep", "health", "notify", "webhooks", "roles", "commands"})
#: The most changes of one configuration that are kept.
CHANGES_KEPT = 20
#: With fewer delivered runs than this on one side there is no verdict.
FEW = 20
#: A difference counts if its probability by chance alone is lower than this.
CHANCE = 0.05


class LeadTimeVerdict(StrEnum):
    """The verdict on whether the lead times after a change differ from those before."""

    TOO_FEW = "too-few"  # at least one side has too few delivered runs
    UNCLEAR = "unclear"  # the difference may be chance
    SHORTER = "shorter"
    LONGER = "longer"


# -- folding -----------------------------------------------------------------------------------------------------------


def begin(statistics: Statistics, at: float, told: PipelineConfigured, by: str) -> None:
    """Begin a new period if the configuration that was put in force may change the way of a run."""
    changes = [change for change in told.changes if _changes_flow(change, told.pipeline)]
    before = statistics.totals().period
    if before and not changes:
        return
    if before:
        statistics.change(before, ConfigurationPeriod(at)).until = at
    rows = [(change.key, change.before, change.after) for change in changes[:CHANGES_KEPT]]
    _begin(statistics, ConfigurationPeriod(at, by, rows))


def _changes_flow(change: ConfigurationChange, pipeline: str) -> bool:
    if not change.key.startswith("pipelines."):
        return change.key.partition(".")[0] not in _NO_FLOW
    own = change.key.removeprefix(f"pipelines.{pipeline}.")
    return own != change.key and own.partition(".")[0] not in _NO_FLOW and not own.endswith(".developers")


def end_run(statistics: Statistics, at: float, run: MeasuredRun, end: End, *, aborted: bool) -> None:
    """Count a run that has ended in the present period if it began in it."""
    period = _current(statistics, run.began)
    if run.began < period.since:
        period.straddling += 1
        return
    period.ends[str(end)] = period.ends.get(str(end), 0) + 1
    for cause, seconds in run.waits.items():
        period.waits[cause] = period.waits.get(cause, 0.0) + seconds
    period.built += run.built
    period.aborted += aborted
    if end is End.DELIVERED:
        keep(period.leads, at - run.began, PERIOD_KEPT)


def open_lock(statistics: Statistics, at: float, since: float, cost: float) -> None:
    """Count a lock that has opened in the present period if it was set in it."""
    period = _current(statistics, since)
    if since >= period.since:
        period.locks += 1
        period.locked += max(0.0, at - since)
        period.cost += cost


def _current(statistics: Statistics, began: float) -> ConfigurationPeriod:
    """Return the present period, to be changed; begin one at `began` if the log no longer has its beginning."""
    present = statistics.totals().period
    if present:
        return statistics.change(present, ConfigurationPeriod(began))
    return _begin(statistics, ConfigurationPeriod(began))


def _begin(statistics: Statistics, period: ConfigurationPeriod) -> ConfigurationPeriod:
    key = f"period/{period.since:017.3f}"  # keys sort by time
    statistics.change("totals/all", StatisticsTotals()).period = key
    return statistics.change(key, period)


# -- comparing ---------------------------------------------------------------------------------------------------------


def last_changes(statistics: Statistics, now: float) -> list[dict[str, Any]]:
    """Return the last changes of the configuration, newest first, each with the figures before and after it."""
    periods = [part for _, part in statistics.of("period") if isinstance(part, ConfigurationPeriod)]
    pairs = pairwise(sorted(periods, key=lambda period: period.since))
    return [_compared(before, after, now) for before, after in reversed(list(pairs))]


def _compared(before: ConfigurationPeriod, after: ConfigurationPeriod, now: float) -> dict[str, Any]:
    return {
        "at": after.since,
        "by": after.by,
        "changes": [{"key": key, "before": was, "after": is_now} for key, was, is_now in after.changes],
        "before": numbers(before, now),
        "after": numbers(after, now),
        "straddling": after.straddling,
        "verdict": str(verdict(before.leads, after.leads)),
    }


def numbers(period: ConfigurationPeriod, now: float) -> dict[str, Any]:
    """Return the figures of a period; averages over its runs are None if none has ended."""
    ended = sum(period.ends.values())
    return {
        "since": period.since,
        "until": period.until or now,
        "ended": ended,
        "delivered": period.ends.get(str(End.DELIVERED), 0),
        "lead": median(period.leads) if period.leads else None,
        "lead_p90": quantiles(period.leads, n=10, method="inclusive")[-1] if len(period.leads) > 1 else None,
        "waiting": sum(period.waits.values()) / ended if ended else None,
        "waits": {str(cause): period.waits.get(cause, 0.0) / ended if ended else None for cause in Cause},
        "built": period.built / ended if ended else None,
        "locks": period.locks,
        "locks_per_100": 100 * period.locks / ended if ended else None,
        "locked": period.locked,
        "cost": period.cost,
        "aborted": period.aborted,
    }


def verdict(before: Sequence[float], after: Sequence[float]) -> LeadTimeVerdict:
    """Return whether lead times differ, by a rank sum test (Mann and Whitney), which assumes no distribution."""
    if min(len(before), len(after)) < FEW:
        return LeadTimeVerdict.TOO_FEW
    score = _rank_score(before, after)
    if erfc(abs(score) / sqrt(2)) >= CHANCE:
        return LeadTimeVerdict.UNCLEAR
    return LeadTimeVerdict.LONGER if score > 0 else LeadTimeVerdict.SHORTER


def _rank_score(before: Sequence[float], after: Sequence[float]) -> float:
    """Return by how many standard deviations the ranks of `after` exceed the expected ones; ties share a rank."""
    ordered = sorted([*((value, 0) for value in before), *((value, 1) for value in after)])
    count, ranks, ties, start = len(ordered), 0.0, 0.0, 0
    while start < count:
        end = start
        while end < count and ordered[end][0] == ordered[start][0]:
            end += 1
        shared = (start + 1 + end) / 2  # ranks count from 1
        ranks += shared * sum(side for _, side in ordered[start:end])
        ties += (end - start) ** 3 - (end - start)
        start = end
    few, many = len(after), len(before)
    expected = few * (count + 1) / 2
    variance = few * many / 12 * (count + 1 - ties / (count * (count - 1)))
    return (ranks - expected) / sqrt(variance) if variance > 0 else 0.0
