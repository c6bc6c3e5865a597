"""The board replica of a process: loaded once, then updated from the changes that any process commits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.core.model.board import Board, build_board
from bot.core.model.board_records import Header, Record
from bot.core.model.pipeline import Pipeline
from bot.store.codec import load_record
from bot.store.keys import Keys
from bot.store.parts import records_of, service_of, with_changes
from bot.store.scripts import Scripts

#: A field of the board's hash that is not a record. Versions with a schema before 3 have no fence; they fail to load
#: this field, and stop.
BARRIER = "schema/3"


class BoardReplica:
    """The board of one pipeline as of `version`. The cost of an update depends on the changes, not on the board's size.

    `epoch` distinguishes versions of the same number: after a fail-over that lost data, a number is used again.
    """

    def __init__(self, scripts: Scripts, keys: Keys, *, remembers: bool = False) -> None:
        """Begin with an empty board. `remembers`: keep the board from before a loss (see `lost`), so that the caller
        can decide what follows from it."""
        self._scripts = scripts
        self._keys = keys
        self._remembers = remembers
        self._before: Board | None = None
        self.version, self.epoch = 0, "0"
        self.board: Board = empty(keys.pipeline)

    def forget(self) -> None:
        """Reset to an empty board: the next refresh loads everything.

        A board at version 0 is not kept for `lost`: nothing of it was ever stored, only decided by a turn that could
        not be committed.
        """
        if self._remembers and self.version and self.board.header.born:
            self._before = self.board
        self.version, self.epoch = 0, "0"
        self.board = empty(self._keys.pipeline)

    @property
    def must_begin(self) -> bool:
        """Return whether something comes before all events of the inbox: the board has not begun, or state was lost."""
        return self._before is not None or not self.board.header.born

    def lost(self) -> Board | None:
        """Return the replica's board from before the store was emptied; None if the stored board has the same `born`.

        It may be some versions old, and may include decisions that were not committed. Use it for what people must know
        and for what happened at GitHub, not for running builds.
        """
        return self._before

    def settled(self) -> None:
        """Discard the board that `lost` returns, because the loss has been handled."""
        self._before = None

    def refresh(self) -> None:
        """Update the board to the last committed version, whichever process committed it."""
        names = [self._keys.meta, self._keys.changes, self._keys.board]
        version, epoch, changes, *rest = self._scripts.run("read", names, [self.version, self.epoch], fence=self._keys)
        if not rest:
            self.catch_up(version, epoch, changes)
        else:
            (whole,) = rest
            rows = zip((field.decode() for field in whole[::2]), whole[1::2], strict=True)
            records = records_of((field, text) for field, text in rows if field != BARRIER)
            self.board = _assemble(self._keys.pipeline, records)
            self.version, self.epoch = version, epoch.decode()
            if self._before is not None and self._before.header.born == self.board.header.born:
                self._before = None

    def catch_up(self, version: int, epoch: bytes, changes: list[Any]) -> bool:
        """Apply the changes up to `version`; returns False, and does nothing, if they do not lead there from here."""
        if version - self.version != len(changes) or (not changes and epoch.decode() != self.epoch):
            return False
        together: dict[str, str] = {}
        for _, (_, delta) in changes:
            rows = delta.decode().split("\n") if delta else []
            together.update(zip(rows[::2], rows[1::2], strict=True))  # the last change of a field counts
        self._apply_all(together)
        self.board.take_changes()
        self.version, self.epoch = version, epoch.decode()
        return True

    def _apply_all(self, changed: dict[str, str]) -> None:
        """Apply changed fields. The state of a service is stored in parts, so its changed parts are joined first."""
        parts: dict[str, list[tuple[str, str]]] = {}
        for field, text in changed.items():
            service = service_of(field)
            if service is None:
                self._apply(field, text)
            else:
                parts.setdefault(service, []).append((field, text))
        for service, fields in parts.items():
            known = self.board.services.get(service)
            state = with_changes(known, service, fields)
            if state is not None:
                self.board.put(state)
            elif known is not None:
                self.board.drop(known)

    def _apply(self, field: str, text: str) -> None:
        if text:
            self.board.put(load_record(field, text))
            return
        gone = self.board.stored(*field.split("/", 1))
        if gone is not None:
            self.board.drop(gone)


def empty(pipeline: str) -> Board:
    """Return the board of a pipeline that has not been configured yet."""
    return Board(Header(Pipeline(pipeline, (), ())))


def _assemble(pipeline: str, records: Iterable[Record]) -> Board:
    everything = list(records)
    header = next((r for r in everything if isinstance(r, Header)), empty(pipeline).header)
    return build_board(header, everything)
