"""The log output of every process: one line of JSON (or text for people) per event, without buffers or secrets."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, TextIO

import structlog

#: The longest line of JSON in bytes, including its end. POSIX lets a pipe interleave longer writes of several writers
#: (PIPE_BUF, 4096 on Linux), and the processes of one service share a pipe.
LONGEST = 4_096
#: Marks the place of text that was cut from a value.
_GAP = " [...] "

_BARE: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


def set_up(level: str = "INFO", form: str = "json") -> None:
    """Log from `level` on to standard error, as `json` or as `text`. Call it once per process.

    Messages that libraries log with Python's `logging` (warnings and worse) get the same form.
    """
    renderer: Any = render if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*_BARE, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: LineLogger(sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [LibraryLogHandler(level=logging.WARNING)]


class LineLogger:
    """A logger that writes each line with one `write` to the file's descriptor, without buffers.

    Lines of several processes may mix, but parts of lines do not.
    """

    def __init__(self, file: TextIO) -> None:
        self._descriptor = file.fileno()

    def msg(self, line: str) -> None:
        """Write one line.

        A pipe takes up to LONGEST bytes at once; the rest of a longer line follows in another write.
        """
        rest = line.encode("utf-8", "backslashreplace") + b"\n"
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    debug = info = warning = warn = error = critical = exception = fatal = failure = err = log = msg


def render(_logger: Any, _method: str, event: dict[str, Any]) -> str:
    """Return the event as one line of JSON of at most LONGEST bytes; the middle of longer values is cut out."""
    line = json.dumps(event, default=repr)
    while (excess := len(line) + 1 - LONGEST) > 0:
        longest = max(event, key=lambda name: len(json.dumps(event[name], default=repr)))
        value = event[longest] if isinstance(event[longest], str) else repr(event[longest])
        # An escaped character takes up to twelve bytes, so this may take several rounds; each round shortens the line.
        kept = max(0, len(value) - excess // 12 - 2 * len(_GAP)) // 2
        event[longest] = value[:kept] + _GAP + value[len(value) - kept :]
        if event[longest] == value:
            break  # nothing is left to cut: too many fields for one line
        line = json.dumps(event, default=repr)
    return line


class LibraryLogHandler(logging.Handler):
    """A handler that writes the messages of libraries in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        more = {"exc_info": None if _is_away(record) else record.exc_info}
        log.log(record.levelno, "library", logger=record.name, said=record.getMessage(), **more)


def _is_away(record: logging.LogRecord) -> bool:
    """Return whether a library reports an unreachable server, such as Redis or RabbitMQ.

    A stack trace would add nothing to such a report.
    """
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return False
    # Only processes that talk to these servers have the modules loaded.
    from amqp.exceptions import ConnectionError as AmqpConnectionError  # type: ignore[import-untyped]
    from kombu.exceptions import OperationalError
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import TimeoutError as RedisTimeoutError

    of_libraries = (RedisConnectionError, RedisTimeoutError, AmqpConnectionError, OperationalError)
    return isinstance(error, (*of_libraries, ConnectionError, TimeoutError))


class Once:
    """The last state logged of each matter, so that a lasting state is logged once and not each time it is found.

    Safe to share between threads. With too many matters the oldest is forgotten, and may be logged again.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._said: OrderedDict[Hashable, object] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def is_new(self, matter: Hashable, state: object) -> bool:
        """Return whether this state of a matter differs from the last one logged, and remember it as logged."""
        with self._lock:
            known = self._said.get(matter)
            self._said[matter] = state
            self._said.move_to_end(matter)
            if len(self._said) > self._most:
                self._said.popitem(last=False)
            return known is None or known != state

    def is_over(self, matter: Hashable) -> bool:
        """Forget a matter because it is settled; return whether anything had been logged about it."""
        with self._lock:
            return self._said.pop(matter, None) is not None
