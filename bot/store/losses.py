"""Whether state was lost, read without the board: for those who only observe."""

from __future__ import annotations

from typing import cast

from redis import Redis

from bot.core.model.board import Header
from bot.core.rules.configuration import Loss, lock_key
from bot.store.codec import load_record
from bot.store.keys import Keys
from bot.store.store import HEADER


def stored_loss(redis: Redis, keys: Keys) -> Loss | None:
    """The loss whose locks still stand; None if there was none, or people have opened them all. Raises RedisError."""
    text = cast("bytes | None", redis.hget(keys.board, HEADER))
    if text is None or b'"lost":' not in text:
        return None
    header = cast(Header, load_record(HEADER, text))
    stages = [stage.name for stage in header.pipeline.stages]
    there = redis.hmget(keys.board, [f"lock/{lock_key(stage)}" for stage in stages])
    locked = tuple(stage for stage, lock in zip(stages, there, strict=True) if lock is not None)
    return Loss(header.lost, header.lost_why, locked) if header.lost is not None and locked else None
