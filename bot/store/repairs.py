"""How often something had to be made good that nobody told us: a number that grows shows that webhooks get lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from bot.store.keys import Keys

#: What was found, by kind: one of it, several.
WORDS = {
    "push": ("push to main", "pushes to main"),
    "rewound": ("force-push to main", "force-pushes to main"),
    "build": ("change of a build", "changes of builds"),
}
_LAST = " last"


@dataclass(frozen=True, slots=True)
class Repair:
    """What was found of one kind: how often since the beginning, and when the last time (seconds since the epoch)."""

    kind: str
    count: int
    last: float | None

    @property
    def words(self) -> str:
        """`3 pushes to main`."""
        one, several = WORDS.get(self.kind, (self.kind, self.kind))
        return f"{self.count} {one if self.count == 1 else several}"


class Repairs:
    """What was repaired in one pipeline, by kind: `push`, a push to main whose webhook never came, and more."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def count(self, kind: str) -> None:
        """One more."""
        seconds, _ = self._redis.time()
        with self._redis.pipeline() as pipe:
            pipe.hincrby(self._keys.repairs, kind, 1)
            pipe.hset(self._keys.repairs, kind + _LAST, seconds)
            pipe.execute()

    def all(self) -> dict[str, int]:
        """How many of each kind, since the beginning."""
        return {repair.kind: repair.count for repair in self.found()}

    def found(self) -> list[Repair]:
        """What was repaired, in the order of the kinds."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.repairs))
        found = {name.decode(): int(value) for name, value in rows.items()}
        kinds = sorted(name for name in found if not name.endswith(_LAST))
        return [Repair(kind, found[kind], found.get(kind + _LAST)) for kind in kinds]

    def shapes(self) -> list[dict[str, Any]]:
        """The same as plain values, for the page, the API and the CLI."""
        return [{"kind": r.kind, "count": r.count, "last": r.last, "words": r.words} for r in self.found()]
