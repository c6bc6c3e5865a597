"""The recording of a pipeline: every turn of the last weeks and, at intervals, a snapshot of the board.

Each commit adds its turn to a stream (`lua/commit.lua`). A periodic task packs many of them into a block, which takes a
third of the space, and takes snapshots, so that a replay need not begin at the very first turn. Blocks and snapshots
share one bound of size and one of age; the oldest are deleted first.

More snapshots are kept of the last day, separately, so that a past board of that day needs the replay of few turns
(`bot.store.past_boards`). This module does not replay anything.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from redis import Redis

from bot.core.model.board_records import Record
from bot.store.keys import Keys
from bot.store.recording_line import FORMAT, head_of, pack_block, snapshot_line, unpack_block, unpack_line, with_epoch
from bot.store.scripts import SCHEMA, Scripts

#: The number of turns in a block; the number of blocks and snapshots that are read at a time.
BLOCK, PAGE = 1_000, 4
#: The recent snapshots may take one part in this many of the size limit.
RECENT_SHARE = 5


@dataclass(frozen=True, slots=True)
class RecordingLimits:
    """How much of the past is kept, and how far apart the snapshots are."""

    #: The most bytes of blocks and snapshots, and the greatest age of one, in seconds.
    size: int = 200 * 1_048_576  # `keep.recording_mib`
    age: float = 30 * 86_400.0  # `keep.recording`
    #: A snapshot is taken after this many inbox entries, or after this many seconds if anything was decided. A snapshot
    #: of 1,000 services with a full commit history takes 1.7 MB.
    snapshot_entries: int = 50_000
    snapshot_seconds: float = 86_400.0
    #: A recent snapshot is taken after `recent_turns` turns. At most `recent` are kept, none older than `recent_age`
    #: seconds: a day and two hours, so that the first moment of the last day has a snapshot before it as well.
    recent_turns: int = 2_000
    recent: int = 30
    recent_age: float = 26 * 3_600.0


@dataclass(frozen=True, slots=True)
class BoardNow:
    """The present board of a process: its version, its epoch, and all its records."""

    version: int
    epoch: str
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A turn that is not packed yet: its id in the stream, and its line, still compressed because 1,000 of them are
    large."""

    id: str
    epoch: str
    packed: bytes
    version: int
    after: str
    entries: int


