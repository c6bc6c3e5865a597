"""The schema number of what is stored, and the refusal to touch what a newer version wrote."""

from __future__ import annotations

from redis import Redis

from bot.state.keys import Keys

#: Raised by one whenever an older version could misread what this one stores.
SCHEMA = 2


class NewerSchema(Exception):
    """What is stored was written by a newer version of Interlock; this one must not touch it."""


def check_schema(redis: Redis, keys: Keys) -> None:
    """Write the schema number if there is none or an older one. Raises NewerSchema if it is higher than ours."""
    stored = int(redis.hget(keys.meta, "schema") or 0)
    if stored < SCHEMA:
        redis.hset(keys.meta, "schema", str(SCHEMA))
    if stored > SCHEMA:
        raise NewerSchema(
            f"the state of pipeline {keys.pipeline!r} has schema {stored}, this version understands up to {SCHEMA}: "
            f"start the newer version again, or restore a backup from before it ran"
        )
