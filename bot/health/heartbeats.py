"""Heartbeats: each process of Interlock says every few seconds that it lives; who is silent is stopped or cut off."""

from __future__ import annotations

import os
import socket
from typing import cast

from redis import Redis

from bot.store.scripts import Scripts

#: How long it is remembered when a process was last heard, in seconds: for "since when" in the morning after.
REMEMBERED = 3 * 86_400

#: The kinds of processes that say so.
WEB, WORKER, BEAT = "web", "worker", "beat"


class Heartbeats:
    """When each process was last heard, by the clock of Redis."""

    def __init__(self, redis: Redis, prefix: str = "interlock") -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self.key = f"{prefix}:{{health}}:heartbeats"

    def beat(self, kind: str, process: str | None = None) -> None:
        """This process lives. Raises RedisError if that cannot be said."""
        name = process or _own_name()
        self._scripts.run("heartbeat", [self.key], [f"{kind} {name}", REMEMBERED * 1000])

    def bury(self) -> None:
        """Forget the processes of this machine that have ended, but for the one of a kind that was heard last."""
        for kind, rows in self.heard().items():
            for process, _ in rows[1:]:
                host, _, number = process.rpartition("/")
                if host == socket.gethostname() and number.isdecimal() and not _lives(int(number)):
                    self._forget(kind, process)

    def leave(self, kind: str) -> None:
        """This process ends, as it should: if others of its kind were heard, nobody need miss it."""
        if len(self.heard().get(kind, [])) > 1:
            self._forget(kind, _own_name())

    def _forget(self, kind: str, process: str) -> None:
        self._redis.zrem(self.key, f"{kind} {process}")

    def heard(self) -> dict[str, list[tuple[str, float]]]:
        """By kind, each process and when it was last heard (seconds since the epoch), the latest first."""
        found: dict[str, list[tuple[str, float]]] = {}
        rows = self._redis.zrange(self.key, 0, -1, desc=True, withscores=True)
        for member, score in cast("list[tuple[bytes, float]]", rows):
            kind, _, process = member.decode().partition(" ")
            found.setdefault(kind, []).append((process, score / 1000))
        return found


def _own_name() -> str:
    return f"{socket.gethostname()}/{os.getpid()}"


def _lives(pid: int) -> bool:
    """Whether there is such a process; one that was stopped, or hangs, is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
