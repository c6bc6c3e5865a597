"""The configuration in force: one for all processes, with its text, put in place of the one before or not at all.

Beside it stand the digests that were in force before, and what each process uses.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import cast

from redis import Redis

from bot.core.model.pipeline import ConfigurationChange, Revision
from bot.store.scripts import Scripts

#: How many former digests are kept: a file that was in force before is told from a new one.
FORMER_KEPT = 200
#: How many changes are kept: a fact of each pipeline lists the first of them.
CHANGES_KEPT = 100
#: How long what a process uses is remembered after it was last noted, in seconds.
NOTE_KEPT = 86_400.0


@dataclass(frozen=True, slots=True)
class StoredConfiguration:
    """The text of a pipeline file, which revision it is, who put it in force, and what that changed."""

    revision: Revision
    text: str
    by: str
    changes: tuple[ConfigurationChange, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessConfiguration:
    """What one process uses. `at`: when it noted this, in seconds since the epoch."""

    #: Since when the configuration that it uses is in force, in seconds since the epoch; 0: it uses its own file alone.
    since: float
    at: float
    #: Why it uses another one than is in force, or than its own file; empty: all is well.
    problem: str = ""
    #: The names of what its environment has: tokens, addresses and secrets that a configuration may need.
    has: tuple[str, ...] = ()


class ConfigurationStore:
    """The configuration in force, of one installation."""

    def __init__(self, redis: Redis, prefix: str = "interlock") -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self._current, self._former, self._processes = (
            f"{prefix}:{{configuration}}:{name}" for name in ("current", "former", "processes")
        )

    def since(self) -> float:
        """Since when the present one is in force, in seconds since the epoch; 0: none is. Raises RedisError."""
        found = cast("bytes | None", self._redis.hget(self._current, "since"))
        return 0.0 if found is None else int(found) / 1000

    def read(self) -> StoredConfiguration | None:
        """The configuration in force; None: none was stored yet. Raises RedisError."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._current))
        if not rows:
            return None
        found = {field.decode(): value.decode() for field, value in rows.items()}
        changes = tuple(ConfigurationChange(**change) for change in json.loads(found["changes"]))
        revision = Revision(found["digest"], int(found["since"]) / 1000)
        return StoredConfiguration(revision, found["text"], found["by"], changes)

    def was_replaced(self, digest: str) -> bool:
        """Whether a configuration with this digest was in force and another one took its place. Raises RedisError."""
        return self._redis.zscore(self._former, digest) is not None

    def replace(self, before: Revision | None, new: StoredConfiguration) -> Revision | None:
        """Put `new` in force in place of `before`; returns its revision. None: another came between, nothing changed.

        It is in force since its revision says, if that says so, else from now on. Raises RedisError.
        """
        digest, given = new.revision.digest, new.revision.since
        args = [
            "" if before is None else _milliseconds(before.since),
            _milliseconds(given) if given else "",
            digest,
            new.text,
            new.by,
            json.dumps([asdict(change) for change in new.changes[:CHANGES_KEPT]]),
            FORMER_KEPT,
        ]
        since = self._scripts.run("reconfigure", [self._current, self._former], args)
        return Revision(digest, int(since) / 1000) if since else None

    def note(self, process: str, uses: ProcessConfiguration) -> None:
        """Keep what a process (`worker machine/number`) uses; what others noted long ago goes. Raises RedisError."""
        old = [name for name, each in self.processes().items() if uses.at - each.at > NOTE_KEPT]
        self._redis.hset(self._processes, process, json.dumps(asdict(uses)))
        if old:
            self._redis.hdel(self._processes, *old)

    def processes(self) -> dict[str, ProcessConfiguration]:
        """What each process uses, also of those that have ended. Raises RedisError."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._processes))
        return {name.decode(): _noted(json.loads(text)) for name, text in rows.items()}


def _noted(row: dict[str, object]) -> ProcessConfiguration:
    return ProcessConfiguration(**{**row, "has": tuple(cast("list[str]", row["has"]))})  # type: ignore[arg-type]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
