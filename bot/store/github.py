"""State about GitHub that all processes share: the allowance of each identity, the names and ids of repositories."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from redis import Redis

from bot.store.scripts import Scripts

#: Refusals are forgotten this long after the last one, in seconds; until then each further one makes the wait longer.
REFUSALS_FOR = 1800


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a request must wait before it may be sent: 0 seconds, or ask again after `seconds`."""

    seconds: float
    #: `reserve`: the rest of the hourly limit is reserved for others; `points`, `spacing`, `content`: the limits in
    #: `Pace`; otherwise the text with which GitHub refused.
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast requests may be sent to GitHub. Times in seconds."""

    #: Points per minute, of all requests together; 0: no limit, nothing is counted.
    points: int
    #: The time between two writes, and between two that create something and notify people.
    spacing: float
    created_apart: float
    #: The most of the latter in a minute, and in an hour.
    created_per_minute: int
    created_per_hour: int

    #: The cost of a request, in points.
    READ: ClassVar[int] = 1
    WRITE: ClassVar[int] = 5


@dataclass(frozen=True, slots=True)
class AllowanceState:
    """The state of an allowance: the seconds until a request may be sent again and why, and the hourly limit as GitHub
    last reported it (`reset` in seconds since the epoch)."""

    paused_for: float
    why: str
    remaining: int | None
    limit: int | None
    reset: float | None


class Allowance:
    """The allowance of one identity (`token`, or an installation of an App)."""

    def __init__(self, redis: Redis, identity: str, prefix: str = "interlock") -> None:
        self.identity = identity
        self._redis = redis
        self._scripts = Scripts(redis)
        name = f"{prefix}:{{github:{identity}}}:"  # these key names are older than the names in the code
        self._pause, self._primary, self._refusals = (name + part for part in ("hold", "primary", "strikes"))
        self._keys = [name + part for part in ("hold", "primary", "line", "wrote", "notices", "created", "points")]

    def ask(self, reserve: float, pace: Pace) -> Wait:
        """Ask whether a read may be sent now; if so, it is counted.

        `reserve` is the share of the hourly limit that is kept for others.
        """
        return self._permit([reserve, "", 0, pace.points, Pace.READ, 0, 0, 0, 0, 0])

    def ask_to_write(
        self, ticket: str, reserve: float, pace: Pace, *, creates: bool = False, yields: bool = False
    ) -> Wait:
        """Ask whether a write may be sent now; if so, it is counted. `creates`: it creates something and notifies
        people.

        If not, `ticket` (a name of the caller's choice) gets a place in the queue of writes, and keeps it when it asks
        again. With `yields` it gets no place: it may write only while no other write waits.
        """
        spacing, apart = int(pace.spacing * 1000), int(pace.created_apart * 1000)
        created = [int(creates), apart, pace.created_per_minute, pace.created_per_hour]
        return self._permit([reserve, ticket, int(yields), pace.points, Pace.WRITE, spacing, *created])

    def _permit(self, args: list[Any]) -> Wait:
        milliseconds, why = self._scripts.run("permit", self._keys, args)
        return Wait(float(milliseconds) / 1000, why.decode())

    def pause(self, seconds: float, why: str) -> None:
        """Stop all requests of this identity for `seconds`, because GitHub has refused one."""
        self._scripts.run("pause", [self._pause], [max(1, int(seconds * 1000)), why])

    def count_refusal(self) -> int:
        """Count a refusal that did not say how long to wait; returns how many there were recently."""
        with self._redis.pipeline() as pipe:
            pipe.incr(self._refusals)
            pipe.expire(self._refusals, REFUSALS_FOR)
            return int(pipe.execute()[0])

    def saw(self, remaining: int, limit: int, reset_in: float) -> None:
        """Store the hourly limit as an answer reported it; it is reset in `reset_in` seconds."""
        reset = int((time.time() + reset_in) * 1000)
        with self._redis.pipeline() as pipe:
            pipe.hset(self._primary, mapping={"remaining": remaining, "limit": limit, "reset": reset})
            pipe.expire(self._primary, 7200)
            pipe.execute()

    def standing(self) -> AllowanceState:
        """Return the present state of the allowance."""
        left = self._redis.pttl(self._pause)
        why = cast("bytes | None", self._redis.get(self._pause))
        found = cast("list[bytes | None]", self._redis.hmget(self._primary, ["remaining", "limit", "reset"]))
        remaining, limit, reset = (None if value is None else int(value) for value in found)
        return AllowanceState(
            max(0.0, left / 1000), (why or b"").decode(), remaining, limit, None if reset is None else reset / 1000
        )


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository: its name in the pipeline file, its present name at GitHub, and its id."""

    configured: str
    present: str
    id: int


class Repositories:
    """The names and ids of all repositories. Thread-safe; reads Redis again after `believed` seconds."""

    def __init__(self, redis: Redis, believed: float = 30.0, prefix: str = "interlock") -> None:
        self._redis = redis
        self._believed = believed
        self._key = f"{prefix}:{{github}}:repositories"
        self._found: dict[str, Repository] = {}
        self._read_at = float("-inf")

    def learn(self, configured: str, present: str, number: int) -> bool:
        """Store the present name and id of a repository; True if they were not stored before. Raises RedisError."""
        new = Repository(configured, present, number)
        if self._all(0.0).get(configured.casefold()) == new:
            return False
        text = json.dumps([configured, present, number])
        self._redis.hset(self._key, configured.casefold(), text)
        self._read_at = float("-inf")
        return True

    def get(self, configured: str) -> Repository | None:
        """Return the repository with this name in the pipeline file, or None if it is not known."""
        return self._all(self._believed).get(configured.casefold())

    def present(self, configured: str) -> str:
        """Return the present name of a repository, or its configured name if no other is known."""
        found = self.get(configured)
        return found.present if found else configured

    def of_id(self, number: int) -> list[str]:
        """Return the names that pipeline files use, or used, for the repository with this id."""
        return [repository.configured for repository in self._all(self._believed).values() if repository.id == number]

    def _all(self, believed: float) -> dict[str, Repository]:
        if time.monotonic() - self._read_at >= believed:
            rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._key))
            self._found = {name.decode(): Repository(*json.loads(text)) for name, text in rows.items()}
            self._read_at = time.monotonic()
        return self._found
