"""The one order in which runs wait: a key whose fields, in order, are the rule."""

from __future__ import annotations

from typing import NamedTuple

from bot.core.lanes import overtakes
from bot.core.run import Built, Verification


class Turnstile(NamedTuple):
    """The order of a queue. Lower goes first."""

    #: A repeat of the build that locked the stage (L4), then the fast lane (F4), then the main lane.
    rank: int
    #: First come, first served. A run that is called back keeps its seat, so it is at the head again (L3, L6).
    seat: int
    run: str


def turnstile(run: Built) -> Turnstile:
    """The place of a run, or of a verification, in the order of its queue."""
    if isinstance(run, Verification):
        return Turnstile(0, run.seat, run.key)
    if run.retrying:
        return Turnstile(0, run.seat, run.key)
    return Turnstile(1 if overtakes(run) else 2, run.seat, run.key)
