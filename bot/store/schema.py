"""The schema number of what is stored, and the refusal to read or write what another version stored.

The number stands beside the version in `meta`. Every script that reads or writes what another version could misread
compares it (`lua/fence.lua`), so a process that runs on while a newer version starts does nothing more.
"""

from __future__ import annotations

from typing import cast

from redis import Redis

from bot.store.keys import Keys

#: Raised by one whenever an older version could misread what this one stores; `bot.store.migrations` has the step.
SCHEMA = 4


class OtherSchema(Exception):
    """What is stored was not written by this version of Interlock; it was neither read nor changed."""


class NewerSchema(OtherSchema):
    """A newer version wrote it: this process must end."""


class OlderSchema(OtherSchema):
    """An older version wrote it, and nobody has migrated it yet."""


def stored_schema(redis: Redis, keys: Keys) -> int | None:
    """The number of what is stored; None if nothing is. Raises RedisError."""
    found = cast("bytes | None", redis.hget(keys.meta, "schema"))
    return None if found is None else int(found)


def refusal(pipeline: str, stored: int) -> OtherSchema:
    """What to raise because the state of `pipeline` has the schema `stored`, which is not ours."""
    found = f"the state of pipeline {pipeline!r} has schema {stored}"
    if stored > SCHEMA:
        return NewerSchema(
            f"{found}, this version understands up to {SCHEMA}: start the newer version again, "
            f"or restore a backup from before it ran"
        )
    return OlderSchema(f"{found} and must be migrated to {SCHEMA}: the next start of a worker or a web process does it")


def check_schema(redis: Redis, keys: Keys) -> None:
    """Raises NewerSchema or OlderSchema unless what is stored, if anything is, is of our schema. Changes nothing."""
    stored = stored_schema(redis, keys)
    if stored is not None and stored != SCHEMA:
        raise refusal(keys.pipeline, stored)
