"""What `check` says of freezes."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.cli.sentences import freeze_lines
from bot.core.model.freezes import Freeze
from config.configuration import Configuration
from config.freezes import ConfiguredFreeze, FreezeTimes
from tests.core.world import shop

WEEKEND = ConfiguredFreeze(
    Freeze(
        "weekend", ("production",), time_zone="Europe/Berlin", labels=("hotfix",), services=("S9",), role="operator"
    ),
    FreezeTimes("0 16 * * FRI", "0 8 * * MON", None, "Europe/Berlin"),
)
CHRISTMAS = ConfiguredFreeze(
    Freeze("christmas", ("pre-production", "production"), time_zone="Europe/Berlin"),
    FreezeTimes("2026-12-23T12:00", "2027-01-02T08:00", None, "Europe/Berlin"),
)


def said(at: str, *freezes: ConfiguredFreeze) -> list[str]:
    configuration = Configuration((shop(),), freezes={"shop": freezes})
    return list(freeze_lines(configuration, "shop", datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()))


def test_the_next_three_windows_of_each_freeze_and_where_they_overlap() -> None:
    assert said("2026-11-28T12:00", WEEKEND, CHRISTMAS) == [
        "freeze weekend of production, but label hotfix, S9, whom the role operator lets through",
        "  Fri 2026-11-27 16:00 CET to Mon 2026-11-30 08:00 CET (now in force)",
        "  Fri 2026-12-04 16:00 CET to Mon 2026-12-07 08:00 CET",
        "  Fri 2026-12-11 16:00 CET to Mon 2026-12-14 08:00 CET",
        "freeze christmas of pre-production, production",
        "  Wed 2026-12-23 12:00 CET to Sat 2027-01-02 08:00 CET",
        "freezes weekend and christmas overlap, Fri 2026-12-25 16:00 CET to Mon 2026-12-28 08:00 CET: production opens "
        "when both are over",
    ]


def test_a_freeze_that_is_past_is_said_to_be_over() -> None:
    assert said("2027-02-01T12:00", CHRISTMAS)[1:] == ["  is over: it has no further window"]


def test_a_pipeline_without_freezes_says_nothing_of_them() -> None:
    assert said("2026-11-28T12:00") == []
