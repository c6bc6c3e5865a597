"""The generator: a process of its own that sends prepared deliveries over keep-alive connections and times each.

Closed loop: each connection sends its next delivery after the last answer. Open loop: deliveries are sent at their
times, independent of the answers, each over a free connection. All requests are built and signed before the
clock starts; times are `time.monotonic()`, which all processes of a machine share.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
import uuid
from collections import deque
from dataclasses import asdict, dataclass
from typing import IO, Any

from bench import bodies

#: The longest duration of one load, in seconds.
LONGEST = 40.0


@dataclass(frozen=True)
class Load:
    """A load to send. `first`: the number of its first push. `rate` per second; None: closed loop."""

    port: int
    path: str
    event: str
    first: int
    count: int
    rate: float | None = None
    connections: int = 16


@dataclass(frozen=True)
class Sent:
    """The result of a load: for each delivery its commit, and the times of sending and of the answer (seconds)."""

    shas: list[str]
    sent: list[float]
    answered: list[float]
    statuses: dict[str, int]

    @property
    def seconds(self) -> float:
        """Return the seconds from the first sending to the last answer."""
        return max(self.answered) - min(self.sent)

    @property
    def rate(self) -> float:
        """Return the answered deliveries per second."""
        return len(self.sent) / self.seconds

    @property
    def latencies(self) -> list[float]:
        """Return the milliseconds from sending to the answer of each delivery."""
        return [(answered - sent) * 1000 for sent, answered in zip(self.sent, self.answered, strict=True)]


class Generator:
    """The process, seen from its parent: prepared on entry, started by `go()`."""

    def __init__(self, load: Load) -> None:
        command = [sys.executable, "-m", "bench.traffic", json.dumps(asdict(load))]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Generator:
        self._line()  # it reports when all is prepared
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._child.communicate()

    def go(self) -> Sent:
        """Send all deliveries and wait for the answers. Raise RuntimeError if one is missing or not 2xx."""
        pipe: IO[bytes] | None = self._child.stdin
        assert pipe is not None
        pipe.write(b"go\n")
        pipe.flush()
        sent = Sent(**json.loads(self._line()))
        if set(sent.statuses) - {"200", "202"}:
            raise RuntimeError(f"the door answered {sent.statuses}")
        return sent

    def _line(self) -> bytes:
        pipe: IO[bytes] | None = self._child.stdout
        assert pipe is not None
        line = pipe.readline()
        if not line:
            raise RuntimeError(f"the generator ended early ({self._child.wait(timeout=5)})")
        return line


def send(load: Load) -> Sent:
    """Prepare and send one load."""
    with Generator(load) as generator:
        return generator.go()


# -- in the process itself -------------------------------------------------------------------------------------


class _Connection:
    """One keep-alive connection and its current delivery."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.delivery = -1
        self._answer = b""

    def read(self) -> int | None:
        """Return the status once the whole answer has arrived, else None."""
        got = self.socket.recv(65536)
        if not got:
            raise ConnectionError("the server closed a connection")
        self._answer += got
        head, gap, rest = self._answer.partition(b"\r\n\r\n")
        if not gap:
            return None
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return None
        self._answer = b""
        return int(head[9:12])


class _Run:
    """The sending of the prepared requests, with the times."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._shas: list[str] = []
        self._requests: list[bytes] = []
        for index in range(load.first, load.first + load.count):
            repository, before, after = bodies.push(index)
            content = bodies.body(load.event, repository, before, after)
            self._shas.append(after)
            self._requests.append(bodies.request(load.path, load.event, str(uuid.uuid4()), content))
        self._free = deque(_Connection(load.port) for _ in range(load.connections))
        self._selector = selectors.DefaultSelector()
        for connection in self._free:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._sent = [0.0] * load.count
        self._answered = [0.0] * load.count
        self._statuses: dict[str, int] = {}

    def run(self) -> dict[str, Any]:
        """Send all requests and read the answers."""
        begin = time.monotonic()
        following, missing = 0, self._load.count
        while missing:
            if time.monotonic() > begin + LONGEST:
                raise TimeoutError(f"{missing} deliveries were not answered in time")
            due = begin + following / self._load.rate if self._load.rate else begin
            while following < self._load.count and self._free and due <= time.monotonic():
                self._send(self._free.popleft(), following)
                following += 1
                due = begin + following / self._load.rate if self._load.rate else begin
            idle = max(0.0, due - time.monotonic()) if self._free and following < self._load.count else 1.0
            for key, _ in self._selector.select(idle):
                missing -= self._receive(key.data)
        return {
            "shas": self._shas,
            "sent": self._sent,
            "answered": self._answered,
            "statuses": self._statuses,
        }

    def _send(self, connection: _Connection, index: int) -> None:
        connection.delivery = index
        self._sent[index] = time.monotonic()
        connection.socket.sendall(self._requests[index])

    def _receive(self, connection: _Connection) -> int:
        status = connection.read()
        if status is None:
            return 0
        self._answered[connection.delivery] = time.monotonic()
        self._statuses[str(status)] = self._statuses.get(str(status), 0) + 1
        self._free.append(connection)
        return 1


def main() -> None:
    """Prepare, report it, wait for the start signal, send, and print the times."""
    run = _Run(Load(**json.loads(sys.argv[1])))
    print("ready", flush=True)
    if sys.stdin.readline():
        print(json.dumps(run.run()), flush=True)


if __name__ == "__main__":
    main()
