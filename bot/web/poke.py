"""A poke: the Celery message that says "there is something in your inbox". Cheap, and free to fail."""

from __future__ import annotations

import time

import kombu.transport.redis  # noqa: F401  loaded by name otherwise, at the first poke
import structlog
from celery import Celery

from config import broker
from config.broker import TURN_TASK, TURNS

log = structlog.get_logger()

#: Seconds: a broker that hangs may hold up one delivery for this long. GitHub waits ten seconds for an answer.
TIMEOUT = 1.0
#: Seconds: how long no poke is tried after one has failed; the sweeper finds what came in anyway.
PAUSE = 2.0
#: Seconds after which nobody needs a poke any more: after an outage they would only stand in the way.
EXPIRES = 60


class Poker:
    """Sends pokes over one pool of connections, made at the first poke. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """`url`: the broker's, as redis-py writes it."""
        found = broker.settings(url)
        timeouts = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        self._app = Celery("interlock", broker=found["broker_url"], set_as_current=False)
        self._app.conf.update(
            {**found, "broker_transport_options": {**found["broker_transport_options"], **timeouts}},
            broker_connection_timeout=TIMEOUT,
            broker_pool_limit=4,
            task_ignore_result=True,
            task_publish_retry=False,
            task_default_queue=TURNS,
            task_send_sent_event=False,
            worker_hijack_root_logger=False,
        )
        # Celery loads itself piece by piece, a third of a second in all: now, not while the first delivery waits.
        _ = self._app.amqp.queues, self._app.backend, self._app.AsyncResult, self._app.events
        self._silent_until = 0.0

    def __call__(self, pipeline: str) -> None:
        """Poke the workers of one pipeline. A failure is logged and nothing else: the inbox has what matters."""
        if time.monotonic() < self._silent_until:
            return
        try:
            # A direct queue without an exchange: the message is one LPUSH, one round trip.
            self._app.send_task(TURN_TASK, args=(pipeline,), queue=TURNS, expires=EXPIRES, ignore_result=True)
        except Exception as error:  # whatever it is: the delivery is kept, and the sender must hear that
            self._silent_until = time.monotonic() + PAUSE
            log.warning("poke-failed", pipeline=pipeline, error=type(error).__name__)
