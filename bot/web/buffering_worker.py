"""gunicorn's threaded worker, changed to collect requests before they take a thread, so a slow client costs none.

gunicorn's own gthread worker reads head and body in the thread that answers, without a deadline: as many half-sent
requests as there are threads stop it. It also waits up to two seconds, in its only loop, for a client to close. Here
the loop reads without blocking until a request is whole (request_buffer.py), and only then hands it to a thread. A
thread never reads from a socket, and a client that does not take its answer is dropped after a while.

Written for gunicorn 27: it overrides only what `gunicorn.workers.gthread.ThreadWorker` does with connections. TLS and
HTTP/2 belong to a proxy in front.
"""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import http
from gunicorn.errors import ConfigError
from gunicorn.http.unreader import Unreader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from bot.web.request_buffer import Progress, RequestBuffer

#: Seconds in which a request must be received completely, from its first byte or from the connection. GitHub gives up
#: after ten, too (GitHub docs: best practices for using webhooks).
REQUEST_SECONDS = 10.0
#: Seconds in which a client must take an answer, or a live page one event.
SEND_SECONDS = 10.0
#: Seconds for a client to read a last answer, and the most bytes that it may go on sending meanwhile. Without this the
#: answer may be lost with the connection (RFC 9112, section 9.6).
LINGER_SECONDS, LINGER_BYTES = 2.0, 32 << 20
#: The most bytes that all unfinished requests of a process may hold; beyond that the largest request is refused.
MOST_BUFFERED = 128 << 20
#: The most bytes of a body, if the application sets no limit.
ANY_BODY = 32 << 20
#: File descriptors reserved for everything but clients.
RESERVED_FILES = 128
#: Seconds between two lines in the log about requests that were given up.
REPORT_EVERY = 60.0
PIECE = 256 << 10

_REFUSALS = {
    408: ("Request Timeout", f"the request was not complete within {REQUEST_SECONDS:g} seconds"),
    431: ("Request Header Fields Too Large", "the head of the request is too large"),
    503: ("Service Unavailable", "too many unfinished requests: try again"),
}


class CollectedBytes(Unreader):  # type: ignore[misc]
    """The source that the parser reads from: the collected bytes, and nothing after them."""

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return nothing, because all bytes were collected before."""
        del size_hint
        return b""


class Connection(TConn):  # type: ignore[misc]
    """A client, and the received part of its next request."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.buffer: RequestBuffer | None = None
        #: The deadline of the present phase (monotonic), and the bytes that it may still send while it is being closed.
        self.deadline = 0.0
        self.drain_left = LINGER_BYTES
        #: Whether the request that a thread works on was collected completely.
        self.whole = False


