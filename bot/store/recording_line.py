"""Convert recorded turns and snapshots to lines of JSON and back, and compress single lines and blocks of lines.

    {"version":2,"after":"1795…","epoch":"1795…","entries":[{"entry":"1795…-0","events":[…],"facts":[…],"effects":[…]}]}
    {"snapshot":{"version":2,"epoch":"1795…","at":1795….1,"schema":6,"records":{"run/S1.1":{…},…}}}

Like the fact log, recorded turns are never migrated: old events, facts and effects are read in their old form. Only
versions with the same schema read a snapshot; others begin a replay at the next one. `recording.py` stores the lines.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain, islice
from typing import Any

from pydantic import TypeAdapter

from bot.core.model.board_records import Record
from bot.core.model.effects import Effect
from bot.core.rules.decision import LIMITS, DecisionLimits
from bot.core.rules.recorded import BoardSnapshot, DecidedEntry, Recorded, RecordedTurn
from bot.store.codec import (
    RecordedFact,
    dump_effect,
    dump_event,
    dump_recorded_fact,
    load_effect,
    load_event,
    load_recorded_fact,
)
from bot.store.parts import fields_of, records_of
from bot.store.scripts import SCHEMA

#: The number of the format of the lines and of their compressed form. Raise it with any change of these, or of the
#: dictionary.
FORMAT = 1
_LIMITS: TypeAdapter[DecisionLimits] = TypeAdapter(DecisionLimits)


class UnreadableRecording(Exception):
    """An error: the stored data, or a file, is not a recording that this version can read; the message says why."""


# -- one turn, one snapshot --------------------------------------------------------------------------------------------


def turn_line(version: int, after: str, decided: Iterable[DecidedEntry], limits: DecisionLimits = LIMITS) -> str:
    """Convert a turn to JSON, without the epoch, which the commit sets. Raises ValueError for text that is not valid
    UTF-8."""
    entries = ",".join(_entry_text(each) for each in decided)
    other = "" if limits == LIMITS else f',"limits":{_LIMITS.dump_json(limits).decode()}'
    return f'{{"version":{version},"after":"{after}"{other},"entries":[{entries}]}}'


def _entry_text(decided: DecidedEntry) -> str:
    events = ",".join(dump_event(event).decode() for event in decided.events)
    facts = ",".join(dump_recorded_fact(RecordedFact(decided.at, decided.entry, fact)) for fact in decided.facts)
    effects = ",".join(map(dump_effect, decided.effects))
    return f'{{"entry":"{decided.entry}","events":[{events}],"facts":[{facts}],"effects":[{effects}]}}'


def with_epoch(line: str, epoch: str) -> str:
    """Add to the line of a turn the epoch that its commit has set."""
    return f'{line[:-1]},"epoch":"{epoch}"}}'


def snapshot_line(version: int, epoch: str, at: float, records: Iterable[Record]) -> str:
    """Convert a snapshot to JSON; `at` in seconds since the epoch."""
    fields = (f"{json.dumps(field)}:{text}" for record in records for field, text in fields_of(record).items())
    head = f'"version":{version},"epoch":"{epoch}","at":{at},"schema":{SCHEMA}'
    return f'{{"snapshot":{{{head},"records":{{{",".join(fields)}}}}}}}'


_HEAD = re.compile(r'\{"version":([0-9]+),.*"epoch":"([0-9]+)"\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class TurnHead:
    """The version of the board that a turn made, and when it was committed (milliseconds since the epoch)."""

    version: int
    at: int


def head_of(line: str) -> TurnHead | None:
    """Return version and time of the turn in a line without decoding the rest; None for a snapshot."""
    found = _HEAD.fullmatch(line)
    return None if found is None else TurnHead(int(found[1]), int(found[2]) // 1_000)  # an epoch is in microseconds


def load_line(line: str | bytes) -> Recorded | None:
    """Decode a line; returns None for a snapshot of another schema. Raises UnreadableRecording if it is not valid."""
    try:
        found = json.loads(line)
        return _snapshot(found["snapshot"]) if "snapshot" in found else _turn(found)
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # also pydantic.ValidationError
        raise UnreadableRecording(f"a line of the recording cannot be read: {error}") from error


def _snapshot(found: dict[str, Any]) -> BoardSnapshot | None:
    if found["schema"] != SCHEMA:
        return None
    records = records_of((field, json.dumps(value)) for field, value in found["records"].items())
    return BoardSnapshot(found["version"], found["epoch"], found["at"], tuple(records))


def _turn(found: dict[str, Any]) -> RecordedTurn:
    limits = _LIMITS.validate_python(found["limits"]) if "limits" in found else LIMITS
    decided = tuple(map(_decided, found["entries"]))
    return RecordedTurn(found["version"], found["after"], found["epoch"], decided, limits)


def _decided(found: dict[str, Any]) -> DecidedEntry:
    entry = found["entry"]
    return DecidedEntry(
        entry,
        int(entry.split("-", 1)[0]) / 1000,
        tuple(load_event(_text(each)) for each in found["events"]),
        tuple(load_recorded_fact(_text(each)).fact for each in found["facts"]),
        tuple(_effect(each) for each in found["effects"]),
    )


def _effect(found: Any) -> Effect:
    return load_effect(_text(found))


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# -- compressed --------------------------------------------------------------------------------------------------------


@cache
def _dictionary() -> bytes:
    """Return a sample of turns, the preset dictionary of zlib: text that a turn shares with it takes no space."""
    return files("bot.store").joinpath("recording_dictionary.txt").read_bytes()


def pack_line(line: str) -> bytes:
    """Compress one line, for the time until it is packed into a block. Raises ValueError if it is not valid UTF-8."""
    compressor = zlib.compressobj(6, zdict=_dictionary())
    return compressor.compress(line.encode()) + compressor.flush()


def unpack_line(packed: bytes) -> str:
    """Decompress one line. Raises UnreadableRecording."""
    try:
        return zlib.decompressobj(zdict=_dictionary()).decompress(packed).decode()
    except (zlib.error, ValueError) as error:
        raise UnreadableRecording(f"a recorded turn cannot be read: {error}") from error


def pack_block(lines: Iterable[str]) -> bytes:
    """Compress many lines as one block, which takes a third of the space; keeps one line in memory at a time."""
    compressor = zlib.compressobj(9)
    texts = chain.from_iterable((b"\n", line.encode()) for line in lines)
    return b"".join(map(compressor.compress, islice(texts, 1, None))) + compressor.flush()


def unpack_block(block: bytes) -> Iterator[str]:
    """Yield the lines of a block. Raises UnreadableRecording."""
    try:
        text = zlib.decompress(block).decode()
    except (zlib.error, ValueError) as error:
        raise UnreadableRecording(f"a block of the recording cannot be read: {error}") from error
    yield from text.split("\n")
