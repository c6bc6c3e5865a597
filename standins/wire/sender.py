"""Sends the POSTs of callbacks and webhooks and reads the answers, with a timeout and reused connections."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
from typing import NamedTuple
from urllib.parse import urlsplit

Place = tuple[str, str]


class SendError(OSError):
    """A POST without an answer: refused, broken or too late. The text says which."""


class Answer(NamedTuple):
    status: int
    #: The names are lower-case.
    headers: dict[str, str]
    body: bytes


class Poster:
    """A sender of POSTs for many threads that reuses idle connections.

    `close()` ends all connections, also those in use: their senders get a SendError at once.
    """

    def __init__(self) -> None:
        self._idle: dict[Place, list[http.client.HTTPConnection]] = {}
        self._busy: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def open(self) -> None:
        self._closed = False

    def post(self, url: str, body: bytes, headers: dict[str, str], seconds: float) -> Answer:
        """Send one POST. `seconds` bounds the connect and each read, as in Jenkins' plugins and GitHub.

        Raise SendError if no complete answer came. It never repeats by itself.
        """
        parts = urlsplit(url)
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        place = (parts.scheme, parts.netloc.rpartition("@")[2])
        try:
            connection = self._take(place, seconds)
        except http.client.HTTPException as error:
            raise SendError(f"{type(error).__name__}: {error}") from error
        try:
            connection.request("POST", target, body=body, headers=headers)
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException) as error:
            self._give_back(place, connection, reusable=False)
            raise SendError(f"{type(error).__name__}: {error}") from error
        self._give_back(place, connection, reusable=not response.will_close)
        return answer

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle.clear()
            busy = [connection.sock for connection in self._busy if connection.sock is not None]
        for connection in idle:
            connection.close()
        for sock in busy:
            with contextlib.suppress(OSError):  # the other side may have closed it meanwhile
                sock.shutdown(socket.SHUT_RDWR)

    def _take(self, place: Place, seconds: float) -> http.client.HTTPConnection:
        """Return an idle connection that is still open, or a new one; a closed one is never written to."""
        connection = self._open_one(place, seconds)
        if connection is None:
            kind = http.client.HTTPSConnection if place[0] == "https" else http.client.HTTPConnection
            connection = kind(place[1], timeout=seconds)
        with self._lock:
            if self._closed:
                raise SendError("the sender is closed")
            self._busy.add(connection)
        return connection

    def _open_one(self, place: Place, seconds: float) -> http.client.HTTPConnection | None:
        while (connection := self._pop(place)) is not None:
            sock = connection.sock
            if sock is not None and not _readable(sock):  # readable while idle means closed by the other side
                sock.settimeout(seconds)
                return connection
            connection.close()
        return None

    def _pop(self, place: Place) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(place)
            return idle.pop() if idle else None

    def _give_back(self, place: Place, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            if reusable and not self._closed:
                self._idle.setdefault(place, []).append(connection)
                return
        connection.close()


def _readable(sock: socket.socket) -> bool:
    """Return whether the socket is readable, without select(), which cannot watch descriptors above 1023."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
