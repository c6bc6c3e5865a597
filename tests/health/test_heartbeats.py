"""Heartbeats: each process is known by itself; what has ended is not missed, what hangs is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest
from redis import Redis

from bot.health.contacts import WEB, WORKER, Heartbeats
from bot.health.observing import Observer
from bot.health.watch import HeartbeatSender
from bot.store.connection import connect
from config.configuration import Configuration
from launch.embedded import Embedded

HOST = socket.gethostname()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Embedded(tmp_path_factory.mktemp("redis"), fsync="no") as server:
        client = connect(server.url)
        yield client
        client.close()


@pytest.fixture
def heartbeats(redis: Redis) -> Heartbeats:
    return Heartbeats(redis, f"i{uuid.uuid4().hex[:12]}")


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this machine."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


def of(kind: str, heartbeats: Heartbeats) -> list[str]:
    return [process for process, _ in heartbeats.heard().get(kind, [])]


def last_beat(heartbeats: Heartbeats, redis: Redis, process: str, seconds_ago: float) -> None:
    redis.zadd(heartbeats.key, {f"{WORKER} {process}": (time.time() - seconds_ago) * 1000})


def test_of_two_workers_the_one_that_hangs_is_told_and_the_one_that_ended_is_not(
    redis: Redis, other: subprocess.Popen[bytes]
) -> None:
    prefix = f"i{uuid.uuid4().hex[:12]}"
    heartbeats, name = Heartbeats(redis, prefix), f"{HOST}/{other.pid}"
    for kind in ("beat", WEB):
        heartbeats.beat(kind)
    last_beat(heartbeats, redis, name, 20)
    os.kill(other.pid, signal.SIGSTOP)
    sender = HeartbeatSender(heartbeats, WORKER)
    sender.beat()
    (found,) = Observer(redis, Configuration((), {}), prefix).health().findings
    assert found.cause == "worker-silent"
    assert name in found.what
    other.kill()
    other.wait(10)
    sender.beat()
    assert Observer(redis, Configuration((), {}), prefix).health().findings == ()


def test_the_last_one_of_a_kind_is_remembered_though_it_ended(
    heartbeats: Heartbeats, redis: Redis, other: subprocess.Popen[bytes]
) -> None:
    last_beat(heartbeats, redis, f"{HOST}/{other.pid}", 20)
    other.kill()
    other.wait(10)
    heartbeats.bury()
    assert of(WORKER, heartbeats) == [f"{HOST}/{other.pid}"]


def test_a_process_of_another_machine_is_not_taken_for_ended(heartbeats: Heartbeats, redis: Redis) -> None:
    last_beat(heartbeats, redis, "elsewhere/999999999", 20)
    heartbeats.beat(WORKER)
    heartbeats.bury()
    assert "elsewhere/999999999" in of(WORKER, heartbeats)


def test_who_ends_as_it_should_is_not_missed_unless_it_is_the_last(heartbeats: Heartbeats) -> None:
    sender = HeartbeatSender(heartbeats, WORKER)
    sender.beat()
    sender.end()
    sender.beat()
    assert of(WORKER, heartbeats) == [f"{HOST}/{os.getpid()}"]
    heartbeats.beat(WORKER, "elsewhere/1")
    HeartbeatSender(heartbeats, WORKER).end()
    assert of(WORKER, heartbeats) == ["elsewhere/1"]
