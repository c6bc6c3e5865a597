"""The parts of a recording: turns, each with its decided events, and snapshots of the board."""

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
    """One entry of the inbox: its events, with the facts and effects decided. `at`: seconds since the epoch."""

    entry: str
    at: float
    events: tuple[Event, ...]
    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """One committed turn: it made `version`, with `epoch`, from the version before, whose epoch is `after`.

    An epoch distinguishes versions with the same number.
    """

    version: int
    after: str
    epoch: str
    decided: tuple[DecidedEntry, ...]
    limits: DecisionLimits = LIMITS

    @property
    def at(self) -> float:
        """The time of its commit, in seconds since the epoch: an epoch is that time in microseconds."""
        return int(self.epoch) / 1e6


@dataclass(frozen=True, slots=True)
class BoardSnapshot:
    """The whole board as of a version, at a time in seconds since the epoch."""

    version: int
    epoch: str
    at: float
    records: tuple[Record, ...]


Recorded = RecordedTurn | BoardSnapshot
