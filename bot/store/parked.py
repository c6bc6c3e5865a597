"""Deliveries that could not be digested: kept with the error, until somebody has another try made or drops them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from bot.store.inbox import WAKE_UP_MS, InboxEntry
from bot.store.keys import Keys
from bot.store.scripts import Scripts

#: How many are kept; the oldest go first.
KEPT = 500


@dataclass(frozen=True, slots=True)
class Parked:
    """A delivery that was parked. `entry` is its id in the inbox, by which it is known."""

    entry: str
    source: str
    name: str
    delivery: str
    error: str
    body: str
    #: As it is stored.
    text: bytes

    @property
    def at(self) -> float:
        """When it was accepted, in seconds since the epoch, by the clock of Redis."""
        return int(self.entry.split("-", 1)[0]) / 1000


def park(redis: Redis, keys: Keys, entry: InboxEntry, error: Exception) -> None:
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


def deliveries(redis: Redis, keys: Keys) -> list[Parked]:
    """The same, all of them, each as it can be taken out."""
    rows = cast("list[bytes]", redis.lrange(keys.parked, 0, -1))
    return [Parked(**json.loads(row), text=row) for row in rows]


def take_out(redis: Redis, keys: Keys, found: Parked, *, again: bool) -> bool | None:
    """Take a parked delivery out: into the inbox `again`, or for good. None if another has; True: wake a worker up.

    What was no UTF-8 comes back with replacement characters.
    """
    names = [keys.parked, keys.inbox, keys.wake_up, keys.meta]
    args = [found.text, int(again), WAKE_UP_MS, found.source, found.name, found.delivery, found.body]
    answer = int(Scripts(redis).run("unpark", names, args, fence=keys))
    return None if answer < 0 else answer == 1
