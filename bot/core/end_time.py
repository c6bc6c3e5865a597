"""End times of locks as people type them in the API, the command line, a comment or a form: `16:00`, `2h`, ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

#: Seconds: the longest time from now to the end of a lock that `read_end_time` accepts.
LONGEST = 366 * 86_400.0

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?", re.IGNORECASE)


def read_end_time(text: str, now: float, zone: tzinfo = UTC) -> float | None:
    """Return the moment of `text`, in seconds since the epoch; None: not readable, or not within a year after `now`.

    A duration (`90m`, `2h`, `3d`) counts from `now`; a time of day (`16:00`, `16:00+01:00`) is the next one; a date may
    have a time (`2026-12-01T18:00`). A text without a zone is read in `zone`.
    """
    try:
        moment = _read(text.strip(), now, zone)
    except (ValueError, OverflowError):  # no date of the calendar, or out of the range of timestamps
        return None
    return moment if now < moment <= now + LONGEST else None


def is_duration(text: str) -> bool:
    """Return whether the text is a duration and not a moment, so that no time zone changes it."""
    return _DURATION.fullmatch(text.strip()) is not None


def is_time_of_day(text: str) -> bool:
    """Return whether the text is a time without a date, such as `16:00` or `16:00+01:00`."""
    return _CLOCK.fullmatch(text.strip()) is not None


def _read(text: str, now: float, zone: tzinfo) -> float:
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        return now + int(duration[1]) * _SECONDS[duration[2]]
    if _CLOCK.fullmatch(text):
        return _next(text, now, zone)
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp()


def _next(text: str, now: float, zone: tzinfo) -> float:
    """Return the next time at which a clock in the zone shows `text`, in seconds since the epoch."""
    clock = time.fromisoformat(f"0{text}" if text[1] == ":" else text)
    where = clock.tzinfo or zone
    today = datetime.fromtimestamp(now, where).date()
    moment = datetime.combine(today, clock.replace(tzinfo=where))
    return (moment if moment.timestamp() > now else moment + timedelta(days=1)).timestamp()
