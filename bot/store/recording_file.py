"""Write and read the file of a recording: JSON lines in xz, with a head first and a checksum last.

{"interlock-recording": 1, "pipeline": "shop", "version": "0.1.0", "at": 1795000000.0, "pseudonyms": false}
{"snapshot": …}                     the lines are explained in `bot.store.recording_line`
{"version": 2, "entries": […], …}
…
{"turns": 30, "sha256": "..."}
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot.core.rules.recorded import Recorded
from bot.store.backup_file import new_file
from bot.store.recording_line import FORMAT, UnreadableRecording, load_line

#: Options that compress better, because turns repeat much (liblzma: the largest `nice_len`, and the window size).
_SMALL = {"nice_len": 273, "dict_size": 1 << 24}


@dataclass(frozen=True, slots=True)
class RecordingHead:
    """The first line: the pipeline, the version of Interlock that wrote it, when (seconds since the epoch), and whether
    names are replaced by pseudonyms."""

    pipeline: str
    version: str
    at: float
    pseudonyms: bool = False


def write(path: Path, head: RecordingHead, lines: Iterable[str], *, small: bool = False) -> int:
    """Write a recording to a new file (see `new_file`); returns the number of turns.

    `small`: the file is a third smaller and takes three times as long.
    Raises FileExistsError if the name is taken, OSError if it cannot be written, and what `lines` raises.
    """
    digest, turns = hashlib.sha256(), 0
    how = [{"id": lzma.FILTER_LZMA2, "preset": 6, **(_SMALL if small else {})}]
    with new_file(path) as file, lzma.open(file, "wb", filters=how) as packed:
        line = _json({"interlock-recording": FORMAT, **asdict(head)})
        digest.update(line)
        packed.write(line)
        for text in lines:
            line = text.encode() + b"\n"
            digest.update(line)
            packed.write(line)
            turns += not text.startswith('{"snapshot"')
        packed.write(_json({"turns": turns, "sha256": digest.hexdigest()}))
    return turns


def read_head(path: Path) -> RecordingHead:
    """Return the head of a recording. Raises UnreadableRecording if this version cannot read the file, OSError."""
    return _head(path, next(_lines(path), b""))


def read(path: Path) -> Iterator[Recorded]:
    """Yield the turns and snapshots of a recording, without the snapshots of other schemas.

    Raises UnreadableRecording if the file is damaged or incomplete, possibly only at the end.
    """
    digest, turns = hashlib.sha256(), 0
    lines = _lines(path)
    line = next(lines, b"")
    _head(path, line)
    digest.update(line)
    for line in lines:
        if line.startswith(b'{"turns"'):
            if _parsed(path, line) != {"turns": turns, "sha256": digest.hexdigest()} or next(lines, None) is not None:
                break
            return
        digest.update(line)
        item = load_line(line)
        turns += not line.startswith(b'{"snapshot"')
        if item is not None:
            yield item
    raise _damaged(path)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with lzma.open(path, "rb") as packed:
            yield from packed
    except EOFError as error:
        raise _damaged(path) from error
    except lzma.LZMAError as error:
        raise UnreadableRecording(f"{path} is no recording of Interlock, or damaged") from error


def _head(path: Path, line: bytes) -> RecordingHead:
    found = _parsed(path, line)
    if not isinstance(found, dict) or "interlock-recording" not in found:
        raise UnreadableRecording(f"{path} is no recording of Interlock")
    if found["interlock-recording"] != FORMAT:
        raise UnreadableRecording(
            f"{path} has format {found['interlock-recording']}, this version reads {FORMAT}: it was made by version "
            f"{found.get('version', 'unknown')}"
        )
    try:
        return RecordingHead(found["pipeline"], found["version"], float(found["at"]), bool(found["pseudonyms"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error


def _parsed(path: Path, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise _damaged(path) from error


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _damaged(path: Path) -> UnreadableRecording:
    return UnreadableRecording(f"{path} is damaged or incomplete: its checksum is not that of what it holds")
