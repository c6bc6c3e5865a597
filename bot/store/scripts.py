"""The Lua scripts, loaded once per connection: each is one change of several keys, whole or not at all.

The schema number says in which form the state is stored. It stands beside the version in `meta`. Every script that
reads or writes what another version could misread compares it (`lua/fence.lua`), so a process that runs on while a
newer version starts does nothing more.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from bot.store.keys import Keys

#: Raised by one whenever an older version could misread what this one stores; `bot.store.migrations` has the step.
SCHEMA = 6
#: The first number that any version stored.
FIRST = 1
#: How the fence's error begins.
OTHER = "OTHERSCHEMA "
#: Which scripts use the functions of others, and those of which.
_BEHIND = {
    "claim": ("history", "claiming"),
    "commit": ("history", "claiming"),
    "intent": ("history",),
    "lost_writes": ("history",),
    "tick": ("history",),
}


class OtherSchema(Exception):
    """What is stored was not written by this version of Interlock; it was neither read nor changed."""


class NewerSchema(OtherSchema):
    """A newer version wrote it: this process must end."""


class OlderSchema(OtherSchema):
    """An older version wrote it, and nobody has migrated it yet."""


class InvalidSchema(OtherSchema):
    """Its number is none that a version of Interlock has stored, or it has none: nobody knows its form."""


def stored_schema(redis: Redis, keys: Keys) -> int | None:
    """The number of what is stored; None if nothing is. Raises InvalidSchema if it has none, RedisError."""
    found, version = cast("list[bytes | None]", redis.hmget(keys.meta, ["schema", "version"]))
    if found is None and version is not None:
        raise InvalidSchema(f"the state of pipeline {keys.pipeline!r} has no schema number: {_MEND_INVALID}")
    return None if found is None else int(found)


_MEND_INVALID = "restore a backup (`interlock restore`)"


def refusal(pipeline: str, stored: int) -> OtherSchema:
    """What to raise because the state of `pipeline` has the schema `stored`, which is not ours."""
    found = f"the state of pipeline {pipeline!r} has schema {stored}"
    if stored > SCHEMA:
        return NewerSchema(
            f"{found}, this version understands up to {SCHEMA}: start the newer version again, "
            f"or restore a backup from before it ran"
        )
    if stored < FIRST:
        return InvalidSchema(f"{found}, which no version of Interlock has stored: {_MEND_INVALID}")
    return OlderSchema(f"{found} and must be migrated to {SCHEMA}: the next start of a worker or a web process does it")


def check_schema(redis: Redis, keys: Keys) -> None:
    """Raises NewerSchema or OlderSchema unless what is stored, if anything is, is of our schema. Changes nothing."""
    stored = stored_schema(redis, keys)
    if stored is not None and stored != SCHEMA:
        raise refusal(keys.pipeline, stored)


@lru_cache(maxsize=64)
def source(name: str) -> str:
    """The text of `bot/store/lua/<name>.lua`, behind the functions that it needs."""
    return "".join(map(_text, (*_BEHIND.get(name, ()), name)))


def _text(name: str) -> str:
    return files("bot.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Scripts:
    """The scripts of one Redis client, by name; sent by their hash, and in full when the server has forgotten them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: dict[tuple[str, bool], tuple[str, str]] = {}

    def run(self, name: str, keys: list[str], args: list[Any], fence: Keys | None = None) -> Any:
        """Run one script; with `fence`, only if the state of that pipeline is of our schema, or there is none.

        Raises redis.exceptions.RedisError if the server cannot be reached or refuses, NewerSchema or OlderSchema if
        the fence keeps it off: then nothing was changed.
        """
        if fence is None:
            return self._evaluate(name, keys, args, fenced=False)
        try:
            return self._evaluate(name, [*keys, fence.meta], [*args, SCHEMA], fenced=True)
        except ResponseError as error:
            if str(error).startswith(OTHER):
                raise refusal(fence.pipeline, int(str(error).removeprefix(OTHER))) from error
            raise

    def _evaluate(self, name: str, keys: list[str], args: list[Any], *, fenced: bool) -> Any:
        known = self._known.get((name, fenced))
        if known is None:
            text = source("fence") + source(name) if fenced else source(name)
            sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()  # how the server names a script
            known = self._known[name, fenced] = (sha, text)
        try:
            return self._redis.evalsha(known[0], len(keys), *keys, *args)
        except NoScriptError:  # sent to this server alone: SCRIPT LOAD would ask every server of a cluster
            return self._redis.eval(known[1], len(keys), *keys, *args)
