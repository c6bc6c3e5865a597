"""What was told of the health, agreed upon by all processes: in the store, or in a file while that takes nothing."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from bot.health.steady import Told
from bot.store.scripts import Scripts

Step = Callable[[Told], Told | None]


class Ledger:
    """What was told. A change belongs to the one process that could write it down: it tells.

    While the store takes nothing, the processes of one machine agree by a file in the data folder; if that cannot be
    written either, each tells for itself.
    """

    def __init__(self, redis: Redis, file: Path, prefix: str = "interlock") -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self._key = f"{prefix}:{{health}}:told"
        self._file = file
        #: What this process knows to be told, and what it told for itself.
        self._own = Told()
        self._alone: Told | None = None

    def take(self, step: Step) -> Told | None:
        """Ask `step` what must count as told after what was; None if nothing, or if another process was first."""
        try:
            return self._in_store(step)
        except RedisError:  # it is what the message will be about
            return self._in_file(step)

    def _in_store(self, step: Step) -> Told | None:
        text = cast("bytes | None", self._redis.get(self._key)) or b""
        meanwhile = self._read_file()
        self._own = meanwhile or _load(text)
        following = step(self._own)
        if following is None and meanwhile is not None:
            following, silent = meanwhile, True  # the store works again: it takes over what the file knew
        else:
            silent = False
        if following is None or not self._scripts.run("told", [self._key], [text, _dump(following)]):
            return None
        if self._alone is None:
            self._file.unlink(missing_ok=True)
        self._own, self._alone = following, None
        return None if silent else following

    def _in_file(self, step: Step) -> Told | None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another one is at it, or stopped while at it
                stream.seek(0)
                text = stream.read()
                following = step(_load(text.encode()) if text else self._own)
                if following is not None:
                    stream.truncate(0)
                    stream.write(_dump(following))
                    self._own = following
                return following
        except BlockingIOError:
            return None
        except OSError:  # no such folder here, or no right to write there
            following = step(self._own)
            if following is not None:
                self._own = self._alone = following
            return following

    def _read_file(self) -> Told | None:
        if self._alone is not None:
            return self._alone
        try:
            text = self._file.read_bytes()
        except OSError:
            return None
        return _load(text) if text else None


def _load(text: bytes) -> Told:
    if not text:
        return Told()
    found = json.loads(text)
    return Told(frozenset(found["causes"]), tuple(found["at"]))


def _dump(told: Told) -> str:
    return json.dumps({"causes": sorted(told.causes), "at": told.at})
