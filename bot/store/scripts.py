"""Run the Lua scripts. Each is one atomic change, or one consistent read, of several keys.

The schema number, stored beside the version in `meta`, says in which form the state is stored. Every script that reads
or writes something that another version could misread compares it first (`lua/fence.lua`). So a process that keeps
running while a newer version starts reads and changes nothing more.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from bot.store.keys import Keys

#: Increase it whenever an older version could misread what this one stores, and add a step to `bot.store.migrations`.
SCHEMA = 6
#: The lowest number that any version stored.
FIRST = 1
#: The beginning of the fence's error.
OTHER = "OTHERSCHEMA "
#: The scripts that use functions of other files, and which files.
_NEEDS = {
    "claim": ("history", "claiming"),
    "commit": ("history", "claiming"),
    "intent": ("history",),
    "lost_writes": ("history",),
    "tick": ("history",),
}


class OtherSchema(Exception):
    """An error: the stored state has another schema than this version of Interlock. It was neither read nor changed."""


class NewerSchema(OtherSchema):
    """An error: a newer version wrote the state. This process must end."""


class OlderSchema(OtherSchema):
    """An error: an older version wrote the state, and it has not been migrated yet."""


class InvalidSchema(OtherSchema):
    """An error: the state has no schema number, or one that no version of Interlock has stored."""


def stored_schema(redis: Redis, keys: Keys) -> int | None:
    """Return the schema of the stored state, or None if nothing is stored. Raises InvalidSchema if there is state
    without a schema, RedisError."""
    found, version = cast("list[bytes | None]", redis.hmget(keys.meta, ["schema", "version"]))
    if found is None and version is not None:
        raise InvalidSchema(f"the state of pipeline {keys.pipeline!r} has no schema number: {_MEND_INVALID}")
    return None if found is None else int(found)


_MEND_INVALID = "restore a backup (`interlock restore`)"


def refusal(pipeline: str, stored: int) -> OtherSchema:
    """Return the error to raise because the state of `pipeline` has the schema `stored`, which is not ours."""
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
    """Raise NewerSchema, OlderSchema or InvalidSchema if state is stored that does not have our schema."""
    stored = stored_schema(redis, keys)
    if stored is not None and stored != SCHEMA:
        raise refusal(keys.pipeline, stored)


@lru_cache(maxsize=64)
def source(name: str) -> str:
    """Return the text of `bot/store/lua/<name>.lua`, preceded by the files whose functions it uses."""
    return "".join(map(_text, (*_NEEDS.get(name, ()), name)))


@lru_cache(maxsize=128)
def _prepared(name: str, *, fenced: bool) -> tuple[str, str]:
    """Return the server's name for a script, and the text of the script."""
    text = source("fence") + source(name) if fenced else source(name)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), text


def _text(name: str) -> str:
    return files("bot.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Scripts:
    """The scripts, as one Redis client runs them: sent by hash, and in full if the server does not have them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def run(self, name: str, keys: list[str], args: list[Any], fence: Keys | None = None) -> Any:
        """Run one script; with `fence`, only if the state of that pipeline has our schema, or there is no state.

        Raises redis.exceptions.RedisError if the server cannot be reached or refuses; NewerSchema, OlderSchema or
        InvalidSchema, and changes nothing, if the state has another schema.
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
        sha, text = _prepared(name, fenced=fenced)
        try:
            return self._redis.evalsha(sha, len(keys), *keys, *args)
        except NoScriptError:  # sent to this server only: SCRIPT LOAD would go to every server of a cluster
            return self._redis.eval(text, len(keys), *keys, *args)
