"""What the repositories of the pipeline file are called now, and which id each has: names change, ids do not."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import cast

from redis import Redis

#: For how long a process believes what it has read, in seconds.
BELIEVED = 30.0


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as the file calls it, as GitHub calls it now, and its id."""

    configured: str
    present: str
    id: int

    @property
    def renamed(self) -> bool:
        """Whether the file has a former name."""
        return self.configured.casefold() != self.present.casefold()


class Repositories:
    """What was learnt of all of them. Thread-safe; reads Redis at most once in a while."""

    def __init__(self, redis: Redis, prefix: str = "interlock") -> None:
        self._redis = redis
        self._key = f"{prefix}:{{github}}:repositories"
        self._found: dict[str, Repository] = {}
        self._read_at = float("-inf")

    def learn(self, configured: str, present: str, number: int) -> bool:
        """Remember what GitHub said; True if that is news. Raises RedisError."""
        new = Repository(configured, present, number)
        if self._all(0.0).get(configured.casefold()) == new:
            return False
        text = json.dumps([configured, present, number])
        self._redis.hset(self._key, configured.casefold(), text)
        self._read_at = float("-inf")
        return True

    def get(self, configured: str) -> Repository | None:
        """What is known of the repository that the file calls so."""
        return self._all(BELIEVED).get(configured.casefold())

    def present(self, configured: str) -> str:
        """What it is called now, as far as we know."""
        found = self.get(configured)
        return found.present if found else configured

    def of_id(self, number: int) -> list[str]:
        """What files call, or called, the repository with this id."""
        return [repository.configured for repository in self._all(BELIEVED).values() if repository.id == number]

    def _all(self, believed: float) -> dict[str, Repository]:
        if time.monotonic() - self._read_at >= believed:
            rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._key))
            self._found = {name.decode(): Repository(*json.loads(text)) for name, text in rows.items()}
            self._read_at = time.monotonic()
        return self._found
