"""Open pages: connections to the live stream of one board that note the arrival of each version."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from types import TracebackType
from typing import Self

from bench.house import PIPELINE

#: The longest wait for the first frame of a page, in seconds.
PATIENCE = 30.0


class _Page:
    """One stream (HTML standard: server-sent events), requested from a loopback address of its own."""

    def __init__(self, port: int, number: int) -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE, source_address=(f"127.0.1.{number % 250 + 1}", 0)
        )
        self.socket.sendall(
            f"GET /p/{PIPELINE}/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        self.version = -1
        self.at = 0.0
        self.full = False
        self._tail = b""

    def read(self) -> None:
        """Read the received data; the server closes a page beyond its limit after one frame."""
        got = self.socket.recv(262_144)
        if not got:
            self.full = True
            return
        text = self._tail + got
        self.full = self.full or b"event: full" in text
        for line in text.split(b"\n")[:-1]:
            if line.startswith(b"id: "):
                self.version, self.at = int(line[4:]), time.monotonic()
        self._tail = text.rpartition(b"\n")[2]


class Readers:
    """A number of open pages, read by one thread. Use as a context manager."""

    def __init__(self, port: int, count: int) -> None:
        self._pages = [_Page(port, number) for number in range(count)]
        self._changed = threading.Condition()
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while any(page.version < 0 for page in self._pages):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise RuntimeError("some pages were never sent a board")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop = True
        self._thread.join(timeout=5)
        for page in self._pages:
            page.socket.close()

    @property
    def live(self) -> int:
        """Return the number of pages that the server keeps open."""
        return sum(not page.full for page in self._pages)

    def shown(self, version: int, patience: float) -> list[float]:
        """Return when each live page got this version or a later one (monotonic s). Raise RuntimeError if late."""
        deadline = time.monotonic() + patience
        with self._changed:
            while any(page.version < version for page in self._pages if not page.full):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise RuntimeError(f"a page was never sent version {version}")
            return [page.at for page in self._pages if not page.full]

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for page in self._pages:
                selector.register(page.socket, selectors.EVENT_READ, page)
            while not self._stop:
                for key, _ in selector.select(0.2):
                    with self._changed:
                        key.data.read()
                        if key.data.full:
                            selector.unregister(key.fileobj)
                        self._changed.notify_all()
