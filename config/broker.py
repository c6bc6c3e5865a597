"""Celery's broker as both sides must agree on it: its address, its options, the names of the queues."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

#: The queue of pokes: each says that the inbox of one pipeline holds something.
TURNS = "turns"
#: The task that a poke starts; its only argument is the name of the pipeline.
TURN_TASK = "interlock.turn"
#: The queue of each family of effects, so that one that hangs stops no other.
EFFECTS = {"jenkins": "effects-jenkins", "github": "effects-github", "people": "effects-people"}
#: Every queue that a worker serves.
QUEUES = (TURNS, *EFFECTS.values())


def broker_url(url: str) -> str:
    """The address of a Redis as Celery's transport wants it; redis-py's `unix://` has another name there.

    `unix://:password@/run/redis.sock?db=2` becomes `redis+socket://:password@/run/redis.sock?virtual_host=2`
    (kombu.transport.redis.Channel#_connparams). All others stay as they are.
    """
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    query = dict(parse_qsl(parts.query))
    query.setdefault("virtual_host", query.pop("db", "0"))
    return f"redis+socket://{parts.netloc}{parts.path}?{urlencode(query)}"


def transport_options() -> dict[str, Any]:
    """Celery's `broker_transport_options`; a fresh dictionary, for kombu changes what it is given.

    `global_keyprefix` sets us apart from others on the same Redis, and from our own state. A task that a worker took
    and never finished comes back after `visibility_timeout` seconds: no task may take that long.
    """
    return {
        "global_keyprefix": "interlock-celery:",
        "visibility_timeout": 900,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
