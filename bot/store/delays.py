"""Effects that fail and are tried again: why, for people to see; and since when, for what is given up by time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import cast

from redis import Redis

from bot.store.keys import Keys

#: How many are kept; beyond, the oldest notes are no better than the newest.
KEPT = 200
#: How long nothing may fail until all is forgotten, in seconds: longer than anything is tried.
REMEMBERED = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Delay:
    """An effect that is still tried: what it is (in words), why it was in vain, since when, how often."""

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
        """One more try was in vain; `at` in seconds since the epoch."""
        known = self._redis.hget(self._keys.delays, slot)
        if known is None and self._redis.hlen(self._keys.delays) >= KEPT:
            self.forget_gone()
            if self._redis.hlen(self._keys.delays) >= KEPT:
                return
        since = float(json.loads(known)["since"]) if known is not None else at
        self._redis.hset(self._keys.delays, slot, json.dumps(asdict(Delay(slot, what, why, since, tries))))

    def clear(self, slot: str) -> None:
        """It is done, or given up."""
        self._redis.hdel(self._keys.delays, slot)

    def all(self) -> list[Delay]:
        """All that is delayed now, oldest first. Notes about what is no longer to be done are passed over."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.delays))
        if not rows:
            return []
        slots = list(rows)
        there = cast("list[bytes | None]", self._redis.hmget(self._keys.outbox, slots))
        found = [Delay(**json.loads(rows[slot])) for slot, value in zip(slots, there, strict=True) if value is not None]
        return sorted(found, key=lambda delay: (delay.since, delay.slot))

    def forget_gone(self) -> None:
        """Forget the notes about what is no longer to be done. Apart from reading: a reader needs no store that it can
        write to."""
        _forget_gone(self._redis, self._keys, self._keys.delays)


class Patience:
    """The first failures of one pipeline's effects. An effect that replaces another in its slot has its own time."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def since(self, slot: str, revision: str, at: float) -> float:
        """When this effect first was in vain; that is now (`at`, in seconds since the epoch) if nothing is known."""
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
        """It is done, or given up: another life begins anew."""
        self._redis.hdel(self._keys.failing, slot)

    def forget_gone(self) -> None:
        """Forget the first failures of what is no longer to be done."""
        _forget_gone(self._redis, self._keys, self._keys.failing)


def _forget_gone(redis: Redis, keys: Keys, notes: str) -> None:
    """Delete the notes (a hash by slot) about what is no longer in the outbox."""
    slots = cast("list[bytes]", redis.hkeys(notes))
    there = cast("list[bytes | None]", redis.hmget(keys.outbox, slots)) if slots else []
    gone = [slot for slot, value in zip(slots, there, strict=True) if value is None]
    if gone:
        redis.hdel(notes, *gone)
