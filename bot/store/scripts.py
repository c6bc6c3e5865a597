"""The Lua scripts, loaded once per connection: each is one change of several keys, whole or not at all."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import ResponseError

from bot.store.keys import Keys
from bot.store.schema import SCHEMA, refusal

#: How the fence's error begins.
OTHER = "OTHERSCHEMA "


#: Which scripts use the functions of others, and those of which.
_BEHIND = {
    "claim": ("history", "claiming"),
    "commit": ("history", "claiming"),
    "intent": ("history",),
    "tick": ("history",),
}


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
        self._loaded: dict[tuple[str, bool], Script] = {}

    def run(self, name: str, keys: list[str], args: list[Any], fence: Keys | None = None) -> Any:
        """Run one script; with `fence`, only if the state of that pipeline is of our schema, or there is none.

        Raises redis.exceptions.RedisError if the server cannot be reached or refuses, NewerSchema or OlderSchema if
        the fence keeps it off: then nothing was changed.
        """
        if fence is None:
            return self._script(name, fenced=False)(keys=keys, args=args)
        try:
            return self._script(name, fenced=True)(keys=[*keys, fence.meta], args=[*args, SCHEMA])
        except ResponseError as error:
            if str(error).startswith(OTHER):
                raise refusal(fence.pipeline, int(str(error).removeprefix(OTHER))) from error
            raise

    def _script(self, name: str, *, fenced: bool) -> Script:
        script = self._loaded.get((name, fenced))
        if script is None:
            text = source("fence") + source(name) if fenced else source(name)
            script = self._loaded[name, fenced] = self._redis.register_script(text)
        return script
