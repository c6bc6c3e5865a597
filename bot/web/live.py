"""The live page's updates: server-sent events, rendered once per change for all viewers.

One thread per process and pipeline renders. Each listener is sent the latest frame only: a slow one misses frames, and
never delays the others. Beyond the limits a connection is sent the latest frame and closed. The browser comes back for
the next frame, so a page beyond the limit is updated late, costs no thread, and needs no other protocol.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

from bot.store.scripts import OtherSchema
from bot.web.shared import beyond

log = structlog.get_logger()

#: The most open connections of one process: gunicorn's threads less a margin for deliveries (gunicorn_conf.py).
MOST_CONNECTIONS = 48
#: The most of them for one address, so that one address leaves half for the others.
MOST_FROM_ONE_ADDRESS = MOST_CONNECTIONS // 2
#: The shortest time between two frames, in seconds: at most four frames a second.
PAUSE = 0.25
#: The longest time between two frames, in seconds, because reasons change with time as well ("tried again at...").
REDRAW = 15.0
#: Seconds between signs of life; the page gives up on a silent connection after three missing ones.
BEAT = 15.0
#: Milliseconds that a browser waits before it connects again, normally and beyond the limit.
RETRY, RETRY_BEYOND_LIMIT = 2_000, 10_000

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Frame:
    """One rendered board.

    `number` counts frames; `version` is the board's, or None: then `html` is an error message.
    """

    number: int
    version: int | None
    html: str

    def event(self) -> bytes:
        """Return the frame as a server-sent event (HTML standard: server-sent events)."""
        if self.version is None:
            return f"event: lost\ndata: {self.html}\n\n".encode()
        lines = "\n".join(f"data: {line}" for line in self.html.splitlines())
        return f"event: board\nid: {self.version}\n{lines}\n\n".encode()


class Feed:
    """The frames of one pipeline. The thread starts with the first listener and stops after the last."""

    def __init__(
        self,
        redis: Redis,
        changes: str,
        render: Callable[[], tuple[int, str]],
        health: Callable[[], object] = lambda: None,
        *,
        redraw: float = REDRAW,
        pause: Callable[[], float] = lambda: PAUSE,
    ) -> None:
        """Take the source and the renderer of the frames.

        `changes`: the stream that gets an entry per version. `render`: returns the board's version and its HTML.
        `health`: returns the health, which is compared with the last one, because an Interlock that decides nothing
        changes no board. `redraw`: the longest time between two frames, in seconds. `pause`: returns the shortest one.
        """
        self._pause = pause
        self._redraw = redraw
        self._health = health
        self._drawn: object = None
        self._redis = redis
        self._changes = changes
        self._render = render
        self._news = threading.Condition()
        self._frame: Frame | None = None
        self._listeners = 0
        self._thread: threading.Thread | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count as a listener until the block ends."""
        with self._news:
            self._listeners += 1
            if self._thread is None:
                self._frame = None
                self._thread = threading.Thread(target=self._run, name=f"live {self._changes}", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._news:
                self._listeners -= 1
                self._news.notify_all()

    @property
    def idle(self) -> bool:
        """Return whether nobody listens."""
        return not self._listeners

    def after(self, number: int, timeout: float) -> Frame | None:
        """Return the latest frame if its number differs from `number`; None if none came within `timeout` seconds."""
        with self._news:
            self._news.wait_for(lambda: self._frame is not None and self._frame.number != number, timeout)
            return self._frame if self._frame is not None and self._frame.number != number else None

    def latest(self) -> Frame:
        """Return the frame that the listeners have; if nobody listens, render one for this caller."""
        with self._news:
            if self._thread is not None and self._frame is not None:
                return self._frame
        try:
            return Frame(0, *self._render())
        except (RedisError, OtherSchema) as error:
            return Frame(0, None, _why_lost(error))

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            version = self._draw()
            self._wait(version, began)
            with self._news:
                if not self._listeners:
                    self._thread, self._frame = None, None
                    return

    def _draw(self) -> int | None:
        """Render and publish a frame; return its version, or None if that failed."""
        try:
            self._drawn = self._health()
            version, html = self._render()
        except Exception as error:  # keep the thread alive: the page shows that it is not up to date, and why
            log.warning("live-feed-lost", error=type(error).__name__, stream=self._changes)
            self._publish(None, _why_lost(error))
            return None
        self._publish(version, html)
        return version

    def _publish(self, version: int | None, html: str) -> None:
        with self._news:
            before = self._frame
            if before is None or (before.version, before.html) != (version, html):
                self._frame = Frame(before.number + 1 if before else 1, version, html)
                self._news.notify_all()

    def _is_rolled_back(self, version: int) -> bool:
        """Return whether the store has lost the shown version: after a fail-over it may continue from an older one."""
        last: Any = self._redis.xrevrange(self._changes, count=1)
        return bool(last) and int(last[0][0].partition(b"-")[0]) < version

    def _wait(self, version: int | None, began: float) -> None:
        """Wait until there is something new to draw, and at least for the pause."""
        redraw = began + self._redraw
        while version is not None and self._listeners and (left := redraw - time.monotonic()) > 0:
            block = max(1, int(min(left, 1.0) * 1_000))  # 0 would wait for ever; and listeners may leave meanwhile
            try:
                if self._redis.xread({self._changes: beyond(version)}, count=1, block=block):
                    break
                if self._health() != self._drawn or self._is_rolled_back(version):
                    break
            except Exception as error:
                log.warning("live-feed-lost", error=type(error).__name__, stream=self._changes)
                version = None
        with self._news:
            pause = began + (self._pause() if version is not None else 1.0) - time.monotonic()
            self._news.wait_for(lambda: not self._listeners, max(0.0, pause))


class Connections:
    """A count of the open connections of this process, in total and by address."""

    def __init__(self, most: int = MOST_CONNECTIONS, most_from_one: int = MOST_FROM_ONE_ADDRESS) -> None:
        self._most, self._most_from_one = most, most_from_one
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def open(self, address: str) -> Callable[[], None] | str:
        """Count one more connection; return a function that ends the count, or why it is one too many.

        The function may be called several times and counts once.
        """
        with self._lock:
            if self._open.total() >= self._most:
                return "too many live pages are open"
            if self._open[address] >= self._most_from_one:
                return "too many live pages are open from your address"
            self._open[address] += 1
        counted = threading.Lock()

        def close() -> None:
            if counted.acquire(blocking=False):
                with self._lock:
                    self._open[address] -= 1
                    if not self._open[address]:
                        del self._open[address]

        return close


def events(feed: Feed, connection: object, *, beat: float = BEAT) -> Generator[bytes, None, None]:
    """Yield the events for one listener, until it goes away. `connection`: its socket, if the server provides it.

    `beat`: the seconds between signs of life.
    """
    yield f"retry: {RETRY}\n\n".encode()
    shown: Frame | None = None
    last = time.monotonic()
    with feed.listening():
        while not is_gone(connection):
            frame = feed.after(shown.number if shown else 0, 1.0)
            if frame is None and time.monotonic() - last < beat:
                continue
            last, shown = time.monotonic(), frame or shown
            if frame is None and (shown is None or shown.version is not None):
                # An event and not a comment, because the page must notice it to tell a quiet board from a dead
                # connection.
                yield b"event: beat\ndata: \n\n"
            elif shown is not None:
                yield shown.event()


def events_beyond_limit(feed: Feed, why: str) -> bytes:
    """Return all that a connection beyond the limit is sent: why it ends, and the present board."""
    return f"retry: {RETRY_BEYOND_LIMIT}\n\nevent: full\ndata: {why}\n\n".encode() + feed.latest().event()


def _why_lost(error: Exception) -> str:
    return str(error) if isinstance(error, OtherSchema) else "the store cannot be reached"


def is_gone(connection: object) -> bool:
    """Return whether the listener has hung up; without this its connection counts until a write fails."""
    if type(connection) is not socket.socket:
        return False
    try:
        # Poll first, because the socket has a timeout, which recv would wait for.
        ready = select.poll()
        ready.register(connection, select.POLLIN)
        return bool(ready.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the address of the client: the peer's, or the one that a trusted proxy reports.

    `forwarded`: the header X-Forwarded-For, which anybody may write. It counts only if the peer is a trusted proxy, and
    then from its end, where each proxy appends its peer: the last address that is not a trusted proxy is the client's.
    """
    found = peer
    for hop in reversed(forwarded.split(",")):
        if not _is_trusted(found, trusted):
            return found
        address = _address(hop.strip())
        if address is None:
            return found
        found = str(address)
    return found


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address as proxies write it, plain or with a port."""
    for candidate in (text, text.rpartition(":")[0].strip("[]")):
        try:
            return ip_address(candidate)
        except ValueError:
            continue
    return None
