"""How the launcher knows that a process can do its work, and how it finds a free port."""

import http.client
import random
import re
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from launch.errors import StartError
from launch.process import Child, Ready

_POLL = 0.03
_TIMEOUT = 2.0
_SHOWN = 15  # lines of a failed process in the error
# Below the range from which Linux (32768 up) and macOS (49152 up) take outgoing ports: while the server is
# down, a client that keeps dialling a port of that range may be given the very same port and meet itself.
_PRIVATE_PORTS = range(20_000, 32_000)


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
