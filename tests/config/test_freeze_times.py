"""The windows of freezes: dates and cron times by the clocks of a zone, on the days when those change as on others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.core.model.freezes import Freeze
from config.freezes import LEAST_PLANNED, LONGEST, PLANNED, ConfiguredFreeze, FreezeTimes, is_current, windows

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
WEEKEND = FreezeTimes("0 16 * * FRI", "0 8 * * MON", None, BERLIN)


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def shown(times: FreezeTimes, after: str, count: int = 2) -> list[str]:
    """The next windows in UTC: `begin .. end`."""
    found = islice(windows(times, at(after)), count)
    return [" .. ".join(f"{datetime.fromtimestamp(t, UTC):%m-%d %H:%M}" for t in (w.begins, w.ends)) for w in found]


@pytest.mark.parametrize(
    ("times", "after", "found"),
    [
        (WEEKEND, "2026-11-25T12:00", ["11-27 15:00 .. 11-30 07:00", "12-04 15:00 .. 12-07 07:00"]),
        # in the middle of a window: the one in force comes first
        (WEEKEND, "2026-11-28T12:00", ["11-27 15:00 .. 11-30 07:00", "12-04 15:00 .. 12-07 07:00"]),
        (WEEKEND, "2026-11-30T07:00", ["12-04 15:00 .. 12-07 07:00", "12-11 15:00 .. 12-14 07:00"]),
        # the clocks go forward on 28 March and back on 31 October 2027: the window keeps its times, not its length
        (WEEKEND, "2027-03-25T12:00", ["03-26 15:00 .. 03-29 06:00", "04-02 14:00 .. 04-05 06:00"]),
        (WEEKEND, "2027-10-28T12:00", ["10-29 14:00 .. 11-01 07:00", "11-05 15:00 .. 11-08 07:00"]),
        # `for` is a time as it passes
        (
            FreezeTimes("0 16 * * FRI", None, 64 * 3600.0, BERLIN),
            "2027-03-25T12:00",
            ["03-26 15:00 .. 03-29 07:00", "04-02 14:00 .. 04-05 06:00"],
        ),
        # 02:30 is left out on 28 March: it counts when the clocks go forward, at 03:00 = 01:00 UTC
        (
            FreezeTimes("30 2 * * *", "0 5 * * *", None, BERLIN),
            "2027-03-27T12:00",
            ["03-28 01:00 .. 03-28 03:00", "03-29 00:30 .. 03-29 03:00"],
        ),
        # 02:30 comes twice on 31 October: the first one counts, for the end as well
        (
            FreezeTimes("30 2 * * *", "0 5 * * *", None, BERLIN),
            "2027-10-30T12:00",
            ["10-31 00:30 .. 10-31 04:00", "11-01 01:30 .. 11-01 04:00"],
        ),
        (
            FreezeTimes("0 22 * * *", "30 2 * * *", None, BERLIN),
            "2027-10-30T12:00",
            ["10-30 20:00 .. 10-31 00:30", "10-31 21:00 .. 11-01 01:30"],
        ),
        # days that overlap are one window, and so are those that touch
        (
            FreezeTimes("0 16 * * THU,FRI", None, 40 * 3600.0, "UTC"),
            "2026-11-25T12:00",
            ["11-26 16:00 .. 11-29 08:00", "12-03 16:00 .. 12-06 08:00"],
        ),
        (
            FreezeTimes("0 0 * * SAT,SUN", None, 86_400.0, "UTC"),
            "2026-11-25T12:00",
            ["11-28 00:00 .. 11-30 00:00", "12-05 00:00 .. 12-07 00:00"],
        ),
        (
            FreezeTimes("0 16 * * *", "0 8 * * MON", None, "UTC"),
            "2026-11-25T12:00",
            ["11-23 16:00 .. 11-30 08:00", "11-30 16:00 .. 12-07 08:00"],
        ),
        (
            FreezeTimes("2026-12-23T12:00", "2027-01-02T08:00", None, BERLIN),
            "2026-11-25",
            ["12-23 11:00 .. 01-02 07:00"],
        ),
        (FreezeTimes("2026-12-23T12:00", None, 3600.0, NEW_YORK), "2026-11-25", ["12-23 17:00 .. 12-23 18:00"]),
        (FreezeTimes("2026-12-23T12:00", "2027-01-02T08:00", None, BERLIN), "2027-01-02T07:00", []),
        # 02:30 twice: from the first, until the second
        (
            FreezeTimes("2027-10-31T02:30", "2027-10-31T02:45", None, BERLIN),
            "2026-11-25",
            ["10-31 00:30 .. 10-31 01:45"],
        ),
        (FreezeTimes("2027-03-28T02:30", "2027-03-28T05:00", None, BERLIN), "2026-11-25", []),
    ],
)
def test_the_next_windows(times: FreezeTimes, after: str, found: list[str]) -> None:
    assert shown(times, after) == found


# -- against a minute-by-minute evaluation ---------------------------------------------------------------------------

#: Each has a change of the clocks in it: forward, back, and both in a zone that moves by half an hour.
PERIODS = [
    (BERLIN, "2027-03-26T00:00"),
    (BERLIN, "2027-10-29T00:00"),
    (NEW_YORK, "2027-03-12T00:00"),
    (NEW_YORK, "2027-11-05T00:00"),
    (LORD_HOWE, "2027-10-01T00:00"),
    (LORD_HOWE, "2027-04-02T00:00"),
    ("UTC", "2026-12-30T00:00"),
]
DAYS = 5


@st.composite
def fields(draw: st.DrawFn) -> tuple[int, int, frozenset[int]]:
    """Minute, hour, and weekdays (0 is Sunday)."""
    minute, hour = draw(st.sampled_from([0, 15, 30, 45, 59])), draw(st.integers(0, 23) | st.sampled_from([1, 2, 3]))
    return minute, hour, draw(st.frozensets(st.integers(0, 6), min_size=1) | st.just(frozenset(range(7))))


def cron(time: tuple[int, int, frozenset[int]]) -> str:
    minute, hour, days = time
    return f"{minute} {hour} * * {'*' if len(days) == 7 else ','.join(map(str, sorted(days)))}"


@cache
def clocks(zone: str, minute: int) -> tuple[tuple[int, int, int], ...]:
    """What clocks show in one minute since 1970: minute, hour and weekday. Also what they have just left out; nothing
    if they show it for the second time."""
    now = datetime.fromtimestamp(minute * 60, ZoneInfo(zone))
    before = datetime.fromtimestamp((minute - 1) * 60, ZoneInfo(zone))
    shown = [now.replace(tzinfo=None)]
    left_out = before.replace(tzinfo=None) + timedelta(minutes=1)
    while left_out < shown[0]:
        shown.append(left_out)
        left_out += timedelta(minutes=1)
    return () if now.fold else tuple((each.minute, each.hour, each.isoweekday() % 7) for each in shown)


def comes(time: tuple[int, int, frozenset[int]], zone: str, minute: int) -> bool:
    """Whether a time comes in one minute, as people read clocks."""
    return any(shown[:2] == time[:2] and shown[2] in time[2] for shown in clocks(zone, minute))


@given(st.sampled_from(PERIODS), fields(), fields() | st.integers(1, 60), st.integers(0, 1440))
@settings(deadline=None, max_examples=25)
def test_windows_agree_with_a_look_at_every_minute(
    period: tuple[str, str], begins: tuple[int, int, frozenset[int]], ends: object, offset: int
) -> None:
    name, first = period
    lasts = ends * 1800.0 if isinstance(ends, int) else None
    times = FreezeTimes(cron(begins), cron(ends) if isinstance(ends, tuple) else None, lasts, name)
    start = int(datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()) // 60 + offset
    until, in_force = 0.0, False
    found = list(islice(windows(times, start * 60.0), 50))
    # Each time comes once a week, so after nine days it is known whether a window is in force.
    for minute in range(start - 9 * 1440, start + DAYS * 1440):
        if isinstance(ends, tuple):
            in_force = in_force and not comes(ends, name, minute)
        elif minute * 60 >= until:
            in_force = False
        if comes(begins, name, minute):
            in_force, until = True, minute * 60 + (lasts or 0)
        if minute >= start:
            assert any(window.covers(minute * 60.0) for window in found) is in_force, minute


@given(st.sampled_from(PERIODS), fields(), fields(), st.integers(0, 14 * 1440))
@settings(deadline=None, max_examples=25)
def test_a_later_look_sees_the_same_windows(
    period: tuple[str, str],
    begins: tuple[int, int, frozenset[int]],
    ends: tuple[int, int, frozenset[int]],
    minutes: int,
) -> None:
    name, first = period
    times = FreezeTimes(cron(begins), cron(ends), None, name)
    early = datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()
    late = early + minutes * 60
    seen = [window for window in islice(windows(times, early), 20) if window.ends > late]
    assume(all(window.ends - window.begins < LONGEST for window in seen))  # `check` refuses the others
    assert list(islice(windows(times, late), len(seen))) == seen


# -- what the board gets ---------------------------------------------------------------------------------------------


def test_the_board_gets_the_window_in_force_and_the_next_ones() -> None:
    now = at("2026-11-28T12:00")
    freeze = ConfiguredFreeze(Freeze("weekend", ("production",)), WEEKEND).planned(now)
    assert (len(freeze.windows), freeze.window(now)) == (PLANNED, freeze.windows[0])


def test_a_board_gets_new_windows_before_they_run_out() -> None:
    configured = ConfiguredFreeze(Freeze("weekend", ("production",)), WEEKEND)
    known = configured.planned(at("2026-11-25"))
    weeks = [
        week
        for week in range(10)
        if not is_current((known,), (configured.planned(now := at("2026-11-25") + week * 604_800),), now)
    ]
    assert weeks == list(range(PLANNED - LEAST_PLANNED + 1, 10))


def test_a_board_gets_a_new_plan_when_the_file_changes() -> None:
    now = at("2026-11-28T12:00")
    configured = ConfiguredFreeze(Freeze("weekend", ("production",)), WEEKEND)
    known = (configured.planned(now),)
    longer = replace(configured, times=replace(WEEKEND, ends="0 9 * * MON"))
    excepting = replace(configured, freeze=replace(configured.freeze, labels=("hotfix",)))
    assert is_current(known, known, now)
    assert [is_current(known, (each.planned(now),), now) for each in (longer, excepting)] == [False, False]
    assert not is_current(known, (), now)


def test_a_date_is_planned_once_and_for_all() -> None:
    christmas = FreezeTimes("2026-12-23T12:00", "2027-01-02T08:00", None, BERLIN)
    configured = ConfiguredFreeze(Freeze("christmas", ("production",)), christmas)
    known = (configured.planned(at("2026-11-25")),)
    for day in ("2026-12-01", "2026-12-24", "2027-02-01"):
        assert is_current(known, (configured.planned(at(day)),), at(day))


def test_in_an_hour_that_the_clocks_show_twice_no_window_comes_again() -> None:
    """A window of half an hour from 1:45 ends in the second half of that hour; the next one is that of the next day."""
    times = FreezeTimes("45 1 * * *", None, 1800.0, NEW_YORK)
    start = datetime(2027, 11, 7, tzinfo=UTC)
    found = [datetime.fromtimestamp(each.begins, UTC) for each in islice(windows(times, start.timestamp()), 2)]
    assert found == [datetime(2027, 11, 7, 5, 45, tzinfo=UTC), datetime(2027, 11, 8, 6, 45, tzinfo=UTC)]
