"""What all processes know of GitHub: how much it may still be asked, by identity, and what repositories are called."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from redis import Redis

from bot.store.scripts import Scripts

#: A refusal is forgotten after so long, in seconds; until then each further one makes the wait longer.
REFUSALS_FOR = 1800


@dataclass(frozen=True, slots=True)
class Wait:
    """What to do before a request goes out: nothing (0 seconds), or come back later."""

    seconds: float
    #: `reserve`: what is left of the hourly limit is kept for others; `points`, `spacing`, `content`: the limits that
    #: `Pace` names; else what GitHub said when it refused.
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast GitHub may be asked. Times in seconds."""

    #: Points in a minute, of all requests together; 0: as fast as one likes, nothing is counted.
    points: int
    #: Between two writes, and between two that create something and notify people.
    spacing: float
    created_apart: float
    #: How many of the latter in a minute, and in an hour.
    created_per_minute: int
    created_per_hour: int

    #: What a request costs of the points.
    READ: ClassVar[int] = 1
    WRITE: ClassVar[int] = 5


@dataclass(frozen=True, slots=True)
class AllowanceState:
    """What is known of an allowance: the seconds until GitHub may be asked again, and the hourly limit last heard."""

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
        name = f"{prefix}:{{github:{identity}}}:"  # the words of the keys are older than those of the code
        self._pause, self._primary, self._refusals = (name + part for part in ("hold", "primary", "strikes"))
        self._keys = [name + part for part in ("hold", "primary", "line", "wrote", "notices", "created", "points")]

    def ask(self, reserve: float, pace: Pace) -> Wait:
        """Whether something may be read now; if so it counts as read.

        `reserve` is the share of the hourly limit that is kept for others.
        """
        return self._permit([reserve, "", 0, pace.points, Pace.READ, 0, 0, 0, 0, 0])

    def ask_to_write(
        self, ticket: str, reserve: float, pace: Pace, *, creates: bool = False, yields: bool = False
    ) -> Wait:
        """Whether something may be written now; if so it counts as written. `creates`: and people are notified of it.

        If not, `ticket` (any name of one's own) has a place in the queue of writes, and finds it again when it asks
        again; but whoever `yields` has none: it may write when nobody else wants to.
        """
        spacing, apart = int(pace.spacing * 1000), int(pace.created_apart * 1000)
        created = [int(creates), apart, pace.created_per_minute, pace.created_per_hour]
        return self._permit([reserve, ticket, int(yields), pace.points, Pace.WRITE, spacing, *created])

    def _permit(self, args: list[Any]) -> Wait:
        milliseconds, why = self._scripts.run("permit", self._keys, args)
        return Wait(float(milliseconds) / 1000, why.decode())

    def pause(self, seconds: float, why: str) -> None:
        """GitHub has refused: nobody asks before so many seconds have passed."""
        self._scripts.run("pause", [self._pause], [max(1, int(seconds * 1000)), why])

    def count_refusal(self) -> int:
        """Count a refusal that did not say how long to wait; returns how many there were of late."""
        with self._redis.pipeline() as pipe:
            pipe.incr(self._refusals)
            pipe.expire(self._refusals, REFUSALS_FOR)
            return int(pipe.execute()[0])

    def saw(self, remaining: int, limit: int, reset_in: float) -> None:
        """Remember what an answer said of the hourly limit; it ends in `reset_in` seconds."""
        reset = int((time.time() + reset_in) * 1000)
        with self._redis.pipeline() as pipe:
            pipe.hset(self._primary, mapping={"remaining": remaining, "limit": limit, "reset": reset})
            pipe.expire(self._primary, 7200)
            pipe.execute()

    def standing(self) -> AllowanceState:
        """What is known now."""
        left = self._redis.pttl(self._pause)
        why = cast("bytes | None", self._redis.get(self._pause))
        found = cast("list[bytes | None]", self._redis.hmget(self._primary, ["remaining", "limit", "reset"]))
        remaining, limit, reset = (None if value is None else int(value) for value in found)
        return AllowanceState(
            max(0.0, left / 1000), (why or b"").decode(), remaining, limit, None if reset is None else reset / 1000
        )


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as the file calls it, as GitHub calls it now, and its id."""

    configured: str
    present: str
    id: int


class Repositories:
    """What was learnt of all of them. Thread-safe; reads Redis again after `believed` seconds."""

    def __init__(self, redis: Redis, believed: float = 30.0, prefix: str = "interlock") -> None:
        self._redis = redis
        self._believed = believed
        self._key = f"{prefix}:{{github}}:repositories"
        self._found: dict[str, Repository] = {}
        self._read_at = float("-inf")

    def learn(self, configured: str, present: str, number: int) -> bool:
        """Remember what GitHub said; True if that is news. Raises RedisError."""
        new = Repository(configured, present, number)
        if self._all(0.0).get(configured.casefold()) == new:
            return False
        text = json.dumps([configured, present, number])
        self._redis.hset(self._key, configured.casefold(), text)
        self._read_at = float("-inf")
        return True

    def get(self, configured: str) -> Repository | None:
        """What is known of the repository that the file calls so."""
        return self._all(self._believed).get(configured.casefold())

    def present(self, configured: str) -> str:
        """What it is called now, as far as we know."""
        found = self.get(configured)
        return found.present if found else configured

    def of_id(self, number: int) -> list[str]:
        """What files call, or called, the repository with this id."""
        return [repository.configured for repository in self._all(self._believed).values() if repository.id == number]

    def _all(self, believed: float) -> dict[str, Repository]:
        if time.monotonic() - self._read_at >= believed:
            rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._key))
            self._found = {name.decode(): Repository(*json.loads(text)) for name, text in rows.items()}
            self._read_at = time.monotonic()
        return self._found
