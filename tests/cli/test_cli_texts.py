"""Times as people say them, and foreign text made harmless."""

from __future__ import annotations

import click
import pytest

from bot.cli.common import LONGEST, clean, clock, duration, parse_until

DAY = 86_400


def opens_at(value: str) -> str:
    """What the server is sent for `--until VALUE`."""
    found = parse_until(click.Context(click.Command("lock")), click.Option(["--until"]), value)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (725, "12 min"),
        (3_600, "1 h"),
        (3_659, "1 h"),
        (7_800, "2 h 10 min"),
        (DAY - 1, "23 h 59 min"),
        (3 * DAY, "3 d"),
        (3 * DAY + 65, "3 d 1 min"),
        (3 * DAY + 7_300, "3 d 2 h"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
    assert duration(seconds, units=1) == " ".join(words.split()[:2])


def test_a_time_is_as_short_as_the_day_allows() -> None:
    noon = 1_795_435_200.0
    assert [len(clock(noon - days * DAY, noon)) for days in (0, 2)] == [len("14:05"), len("2026-11-23 14:05")]
    assert clock(1e18, noon).startswith("1970-01-01")


@pytest.mark.parametrize("value", ["2h", "90m", "3d", "2026-12-01T18:00:00+02:00", "2026-12-01T18:00:00Z"])
def test_a_time_to_open_at_is_handed_on(value: str) -> None:
    assert opens_at(value).replace("+00:00", "Z") == value


@pytest.mark.parametrize("value", ["", "2", "h", "0h", "2 h", "-2h", "tomorrow", "2026-13-01"])
def test_any_other_time_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter):
        opens_at(value)


@pytest.mark.parametrize("bad", ["\x1b", "\n", "\r", "\x9b", "\u202e", "\u2066", "\u200b", "\ufeff", "\x00", "\ud800"])
def test_whatever_could_act_on_a_terminal_is_replaced(bad: str) -> None:
    assert clean(f"a{bad}b") == "a�b"


def test_honest_text_stays_and_endless_text_is_cut() -> None:
    assert clean("Größe → 12 € 漢字 [x]") == "Größe → 12 € 漢字 [x]"
    assert len(clean("x" * 10_000)) == LONGEST + 1
