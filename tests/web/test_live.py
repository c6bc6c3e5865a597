"""The live feed: one rendering for all, at most four a second, the latest only; and as gunicorn serves it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from redis.exceptions import RedisError

from bot.core.model.events import LockAsked
from bot.web import gunicorn_conf, live
from bot.web.live import Connections, Feed, client_address
from bot.web.request_inbox import MOST_WAITING
from tests.web.serving import served
from tests.web.story import Story


class Board:
    """A board that only counts, and how often it was rendered."""

    def __init__(self, redis: Redis, name: str) -> None:
        self.redis, self.stream = redis, f"test:{name}"
        self.version, self.rendered = 1, 0
        self.broken: Exception | None = None

    def render(self) -> tuple[int, str]:
        self.rendered += 1
        if self.broken:
            raise self.broken
        return self.version, f"<p>{self.version}</p>\n"

    def change(self) -> None:
        self.version += 1
        self.redis.xadd(self.stream, {"c": "1"}, id=f"{self.version}-1700000000000000")


@pytest.fixture
def board(redis: Redis, story: Story) -> Board:
    return Board(redis, story.shape.name)


@pytest.fixture
def feed(board: Board) -> Feed:
    return Feed(board.redis, board.stream, board.render)


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_board_that_a_failover_set_back_is_shown_at_once(board: Board, feed: Feed) -> None:
    for _ in range(3):
        board.change()
    with feed.listening():
        frame = feed.after(0, 5.0)
        assert frame is not None
        assert frame.version == 4
        newest = board.redis.xrevrange(board.stream, count=2)
        board.redis.xdel(board.stream, *(identity for identity, _ in newest))
        board.version = 2
        frame = feed.after(frame.number, live.REDRAW / 2)
        assert frame is not None
        assert frame.version == 2


def test_a_change_comes_as_an_event_with_its_version(board: Board, feed: Feed) -> None:
    events = live.events(feed, None)
    assert next(events) == b"retry: 2000\n\n"
    assert next(events) == b"event: board\nid: 1\ndata: <p>1</p>\n\n"
    board.change()
    assert next(events) == b"event: board\nid: 2\ndata: <p>2</p>\n\n"
    events.close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_board_is_rendered_once_for_all_and_four_times_a_second_at_most(board: Board, feed: Feed) -> None:
    with feed.listening(), feed.listening(), feed.listening():
        assert feed.after(0, 2) is not None
        began = time.monotonic()
        while time.monotonic() - began < 0.9:
            board.change()
            time.sleep(0.005)
        time.sleep(0.3)
        assert 3 <= board.rendered <= 2 + 4 * (time.monotonic() - began)
        frame = feed.after(0, 1)
        assert frame is not None
        assert frame.version == board.version  # who was slow gets the latest, not what was between


@pytest.mark.slow
def test_the_thread_stops_when_nobody_listens_and_starts_again(board: Board, feed: Feed) -> None:
    def threads() -> int:
        return sum(thread.name == f"live {board.stream}" for thread in threading.enumerate())

    for _ in range(2):
        with feed.listening():
            frame = feed.after(0, 2)
            assert frame is not None
            assert threads() == 1
        until(lambda: threads() == 0)


@pytest.mark.slow
def test_a_store_out_of_reach_is_said_and_then_overcome(board: Board) -> None:
    events = live.events(Feed(board.redis, board.stream, board.render, redraw=0.1), None, beat=0.2)
    next(events), next(events)
    board.broken = OSError("no store")
    lost = next(event for event in events if b"event: board" not in event and b"beat" not in event)
    assert lost == b"event: lost\ndata: the store cannot be reached\n\n"
    board.broken = None
    assert next(event for event in events if b"lost" not in event) == b"event: board\nid: 1\ndata: <p>1</p>\n\n"
    events.close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_quiet_board_gives_signs_of_life(board: Board, feed: Feed) -> None:
    events = live.events(feed, None, beat=0.1)
    board.change()
    next(events), next(events)
    assert next(events) == b"event: beat\ndata: \n\n"
    assert board.rendered == 1
    events.close()  # type: ignore[attr-defined]


def test_a_listener_that_hangs_up_is_noticed(board: Board, feed: Feed) -> None:
    here, there = socket.socketpair()
    with here:
        events = live.events(feed, here)
        next(events), next(events)
        there.close()
        assert list(events) == []


def test_connections_are_bounded_and_counted_off_once() -> None:
    connections = Connections(2, 2)
    first, second = connections.open("a"), connections.open("a")
    assert connections.open("b") == "too many live pages are open"
    assert callable(first)
    first()
    first()
    assert callable(connections.open("b"))
    assert isinstance(connections.open("b"), str)
    assert callable(second)


def test_one_address_leaves_connections_for_others() -> None:
    connections = Connections(4, 2)
    close = connections.open("a")
    assert callable(connections.open("a"))
    assert connections.open("a") == "too many live pages are open from your address"
    assert callable(connections.open("b"))
    assert callable(close)
    close()
    assert callable(connections.open("a"))


def test_one_connection_too_many_is_sent_the_board_once(board: Board, feed: Feed) -> None:
    full = b"retry: 10000\n\nevent: full\ndata: too many\n\n"
    assert live.events_beyond_limit(feed, "too many") == full + b"event: board\nid: 1\ndata: <p>1</p>\n\n"
    with feed.listening():
        assert feed.after(0, 5.0) is not None
        rendered = board.rendered
        assert live.events_beyond_limit(feed, "too many").startswith(full + b"event: board")
        assert board.rendered == rendered  # it is shown what the listeners see
    until(lambda: all(thread.name != f"live {board.stream}" for thread in threading.enumerate()))
    board.broken = RedisError("no")
    assert live.events_beyond_limit(feed, "too many").endswith(b"event: lost\ndata: the store cannot be reached\n\n")


def test_live_pages_and_waiting_people_leave_threads_for_deliveries() -> None:
    assert gunicorn_conf.threads - live.MOST_CONNECTIONS - MOST_WAITING >= 8


def test_beyond_the_limit_a_page_gets_the_board_once(app: Flask, client: FlaskClient, story: Story) -> None:
    story.start()
    app.extensions["interlock-connections"] = Connections(9, 1)
    path = f"/p/{story.shape.name}/live"
    first = client.get(path, buffered=False)
    assert first.mimetype == "text/event-stream"
    late = client.get(path)
    assert (late.status_code, late.mimetype) == (200, "text/event-stream")
    assert b"event: full\ndata: too many live pages are open from your address" in late.data
    assert b"event: board" in late.data
    forged = client.get(path, headers={"X-Forwarded-For": "192.0.2.1"})
    assert b"event: full" in forged.data
    first.close()
    again = client.get(path, buffered=False)
    assert next(again.iter_encoded()) == b"retry: 2000\n\n"
    again.close()


@pytest.fixture
def address(story: Story, redis_url: str, tmp_path: Path) -> Iterator[str]:
    story.start()
    with served(story.shape, redis_url, tmp_path) as url:
        yield url


@pytest.mark.slow
def test_gunicorn_serves_live_pages_and_deliveries_side_by_side(address: str, story: Story) -> None:
    place = urlsplit(address)
    with ExitStack() as stack:
        answers = []
        for _ in range(20):
            connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
            stack.callback(connection.close)
            connection.request("GET", f"/p/{story.shape.name}/live")
            answers.append(stack.enter_context(connection.getresponse()))
        assert {answer.status for answer in answers} == {200}
        story.tell(LockAsked("production", "alex", "a test of the feed"))
        for answer in answers:
            assert any(b"a test of the feed" in line for line in answer)
        with urllib.request.urlopen(f"{address}/healthz", timeout=60) as health:  # while all of them are open
            assert health.status == 200


TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # no trusted proxy: the header is the client's own invention
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # what stands before was written by the client
        ("10.0.0.1", "198.51.100.7, 10.2.0.1", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("fd00::1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_only_a_trusted_proxy_says_for_whom_it_asks(peer: str, forwarded: str, address: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == address
