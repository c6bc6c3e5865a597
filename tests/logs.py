"""What the processes that a test runs printed last: shown with a test that fails while they run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: How many lines of each log are shown.
LINES = 40
#: The folders whose processes run, and those whose processes were stopped by a failure that is not reported yet.
_RUNNING: list[Path] = []
_FAILED: list[Path] = []


@contextmanager
def shown_on_failure(folder: Path) -> Iterator[None]:
    """While the block runs, the logs of the processes in this data folder belong to each test that fails."""
    _RUNNING.append(folder)
    try:
        yield
    except BaseException:
        _FAILED.append(folder)  # the test is reported when the block has ended
        raise
    finally:
        _RUNNING.remove(folder)


def last_lines() -> list[tuple[str, str]]:
    """The last lines of each log, each with a title; what has failed is shown once."""
    folders = dict.fromkeys([*_RUNNING, *_FAILED])
    _FAILED.clear()
    files = [file for folder in folders for file in sorted((folder / "log").glob("*.log"))]
    return [(f"last lines of {file}", "\n".join(_lines(file)[-LINES:])) for file in files]


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8", "replace").splitlines()
