"""Messages that a worker has taken: it remembers them itself, and puts back what it has not done when it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kombu
from redis import Redis

from config import broker
from config.broker import TURNS
from launch.embedded import Embedded

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
