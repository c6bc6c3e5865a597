"""Store the configuration in force, one for all processes; a new one replaces the expected one, or nothing changes.

It also stores the digests of former configurations, and which configuration each process uses. It does not parse or
check the pipeline file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import cast

from redis import Redis

from bot.core.model.pipeline import ConfigurationChange, Revision
from bot.store.scripts import Scripts

#: The number of former digests that are kept. They show whether a file was in force before or is new.
FORMER_KEPT = 200
#: The number of changes that are kept: a fact of each pipeline lists the first of them.
CHANGES_KEPT = 100
#: How long the note of a process is kept after it was last written, in seconds.
NOTE_KEPT = 86_400.0


@dataclass(frozen=True, slots=True)
class StoredConfiguration:
    """The text of a pipeline file, its revision, who put it in force, and what that changed."""

    revision: Revision
    text: str
    by: str
    changes: tuple[ConfigurationChange, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessConfiguration:
    """The configuration that one process uses. `at`: when it noted this, in seconds since the epoch."""

    #: When its configuration came into force, in seconds since the epoch; 0: it uses only its own file.
    since: float
    at: float
    #: Why it does not use the configuration in force, or not its own file; empty if there is no problem.
    problem: str = ""
    #: The names of the tokens, addresses and secrets in its environment, which a configuration may need.
    has: tuple[str, ...] = ()


class ConfigurationStore:
    """The configuration in force of one installation, in Redis."""

    def __init__(self, redis: Redis, prefix: str = "interlock") -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self._current, self._former, self._processes = (
            f"{prefix}:{{configuration}}:{name}" for name in ("current", "former", "processes")
        )

    def since(self) -> float:
        """Return since when (epoch seconds) a configuration is in force, or 0 if none is. Raises RedisError."""
        found = cast("bytes | None", self._redis.hget(self._current, "since"))
        return 0.0 if found is None else int(found) / 1000

    def read(self) -> StoredConfiguration | None:
        """Return the configuration in force, or None if none was stored yet. Raises RedisError."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._current))
        if not rows:
            return None
        found = {field.decode(): value.decode() for field, value in rows.items()}
        changes = tuple(ConfigurationChange(**change) for change in json.loads(found["changes"]))
        revision = Revision(found["digest"], int(found["since"]) / 1000)
        return StoredConfiguration(revision, found["text"], found["by"], changes)

    def was_replaced(self, digest: str) -> bool:
        """Return whether a configuration with this digest was in force and has been replaced. Raises RedisError."""
        return self._redis.zscore(self._former, digest) is not None

    def replace(self, before: Revision | None, new: StoredConfiguration) -> Revision | None:
        """Put `new` in force in place of `before` and return its revision.

        Returns None, and changes nothing, if another configuration has replaced `before` already. The new one is in
        force since the time in its revision, or from now on if that is 0. Raises RedisError.
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
        """Store what a process (`worker machine/number`) uses, and delete old notes of others. Raises RedisError."""
        old = [name for name, each in self.processes().items() if uses.at - each.at > NOTE_KEPT]
        self._redis.hset(self._processes, process, json.dumps(asdict(uses)))
        if old:
            self._redis.hdel(self._processes, *old)

    def processes(self) -> dict[str, ProcessConfiguration]:
        """Return what each process uses, including those that have ended. Raises RedisError."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._processes))
        return {name.decode(): _noted(json.loads(text)) for name, text in rows.items()}


def _noted(row: dict[str, object]) -> ProcessConfiguration:
    return ProcessConfiguration(**{**row, "has": tuple(cast("list[str]", row["has"]))})  # type: ignore[arg-type]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
