"""Whether the process answers, and whether Interlock does its work: for probes, and for people in a hurry."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response
from redis import Redis
from redis.exceptions import RedisError

from bot.health import wording
from bot.health.judgement import Status
from bot.store.keys import Keys
from bot.store.repairs import Repairs
from bot.web.shapes import Shape, reply
from bot.web.site import Site, site

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """The process answers. Asks nothing of anybody."""
    return reply({"status": "ok"})


@health.get("/readyz")
def ready() -> Response:
    """How Interlock is, with every finding; how much waits for a turn, how long; what had to be found by asking.

    503 when nothing can be decided or stored.
    """
    here = site()
    judged = here.observer.health()
    status = 503 if judged.status is Status.DOWN else 200
    return reply({**wording.shape(judged), "pipelines": _backlogs(here)}, status)


def _backlogs(here: Site) -> Shape:
    """What waits in each pipeline; nothing if the store cannot be reached, which the judgement says."""
    try:
        seconds, micros = here.redis.time()
        return {
            name: _backlog(here.redis, context.keys, seconds + micros / 1e6) for name, context in here.pipelines.items()
        }
    except RedisError:
        return {}


def _backlog(redis: Redis, keys: Keys, now: float) -> Shape:
    meta = cast("list[bytes | None]", redis.hmget(keys.meta, ["accepted", "taken", "cursor", "version"]))
    accepted, taken, version = (int(meta[index] or 0) for index in (0, 1, 3))
    cursor = (meta[2] or b"0-0").decode()
    oldest: Any = redis.xrange(keys.inbox, min=f"({cursor}", count=1) if accepted > taken else []
    waited = now - int(oldest[0][0].split(b"-")[0]) / 1000 if oldest else 0.0
    return {
        "waiting": max(0, accepted - taken),
        "oldest_waiting_seconds": round(max(0.0, waited), 3),
        "version": version,
        "outbox": int(redis.hlen(keys.outbox)),
        "dead_letters": int(redis.hlen(keys.dead)),
        "repairs": Repairs(redis, keys).shapes(),
    }