class Recording:
    """The recording of one pipeline in Redis."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)

    def pack(self, board: BoardNow, limits: RecordingLimits = RecordingLimits(), block: int = BLOCK) -> None:
        """Pack the recorded turns into blocks of `block` turns, and take a snapshot of the board if one is due.

        Safe to run repeatedly, and in several processes at once. Raises RedisError.
        """
        self._add_recent(board, limits)
        waiting = self._waiting(block)
        due = self._is_due(waiting, limits)
        while waiting:
            here = next((number for number, turn in enumerate(waiting, 1) if turn.epoch == board.epoch), 0)
            if due and here:
                due = False
                if not self._add(waiting[:here], board, limits):
                    return
            elif len(waiting) < block or not self._add(waiting, None, limits):
                return
            waiting = self._waiting(block)
        if due and board.version:
            self._add([], board, limits)

    def size(self) -> int:
        """Return how many bytes the blocks and snapshots take."""
        return int(cast("bytes | None", self._redis.hget(self._keys.recording_state, "bytes")) or 0)

    def pseudonym_key(self) -> bytes:
        """Return the secret from which the pseudonyms of this pipeline are derived; it is not exported."""
        key = self._keys.recording_state
        self._redis.hsetnx(key, "pseudonyms", secrets.token_hex(32))
        return cast("bytes", self._redis.hget(key, "pseudonyms"))

    def lines(self, since: float = 0.0) -> Iterator[str]:
        """Yield the lines from the last snapshot before `since` on (seconds since the epoch; 0: all), oldest first.

        Raises RedisError, and UnreadableRecording if the stored data is not a valid recording.
        """
        return (line for _, line in self.lines_from(self.start(since)))

    def lines_from(self, first: str) -> Iterator[tuple[str, str]]:
        """Yield the lines from an item of the stream on, each with the `first` that reads its block again.

        Raises as `lines` does.
        """
        while True:
            waiting = self._turns()
            found = False  # turns that were packed after `_turns` has read are found in another round
            for identity, block in self._items(first):
                yield from ((first, line) for line in unpack_block(block))
                first, found = f"({identity}", True
            if not found:
                yield from ((first, with_epoch(unpack_line(packed), epoch)) for _, epoch, packed in waiting)
                return

    def _items(self, first: str) -> Iterator[tuple[str, bytes]]:
        """Yield id and data of the blocks and snapshots, read page by page."""
        while True:
            rows = cast("list[Any]", self._redis.xrange(self._keys.recording, min=first, count=PAGE))
            for identity, fields in rows:
                yield identity.decode(), fields[b"d"]
            if len(rows) < PAGE:
                return
            first = f"({rows[-1][0].decode()}"

    def start(self, since: float) -> str:
        """Return the id of the last snapshot before a moment (seconds since the epoch); `-` means the beginning."""
        rows = cast("list[Any]", self._redis.xrevrange(self._keys.recording, max=int(since * 1000), count=1))
        if not rows:
            return "-"
        identity, fields = rows[0]
        return identity.decode() if fields[b"k"] == b"s" else fields[b"s"].decode() or "-"

    def _turns(self, count: int | None = None) -> list[tuple[str, str, bytes]]:
        """Return the first `count` turns that are not packed yet: id, epoch and compressed line of each."""
        rows = cast("list[Any]", self._redis.xrange(self._keys.recorded_turns, count=count))
        return [(identity.decode(), fields[b"e"].decode(), fields[b"t"]) for identity, fields in rows]

    def _waiting(self, count: int) -> list[_Waiting]:
        found = []
        for identity, epoch, packed in self._turns(count):
            turn = json.loads(unpack_line(packed))
            found.append(_Waiting(identity, epoch, packed, turn["version"], turn["after"], len(turn["entries"])))
        return found

    def _is_due(self, waiting: list[_Waiting], limits: RecordingLimits) -> bool:
        """Return whether a snapshot is due: by time, by number of entries, because this version of Interlock cannot
        read the former ones, or because turns are missing."""
        state = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.recording_state))
        if state.get(b"form") != _form():
            return True
        if not waiting:
            return False
        first, follows = waiting[0], (int(state[b"version"]), state[b"epoch"].decode())
        chained = (first.version - 1, first.after) == follows
        old = time.time() - float(state[b"taken"]) / 1000 >= limits.snapshot_seconds
        entries = int(state[b"entries"]) + sum(turn.entries for turn in waiting)
        return not chained or old or entries >= limits.snapshot_entries

    # -- the snapshots of the last day -------------------------------------------------------------------------

    def recent_snapshot(self, at: int) -> tuple[str, int] | None:
        """Return the last recent snapshot before a moment (milliseconds): its id, and the version of its board."""
        return self._find_recent("last", at)

    def read_recent(self, identity: str) -> str | None:
        """Return the line of a recent snapshot, or None if it has been deleted. Raises UnreadableRecording."""
        rows = cast("list[Any]", self._redis.xrange(self._keys.recent_snapshots, min=identity, max=identity))
        return next((next(unpack_block(fields[b"d"])) for _, fields in rows), None)

    def _find_recent(self, which: str, at: int) -> tuple[str, int] | None:
        found = self._scripts.run("find_snapshot", [self._keys.recent_snapshots], [which, at])
        return (found[0].decode(), int(found[1])) if found else None

    def first_board(self) -> int | None:
        """Return the earliest moment whose board can be replayed, in milliseconds since the epoch; None if there is
        none."""
        first = self._find_recent("first", 0)
        found = [_milliseconds(first[0])] if first is not None else []
        for identity, line in self._stored_from("-"):
            head = head_of(line)
            if head is None or head.version == 1:
                return min([*found, _milliseconds(identity) if head is None else head.at])
        return min(found, default=None)

    def next_snapshot(self, at: int) -> int | None:
        """Return when the first snapshot after a moment was taken (milliseconds); None if there is none."""
        recent = self._find_recent("first", at)
        found = [_milliseconds(recent[0])] if recent is not None else []
        packed = (_milliseconds(identity) for identity, line in self._stored_from(str(at)) if head_of(line) is None)
        return min([*found, *islice(packed, 1)], default=None)

    def _stored_from(self, first: str) -> Iterator[tuple[str, str]]:
        """Yield id and first line of each block and snapshot from `first` on, then the first turn not packed yet."""
        for identity, block in self._items(first):
            yield identity, next(unpack_block(block))
        yield from ((identity, with_epoch(unpack_line(packed), epoch)) for identity, epoch, packed in self._turns(1))

    def _add_recent(self, board: BoardNow, limits: RecordingLimits) -> None:
        """Take a recent snapshot if one is due. If two processes do so at once, it is harmless: a replay checks the
        versions."""
        now = time.time()
        last = self.recent_snapshot(int(now * 1000))
        if not board.version or (last is not None and 0 <= board.version - last[1] < limits.recent_turns):
            return
        packed = pack_block([snapshot_line(board.version, board.epoch, now, board.records)])
        most = min(limits.recent, limits.size // RECENT_SHARE // len(packed))
        args = [board.version, packed, most, int((now - limits.recent_age) * 1000)]
        self._scripts.run("recent_snapshot", [self._keys.recent_snapshots], args, fence=self._keys)

    # -- adding ------------------------------------------------------------------------------------------------

    def _add(self, turns: list[_Waiting], board: BoardNow | None, limits: RecordingLimits) -> bool:
        """Add a block of these turns, then a snapshot of the board; either may be missing. Returns False, and adds
        nothing, if another process has packed these turns."""
        now = time.time()
        keys = [self._keys.recorded_turns, self._keys.recording, self._keys.recording_state]
        block: list[Any] = ["", "", b"", 0, board.version if board else 0, board.epoch if board else ""]
        if turns:
            packed = pack_block(with_epoch(unpack_line(turn.packed), turn.epoch) for turn in turns)
            entries = sum(turn.entries for turn in turns)
            block = [turns[0].id, turns[-1].id, packed, entries, turns[-1].version, turns[-1].epoch]
        snapshot, size = b"", limits.size - limits.size // RECENT_SHARE
        if board is not None:
            snapshot = pack_block([snapshot_line(board.version, board.epoch, now, board.records)])
        args = [*block, snapshot, int(now * 1000), _form(), size, int((now - limits.age) * 1000)]
        return bool(self._scripts.run("record", keys, args, fence=self._keys))


def _milliseconds(identity: str) -> int:
    """Return the time in the id of a stream entry."""
    return int(identity.partition("-")[0])


def _form() -> bytes:
    """Return the format and schema of a snapshot: only versions with the same ones can read it."""
    return f"{FORMAT}/{SCHEMA}".encode()