class BufferingWorker(ThreadWorker):  # type: ignore[misc]
    """A worker that collects requests in the loop and answers them in threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The most connections.
        self.worker_connections: int = self.cfg.worker_connections
        #: Connections whose request is not complete, and those that are being closed, each in the order of deadlines.
        self._receiving: dict[Connection, None] = {}
        self._closing: dict[Connection, None] = {}
        self._buffered = 0
        self._given_up = 0
        self._reported_at = float("-inf")

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse settings that this worker does not support. Raises ConfigError."""
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise ConfigError("Interlock's web process speaks no TLS itself: leave certfile and keyfile to a proxy")

    def init_process(self) -> None:
        """Raise the limit on open files to the system's maximum, before the first connection."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.cfg.worker_connections + RESERVED_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            self.worker_connections = max(1, min(self.worker_connections, soft - RESERVED_FILES))
        super().init_process()

    def body_limit(self, method: str, path: str, headers: Mapping[str, str]) -> int:
        """Return how many bytes of its body a request may send: the application's limit, if it sets one."""
        known = getattr(self.wsgi, "extensions", {}).get("interlock-body-limit")
        return ANY_BODY if known is None else int(known(method, path, headers))

    # -- in the loop: connections come, send, and go ------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        """Accept a new connection. When there are too many, drop the one whose request has been incomplete longest."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        conn = Connection(self.cfg, sock, client, listener.getsockname())
        if self.nr_conns >= self.worker_connections and not self._make_room():
            self._drop(conn)
            return
        conn.parser = http.get_parser(self.cfg, sock, client)
        conn.initialized = conn.data_ready = True
        self._receive(conn)

    def _make_room(self) -> bool:
        for conn in self._receiving:
            self._refuse(conn, 503, gone=True)
            return True
        for conn in self._closing:
            self._drop(conn)
            return True
        if self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self._drop(conn)
            return True
        return False

    def _receive(self, conn: Connection, begun: bytes = b"") -> None:
        """Start to collect a request."""
        conn.buffer = RequestBuffer(self.body_limit)
        conn.deadline = time.monotonic() + REQUEST_SECONDS
        self._receiving[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_bytes, conn))
        if begun:
            self._take(conn, begun)
        else:
            self._on_bytes(conn, conn.sock)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """Receive the next request of a kept connection."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._receive(conn)

    def _on_bytes(self, conn: Connection, _: object) -> None:
        if conn not in self._receiving:
            return  # it was dropped in the same round
        try:
            piece = conn.sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if piece:
            self._take(conn, piece)
        else:
            self._drop(conn)

    def _take(self, conn: Connection, piece: bytes) -> None:
        buffer = conn.buffer
        if buffer is None:  # it was refused in the same round
            return
        self._buffered += len(piece)
        progress = buffer.feed(piece)
        if progress is Progress.MORE:
            if buffer.awaits_continue:
                buffer.awaits_continue = False
                _send(conn.sock, b"HTTP/1.1 100 Continue\r\n\r\n")
            if self._buffered > MOST_BUFFERED:
                self._refuse(max(self._receiving, key=_held), 503)
        elif progress is Progress.ENDLESS:
            self._refuse(conn, 431)
        else:
            data = bytes(buffer.data)
            self._forget(conn)
            conn.whole = progress is Progress.WHOLE
            conn.parser.unreader = _unreader(data)
            self.enqueue_req(conn)

    def finish_request(self, conn: Connection, fs: Future[Any]) -> None:
        """Go on after a thread has finished a request: with the connection's next request, or its end."""
        keep = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        if not keep:
            self._close(conn)
            return
        conn.sock.setblocking(False)
        following = conn.parser.unreader.take_buffered()
        if following:
            self._receive(conn, following)
            return
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))

    def murder_pending(self) -> None:
        """Give up the connections whose deadline has passed; gunicorn calls this at least once a second."""
        now = time.monotonic()
        for conn in _over(self._receiving, now):
            self._refuse(conn, 408)
        for conn in _over(self._closing, now):
            self._drop(conn)
        if not self.alive:  # the process ends: do not wait for clients that have sent nothing
            for conn in [conn for conn in self._receiving if not _held(conn)]:
                self._drop(conn)
        if self._given_up and now >= self._reported_at + REPORT_EVERY:
            words = "%d requests were given up: not complete within %g seconds, or too many at once"
            self.log.warning(words, self._given_up, REQUEST_SECONDS)
            self._given_up, self._reported_at = 0, now

    def _refuse(self, conn: Connection, status: int, *, gone: bool = False) -> None:
        """End a connection whose request is incomplete; `gone`: without waiting until the answer is read."""
        self._given_up += 1
        reason, why = _REFUSALS[status]
        head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/plain\r\n"
        if status == 503:
            head += "Retry-After: 5\r\n"
        _send(conn.sock, f"{head}Content-Length: {len(why)}\r\n\r\n{why}".encode())
        self._forget(conn)
        if gone:
            self._drop(conn)
        else:
            self._close(conn)

    def _close(self, conn: Connection) -> None:
        """Close our side of the connection, and let the client read the rest before it is dropped."""
        conn.deadline = time.monotonic() + LINGER_SECONDS
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        self._closing[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_last_bytes, conn))
        self._on_last_bytes(conn, conn.sock)

    def _on_last_bytes(self, conn: Connection, _: object) -> None:
        if conn not in self._closing:
            return
        try:
            conn.drain_left -= len(piece := conn.sock.recv(PIECE))
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece or conn.drain_left < 0:
            self._drop(conn)

    def _forget(self, conn: Connection) -> None:
        """Stop waiting for anything from this connection."""
        if conn.buffer is not None:
            self._buffered -= _held(conn)
            conn.buffer = None
        self._receiving.pop(conn, None)
        self._closing.pop(conn, None)
        with suppress(KeyError, ValueError, OSError):  # it was not registered
            self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    # -- in a thread: a request is answered ---------------------------------------------------------------------

    def handle(self, conn: Connection) -> Any:
        """Answer a collected request; return whether the connection may be kept."""
        request = None
        try:
            conn.sock.settimeout(SEND_SECONDS)
            request = next(conn.parser)
            # The loop has sent `100 Continue` if a body was wanted; otherwise the answer itself comes.
            request._expected_100_continue = False
            if not conn.whole:
                request.force_close()
            return self.handle_request(request, conn) and conn.whole and conn.parser.finish_body()
        except (StopIteration, http.errors.NoMoreData) as error:
            self.log.debug("Closing connection. %s", error)
        except (ConnectionError, TimeoutError) as error:
            self.log.debug("The client is gone, or does not take its answer. %s", error)
        except Exception as error:  # gunicorn answers what its parser refuses, and logs the rest
            self.handle_error(request, conn.sock, conn.client, error)
        return False


def _unreader(data: bytes) -> CollectedBytes:
    collected = CollectedBytes()
    collected.unread(data)
    return collected


def _held(conn: Connection) -> int:
    return len(conn.buffer.data) if conn.buffer is not None else 0


def _over(connections: dict[Connection, None], now: float) -> list[Connection]:
    """Return the connections whose deadline has passed; they are in the order of their deadlines."""
    found = []
    for conn in connections:
        if conn.deadline > now:
            break
        found.append(conn)
    return found


def _send(sock: socket.socket, text: bytes) -> None:
    """Send a few bytes if the client takes them now."""
    with suppress(OSError):  # it is gone or takes nothing, and is about to be closed or can do without
        sock.send(text, socket.MSG_DONTWAIT)
