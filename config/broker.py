"""Celery's broker as both sides must agree on it: its address, its options, the names of the queues."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bot.store.address import Address, parse
from bot.store.connection import sentinel_options

#: The queue of wake-ups: each says that the inbox of one pipeline holds something.
TURNS = "turns"
#: The task that a wake-up starts; its only argument is the name of the pipeline.
TURN_TASK = "interlock.turn"
#: The queue of each family of effects, so that one that hangs stops no other.
EFFECTS = {"jenkins": "effects-jenkins", "github": "effects-github", "people": "effects-people"}
#: Every queue that a worker serves.
QUEUES = (TURNS, *EFFECTS.values())
#: How many messages a queue in Redis holds at most while nobody serves it; the newest stay. Each of its channels looks
#: whenever it has sent so many.
MOST_MESSAGES, BOUNDED_EVERY = 1_000, 64


def settings(url: str) -> dict[str, Any]:
    """Celery's settings for the broker at this address (the grammar is in `bot.store.address`). Raises AddressError."""
    address = parse(url)
    found: dict[str, Any] = {
        "broker_url": _celery_url(address),
        "broker_transport_options": {**_OPTIONS, **_sentinel_options(address)},
    }
    return found if address.tls is None else {**found, "broker_use_ssl": dict(address.tls)}


def _celery_url(address: Address) -> str:
    """The address as Celery's transports want it (kombu.transport.redis: `Channel#_connparams`, `SentinelChannel`)."""
    who = _who(address)
    if address.socket:
        return f"redis+socket://{who}{quote(address.socket)}?virtual_host={address.db}"
    scheme = "sentinel" if address.master else "redis"
    places = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts)
    return ";".join(f"{scheme}://{who}{place}/{address.db}" for place in places)


def _who(address: Address) -> str:
    username, password = (quote(part or "", safe="") for part in (address.sign_in.username, address.sign_in.password))
    return f"{username}:{password}@" if username or password else ""


def _sentinel_options(address: Address) -> dict[str, Any]:
    """kombu asks the sentinels with these; what it does not name it would take from the connection to the master."""
    if not address.master:
        return {}
    return {"master_name": address.master, "sentinel_kwargs": sentinel_options(address)}


#: Celery's `broker_transport_options`.
#:
#: `global_keyprefix` sets us apart from others on the same Redis, and from our own state. Without `ack_emulation` a
#: worker remembers in its own memory which messages it has taken, and not in Redis as well, which costs two
#: transactions per message: it puts them back when it stops, and takes no more at once than it has threads. Messages of
#: a worker that was killed are lost; they are wake-ups, so the sweeper sends others.
_OPTIONS: dict[str, Any] = {
    "global_keyprefix": "interlock-celery:",
    "ack_emulation": False,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}


def bounded(channel: type[Any]) -> type[Any]:
    """A class of kombu's channels for Redis (`kombu.transport.redis.Channel` or one below it) that cuts a queue that
    nobody serves. Its messages are wake-ups: whoever comes back looks at everything anyway."""

    class Bounded(channel):  # type: ignore[misc]
        sent = 0

        def _put(self, queue: str, message: Any, **options: Any) -> None:
            super()._put(queue, message, **options)
            if self.sent % BOUNDED_EVERY == 0:
                key = f"{self.global_keyprefix}{self._q_for_pri(queue, 0)}"  # kombu puts no prefix before LTRIM
                with self.conn_or_acquire() as client:
                    client.execute_command("LTRIM", key, 0, MOST_MESSAGES - 1)  # the newest are at the head
            self.sent += 1

    return Bounded
