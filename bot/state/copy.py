"""A process's own copy of a board: loaded once, then kept up with the changes that others commit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bot.core.board import Board, Counters, Header, Record, build_board
from bot.core.pipeline import Pipeline
from bot.state.codec import load_record
from bot.state.keys import Keys
from bot.state.scripts import Scripts


class Copy:
    """The board of one pipeline as of `version`. Reading an event's worth of changes costs the same at any size."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys
        self.forget()

    def forget(self) -> None:
        """Start afresh: the next refresh loads everything."""
        self.version = 0
        self.board: Board = empty(self._keys.pipeline)

    def refresh(self) -> None:
        """Catch up with what was committed since the last time, by anybody."""
        answer = self._scripts.run("read", [self._keys.meta, self._keys.changes, self._keys.board], [self.version])
        version, changes, whole = answer[0], answer[1], answer[2] if len(answer) > 2 else None
        if whole is None:
            self.catch_up(version, changes)
        else:
            fields = (f.decode() for f in whole[::2])
            records = [load_record(field, text) for field, text in zip(fields, whole[1::2], strict=True)]
            self.board = _assemble(self._keys.pipeline, records)
            self.version = version

    def catch_up(self, version: int, changes: list[Any]) -> bool:
        """Apply the changes up to `version`; False (and nothing done) if they do not reach back far enough."""
        if version - self.version != len(changes):
            return False
        for _, fields in changes:
            delta = json.loads(fields[1])
            for field, text in zip(delta[::2], delta[1::2], strict=True):
                self._apply(field, text)
        self.board.take_changes()
        self.version = version
        return True

    def _apply(self, field: str, text: str) -> None:
        if text:
            self.board.put(load_record(field, text))
            return
        family, key = field.split("/", 1)
        tables: dict[str, dict[str, Any]] = {
            "run": self.board.runs,
            "lock": self.board.locks,
            "service": self.board.services,
            "trouble": self.board.troubles,
            "foreign": self.board.foreign,
        }
        gone = tables[family].get(key)
        if gone is not None:
            self.board.drop(gone)


def empty(pipeline: str) -> Board:
    """The board of a pipeline that nobody has configured yet."""
    return Board(Header(Pipeline(pipeline, (), ())))


def _assemble(pipeline: str, records: Iterable[Record]) -> Board:
    everything = list(records)
    header = next((r for r in everything if isinstance(r, Header)), empty(pipeline).header)
    counters = next((r for r in everything if isinstance(r, Counters)), Counters())
    board = build_board(header, [r for r in everything if not isinstance(r, (Header, Counters))])
    board.counters = counters
    return board
