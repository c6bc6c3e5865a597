"""What a recording consists of: turns, each with the events that were decided, and snapshots of the board."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.board_records import Record
from bot.core.model.effects import Effect
from bot.core.model.events import Event
from bot.core.model.facts import Fact
from bot.core.model.replaced import quick_to_make
from bot.core.rules.decision import LIMITS, DecisionLimits


@quick_to_make
@dataclass(frozen=True, slots=True)
class DecidedEntry:
    """One entry of the inbox: its events, and what was decided about them. `at`: seconds since the epoch."""

    entry: str
    at: float
    events: tuple[Event, ...]
    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """One commit: it made `version` (told from another of that number by `epoch`) of the version with epoch `after`."""

    version: int
    after: str
    epoch: str
    decided: tuple[DecidedEntry, ...]
    limits: DecisionLimits = LIMITS

    @property
    def at(self) -> float:
        """When it was committed, in seconds since the epoch: an epoch is that time in microseconds."""
        return int(self.epoch) / 1e6


@dataclass(frozen=True, slots=True)
class BoardSnapshot:
    """The whole board as of a version, at a time in seconds since the epoch."""

    version: int
    epoch: str
    at: float
    records: tuple[Record, ...]


Recorded = RecordedTurn | BoardSnapshot
