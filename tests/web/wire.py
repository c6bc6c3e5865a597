"""Raw requests over TCP, for what a proper HTTP client would never send."""

from __future__ import annotations

import hmac
import re
import socket
import uuid
from urllib.parse import urlsplit

#: The longest that an answer is waited for, in seconds: above every deadline of the server.
PATIENCE = 20.0
SECRET = b"a secret that GitHub knows"


def connect(address: str) -> socket.socket:
    """A connection to the server at this address."""
    place = urlsplit(address)
    return socket.create_connection((place.hostname or "", place.port or 80), PATIENCE)


def head(path: str = "/webhooks/github", *headers: str, method: str = "POST") -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: interlock", *headers, "", ""]).encode()


def signature(body: bytes) -> str:
    """The header that GitHub signs with."""
    return f"X-Hub-Signature-256: sha256={hmac.new(SECRET, body, 'sha256').hexdigest()}"


def delivery(body: bytes, event: str = "ping", *headers: str, length: int | None = None) -> bytes:
    """A signed delivery; `length`: what it says of its length, if not the truth."""
    more = (f"X-GitHub-Event: {event}", f"X-GitHub-Delivery: {uuid.uuid4()}", signature(body), *headers)
    return head("/webhooks/github", *more, f"Content-Length: {len(body) if length is None else length}") + body


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """The next answer: status (0: the server closed without one) and body; what follows it is left for the next call.

    Interim answers (1xx) are passed over.
    """
    start = b""
    while not start.endswith(b"\r\n\r\n"):
        piece = _receive(connection, 1)
        if not piece:
            return 0, b""
        start += piece
    if start.startswith(b"HTTP/1.1 1"):
        return answer(connection)
    length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", start)
    body = b""
    while length and len(body) < int(length[1]) and (piece := _receive(connection, int(length[1]) - len(body))):
        body += piece
    return int(start[9:12]), body


def _receive(connection: socket.socket, size: int) -> bytes:
    try:
        return connection.recv(size)
    except ConnectionError:
        return b""


def exchange(address: str, data: bytes, *, close: bool = False) -> tuple[int, bytes]:
    """Send these bytes, perhaps say that no more follow, and read the answer."""
    with connect(address) as connection:
        try:
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # it was refused before everything was sent: the answer says so
        return answer(connection)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes this connection while we are patient; what it still says is dropped."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True
