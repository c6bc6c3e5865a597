"""One HTTP request as its bytes come in: is it whole, and is its body worth waiting for? Pure: no socket, no clock.

Only framing is looked at, and only as far as needed to know where the request ends (RFC 9112, sections 6 and 7).
Whatever looks wrong ends the waiting: gunicorn's parser judges the same bytes afterwards, and answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from urllib.parse import unquote

#: The longest head in bytes: a request line of 4 KiB and as many headers as a browser behind proxies sends.
LONGEST_HEAD = 32 << 10
#: The longest line that gives the size of a chunk, and the longest trailer section, in bytes.
LONGEST_CHUNK_LINE, LONGEST_TRAILER = 4 << 10, 8 << 10

#: How many bytes of a body a request may send, by its method, path and headers (names in lower case).
BodyLimit = Callable[[str, str, Mapping[str, str]], int]

_END_OF_HEAD = b"\r\n\r\n"
_TARGET = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)?([^?#]*)")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;|\Z)")


class Progress(Enum):
    """What is known of a request."""

    #: It goes on.
    MORE = "more"
    #: All of it is here.
    WHOLE = "whole"
    #: It goes on, and is not waited for: its body is too large, or not welcome, or its framing makes no sense.
    CUT = "cut"
    #: Its head does not end.
    ENDLESS = "endless"


class RequestBuffer:
    """Collects the bytes of one request. What follows it (a pipelined request) stays in the buffer as well."""

    def __init__(self, body_limit: BodyLimit) -> None:
        self.data = bytearray()
        #: The client wants to hear `100 Continue` before it sends the body, and has not heard it yet.
        self.awaits_continue = False
        self._body_limit = body_limit
        self._searched = 0
        self._body_at = 0
        self._end = 0
        self._chunks: _Chunks | None = None

    def feed(self, piece: bytes) -> Progress:
        """Take the next bytes."""
        self.data += piece
        if not self._body_at:
            progress = self._head()
            if progress is not None:
                return progress
        if self._chunks is not None:
            return self._chunks.look(self.data)
        return Progress.WHOLE if len(self.data) >= self._end else Progress.MORE

    def _head(self) -> Progress | None:
        """Look for the end of the head; None once it is found and a body is to be waited for."""
        if not self._searched and self.data[:2] == b"\r\n":
            del self.data[:2]  # RFC 9112, section 2.2: an empty line before a request is ignored
        at = self.data.find(_END_OF_HEAD, self._searched)
        if at < 0:
            self._searched = max(0, len(self.data) - 3)
            return Progress.ENDLESS if len(self.data) > LONGEST_HEAD else Progress.MORE
        self._body_at = at + len(_END_OF_HEAD)
        return self._body(bytes(self.data[:at]))

    def _body(self, head: bytes) -> Progress | None:
        folded = head.lower()
        if b"\ncontent-length" not in folded and b"\ntransfer-encoding" not in folded:
            return Progress.WHOLE
        method, path, headers = parse_head(head)
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        limit = self._body_limit(method, path, headers)
        if coding is not None:
            if coding.strip().lower() != "chunked" or length is not None or not limit:
                return Progress.CUT
            self._chunks = _Chunks(self._body_at, limit)
        elif length is None or not re.fullmatch(r"[0-9]{1,12}", length) or int(length) > limit:
            return Progress.CUT
        else:
            self._end = self._body_at + int(length)
        self.awaits_continue = headers.get("expect", "").lower() == "100-continue"
        return None


class _Chunks:
    """Follows a chunked body to its end (RFC 9112, section 7.1)."""

    def __init__(self, at: int, limit: int) -> None:
        self._at = at  # where the next chunk, or the trailer section, begins
        self._left = limit  # how many bytes of content may still come
        self._in_trailer = False

    def look(self, data: bytearray) -> Progress:
        """Whether the body has ended in `data`."""
        while not self._in_trailer:
            line_end = data.find(b"\r\n", self._at, self._at + LONGEST_CHUNK_LINE)
            if line_end < 0:
                return Progress.CUT if len(data) - self._at >= LONGEST_CHUNK_LINE else Progress.MORE
            size = _SIZE.match(data, self._at, line_end)
            if size is None:
                return Progress.CUT
            length = int(size[1], 16)
            if length > self._left:
                return Progress.CUT
            if length == 0:
                self._at, self._in_trailer = line_end + 2, True
                break
            following = line_end + 2 + length + 2
            if len(data) < following:
                return Progress.MORE
            self._at, self._left = following, self._left - length
        return self._trailer(data)

    def _trailer(self, data: bytearray) -> Progress:
        if data[self._at : self._at + 2] == b"\r\n" or data.find(_END_OF_HEAD, self._at) >= 0:
            return Progress.WHOLE
        return Progress.CUT if len(data) - self._at > LONGEST_TRAILER else Progress.MORE


def parse_head(head: bytes) -> tuple[str, str, Mapping[str, str]]:
    """Method, path and headers, read leniently; the values of a header given twice are joined by commas."""
    first, *rest = head.decode("latin-1").split("\r\n")
    method, _, target = first.partition(" ")
    found = _TARGET.match(target.partition(" ")[0])
    path = unquote(found[1], "latin-1") if found else ""
    headers: dict[str, str] = {}
    for row in rest:
        name, _, value = row.partition(":")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return method, path, headers
