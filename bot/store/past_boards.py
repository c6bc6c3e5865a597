"""Compute past boards of a pipeline by a replay of its recording, with a bound on the cost of one.

A moment is in milliseconds since the epoch; its board is that of the last turn that was committed by then. A replay
begins at the nearest snapshot before it, or at a board that this process has replayed before and still has in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis

from bot.core.model.board import Board
from bot.core.model.board_records import Record
from bot.core.rules.recorded import BoardSnapshot
from bot.core.rules.replay import Player, Replayed
from bot.store.keys import Keys
from bot.store.recording import Recording
from bot.store.recording_line import head_of, load_line

#: The most turns that are replayed for one moment: about three seconds of one core.
MOST_TURNS = 12_000
#: A board is kept in memory after each `EVERY` replayed turns and at the end: at most `REMEMBERED` boards, from at most
#: `SNAPSHOTS` snapshots, because boards from the same snapshot share nearly all their records.
EVERY, REMEMBERED, SNAPSHOTS = 250, 64, 2
#: The longest wait, in seconds, while another moment of the same pipeline is replayed.
PATIENCE = 10.0


class NotRecorded(Exception):
    """An error: the recording lacks the board of a moment. `again`: the time (milliseconds) of the first snapshot after
    that moment, or None if there is none."""

    def __init__(self, again: int | None) -> None:
        super().__init__()
        self.again = again


class ReplayTooLong(Exception):
    """An error: more than `MOST_TURNS` turns would have to be replayed."""


class ReplayBusy(Exception):
    """An error: replays of other moments have taken longer than `PATIENCE`."""


@dataclass(frozen=True, slots=True)
class PastBoard:
    """The board of a moment. `differs`: the rules have changed since then and now decide one of the replayed turns
    differently."""

    board: Board
    version: int
    differs: bool


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A board at which a replay may begin. `first`: the id in the stream of the block with the next turn."""

    version: int
    epoch: str
    records: tuple[Record, ...]
    first: str
    snapshot: str
    differs: bool = False

    @property
    def at(self) -> int:
        """When its last turn was committed, in milliseconds; the epoch is that time in microseconds."""
        return int(self.epoch) // 1_000


class PastBoards:
    """The past boards of one pipeline, for one process. Thread-safe: one moment is replayed at a time."""

    def __init__(self, redis: Redis, keys: Keys, most_turns: int = MOST_TURNS) -> None:
        self._recording = Recording(redis, keys)
        self._pipeline = keys.pipeline
        self._most_turns = most_turns
        self._lock = threading.Lock()
        #: Replayed boards, the last used one at the end; and the snapshots that were read, by id.
        self._remembered: list[_Remembered] = []
        self._snapshots: dict[str, _Remembered] = {}

    def first(self) -> int | None:
        """Return the earliest moment whose board can be replayed, or None. It may read the whole recording."""
        return self._recording.first_board()

    def at(self, moment: int) -> PastBoard:
        """Return the board of a moment.

        Raises NotRecorded, ReplayTooLong, ReplayBusy, RedisError, and UnreadableRecording.
        """
        if not self._lock.acquire(timeout=PATIENCE):
            raise ReplayBusy
        try:
            for begins in self._beginnings(moment):
                found = self._replay(begins, moment)
                if found is not None:
                    return found
        finally:
            self._lock.release()
        raise NotRecorded(self._recording.next_snapshot(moment))

    def _beginnings(self, moment: int) -> Iterator[_Remembered]:
        """Yield the boards at which a replay may begin, cheapest first; the next one is used if one leads nowhere."""
        known = [each for each in self._remembered if each.at <= moment]
        nearest = max(known, key=lambda each: each.at, default=None)
        stored = self._recording.recent_snapshot(moment)
        if stored is not None and (nearest is None or not 0 <= stored[1] - nearest.version < EVERY):
            snapshot = self._snapshot(stored[0])
            if snapshot is not None:
                yield snapshot
        if nearest is not None:
            yield nearest
        first = self._recording.start(moment / 1_000)
        yield _Remembered(0, "0", (), first, first)

    def _snapshot(self, identity: str) -> _Remembered | None:
        """Return a recent snapshot, read once because it never changes. None: it has another schema, or was deleted."""
        found = self._snapshots.pop(identity, None)
        if found is None:
            line = self._recording.read_recent(identity)
            snapshot = None if line is None else load_line(line)
            if not isinstance(snapshot, BoardSnapshot):
                return None
            found = _Remembered(snapshot.version, snapshot.epoch, snapshot.records, identity, identity)
        self._snapshots[identity] = found
        while len(self._snapshots) > SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]
        return found

    def _replay(self, begins: _Remembered, moment: int) -> PastBoard | None:
        """Return the board of a moment, replayed from `begins`; None if no board results because turns are missing."""
        player, differs, first = Player(self._pipeline), begins.differs, begins.first
        if begins.records:
            list(player.play([BoardSnapshot(begins.version, begins.epoch, 0.0, begins.records)]))
        for number, (first, line) in enumerate(self._lines(begins, moment), 1):
            if number > self._most_turns:
                raise ReplayTooLong
            item = load_line(line)
            if item is None or (isinstance(item, BoardSnapshot) and item.at * 1_000 > moment):
                continue
            differs = differs and not isinstance(item, BoardSnapshot)
            for step in player.play([item]):
                differs |= isinstance(step, Replayed) and step.differs
            if number % EVERY == 0:
                self._remember(player, first, begins.snapshot, differs)
        if player.board is None:
            return None
        self._remember(player, first, begins.snapshot, differs)
        return PastBoard(player.board, player.version, differs)

    def _lines(self, begins: _Remembered, moment: int) -> Iterator[tuple[str, str]]:
        """Yield the lines of the turns and snapshots after `begins` up to a moment, each with the id of its block."""
        follows = not begins.records
        for first, line in self._recording.lines_from(begins.first):
            head = head_of(line)
            if head is not None and head.at > moment:
                return
            follows = follows or (head is not None and head.version > begins.version)
            if follows:
                yield first, line

    def _remember(self, player: Player, first: str, snapshot: str, differs: bool) -> None:
        if player.board is None:
            return
        new = _Remembered(player.version, player.epoch, tuple(player.board.records()), first, snapshot, differs)
        others = [each for each in self._remembered if (each.version, each.epoch) != (new.version, new.epoch)]
        snapshots = list(dict.fromkeys(each.snapshot for each in (new, *reversed(others))))[:SNAPSHOTS]
        self._remembered = [*(each for each in others if each.snapshot in snapshots), new][-REMEMBERED:]
