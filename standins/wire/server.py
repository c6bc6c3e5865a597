"""A threaded HTTP/1.1 server with keep-alive: one thread per connection, one write per reply, no log.

The development server of a framework would not do: it closes every connection after one reply, and it cannot lose a
reply on purpose. A bench sends thousands of requests per second through this one.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
import traceback
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import BinaryIO, Self

from standins.wire.message import Reply, Request

Handler = Callable[[Request], Reply]

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_IDLE_SECONDS = 120.0
#: How long a connection is kept open for reading after a refusal, in seconds.
_LINGER_SECONDS = 5.0


class _BadRequestError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class HttpServer:
    """Serves `handler` on `host:port` (0: any free port) from `start()` until `stop()`.

    `max_head` bounds request line and headers together, in bytes (Jenkins' Jetty: 8192); longer ones get 414 or 431.
    With `tls` it speaks https only.
    """

    def __init__(
        self,
        handler: Handler,
        host: str = "127.0.0.1",
        port: int = 0,
        max_head: int = 65536,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._handler = handler
        self._address = (host, port)
        self._max_head = max_head
        self._tls = tls
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = False

    @property
    def port(self) -> int:
        if self._listener is None:
            return self._address[1]
        return int(self._listener.getsockname()[1])

    def start(self) -> int:
        """Bind, begin to accept, and return the port."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(self._address)
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._stopping = False
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._acceptor.start()
        return self.port

    def stop(self) -> None:
        """Stop accepting, break every open connection, and wait for the threads (5 s at most each)."""
        self._stopping = True
        if self._listener is not None:
            self._address = (self._address[0], self.port)
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        if self._acceptor is not None:
            self._acceptor.join(5)
            self._acceptor = None
        with self._lock:
            open_now = list(self._connections.items())
        for connection, _ in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in open_now:
            if thread is not threading.current_thread():
                thread.join(5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping:
            try:
                connection, peer = listener.accept()
            except OSError:  # the listener was closed: that is how stop() ends this thread
                return
            thread = threading.Thread(target=self._serve, args=(connection, peer[0]), daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket, peer: str) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_IDLE_SECONDS)
            if self._tls is not None:
                connection = encrypted = self._encrypted(connection, self._tls)
                encrypted.do_handshake()
            with connection.makefile("rb") as reader:
                while not self._stopping and self._serve_one(connection, reader, peer):
                    pass
        except OSError:
            pass  # the client hung up or stop() broke the connection: nobody can get an answer
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            connection.close()

    def _encrypted(self, connection: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        """Wrap the connection for TLS and register the new socket for `stop()`; the handshake comes later."""
        with self._lock:
            thread = self._connections.pop(connection)
            wrapped = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            self._connections[wrapped] = thread
        return wrapped

    def _serve_one(self, connection: socket.socket, reader: io.BufferedReader, peer: str) -> bool:
        try:
            request = self._read(connection, reader, peer)
        except _BadRequestError as error:
            connection.sendall(_encode(Reply(error.status, str(error).encode()), head_only=False, keep=False))
            _linger(connection, reader)
            return False
        if request is None:
            return False
        reply = self._answer(request)
        if reply.dropped:
            return False
        keep = request.headers.get("connection", "").lower() != "close"
        connection.sendall(_encode(reply, head_only=request.method == "HEAD", keep=keep))
        return keep

    def _answer(self, request: Request) -> Reply:
        """Return the handler's reply; an exception becomes a 500 that names its place, for the test's output."""
        try:
            return self._handler(request)
        except Exception:  # the client must get an answer to every error
            return Reply(500, traceback.format_exc().encode(), [("Content-Type", "text/plain; charset=utf-8")])

    def _read(self, connection: socket.socket, reader: io.BufferedReader, peer: str) -> Request | None:
        first = reader.peek(1)[:1]
        if first and first < b" " and first not in b"\r\n":
            # A client that speaks TLS to this port sends no line that could be waited for. Jetty answers 400 at its
            # first byte (`HttpParser`: illegal character).
            raise _BadRequestError(400, f"Illegal character CNTL=0x{first.hex()}")
        line = reader.readline(self._max_head + 1)
        if not line:
            return None
        if len(line) > self._max_head:
            raise _BadRequestError(414, "URI Too Long")
        try:
            method, target, _version = line.decode("latin-1").split()
        except ValueError:
            raise _BadRequestError(400, "Bad request line") from None
        headers = self._read_headers(reader, self._max_head - len(line))
        if headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            body = _read_body(reader, headers)
        except ValueError:
            raise _BadRequestError(400, "Bad length") from None
        return Request(method, target, headers, body, peer, "http" if self._tls is None else "https")

    @staticmethod
    def _read_headers(reader: BinaryIO, room: int) -> dict[str, str]:
        headers: dict[str, str] = {}
        while True:
            line = reader.readline(65537)
            room -= len(line)
            if room < 0:
                raise _BadRequestError(431, "Request Header Fields Too Large")
            if line in (b"\r\n", b"\n", b""):
                return headers
            name, _, value = line.decode("latin-1").partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value


def _linger(connection: socket.socket, reader: io.BufferedReader) -> None:
    """Read on after a refusal until the client hangs up: closing with unread data would break the connection (TCP RST)
    and could take the refusal back before the client has read it (RFC 9112, 9.6).
    """
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(_LINGER_SECONDS)
    while reader.read1(65_536):
        pass


def _read_body(reader: BinaryIO, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int(reader.readline().split(b";")[0], 16):
            parts.append(reader.read(size))
            reader.readline()
        while reader.readline() not in (b"\r\n", b"\n", b""):
            pass
        return b"".join(parts)
    length = int(headers.get("content-length") or 0)
    return reader.read(length) if length else b""


def _encode(reply: Reply, *, head_only: bool, keep: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if reply.header("Date") is None:
        lines.append(f"Date: {formatdate(usegmt=True)}")
    if reply.status not in (204, 304):
        lines.append(f"Content-Length: {len(reply.body)}")
    if not keep:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    return head if head_only or reply.status in (204, 304) else head + reply.body
