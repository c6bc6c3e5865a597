"""The replay of a recording: its events are decided once more by the rules of this version.

A recording is a sequence of turns, each with its decided events, and of snapshots of the board. Rules are pure, so the
same events on the same board give the same facts and effects, unless a rule has changed since.

This module has no clock and no storage: `bot.store.recording` reads and writes recordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core.model.board import Board, build_board
from bot.core.model.board_records import FAMILIES, Header, Record
from bot.core.model.effects import Effect
from bot.core.model.facts import Fact
from bot.core.model.pipeline import Pipeline
from bot.core.model.replaced import quick_to_make
from bot.core.rules.decide import decide
from bot.core.rules.decision import DecisionLimits
from bot.core.rules.recorded import BoardSnapshot, DecidedEntry, Recorded, RecordedTurn


@quick_to_make
@dataclass(frozen=True, slots=True)
class Replayed:
    """One entry as it was decided then, with the facts and effects of now; `error`: the exception of the rules now."""

    then: DecidedEntry
    facts: tuple[Fact, ...]
    effects: tuple[Effect, ...]
    error: str = ""

    @property
    def now(self) -> DecidedEntry:
        """The entry as it is decided now."""
        return DecidedEntry(self.then.entry, self.then.at, self.then.events, self.facts, self.effects)

    @property
    def differs(self) -> bool:
        """Whether its facts or effects differ now, or the rules failed."""
        return bool(self.error) or (self.then.facts, self.then.effects) != (self.facts, self.effects)


@dataclass(frozen=True, slots=True)
class BoardDifferences:
    """The records that differ between a snapshot and the replay, each as it was then and as it is now."""

    at: float
    records: tuple[tuple[Record | None, Record | None], ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Turns that cannot be replayed, because earlier ones are missing. `turns`: how many are skipped.

    The next snapshot ends the gap.
    """

    at: float
    turns: int


Step = Replayed | BoardDifferences | Gap


class Player:
    """A player of the recording of one pipeline.

    `board`: the board so far; None before the first snapshot, and in a gap. `version` and `epoch`: those of the last
    whole turn.
    """

    def __init__(self, pipeline: str) -> None:
        self.board: Board | None = None
        self._pipeline = pipeline
        self.version, self.epoch = 0, ""
        self._skipped = 0
        self._skipped_at = 0.0

    def play(self, recorded: Iterable[Recorded], until: float | None = None) -> Iterator[Step]:
        """Decide all entries once more, up to and including the moment `until`, and yield the result of each."""
        for item in recorded:
            if isinstance(item, BoardSnapshot):
                if until is not None and item.at > until:
                    break
                yield from self._take_snapshot(item)
            elif not self._follows(item):
                self.board = None
                self._skipped_at = self._skipped_at if self._skipped else item.at
                self._skipped += 1
            else:
                for then in item.decided:
                    if until is not None and then.at > until:
                        return
                    yield self._decide(then, item.limits)
                self.version, self.epoch = item.version, item.epoch
        yield from self._gap()

    def _follows(self, turn: RecordedTurn) -> bool:
        """Return whether the turn was decided on this board. The first turn needs no board."""
        if turn.version == 1:
            self.board = build_board(Header(Pipeline(self._pipeline, (), ())), [])
            return True
        return self.board is not None and turn.version - 1 == self.version and turn.after == self.epoch

    def _decide(self, then: DecidedEntry, limits: DecisionLimits) -> Replayed:
        board = self.board
        if board is None:
            raise AssertionError("a turn without a board does not follow")
        facts: list[Fact] = []
        effects: list[Effect] = []
        try:
            for event in then.events:
                decision = decide(board, event, then.at, limits)
                facts += decision.facts
                effects += decision.effects
        except Exception as error:  # a replay has to find rules that fail on events that they once decided
            board.undo()
            return Replayed(then, then.facts, then.effects, f"{type(error).__name__}: {error}")
        board.forget_changes()
        return Replayed(then, tuple(facts), tuple(effects))

    def _take_snapshot(self, snapshot: BoardSnapshot) -> Iterator[BoardDifferences | Gap]:
        yield from self._gap()
        before = self.board
        self.board = _board_of(snapshot.records)
        if before is not None and (self.version, self.epoch) == (snapshot.version, snapshot.epoch):
            differing = tuple(_differing(self.board, before))
            if differing:
                yield BoardDifferences(snapshot.at, differing)
        self.version, self.epoch = snapshot.version, snapshot.epoch

    def _gap(self) -> Iterator[Gap]:
        if self._skipped:
            yield Gap(self._skipped_at, self._skipped)
        self._skipped = 0


def _board_of(records: tuple[Record, ...]) -> Board:
    return build_board(next(record for record in records if isinstance(record, Header)), records)


def _differing(then: Board, now: Board) -> Iterator[tuple[Record | None, Record | None]]:
    """Yield the records that differ between two boards."""
    was = {(FAMILIES[type(record)], record.key): record for record in then.records()}
    has = {(FAMILIES[type(record)], record.key): record for record in now.records()}
    for where in sorted(was.keys() | has.keys()):
        if was.get(where) != has.get(where):
            yield was.get(where), has.get(where)
