"""Sentences about statistics that page, command line and the weekly report share.

They take the shapes of `bot.statistics.report`, which the API returns as well.
"""

from __future__ import annotations

from typing import Any

from bot.reporting.lock_report import span
from bot.statistics.periods import FEW, LeadTimeVerdict

Shape = dict[str, Any]

_VERDICTS = {
    LeadTimeVerdict.UNCLEAR: "no clear difference",
    LeadTimeVerdict.SHORTER: "shorter, by more than chance explains",
    LeadTimeVerdict.LONGER: "longer, by more than chance explains",
}


def effect(change: Shape) -> str:
    """Return how a change of the configuration affected the lead time, with the number of runs before and after."""
    before, after = change["before"], change["after"]
    runs = f"{times(before['delivered'], 'delivered run')} before, {after['delivered']:,} after"
    if change["verdict"] == LeadTimeVerdict.TOO_FEW:
        return f"too few runs to tell what it did: {runs} (each side takes {FEW})"
    lead = f"lead time {span(before['lead'])} before, {span(after['lead'])} after"
    return f"{lead}: {_VERDICTS[change['verdict']]} ({runs})"


def changed_by(change: Shape) -> str:
    """Return who changed the configuration."""
    return str(change["by"] or "an unknown person")


def times(number: int, thing: str) -> str:
    """Return a number with its noun: `1 lock`, `1,200 locks`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
