"""Keeps what the processes print: prefixed lines in one bounded file each, and on the terminal if asked."""

import io
import logging
import logging.handlers
import os
from pathlib import Path
from typing import TextIO

LARGEST = 10_000_000  # bytes in one file
KEPT = 3  # older files beside it


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A file that only its owner may read: what processes print may name people and commits."""

    def _open(self) -> io.TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(handle, 0o600)  # one of an older version
        return open(handle, "a", encoding=self.encoding, errors=self.errors)  # noqa: PTH123 - no path, a handle


class LineLog:
    """The lines of one process, each written as `name | line`."""

    def __init__(self, folder: Path, name: str, echo: TextIO | None = None) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{name}.log"
        self._name = name
        self._echo = echo
        self._file = _PrivateFile(
            self.path, maxBytes=LARGEST, backupCount=KEPT, encoding="utf-8", errors="replace", delay=True
        )

    def write(self, line: str) -> None:
        """Keep one line; safe from several threads."""
        text = f"{self._name:<6} | {line}"
        self._file.handle(logging.makeLogRecord({"msg": text}))
        if self._echo is not None:
            self._echo.write(text + "\n")
            self._echo.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
