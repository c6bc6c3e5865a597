"""One process: how it is started, when it is ready, where its output goes, how it is stopped with all its children."""

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

from launch.errors import StartError
from launch.guard import Guard

Ready: TypeAlias = Callable[["Child"], bool]
_LONGEST_LINE = 64 * 1024
_TAIL = 500
LARGEST = 10_000_000  # bytes in one file
KEPT = 3  # older files beside it
_POLL = 0.03
_TIMEOUT = 2.0
_SHOWN = 15  # lines of a failed process in the error
# Below the range from which Linux (32768 up) and macOS (49152 up) take outgoing ports: while the server is
# down, a client that keeps dialling a port of that range may be given the very same port and meet itself.
_PRIVATE_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Process:
    """What to run. All times are in seconds.

    `ready` says whether the running process can do its work; without it, being alive is enough.
    `stop_within` is the time between the polite SIGTERM and SIGKILL. `keep_fds` stay open in the
    process; with the `umask` its files are its owner's alone. `knows_settings`: whether it is given the variables of
    Interlock; they hold its secrets, so who has no use for them goes without. `takes_hangup`: SIGHUP to the supervisor
    is for it.
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
    """A started process: the leader of its own session, so that no grandchild is ever left behind."""

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
        assert self._popen.stdout is not None  # noqa: S101 - asked for with PIPE
        self._pump = threading.Thread(
            target=self._listen, args=(self._popen.stdout,), name=f"log-{process.name}", daemon=True
        )
        self._pump.start()

    def _spawn(self, env: Mapping[str, str], cwd: Path | None) -> subprocess.Popen[bytes]:
        if not self.process.knows_settings:
            env = {name: value for name, value in env.items() if not name.startswith("INTERLOCK_")}
        try:
            return subprocess.Popen(  # noqa: S603 - running the commands of the Procfile is what this is for
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
        """The last lines that it printed."""
        return tuple(self._tail)

    def terminate(self) -> None:
        """Send SIGTERM to the leader only: it stops its own children in their order."""
        if self.code is None:
            self._popen.send_signal(signal.SIGTERM)

    def hang_up(self) -> None:
        """Send SIGHUP to the leader."""
        if self.code is None:
            self._popen.send_signal(signal.SIGHUP)

    def finish(self, within: float) -> int:
        """Wait for it to end, kill it if it does not, kill what it left behind, and return its exit code."""
        try:
            self._popen.wait(max(0.0, within))
        except subprocess.TimeoutExpired:
            self.log.write(f"did not stop within {self.process.stop_within:g} s: killed")
        with suppress(ProcessLookupError):  # the usual case: its session is empty
            os.killpg(self.pid, signal.SIGKILL)
        code = self._popen.wait()
        self._guard.forget(self.pid)
        self._pump.join(timeout=1.0)  # a daemon that fled the session may keep the pipe open: do not wait for it
        return code

    def stop(self) -> int:
        """Ask it to stop and see it through."""
        self.terminate()
        return self.finish(self.process.stop_within)

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            while raw := stream.readline(_LONGEST_LINE):
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                self._tail.append(line)
                self.log.write(line)


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
            try:
                self._echo.write(text + "\n")
                self._echo.flush()
            except OSError:  # the terminal has gone: what follows must be done all the same
                self._echo = None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


# -- is it ready, and how did it end --------------------------------------------------------------------------------


def says(pattern: str) -> Ready:
    """Ready once it has printed a line in which `pattern` is found."""
    wanted = re.compile(pattern)
    return lambda child: any(wanted.search(line) for line in child.tail)


def answers(url: str) -> Ready:
    """Ready once a GET of this http address is answered with 200."""
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
    """Ready once the Redis-compatible server at this address lets us in and has loaded its data."""
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
    """Wait until a process is ready or `stopping` says to give up. Raises StartError with its last lines."""
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
    """Say in words how a process ended."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def private_port() -> int:
    """Return a free TCP port of 127.0.0.1 that no outgoing connection is given by chance."""
    for port in random.sample(_PRIVATE_PORTS, 200):
        if bindable(port):
            return port
    raise StartError(f"No free port was found on 127.0.0.1 between {_PRIVATE_PORTS[0]} and {_PRIVATE_PORTS[-1]}.")


def bindable(port: int) -> bool:
    """Say whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _failure(child: Child, sentence: str) -> str:
    time.sleep(0.1)  # let its last words arrive
    lines = child.tail[-_SHOWN:]
    return "\n    ".join([sentence + (" Its last lines:" if lines else " It printed nothing."), *lines])
