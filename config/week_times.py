"""The times of the weekly reports, by the clocks of a time zone, as epoch seconds.

Where the clocks change, a skipped hour counts at the moment when the clocks go forward, and a repeated hour counts the
first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.core.model.notice_plan import WeeklyPlan

#: How long after its time a report is still sent, in seconds, after an outage of beat, the workers or the store.
LATEST = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class PlannedReport:
    """The report of a week, such as `2026-W48`, and the time at which it is due."""

    week: str
    at: float

    def is_sent(self, now: float) -> bool:
        """Return whether the report is due and not too late to send."""
        return self.at <= now < self.at + LATEST


def last_report(plan: WeeklyPlan, now: float) -> PlannedReport:
    """Return the latest report that is due at or before a moment."""
    found = _report(plan, _monday(plan, now))
    return found if found.at <= now else _report(plan, _monday(plan, now) - timedelta(weeks=1))


def next_report(plan: WeeklyPlan, now: float) -> PlannedReport:
    """Return the first report that is due after a moment."""
    found = _report(plan, _monday(plan, now))
    return found if found.at > now else _report(plan, _monday(plan, now) + timedelta(weeks=1))


def _monday(plan: WeeklyPlan, now: float) -> date:
    today = datetime.fromtimestamp(now, ZoneInfo(plan.time_zone)).date()
    return today - timedelta(days=today.weekday())


def _report(plan: WeeklyPlan, monday: date) -> PlannedReport:
    """Return the report due in the week of a Monday.

    It is about the week before, and not due before that has ended by UTC.
    """
    day = monday + timedelta(days=plan.day - 1)
    local = datetime.combine(day, time(plan.hour), ZoneInfo(plan.time_zone))
    ended = datetime.combine(monday, time(), UTC)
    year, week, _ = (monday - timedelta(days=1)).isocalendar()
    return PlannedReport(f"{year}-W{week:02}", max(local.timestamp(), ended.timestamp()))
