"""Deliveries that could not be digested: kept with the error, for people to look at; bounded."""

from __future__ import annotations

import json
from typing import Any, cast

from redis import Redis

from bot.state.inbox import Entry
from bot.state.keys import Keys

#: How many are kept; the oldest go first.
KEPT = 500


def park(redis: Redis, keys: Keys, entry: Entry, error: Exception) -> None:
    """Keep an entry that made the rules or the translation fail, with what went wrong; once, if it does so again."""
    letter = {
        "entry": entry.id,
        "source": entry.source,
        "name": entry.name,
        "delivery": entry.delivery,
        "error": f"{type(error).__name__}: {error}",
        "body": entry.body.decode("utf-8", "replace"),
    }
    text = json.dumps(letter)
    with redis.pipeline(transaction=False) as pipe:
        pipe.lrem(keys.parked, 0, text)  # a turn that could not be stored is taken again
        pipe.lpush(keys.parked, text)
        pipe.ltrim(keys.parked, 0, KEPT - 1)
        pipe.execute()


def parked(redis: Redis, keys: Keys, limit: int = 50) -> list[dict[str, Any]]:
    """The parked deliveries, newest first."""
    rows = cast("list[bytes]", redis.lrange(keys.parked, 0, limit - 1))
    return [json.loads(row) for row in rows]
