"""The end time of a lock, in each form that people type, and the forms that are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.end_time import LONGEST, is_duration, is_time_of_day, read_end_time

NOW = datetime(2026, 11, 29, 21, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30s", "2026-11-29 21:00:30"),
        ("90m", "2026-11-29 22:30"),
        ("2h", "2026-11-29 23:00"),
        ("3d", "2026-12-02 21:00"),
        (" 2h ", "2026-11-29 23:00"),
        ("23:30", "2026-11-29 23:30"),
        ("21:00", "2026-11-30 21:00"),
        ("16:00", "2026-11-30 16:00"),
        ("9:05", "2026-11-30 09:05"),
        ("16:00Z", "2026-11-30 16:00"),
        ("23:30+01:00", "2026-11-29 22:30"),
        ("00:30+05:30", "2026-11-30 19:00"),
        ("2026-12-01", "2026-12-01 00:00"),
        ("2026-12-01T18:00", "2026-12-01 18:00"),
        ("2026-12-01T18:00:30Z", "2026-12-01 18:00:30"),
        ("2026-12-01T18:00+02:00", "2026-12-01 16:00"),
    ],
)
def test_it_is_read(text: str, moment: str) -> None:
    assert read_end_time(text, NOW) == datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text", ["", "soon", "16", "25:00", "16:60", "0h", "1.5h", "+1h", "2026-13-01", "16:00 CET", "٣h"]
)
def test_what_names_no_moment_is_none(text: str) -> None:
    assert read_end_time(text, NOW) is None


@pytest.mark.parametrize("text", ["2026-11-29T20:59", "2025-01-01", "2027-12-01", "367d", "999999999d"])
def test_neither_is_what_is_past_or_far_away(text: str) -> None:
    assert read_end_time(text, NOW) is None


def test_without_a_zone_it_is_told_in_the_given_one() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert read_end_time("16:00", NOW, berlin) == read_end_time("15:00Z", NOW)
    assert read_end_time("2027-07-01T18:00", NOW, berlin) == read_end_time("2027-07-01T16:00Z", NOW)


def test_only_a_duration_is_the_same_in_every_zone() -> None:
    assert is_duration("2h")
    assert not is_duration("16:00")


def test_a_time_of_day_is_told_from_a_date_and_a_duration() -> None:
    assert [is_time_of_day(text) for text in ("16:00", "9:05+01:00", "2h", "2026-12-01T18:00")] == [
        True,
        True,
        False,
        False,
    ]


@given(st.text(max_size=12), st.integers(-12, 12))
def test_whatever_is_typed_is_a_moment_to_come_or_none(text: str, hours: int) -> None:
    found = read_end_time(text, NOW, timezone(timedelta(hours=hours)))
    assert found is None or NOW < found <= NOW + LONGEST
