"""One process: its start, its readiness, its output, and its stop together with all its children."""

from __future__ import annotations

import http.client
import io
import logging
import logging.handlers
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO, TypeAlias
from urllib.parse import urlsplit

from launch.guard import Guard

Ready: TypeAlias = Callable[["Child"], bool]
_LONGEST_LINE = 64 * 1024
_TAIL = 500
LARGEST = 10_000_000  # bytes in one file
KEPT = 3  # older files beside it
_POLL = 0.03
_TIMEOUT = 2.0
_SHOWN = 15  # lines of a failed process that the error quotes
# Below the range from which Linux (32768 up) and macOS (49152 up) take outgoing ports: while the server is down, a
# client that keeps dialling a port in that range may get the same port as its own and connect to itself.
_PRIVATE_PORTS = range(20_000, 32_000)


class LaunchError(RuntimeError):
    """Raised when a part could not be started; the message is a sentence for the person at the terminal.

    It says what, where and what would help.
    """


class StartError(LaunchError):
    """Raised when a process ended, or stayed silent for too long, before it was ready."""


@dataclass(frozen=True)
class Process:
    """A command to run and how to supervise it. All times are in seconds.

    `ready` returns whether the running process can do its work; without it, a living process is ready. `stop_within` is
    the time between SIGTERM and SIGKILL. `keep_fds` stay open in the process. With the default `umask` only the owner
    can read its files. `knows_settings`: whether it gets Interlock's environment variables; they hold secrets, so a
    process that does not need them does not get them. `takes_hangup`: whether SIGHUP to the supervisor is passed on to
    it.
    """

    name: str
    command: Sequence[str]
    ready: Ready | None = None
    ready_within: float = 60.0
    stop_within: float = 10.0
    keep_fds: tuple[int, ...] = ()
    umask: int = 0o077
    knows_settings: bool = True
    takes_hangup: bool = False


class Child:
    """A started process, the leader of its own session, so that no grandchild is left behind."""

    def __init__(
        self,
        process: Process,
        *,
        env: Mapping[str, str],
        log: LineLog,
        guard: Guard,
        cwd: Path | None = None,
    ) -> None:
        self.process = process
        self.log = log
        self._guard = guard
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._popen = self._spawn(env, cwd)
        self.pid = self._popen.pid
        self.started = time.monotonic()
        guard.watch(self.pid)
        assert self._popen.stdout is not None  # noqa: S101 - requested with PIPE
        self._pump = threading.Thread(
            target=self._listen, args=(self._popen.stdout,), name=f"log-{process.name}", daemon=True
        )
        self._pump.start()

    def _spawn(self, env: Mapping[str, str], cwd: Path | None) -> subprocess.Popen[bytes]:
        if not self.process.knows_settings:
            env = {name: value for name, value in env.items() if not name.startswith("INTERLOCK_")}
        try:
            return subprocess.Popen(  # noqa: S603 - the purpose is to run the commands of the Procfile
                list(self.process.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                pass_fds=self.process.keep_fds,
                start_new_session=True,
                umask=self.process.umask,
            )
        except OSError as problem:
            raise StartError(f"{self.process.name} cannot be started: {problem}") from problem

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    @property
    def tail(self) -> Sequence[str]:
        """The last lines that the process printed."""
        return tuple(self._tail)

    def terminate(self) -> None:
        """Send SIGTERM to the leader only, because it stops its own children in order."""
        if self.code is None:
            self._popen.send_signal(signal.SIGTERM)

    def hang_up(self) -> None:
        """Send SIGHUP to the leader."""
        if self.code is None:
            self._popen.send_signal(signal.SIGHUP)

    def finish(self, within: float) -> int:
        """Wait for the process to end, kill it and its remaining children if necessary, and return its exit code."""
        try:
            self._popen.wait(max(0.0, within))
        except subprocess.TimeoutExpired:
            self.log.write(f"did not stop within {self.process.stop_within:g} s: killed")
        with suppress(ProcessLookupError):  # the usual case: the session is empty
            os.killpg(self.pid, signal.SIGKILL)
        code = self._popen.wait()
        self._guard.forget(self.pid)
        self._pump.join(timeout=1.0)  # a daemon that left the session may keep the pipe open: do not wait for it
        return code

    def stop(self) -> int:
        """Send SIGTERM, wait for the end, and return the exit code."""
        self.terminate()
        return self.finish(self.process.stop_within)

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            while raw := stream.readline(_LONGEST_LINE):
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                self._tail.append(line)
                self.log.write(line)


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A file that only its owner may read, because processes may print names of people and commits."""

    def _open(self) -> io.TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(handle, 0o600)  # the file may be from an older version
        return open(handle, "a", encoding=self.encoding, errors=self.errors)  # noqa: PTH123 - a handle, not a path


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
        """Write one line; safe from several threads."""
        text = f"{self._name:<6} | {line}"
        self._file.handle(logging.makeLogRecord({"msg": text}))
        if self._echo is not None:
            try:
                self._echo.write(text + "\n")
                self._echo.flush()
            except OSError:  # the terminal has gone: go on without it
                self._echo = None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


# -- readiness, and how a process ended --------------------------------------------------------------------------------


def says(pattern: str) -> Ready:
    """Return a check that passes once the process has printed a line in which `pattern` is found."""
    wanted = re.compile(pattern)
    return lambda child: any(wanted.search(line) for line in child.tail)


def answers(url: str) -> Ready:
    """Return a check that passes once a GET of this http address is answered with 200."""
    parts = urlsplit(url)

    def ask(_child: Child) -> bool:
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT)
        try:
            connection.request("GET", parts.path or "/")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False  # not up yet
        finally:
            connection.close()

    return ask


def pings(url: str) -> Ready:
    """Return a check that passes once the Redis-compatible server at `url` accepts us and has loaded its data."""
    parts = urlsplit(url)
    request = f"AUTH {parts.password}\r\nPING\r\n".encode()

    def ask(_child: Child) -> bool:
        try:
            with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), _TIMEOUT) as line:
                line.sendall(request)
                with line.makefile("rb") as answer:
                    return [answer.readline(), answer.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False  # not up yet

    return ask


def await_ready(child: Child, stopping: Callable[[], bool] = lambda: False) -> None:
    """Wait until a process is ready or `stopping()` is true. Raises StartError with the last lines of the process."""
    process = child.process
    deadline = time.monotonic() + process.ready_within
    while not stopping():
        if child.code is not None:
            raise StartError(_failure(child, f"{process.name} ended ({ending(child.code)}) before it was ready."))
        if process.ready is None or process.ready(child):
            return
        if time.monotonic() > deadline:
            raise StartError(_failure(child, f"{process.name} was not ready within {process.ready_within:g} s."))
        time.sleep(_POLL)


def ending(code: int) -> str:
    """Return in words how a process ended."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nothing listens at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def private_port() -> int:
    """Return a free TCP port of 127.0.0.1 outside the range of outgoing connections."""
    for port in random.sample(_PRIVATE_PORTS, 200):
        if bindable(port):
            return port
    raise StartError(f"No free port was found on 127.0.0.1 between {_PRIVATE_PORTS[0]} and {_PRIVATE_PORTS[-1]}.")


def bindable(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _failure(child: Child, sentence: str) -> str:
    time.sleep(0.1)  # let its last lines arrive
    lines = child.tail[-_SHOWN:]
    return "\n    ".join([sentence + (" Its last lines:" if lines else " It printed nothing."), *lines])
