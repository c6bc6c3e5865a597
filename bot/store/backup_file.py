"""Write, read and check the file of a backup: JSON lines in gzip, with a head first and a checksum last.

    {"interlock-backup": 1, "schema": 5, "version": "0.1.0", "at": 1795000000.0}
    ["interlock:{shop}:meta", "hash", 0, ["version", "12", ...]]
    ...
    {"values": 30, "sha256": "..."}

A value may take several consecutive lines. Bytes that are not UTF-8 are an object with the bytes in Base64. This module
does not access the store.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

#: The file format that this version writes, the only one so far.
FORMAT = 1


class BackupError(Exception):
    """A file that cannot be read as a backup, or must not be restored; the message says why."""


@dataclass(frozen=True, slots=True)
class BackupHead:
    """The first line: the highest schema of the pipelines, the version of Interlock, and the time (epoch seconds)."""

    schema: int
    version: str
    at: float
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A value, or one page of it: the key, its Redis type, when it expires (epoch milliseconds; 0: never), and its
    content as bytes. The content alternates field and value for a hash, member and score for a sorted set, and for a
    stream the id and a list of fields and values."""

    key: str
    type: str
    expires: int
    content: list[Any]


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A summary of a backup: its head, the number of values, the live runs per pipeline, and the file size in bytes."""

    head: BackupHead
    values: int
    live_runs: dict[str, int]
    size: int


def write(path: Path, head: BackupHead, rows: Iterable[BackupRow]) -> None:
    """Write a backup to a new file. Raises what `new_file` and `rows` raise."""
    with (
        new_file(path) as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as zipped,
    ):
        for line in _lines(head, rows):
            zipped.write(line)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that only its owner may read (mode 0600), and create it under its name only when it is complete.

    Raises FileExistsError if the name is taken, OSError if it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)  # unlike a rename, this never replaces a file
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Sync a folder to disk: without that, a new name in it may be lost in a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lines(head: BackupHead, rows: Iterable[BackupRow]) -> Iterator[bytes]:
    digest, values, last = hashlib.sha256(), 0, ""
    first = {"interlock-backup": head.format, "schema": head.schema, "version": head.version, "at": head.at}
    line = _line(first)
    digest.update(line)
    yield line
    for row in rows:
        values, last = values + (row.key != last), row.key
        line = _line([row.key, row.type, row.expires, [_as_text(part) for part in row.content]])
        digest.update(line)
        yield line
    yield _line({"values": values, "sha256": digest.hexdigest()})


def _line(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _as_text(part: Any) -> Any:
    if isinstance(part, list):
        return [_as_text(each) for each in part]
    if not isinstance(part, bytes):
        return part
    try:
        return part.decode()
    except UnicodeDecodeError:
        return {"b": base64.b64encode(part).decode()}


def _as_bytes(part: Any) -> Any:
    if isinstance(part, list):
        return [_as_bytes(each) for each in part]
    if isinstance(part, str):
        return part.encode()
    return base64.b64decode(part["b"])


def read_head(path: Path) -> BackupHead:
    """Return the head of a backup and check nothing else. Raises BackupError, OSError."""
    with gzip.open(path, "rb") as zipped:
        return _head(path, _next_line(path, zipped))


def read(path: Path) -> Iterator[BackupRow]:
    """Yield the rows of a backup as they were written. Raises BackupError if the file is damaged or incomplete.

    Damage may show only at the end, so read the whole file (`check`) before you use its content.
    """
    digest, values, last = hashlib.sha256(), 0, ""
    with gzip.open(path, "rb") as zipped:
        line = _next_line(path, zipped)
        _head(path, line)
        while True:
            digest.update(line)
            line = _next_line(path, zipped)
            found = _parsed(path, line)
            if isinstance(found, dict):
                if found != {"values": values, "sha256": digest.hexdigest()} or _next_line(path, zipped, at_end=True):
                    raise _damaged(path)
                return
            row = _row(path, found)
            values, last = values + (row.key != last), row.key
            yield row


def check(path: Path) -> BackupReport:
    """Read a whole backup and summarize it. Raises BackupError if it is damaged, OSError if it cannot be read."""
    head, last, values = read_head(path), "", 0
    live: dict[str, int] = {}
    for row in read(path):
        values, last = values + (row.key != last), row.key
        _, _, rest = row.key.partition(":{")
        name, _, what = rest.partition("}:")
        if what == "meta":
            live.setdefault(name, 0)
        elif what == "board":
            live[name] = live.get(name, 0) + sum(field.startswith(b"run/") for field in row.content[::2])
    return BackupReport(head, values, live, path.stat().st_size)


def _head(path: Path, line: bytes) -> BackupHead:
    found = _parsed(path, line)
    if not isinstance(found, dict) or "interlock-backup" not in found:
        raise BackupError(f"{path} is not a backup of Interlock")
    if found["interlock-backup"] != FORMAT:
        raise BackupError(
            f"{path} has format {found['interlock-backup']}, this version reads {FORMAT}: restore it with the version "
            f"that made it, {found.get('version', 'which is newer')}"
        )
    try:
        return BackupHead(int(found["schema"]), str(found["version"]), float(found["at"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error


def _row(path: Path, found: Any) -> BackupRow:
    try:
        key, kind, expires, content = found
        return BackupRow(str(key), str(kind), int(expires), [_as_bytes(part) for part in content])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error


def _next_line(path: Path, zipped: gzip.GzipFile, *, at_end: bool = False) -> bytes:
    """Return the next line, or an empty one at the end of the file if `at_end` allows that. Raises BackupError."""
    try:
        line: bytes = zipped.readline()
    except gzip.BadGzipFile as error:
        if zipped.tell() == 0:
            raise BackupError(f"{path} is not a backup of Interlock") from error
        raise _damaged(path) from error
    except (EOFError, zlib.error) as error:
        raise _damaged(path) from error
    if not line.endswith(b"\n") and not at_end:
        raise _damaged(path)
    return line


def _parsed(path: Path, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> BackupError:
    return BackupError(f"{path} is damaged or incomplete: its checksum is not that of what it holds")
