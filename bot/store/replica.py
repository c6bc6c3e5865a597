"""A process's own copy of a board: loaded once, then kept up with the changes that others commit."""

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

#: A field of the board's hash that is no record. Versions before 3 have no fence: this they cannot load, so they stop.
BARRIER = "schema/3"


class BoardReplica:
    """The board of one pipeline as of `version`. Reading an event's worth of changes costs the same at any size.

    `epoch` tells the version from another of the same number, as there may be one after a failover that lost data.
    """

    def __init__(self, scripts: Scripts, keys: Keys, *, remembers: bool = False) -> None:
        """`remembers`: keep the board from before a loss (see `lost`), for whoever decides what follows from one."""
        self._scripts = scripts
        self._keys = keys
        self._remembers = remembers
        self._before: Board | None = None
        self.version, self.epoch = 0, "0"
        self.board: Board = empty(keys.pipeline)

    def forget(self) -> None:
        """Start afresh: the next refresh loads everything.

        At version 0 nothing was ever stored: what a turn had decided on that board, and could not commit, is not lost.
        """
        if self._remembers and self.version and self.board.header.born:
            self._before = self.board
        self.version, self.epoch = 0, "0"
        self.board = empty(self._keys.pipeline)

    def lost(self) -> Board | None:
        """The board as this copy had it before the store was emptied; None if what is stored has the same beginning.

        It may be some versions old, and half decided: good for what people must know, and for what
        happened on GitHub, not for what is under way in Jenkins.
        """
        return self._before

    def settled(self) -> None:
        """What was lost has been dealt with."""
        self._before = None

    def refresh(self) -> None:
        """Catch up with what was committed since the last time, by anybody."""
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
        """Apply the changes up to `version`; False (and nothing done) if they do not lead there from this copy."""
        if version - self.version != len(changes) or (not changes and epoch.decode() != self.epoch):
            return False
        together: dict[str, str] = {}
        for _, (_, delta) in changes:
            rows = delta.decode().split("\n") if delta else []
            together.update(zip(rows[::2], rows[1::2], strict=True))  # of several, the last one counts
        self._apply_all(together)
        self.board.take_changes()
        self.version, self.epoch = version, epoch.decode()
        return True

    def _apply_all(self, changed: dict[str, str]) -> None:
        """Apply commits. What is remembered of a service is stored in parts: those that changed, put together."""
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
    """The board of a pipeline that nobody has configured yet."""
    return Board(Header(Pipeline(pipeline, (), ())))


def _assemble(pipeline: str, records: Iterable[Record]) -> Board:
    everything = list(records)
    header = next((r for r in everything if isinstance(r, Header)), empty(pipeline).header)
    return build_board(header, everything)
