"""Since when each effect has been tried in vain: what is given up is given up by time, however often it was tried."""

from __future__ import annotations

from typing import cast

from redis import Redis

from bot.store.keys import Keys

#: How long nothing may fail until all is forgotten, in seconds: longer than anything is tried.
REMEMBERED = 7 * 86_400


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
