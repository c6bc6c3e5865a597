"""The stand-ins' server refuses what is no HTTP at once, and so that the refusal always arrives."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from standins.wire.message import Reply
from standins.wire.server import HttpServer

#: The start of a TLS record with a ClientHello (RFC 8446, 5.1). It holds no line end that could be waited for.
HELLO = b"\x16\x03\x01\x02\x00" + b"\x01" * 512


@pytest.fixture
def port() -> Iterator[int]:
    with HttpServer(lambda _: Reply(200, b"fine")) as server:
        yield server.port


def _said(port: int, what: bytes) -> bytes:
    """All that is answered until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(what)
        parts = []
        while data := client.recv(4096):
            parts.append(data)
        return b"".join(parts)


def test_a_client_that_speaks_tls_is_refused_at_its_first_byte(port: int) -> None:
    assert _said(port, HELLO).startswith(b"HTTP/1.1 400 ")


def test_a_refusal_arrives_although_the_client_has_sent_more_than_was_read(port: int) -> None:
    for _ in range(20):
        assert _said(port, b"\x16" + b"x" * 1_000_000).startswith(b"HTTP/1.1 400 ")


def test_a_request_is_answered_as_always(port: int) -> None:
    assert _said(port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").endswith(b"fine")
