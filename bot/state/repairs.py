"""How often something had to be made good that nobody told us: a number that grows shows that webhooks get lost."""

from __future__ import annotations

from typing import cast

from redis import Redis

from bot.state.keys import Keys


class Repairs:
    """What was repaired in one pipeline, by kind: `push`, a push to main whose webhook never came, and more."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def count(self, kind: str) -> None:
        """One more."""
        self._redis.hincrby(self._keys.repairs, kind, 1)

    def all(self) -> dict[str, int]:
        """How many of each kind, since the beginning."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.repairs))
        return {kind.decode(): int(number) for kind, number in rows.items()}
