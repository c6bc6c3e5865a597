"""Requests as gunicorn receives them: malformed, half-sent, slow, huge. The door answers everybody else meanwhile."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis import Redis

from bot.web.buffering_worker import REQUEST_SECONDS
from tests.web import wire
from tests.web.serving import served
from tests.web.story import Story, pipeline

pytestmark = pytest.mark.slow

PIPELINE = "slowclients"
CHUNKED = "Transfer-Encoding: chunked"
SIGNED = (wire.signature(b"{}"), "X-GitHub-Event: ping", "X-GitHub-Delivery: 1")
TOKEN = "Authorization: Bearer the token of alex"
CALLBACK = "/webhooks/jenkins/cdp/a-secret-that-Jenkins-knows"
LOCK = f"/api/v1/pipelines/{PIPELINE}/stages/production/lock"
#: Each place that reads a body: its path, and the headers that make a body welcome there.
PLACES = [("/webhooks/github", SIGNED), (CALLBACK, ()), (LOCK, (TOKEN,))]
PLACE = st.sampled_from(PLACES)


@pytest.fixture(scope="module")
def address(redis_url: str, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests here; at the end its log shows no exception of ours."""
    folder: Path = tmp_path_factory.mktemp("web")
    with served(Story(redis, pipeline(PIPELINE)).shape, redis_url, folder) as url:
        yield url
        assert wire.exchange(url, wire.delivery(b"{}"))[0] == 200
    log = (folder / "web.log").read_text()
    assert "Traceback" not in log
    assert "request-failed" not in log


@pytest.mark.parametrize(("path", "headers"), PLACES, ids=["GitHub", "Jenkins", "API"])
@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}",
        b"2\r\n{}XX0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"ffffffffffffffffffff\r\n{}",
        b"7fffffffffffffff\r\n{}",
        b"2;" + b"x" * 9_000,
        b"2\r\n{}\r\n0\r\nbroken trailer\r\n\r\n",
        b"2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 9_000 + b"\r\n",
        b"\r\n",
        b"2\n{}\n0\n\n",
    ],
)
def test_a_malformed_chunked_body_is_the_senders_mistake(
    address: str, path: str, headers: tuple[str, ...], body: bytes
) -> None:
    status, _ = wire.exchange(address, wire.head(path, *headers, CHUNKED) + body, close=True)
    assert status in (0, 400, 413)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (("Content-Length: x",), 400),
        (("Content-Length: -1",), 400),
        (("Content-Length: 2", "Content-Length: 3"), 400),
        (("Content-Length: 2", CHUNKED), 400),
        (("Content-Length: 99999999999999999999",), 413),
        (("Transfer-Encoding: gzip",), 400),
        (("Expect: something",), 417),
    ],
)
def test_a_framing_that_makes_no_sense_is_refused(address: str, headers: tuple[str, ...], status: int) -> None:
    assert wire.exchange(address, wire.head("/webhooks/github", *SIGNED, *headers) + b"{}")[0] == status


@given(place=PLACE, body=st.binary(max_size=300), framing=st.sampled_from(["chunked", "short", "long", "none"]))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_of_a_body_make_the_server_fail(
    address: str, place: tuple[str, tuple[str, ...]], body: bytes, framing: str
) -> None:
    path, headers = place
    length = {"short": max(0, len(body) - 1), "long": len(body) + 1}.get(framing, len(body))
    framed = CHUNKED if framing == "chunked" else f"Content-Length: {length}"
    more = () if framing == "none" else (framed,)
    assert wire.exchange(address, wire.head(path, *headers, *more) + body, close=True)[0] < 500


def test_a_chunked_body_with_trailers_is_read(address: str) -> None:
    body = b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\nX-Trailer: t\r\n\r\n"
    assert wire.exchange(address, wire.head("/webhooks/github", *SIGNED, CHUNKED) + body) == (200, b'{"status":"pong"}')


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/webhooks/github", ("Content-Length: 25000000",), 401),
        ("/webhooks/github", ("X-Hub-Signature-256: sha1=0", "Content-Length: 9"), 401),
        ("/webhooks/github", (*SIGNED, "Content-Length: 28000000"), 413),
        ("/webhooks/github", (CHUNKED,), 401),
        ("/webhooks/jenkins/cdp/wrong", ("Content-Length: 9",), 401),
        ("/webhooks/jenkins/cdp", ("Authorization: Bearer wrong", CHUNKED), 401),
        (CALLBACK, ("Content-Length: 1048577",), 413),
        (LOCK, ("Content-Length: 9",), 401),
        (LOCK, (TOKEN, "Content-Length: 65537"), 413),
        ("/elsewhere", ("Content-Length: 9",), 404),
    ],
)
@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)], ids=["", "and asks before sending"])
def test_what_the_head_already_forbids_is_refused_before_the_body(
    address: str, path: str, headers: tuple[str, ...], status: int, expect: tuple[str, ...]
) -> None:
    with wire.connect(address) as connection:
        connection.sendall(wire.head(path, *headers, *expect))  # and no body, ever
        assert wire.answer(connection)[0] == status


def test_a_refused_sender_of_much_reads_why(address: str) -> None:
    """The connection is not torn down under somebody who is still sending (RFC 9112, section 9.6)."""
    data = wire.head("/webhooks/github", "Content-Length: 8000000") + b"x" * 8_000_000
    assert wire.exchange(address, data)[0] == 401


