"""Logs of many processes that share one pipe: each line arrives whole, and is JSON."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from config.logs import LONGEST, LibraryLogHandler, render

ROOT = Path(__file__).parents[2]
PROCESSES, LINES = 6, 300

WRITER = """
import logging, sys, structlog
from config.logs import set_up
set_up()
log = structlog.get_logger()
logging.getLogger("library").warning("a library's word")
for number in range(int(sys.argv[2])):
    log.info("line", writer=sys.argv[1], number=number, text="x" * (number * 29 % 6000))
"""


def test_lines_of_many_processes_into_one_pipe_stay_whole() -> None:
    """Six processes write 300 lines each, of up to 6,000 characters, into the same pipe at the same time."""
    shared = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert shared.stdin is not None
    command = [sys.executable, "-c", WRITER]
    writers = [
        subprocess.Popen([*command, str(n), str(LINES)], cwd=ROOT, stderr=shared.stdin) for n in range(PROCESSES)
    ]
    shared.stdin.close()
    shared.stdin = None
    said, _ = shared.communicate(timeout=60)
    assert [writer.wait(10) for writer in writers] == [0] * PROCESSES
    rows = [json.loads(line) for line in said.splitlines()]
    assert Counter(row["event"] for row in rows) == {"line": PROCESSES * LINES, "library": PROCESSES}
    for writer in range(PROCESSES):
        numbers = [row["number"] for row in rows if row.get("writer") == str(writer)]
        assert numbers == list(range(LINES))


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "ü" * 20_000, "\N{PILE OF POO}" * 9_000, "\ud800" * 5_000, '"' * 9_000]
)
def test_a_line_is_never_longer_than_a_pipe_takes_at_once(text: str) -> None:
    line = render(None, "", {"event": "request-failed", "exception": text, "path": "/"})
    said = json.loads(line)
    assert len(line.encode()) + 1 <= LONGEST
    assert said["event"] == "request-failed"
    assert said["path"] == "/"
    assert len(said["exception"]) > 300
    assert said["exception"][0] == said["exception"][-1] == text[0]


def test_what_is_no_json_is_told_all_the_same() -> None:
    line = render(None, "", {"event": "odd", "value": Path("/x"), "bytes": b"\xff"})
    assert json.loads(line) == {"event": "odd", "value": repr(Path("/x")), "bytes": repr(b"\xff")}


@pytest.mark.parametrize(
    ("error", "is_shown"),
    [(RedisConnectionError("reset by peer"), False), (ConnectionResetError(), False), (KeyError("a mistake"), True)],
)
def test_a_library_that_lost_its_connection_tells_it_without_a_stack(error: Exception, is_shown: bool) -> None:
    record = logging.LogRecord("celery", logging.ERROR, "", 0, "cannot ack", (), (type(error), error, None))
    with capture_logs() as said:
        LibraryLogHandler().emit(record)
    assert bool(said[0]["exc_info"]) is is_shown
    assert said[0]["said"] == "cannot ack"
