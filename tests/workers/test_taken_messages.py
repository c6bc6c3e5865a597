"""Messages that a worker has taken: it keeps a record of them, and puts unfinished ones back when it stops."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kombu
import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from structlog.testing import capture_logs

from config import broker
from config.broker import TURNS
from launch.embedded import Embedded
from workers import tasks
from workers.turn import TURN

WAITING = f"interlock-celery:{TURNS}"
#: kombu has no types.
broker_library: Any = kombu


def test_what_was_taken_and_not_done_is_put_back_when_the_worker_stops(tmp_path: Path) -> None:
    with Embedded(tmp_path / "redis", fsync="no") as server, Redis.from_url(server.url) as redis:
        found = broker.settings(server.url)
        options = found["broker_transport_options"]
        with broker_library.Connection(found["broker_url"], transport_options=options) as connection:
            channel = connection.channel()
            queue = broker_library.Queue(TURNS)(channel)
            producer = broker_library.Producer(channel)
            for message in ("first", "second"):
                producer.publish(message, exchange="", routing_key=TURNS)
            done, not_done = queue.get(), queue.get()
            assert (done.payload, not_done.payload) == ("first", "second")
            assert redis.llen(WAITING) == 0
            assert [key for key in redis.keys("*") if b"unacked" in key] == []  # nothing of it stands in Redis
            done.ack()
            channel.close()
        assert redis.llen(WAITING) == 1
        assert b'"redelivered": true' in redis.lrange(WAITING, 0, 0)[0]


def test_a_wake_up_on_a_channel_that_was_closed_meanwhile_is_the_loss_of_a_connection(tmp_path: Path) -> None:
    """Another thread closes it, because its connection broke: the sender tries again, and gets an error at worst."""
    with Embedded(tmp_path / "redis", fsync="no") as server:
        found = broker.settings(server.url)
        with broker_library.Connection(found["broker_url"], transport_options=found["broker_transport_options"]) as one:
            bounded = broker.bounded(type(one.channel()))
            channel = bounded(one.transport)
            channel.close()
            with pytest.raises(ConnectionError):
                channel._put(TURNS, {})


def test_a_broker_that_takes_no_wake_up_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The effect that was claimed before is done all the same; the sweeper asks again for the others."""

    def away(*_: object, **__: object) -> None:
        raise OperationalError

    monkeypatch.setattr(tasks, "turn", SimpleNamespace(apply_async=away))
    with capture_logs() as said:
        tasks.wake_up("shop", TURN)
    assert [(row["event"], row["whom"]) for row in said] == [("wake-up-failed", TURN)]
