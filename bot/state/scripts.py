"""The Lua scripts, loaded once per connection: each is one change of several keys, whole or not at all."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.commands.core import Script


@lru_cache(maxsize=32)
def source(name: str) -> str:
    """The text of `bot/state/lua/<name>.lua`."""
    return files("bot.state").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Scripts:
    """The scripts of one Redis client, by name; sent by their hash, and in full when the server has forgotten them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._loaded: dict[str, Script] = {}

    def run(self, name: str, keys: list[str], args: list[Any]) -> Any:
        """Run one script. Raises redis.exceptions.RedisError if the server cannot be reached or refuses."""
        script = self._loaded.get(name)
        if script is None:
            script = self._loaded[name] = self._redis.register_script(source(name))
        return script(keys=keys, args=args)