def test_a_jenkins_that_sends_too_much_in_chunks_is_stopped(address: str) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert wire.exchange(address, wire.head(CALLBACK, CHUNKED) + chunk * 17)[0] == 413


def test_who_asks_before_sending_is_told_to_continue(address: str) -> None:
    with wire.connect(address) as connection:
        connection.sendall(wire.head("/webhooks/github", *SIGNED, "Content-Length: 2", "Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert wire.answer(connection)[0] == 200


def test_requests_in_a_row_on_one_connection_are_answered_in_order(address: str) -> None:
    with wire.connect(address) as connection:
        connection.sendall(wire.delivery(b"{}") + wire.head("/healthz", method="GET") + wire.delivery(b"{}")[:-1])
        answers = [wire.answer(connection) for _ in range(2)]
        assert [body for _, body in answers] == [b'{"status":"pong"}', b'{"status": "ok"}']
        connection.sendall(b"}")
        assert wire.answer(connection)[0] == 200


class HalfSent:
    """Clients that have begun a request and do not end it; `drip` sends one more byte of each."""

    HEAD = wire.head("/webhooks/github", *SIGNED)[:-2]
    BODY = wire.head("/webhooks/github", *SIGNED, "Content-Length: 9000") + b"{"
    CHUNK = wire.head("/webhooks/github", *SIGNED, CHUNKED) + b"fff\r\n{"
    NOTHING = b""

    def __init__(self, address: str, count: int) -> None:
        kinds = (self.HEAD, self.BODY, self.CHUNK, self.NOTHING)
        self.connections = [wire.connect(address) for _ in range(count)]
        for number, connection in enumerate(self.connections):
            connection.sendall(kinds[number % len(kinds)])

    def drip(self) -> None:
        for connection in self.connections:
            with suppress(OSError):  # the server has closed it
                connection.send(b" ")

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


@pytest.fixture
def half_sent(address: str) -> Iterator[HalfSent]:
    clients = HalfSent(address, 1_000)
    yield clients
    clients.close()


def test_half_sent_requests_hold_nobody_up_and_are_closed(address: str, half_sent: HalfSent) -> None:
    """As many as fifteen times the threads, some of them sending byte by byte: deliveries and the page go on."""
    live = wire.connect(address)
    live.sendall(wire.head(f"/p/{PIPELINE}/live", method="GET"))
    began = time.monotonic()
    taken = []
    for _ in range(100):
        half_sent.drip()
        at = time.monotonic()
        assert wire.exchange(address, wire.delivery(b"{}"))[0] == 200
        taken.append(time.monotonic() - at)
        if time.monotonic() - began > REQUEST_SECONDS * 0.6:
            break
    assert sorted(taken)[len(taken) // 2] < 0.5  # a worker without threads answers nobody for as long as they stay
    assert all(wire.is_closed(connection) for connection in half_sent.connections)
    assert time.monotonic() - began < REQUEST_SECONDS * 2
    live.settimeout(20)
    while b"event: beat" not in live.recv(1 << 20):
        pass  # the stream is open, and gives signs of life, long after the deadline of requests
    live.close()


def test_clients_that_do_not_close_hold_nobody_up(address: str) -> None:
    """gunicorn's own threads wait for such a client in their only loop, two seconds for each."""
    idle = []
    for _ in range(20):
        connection = wire.connect(address)
        connection.sendall(wire.head("/healthz", "Connection: close", method="GET"))
        idle.append(connection)
    assert [wire.answer(connection)[0] for connection in idle] == [200] * 20
    began = time.monotonic()
    assert wire.exchange(address, wire.delivery(b"{}"))[0] == 200
    assert time.monotonic() - began < 10, "as one after the other, twenty take forty seconds"
    for connection in idle:
        connection.close()


def test_unfinished_bodies_hold_bounded_memory(address: str) -> None:
    """Twelve times 24 MB, each with the form of a signature: the largest go, and a small delivery is not hurt."""
    fake = wire.head("/webhooks/github", *SIGNED, "Content-Length: 25000000")
    clients = [wire.connect(address) for _ in range(12)]
    for client in clients:
        client.sendall(fake)
    for client in clients:
        client.settimeout(2)
        with suppress(OSError):  # refused meanwhile
            client.sendall(b"x" * 24_000_000)
    assert wire.exchange(address, wire.delivery(b"{}"))[0] == 200
    for client in clients:
        client.settimeout(0.2)
    refused = 0
    for client in clients:
        with suppress(OSError):
            refused += client.recv(12) == b"HTTP/1.1 503"
        client.close()
    assert refused >= 12 - (128 << 20) // 24_000_000 - 1


def test_a_client_that_reads_nothing_is_left(address: str) -> None:
    """Its answers fill the pipe; the thread gives up and the connection goes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    place = address.removeprefix("http://").split(":")
    client.connect((place[0], int(place[1])))
    client.settimeout(0.1)
    page = wire.head(f"/p/{PIPELINE}", method="GET")
    with suppress(OSError):
        for _ in range(2_000):
            client.sendall(page)
    assert wire.exchange(address, wire.delivery(b"{}"))[0] == 200
    client.close()
