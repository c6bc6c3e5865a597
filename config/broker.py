"""Celery's settings for the broker, the same for every process: its address, its options, the names of the queues."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from kombu import Queue  # type: ignore[attr-defined]

from bot.store.address import Address, RabbitAddress, SignIn, parse_broker
from bot.store.connection import sentinel_options

#: The queue of wake-ups. A wake-up means that the inbox of one pipeline holds something.
TURNS = "turns"
#: The task that a wake-up starts; its only argument is the name of the pipeline.
TURN_TASK = "interlock.turn"
#: The queue of each family of effects, so that one hanging family does not stop the others.
EFFECTS = {"jenkins": "effects-jenkins", "github": "effects-github", "people": "effects-people"}
#: Every queue that a worker serves.
QUEUES = (TURNS, *EFFECTS.values())
#: The most messages that a queue in Redis holds while no worker serves it; the newest stay. A channel checks this each
#: time it has sent `BOUNDED_EVERY` messages.
MOST_MESSAGES, BOUNDED_EVERY = 1_000, 64


def settings(url: str) -> dict[str, Any]:
    """Return Celery's settings for the broker at this address (the grammar is in `bot.store.address`).

    Raises AddressError.
    """
    address = parse_broker(url)
    if isinstance(address, RabbitAddress):
        return _rabbit(address)
    found: dict[str, Any] = {
        "broker_url": _celery_url(address),
        "broker_transport_options": {**_OPTIONS, **_sentinel_options(address)},
        "task_queues": [Queue(name) for name in QUEUES],  # type: ignore[no-untyped-call]
    }
    return found if address.tls is None else {**found, "broker_use_ssl": dict(address.tls)}


def _celery_url(address: Address) -> str:
    """Return the address in the form of Celery's transports.

    Source: kombu.transport.redis: `Channel#_connparams`, `SentinelChannel`.
    """
    who = _who(address.sign_in)
    if address.socket:
        return f"redis+socket://{who}{quote(address.socket)}?virtual_host={address.db}"
    scheme = "sentinel" if address.master else "redis"
    return ";".join(f"{scheme}://{who}{place}/{address.db}" for place in _places(address.hosts))


def _places(hosts: tuple[tuple[str, int], ...]) -> Iterator[str]:
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)


def _who(sign_in: SignIn) -> str:
    username, password = (quote(part or "", safe="") for part in (sign_in.username, sign_in.password))
    return f"{username}:{password}@" if username or password else ""


def _sentinel_options(address: Address) -> dict[str, Any]:
    """Return the options with which kombu asks the sentinels.

    For an option that is missing here, kombu would use the value of the connection to the master.
    """
    if not address.master:
        return {}
    return {"master_name": address.master, "sentinel_kwargs": sentinel_options(address)}


#: Celery's `broker_transport_options`.
#:
#: `global_keyprefix` keeps our keys apart from those of others on the same Redis, and from our own state. Without
#: `ack_emulation` a worker records in its own memory which messages it has taken, and not in Redis as well, which would
#: cost two transactions per message: it puts them back when it stops, and takes no more at once than it has threads.
#: Messages of a killed worker are lost; they are wake-ups, so the sweeper sends others.
_OPTIONS: dict[str, Any] = {
    "global_keyprefix": "interlock-celery:",
    "ack_emulation": False,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}


def bounded(channel: type[Any]) -> type[Any]:
    """Return a subclass of a kombu channel for Redis that bounds the length of a queue without a worker.

    `channel` is `kombu.transport.redis.Channel` or a subclass of it. The messages in the queue are wake-ups, so losing
    old ones is harmless: a worker that comes back looks at everything anyway.

    Another thread may close the channel while a message is sent, because its connection is lost. kombu 5.7 raises an
    AttributeError then. Raised as a ConnectionError instead, it leads to another try, or to an error that callers
    expect.
    """

    class Bounded(channel):  # type: ignore[misc]
        sent = 0

        def _put(self, queue: str, message: Any, **options: Any) -> None:
            try:
                super()._put(queue, message, **options)
            except AttributeError as error:
                if self.connection is not None:
                    raise
                raise ConnectionError("the channel was closed") from error
            if self.sent % BOUNDED_EVERY == 0:
                key = f"{self.global_keyprefix}{self._q_for_pri(queue, 0)}"  # kombu puts no prefix before LTRIM
                with self.conn_or_acquire() as client:
                    client.execute_command("LTRIM", key, 0, MOST_MESSAGES - 1)  # the newest are at the head
            self.sent += 1

    return Bounded


# -- RabbitMQ ----------------------------------------------------------------------------------------------------------

#: The interval in seconds at which worker and RabbitMQ send heartbeats; after two missing ones the connection is
#: closed.
HEARTBEAT = 10
#: The time limit for the answer to a message, in seconds.
RABBIT_TIMEOUT = 10

#: The queues are quorum queues: on a cluster of three servers they survive the loss of one, and RabbitMQ 4 has no other
#: kind that does. A wake-up that is a minute old is not needed, so messages expire, and an outage of the workers fills
#: no queue.
_QUEUE = {"x-queue-type": "quorum", "x-message-ttl": 60_000}

#: With `confirm_publish` the sender of a message is told whether RabbitMQ has stored it. A server that is stopped, or
#: that blocks publishers for lack of memory or disk, is then an error after `read_timeout`, not a lost wake-up.
_RABBIT_OPTIONS: dict[str, Any] = {
    "confirm_publish": True,
    "read_timeout": RABBIT_TIMEOUT,
    "write_timeout": RABBIT_TIMEOUT,
}


def _rabbit(address: RabbitAddress) -> dict[str, Any]:
    """Return Celery's settings for RabbitMQ; with several servers, Celery tries another one when one is down."""
    who, vhost = _who(address.sign_in), quote(address.virtual_host, safe="")
    found: dict[str, Any] = {
        "broker_url": ";".join(f"amqp://{who}{place}/{vhost}" for place in _places(address.hosts)),
        "broker_transport_options": dict(_RABBIT_OPTIONS),
        "broker_heartbeat": HEARTBEAT,
        "task_queues": [Queue(name, queue_arguments=dict(_QUEUE)) for name in QUEUES],  # type: ignore[no-untyped-call]
    }
    return found if address.tls is None else {**found, "broker_use_ssl": _rabbit_tls(address)}


def _rabbit_tls(address: RabbitAddress) -> dict[str, Any]:
    """Return the TLS options under the names that py-amqp has for them (`amqp.transport.SSLTransport`).

    py-amqp checks one name for all hosts: the first.
    """
    tls = address.tls or {}
    names = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}
    found: dict[str, Any] = {name: tls[option] for option, name in names.items() if option in tls}
    found["cert_reqs"] = ssl.CERT_REQUIRED if tls["ssl_cert_reqs"] == "required" else ssl.CERT_NONE
    return found | ({"server_hostname": address.hosts[0][0]} if tls["ssl_check_hostname"] else {})
