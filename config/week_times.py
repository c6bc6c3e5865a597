"""When the report of a week is due, by the clocks of a time zone, as epoch seconds.

Where the clocks change: an hour that is left out counts when the clocks go forward, one that comes twice counts the
first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.core.model.notice_plan import WeeklyPlan

#: For how long after its time a report is still sent, in seconds: where no beat or worker ran, or the store was away.
LATEST = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class PlannedReport:
    """The report of a week, such as `2026-W48`, which is due at a moment."""

    week: str
    at: float

    def is_sent(self, now: float) -> bool:
        """Whether it is not too late for it."""
        return self.at <= now < self.at + LATEST


def last_report(plan: WeeklyPlan, now: float) -> PlannedReport:
    """The last report that was due at a moment, or is due then."""
    found = _report(plan, _monday(plan, now))
    return found if found.at <= now else _report(plan, _monday(plan, now) - timedelta(weeks=1))


def next_report(plan: WeeklyPlan, now: float) -> PlannedReport:
    """The first report that is due after a moment."""
    found = _report(plan, _monday(plan, now))
    return found if found.at > now else _report(plan, _monday(plan, now) + timedelta(weeks=1))


def _monday(plan: WeeklyPlan, now: float) -> date:
    today = datetime.fromtimestamp(now, ZoneInfo(plan.time_zone)).date()
    return today - timedelta(days=today.weekday())


def _report(plan: WeeklyPlan, monday: date) -> PlannedReport:
    """The report that is due in the week of a Monday: of the week before, once that has ended by UTC, too."""
    day = monday + timedelta(days=plan.day - 1)
    local = datetime.combine(day, time(plan.hour), ZoneInfo(plan.time_zone))
    ended = datetime.combine(monday, time(), UTC)
    year, week, _ = (monday - timedelta(days=1)).isocalendar()
    return PlannedReport(f"{year}-W{week:02}", max(local.timestamp(), ended.timestamp()))
