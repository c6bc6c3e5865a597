"""When the report of a week is due: at its hour by the clocks of its zone, about a week that is over."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.core.model.notice_plan import WeeklyPlan
from config.week_times import LATEST, PlannedReport, last_report, next_report

HOUR, WEEK = 3_600.0, 7 * 86_400.0


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def at(report: PlannedReport) -> str:
    return datetime.fromtimestamp(report.at, UTC).strftime("%a %Y-%m-%d %H:%M")


def test_the_report_comes_on_its_day_at_its_hour_about_the_week_before() -> None:
    plan = WeeklyPlan(("team",), 1, 8)
    monday = utc("2026-11-30 08:00")
    assert last_report(plan, monday) == PlannedReport("2026-W48", monday)
    assert last_report(plan, monday - 1) == PlannedReport("2026-W47", monday - WEEK)
    assert next_report(plan, monday - 1) == PlannedReport("2026-W48", monday)
    assert next_report(plan, monday) == PlannedReport("2026-W49", monday + WEEK)


@pytest.mark.parametrize(
    ("day", "hour", "zone", "due"),
    [
        (1, 0, "UTC", "Mon 2026-11-30 00:00"),
        (5, 16, "UTC", "Fri 2026-12-04 16:00"),
        (1, 8, "America/Los_Angeles", "Mon 2026-11-30 16:00"),
        (1, 8, "Asia/Tokyo", "Mon 2026-11-30 00:00"),  # 8:00 there is Sunday: the week has not ended by UTC
        (1, 12, "Asia/Tokyo", "Mon 2026-11-30 03:00"),
        (1, 8, "Pacific/Kiritimati", "Mon 2026-11-30 00:00"),
    ],
)
def test_it_waits_until_the_week_is_over_by_utc_too(day: int, hour: int, zone: str, due: str) -> None:
    found = next_report(WeeklyPlan(("team",), day, hour, zone), utc("2026-11-29 23:59"))
    assert (found.week, at(found)) == ("2026-W48", due)


def test_a_week_is_over_when_it_is_over_by_the_clocks_of_the_zone_too() -> None:
    found = next_report(WeeklyPlan(("team",), 7, 23, "America/Los_Angeles"), utc("2026-11-29 23:59"))
    assert (found.week, at(found)) == ("2026-W47", "Mon 2026-11-30 07:00")  # there it is Sunday still


def test_the_hour_is_that_of_the_clocks_on_both_sides_of_their_change() -> None:
    plan = WeeklyPlan(("team",), 1, 8, "Europe/Berlin")
    assert at(next_report(plan, utc("2026-10-24 12:00"))) == "Mon 2026-10-26 07:00"  # winter, since the day before
    assert at(last_report(plan, utc("2026-10-24 12:00"))) == "Mon 2026-10-19 06:00"
    before, after = last_report(plan, utc("2026-10-24 12:00")), next_report(plan, utc("2026-10-24 12:00"))
    assert (after.at - before.at) / HOUR == 7 * 24 + 1


@pytest.mark.parametrize(
    ("hour", "now", "due"),
    [
        (2, "2027-03-27 12:00", "Sun 2027-03-28 01:00"),  # 2:00 is left out: it counts at 3:00
        (2, "2026-10-24 12:00", "Sun 2026-10-25 00:00"),  # 2:00 comes twice: the first time
    ],
)
def test_an_hour_that_is_left_out_or_comes_twice_counts_once(hour: int, now: str, due: str) -> None:
    plan = WeeklyPlan(("team",), 7, hour, "Europe/Berlin")
    assert at(next_report(plan, utc(now))) == due
    assert last_report(plan, utc(now) + WEEK - 1).week == next_report(plan, utc(now)).week


def test_every_week_has_one_report_whatever_the_minute_at_which_one_asks() -> None:
    for zone in ("Europe/Berlin", "Asia/Tokyo"):
        plan, now, seen = WeeklyPlan(("team",), 1, 2, zone), utc("2026-01-05 00:00"), []
        while now < utc("2027-01-05 00:00"):
            if not seen or last_report(plan, now).week != seen[-1]:
                seen.append(last_report(plan, now).week)
            assert last_report(plan, now).at <= now < next_report(plan, now).at
            now += 7_000
        assert seen == sorted(set(seen)) and len(seen) in (53, 54)


def test_a_report_is_sent_late_within_three_days() -> None:
    report = PlannedReport("2026-W48", 1_000.0)
    assert [report.is_sent(now) for now in (999.9, 1_000.0, 999.9 + LATEST, 1_000.0 + LATEST)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert LATEST == 3 * 86_400
