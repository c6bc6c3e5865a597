"""What the code of an older schema stored, put into a Redis as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from redis import Redis

from bot.store.keys import Keys

DATA = Path(__file__).parent / "data"


def stored(schema: int) -> dict[str, dict[str, Any]]:
    """Every key that it stored, by name: its type and its value."""
    found: dict[str, dict[str, Any]] = json.loads((DATA / f"schema_{schema}.json").read_text("utf-8"))
    return found


def put_back(redis: Redis, schema: int, prefix: str) -> Keys:
    """Store it all again, as another installation on the same server."""
    for name, key in stored(schema).items():
        _put(redis, name.replace("interlock:", f"{prefix}:", 1), key["type"], key["value"])
    return Keys("shop", prefix)


def _put(redis: Redis, name: str, kind: str, value: Any) -> None:
    match kind:
        case "string":
            redis.set(name, value)
        case "hash":
            redis.hset(name, mapping=value)
        case "list":
            redis.rpush(name, *value)
        case "set":
            redis.sadd(name, *value)
        case "zset":
            redis.zadd(name, value)
        case "stream":
            for identity, fields in value:
                redis.xadd(name, fields, id=identity)
        case _:
            raise AssertionError(kind)
