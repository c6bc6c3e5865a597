"""The wake-up: one round trip, in the queue that workers serve, and bounded when the broker hangs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.web.shared import WakeUpSender
from config import broker
from config.broker import QUEUES, TURN_TASK, TURNS
from launch.embedded import find_server

PREFIX = broker.settings("redis://localhost")["broker_transport_options"]["global_keyprefix"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:p@host:6379/1", "redis://:p@host:6379/1"),
        ("redis://:p%40%2F@host?db=2", "redis://:p%40%2F@host:6379/2"),
        ("rediss://host/0?ssl_cert_reqs=required", "redis://host:6379/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://:p@/run/redis.sock?db=2", "redis+socket://:p@/run/redis.sock?virtual_host=2"),
        ("redis+sentinel://:p@a,[::1]:5/m/2", "sentinel://:p@a:26379/2;sentinel://:p@[::1]:5/2"),
    ],
)
def test_the_brokers_address_is_as_celery_wants_it(url: str, expected: str) -> None:
    assert broker.settings(url)["broker_url"] == expected


def test_a_broker_with_tls_is_spoken_to_with_tls() -> None:
    found = broker.settings("rediss://host?ssl_ca_certs=/ca.pem")
    assert found["broker_use_ssl"] == {
        "ssl_ca_certs": "/ca.pem",
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
    assert "broker_use_ssl" not in broker.settings("redis://host")


def message(redis: Redis) -> dict[str, Any]:
    raw: Any = redis.rpop(PREFIX + TURNS)
    return dict(json.loads(raw))


def test_a_wake_up_is_one_message_in_one_round_trip(redis_url: str, redis: Redis) -> None:
    redis.delete(PREFIX + TURNS)  # what a served site of another test has sent
    wake_up = WakeUpSender(redis_url)
    wake_up("first")  # connects and declares the queue
    redis.config_resetstat()
    wake_up("shop")
    calls: Any = redis.info("commandstats")
    assert {name for name in calls if name not in ("cmdstat_config|resetstat", "cmdstat_info")} == {"cmdstat_lpush"}
    message(redis)
    sent = message(redis)
    assert sent["headers"]["task"] == TURN_TASK
    assert json.loads(b64decode(sent["body"]))[0] == ["shop"]
    assert TURNS in QUEUES


def test_a_wake_up_goes_over_a_unix_socket_as_well(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = subprocess.Popen(
        [str(find_server(os.environ)), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        WakeUpSender(f"unix://{path}?db=3")("shop")
        client = Redis.from_url(f"unix://{path}?db=3")
        assert message(client)["headers"]["task"] == TURN_TASK
        client.close()
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.slow
def test_a_broker_that_hangs_holds_nobody_up_for_long() -> None:
    """One delivery waits for it, for as long as `TIMEOUT` and a retry; those after it do not even try."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        wake_up = WakeUpSender(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", pause=60.0)
        began = time.monotonic()
        wake_up("shop")
        assert time.monotonic() - began < 60, "without a time-out it would wait for ever"
        tried = _connections(silent)
        assert tried
        for _ in range(100):
            wake_up("shop")
        assert _connections(silent) == 0


def _connections(listener: socket.socket) -> int:
    """How many have connected since it was asked last."""
    listener.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count
