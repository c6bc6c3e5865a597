"""Notes about effects that fail and are tried again: why (`Delays`, for people) and since when (`Patience`).

Performers use the second to decide when to give up. The effects themselves are in the outbox.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import cast

from redis import Redis

from bot.store.keys import Keys

#: The number of delays that are kept; once it is reached, new ones are not noted.
KEPT = 200
#: How long the first failures are kept after the last new one, in seconds: longer than any effect is tried.
REMEMBERED = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Delay:
    """An effect that has failed so far and is tried again: what it is (in words), why it failed, since when (seconds
    since the epoch), and how often it was tried."""

    slot: str
    what: str
    why: str
    since: float
    tries: int


class Delays:
    """The delays of one pipeline. For people only: nothing is decided by them."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def note(self, slot: str, what: str, why: str, at: float, tries: int) -> None:
        """Record that one more try failed; `at` in seconds since the epoch."""
        known = self._redis.hget(self._keys.delays, slot)
        if known is None and self._redis.hlen(self._keys.delays) >= KEPT:
            self.forget_gone()
            if self._redis.hlen(self._keys.delays) >= KEPT:
                return
        since = float(json.loads(known)["since"]) if known is not None else at
        self._redis.hset(self._keys.delays, slot, json.dumps(asdict(Delay(slot, what, why, since, tries))))

    def clear(self, slot: str) -> None:
        """Delete the note of an effect that is done or was given up."""
        self._redis.hdel(self._keys.delays, slot)

    def all(self) -> list[Delay]:
        """Return all delays, oldest first, without those of effects that are no longer in the outbox."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.delays))
        if not rows:
            return []
        slots = list(rows)
        there = cast("list[bytes | None]", self._redis.hmget(self._keys.outbox, slots))
        found = [Delay(**json.loads(rows[slot])) for slot, value in zip(slots, there, strict=True) if value is not None]
        return sorted(found, key=lambda delay: (delay.since, delay.slot))

    def forget_gone(self) -> None:
        """Delete the notes of effects that are no longer in the outbox. `all` does not do so, because reading must also
        work while the store refuses writes."""
        _forget_gone(self._redis, self._keys, self._keys.delays)


class Patience:
    """The first failures of one pipeline's effects. An effect that replaces another one in its slot starts anew."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def since(self, slot: str, revision: str, at: float) -> float:
        """Return when this effect first failed, in seconds since the epoch; if nothing is stored, store and return
        `at`."""
        known = cast("bytes | None", self._redis.hget(self._keys.failing, slot))
        of, _, first = (known or b"").decode().partition(" ")
        if of == revision:
            return float(first)
        with self._redis.pipeline() as pipe:
            pipe.hset(self._keys.failing, slot, f"{revision} {at}")
            pipe.expire(self._keys.failing, REMEMBERED)
            pipe.execute()
        return at

    def forget(self, slot: str) -> None:
        """Delete the note of an effect that is done or was given up, so that a later one in its slot starts anew."""
        self._redis.hdel(self._keys.failing, slot)

    def forget_gone(self) -> None:
        """Delete the notes of effects that are no longer in the outbox."""
        _forget_gone(self._redis, self._keys, self._keys.failing)


def _forget_gone(redis: Redis, keys: Keys, notes: str) -> None:
    """Delete the notes (a hash by slot) of effects that are no longer in the outbox."""
    slots = cast("list[bytes]", redis.hkeys(notes))
    there = cast("list[bytes | None]", redis.hmget(keys.outbox, slots)) if slots else []
    gone = [slot for slot, value in zip(slots, there, strict=True) if value is None]
    if gone:
        redis.hdel(notes, *gone)
