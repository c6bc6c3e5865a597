"""One HTTP request while it is received: whether it is complete, and whether its body is worth waiting for.

Pure: no socket, no clock. Only the framing is parsed, and only as far as necessary to find the end of the request (RFC
9112, sections 6 and 7). Anything that looks wrong ends the waiting: gunicorn's parser then reads the same bytes, and
answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from urllib.parse import unquote

#: The longest head in bytes: a request line of 4 KiB and the headers of a browser behind proxies.
LONGEST_HEAD = 32 << 10
#: The longest line that gives the size of a chunk, and the longest trailer section, in bytes.
LONGEST_CHUNK_LINE, LONGEST_TRAILER = 4 << 10, 8 << 10

#: Returns how many bytes of a body a request may send, by its method, path and headers (names in lower case).
BodyLimit = Callable[[str, str, Mapping[str, str]], int]

_END_OF_HEAD = b"\r\n\r\n"
_TARGET = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)?([^?#]*)")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;|\Z)")


class Progress(Enum):
    """The state of a request that is being received."""

    #: The request is incomplete.
    MORE = "more"
    #: The request is complete.
    WHOLE = "whole"
    #: The request is incomplete and not waited for: its body is too large or not allowed, or its framing is malformed.
    CUT = "cut"
    #: The head of the request is too long.
    ENDLESS = "endless"


class RequestBuffer:
    """A buffer of the bytes of one request. Bytes of a following (pipelined) request stay in the buffer as well."""

    def __init__(self, body_limit: BodyLimit) -> None:
        self.data = bytearray()
        #: Whether the client waits for `100 Continue` before it sends the body, and has not got it yet.
        self.awaits_continue = False
        self._body_limit = body_limit
        self._searched = 0
        self._body_at = 0
        self._end = 0
        self._chunks: _Chunks | None = None

    def feed(self, piece: bytes) -> Progress:
        """Append the next bytes and return the progress."""
        self.data += piece
        if not self._body_at:
            progress = self._head()
            if progress is not None:
                return progress
        if self._chunks is not None:
            return self._chunks.look(self.data)
        return Progress.WHOLE if len(self.data) >= self._end else Progress.MORE

    def _head(self) -> Progress | None:
        """Look for the end of the head; return None once it is found and a body must be waited for."""
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
    """A chunked body, followed to its end (RFC 9112, section 7.1)."""

    def __init__(self, at: int, limit: int) -> None:
        self._at = at  # the beginning of the next chunk, or of the trailer section
        self._left = limit  # the bytes of content that may still come
        self._in_trailer = False

    def look(self, data: bytearray) -> Progress:
        """Return the progress of the body in `data`."""
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
    """Return method, path and headers, parsed leniently; the values of a repeated header are joined by commas."""
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
