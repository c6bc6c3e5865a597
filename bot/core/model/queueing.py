"""The one order in which runs wait: a key whose fields, in order, are the rule."""

from __future__ import annotations

from typing import NamedTuple

from bot.core.model.run import Buildable, Verification
from bot.core.rules.fast_lane import overtakes


class QueueKey(NamedTuple):
    """The order of a queue. Lower goes first."""

    #: A repeat of the build that locked the stage (L4), then the fast lane (F4), then the main lane.
    rank: int
    #: First come, first served. A run that is called back keeps its seat, so it is at the head again (L3, L6).
    queue_number: int
    run: str


def queue_key(run: Buildable) -> QueueKey:
    """The place of a run, or of a verification, in the order of its queue."""
    if isinstance(run, Verification):
        return QueueKey(0, run.queue_number, run.key)
    if run.retrying:
        return QueueKey(0, run.queue_number, run.key)
    return QueueKey(1 if overtakes(run) else 2, run.queue_number, run.key)
