"""How much GitHub may still be asked, and when: shared by all processes, one for each identity."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from bot.store.scripts import Scripts

#: A refusal is forgotten after so long, in seconds; until then each further one makes the wait longer.
STRIKES_FOR = 1800


@dataclass(frozen=True, slots=True)
class Wait:
    """What to do before a request goes out: nothing (0 seconds), or come back later."""

    seconds: float
    #: `reserve`: what is left of the hourly limit is kept for others; `spacing`, `content`: the limits of writing;
    #: else what GitHub said when it refused.
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast may be written: seconds between two writes (0: as fast as one likes), and how many in a time."""

    spacing: float
    per_minute: int
    per_hour: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an allowance: the seconds until GitHub may be asked again, and the hourly limit last heard."""

    held: float
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
        name = f"{prefix}:{{github:{identity}}}:"
        self._hold, self._primary, self._line, self._wrote, self._strikes = (
            name + part for part in ("hold", "primary", "line", "wrote", "strikes")
        )

    def ask(self, reserve: float) -> Wait:
        """Whether something may be read; `reserve` is the share of the hourly limit that is kept for others."""
        return self._permit([reserve, "", 0, 1, 1, 0])

    def ask_to_write(self, ticket: str, reserve: float, pace: Pace, *, yields: bool = False) -> Wait:
        """Whether something may be written now; if so it counts as written.

        If not, `ticket` (any name of one's own) has a place in the line, and finds it again when it asks again; but
        whoever `yields` has none: it may write when nobody else wants to.
        """
        pacing = [int(pace.spacing * 1000), pace.per_minute, pace.per_hour]
        return self._permit([reserve, ticket, *pacing, int(yields)])

    def _permit(self, args: list[Any]) -> Wait:
        names = [self._hold, self._primary, self._line, self._wrote]
        milliseconds, why = self._scripts.run("permit", names, args)
        return Wait(float(milliseconds) / 1000, why.decode())

    def hold(self, seconds: float, why: str) -> None:
        """GitHub has refused: nobody asks before so many seconds have passed."""
        self._scripts.run("hold", [self._hold], [max(1, int(seconds * 1000)), why])

    def strike(self) -> int:
        """Count a refusal that did not say how long to wait; returns how many there were of late."""
        with self._redis.pipeline() as pipe:
            pipe.incr(self._strikes)
            pipe.expire(self._strikes, STRIKES_FOR)
            return int(pipe.execute()[0])

    def saw(self, remaining: int, limit: int, reset_in: float) -> None:
        """Remember what an answer said of the hourly limit; it ends in `reset_in` seconds."""
        reset = int((time.time() + reset_in) * 1000)
        with self._redis.pipeline() as pipe:
            pipe.hset(self._primary, mapping={"remaining": remaining, "limit": limit, "reset": reset})
            pipe.expire(self._primary, 7200)
            pipe.execute()

    def standing(self) -> Standing:
        """What is known now."""
        held = self._redis.pttl(self._hold)
        why = cast("bytes | None", self._redis.get(self._hold))
        found = cast("list[bytes | None]", self._redis.hmget(self._primary, ["remaining", "limit", "reset"]))
        remaining, limit, reset = (None if value is None else int(value) for value in found)
        return Standing(
            max(0.0, held / 1000), (why or b"").decode(), remaining, limit, None if reset is None else reset / 1000
        )
