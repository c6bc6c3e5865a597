"""Contacts: when each Jenkins, GitHub identity, channel and the broker last gave a good answer, and what went wrong
since.

Heartbeats: each process of Interlock stores every few seconds that it lives; one that is silent is stopped or cut off.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from bot.health.observations import ContactSeen
from bot.store.scripts import Scripts

#: How long a contact is remembered when nobody asks any more, in seconds.
REMEMBERED = 7 * 86_400
#: How much of an error is kept.
LONGEST = 300

#: Whom we ask or tell something; and, by controller, who calls us.
JENKINS, GITHUB, CHANNEL = "jenkins", "github", "channel"
CALLBACKS = "callbacks"
#: Celery's broker, and what beat calls it: there is one.
BROKER, MESSAGES = "broker", "messages"


class Contacts:
    """The contacts of an installation. Safe to share between threads; noting costs nothing as long as all is well."""

    def __init__(self, redis: Redis, prefix: str = "interlock", *, every: float = 5.0) -> None:
        """`every`: how often this process notes the same again, in seconds: far less than what is judged by it."""
        self._redis = redis
        self._every = every
        self._scripts = Scripts(redis)
        self.key = f"{prefix}:{{health}}:contacts"
        self._noted: dict[str, tuple[bool, float]] = {}
        #: How many errors were not noted each, because the same had just been.
        self._uncounted: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, kind: str, name: str) -> Contact:
        """One contact, for whoever talks to it."""
        return Contact(self, kind, name)

    def note(self, kind: str, name: str, error: str | None, *, forbidden: bool = False) -> None:
        """What came of a request: a good answer (None), or why not.

        It never fails: that the store takes nothing is found by whoever judges the health, and the request that is
        noted has happened all the same.
        """
        known_as, now = f"{kind}/{name}", time.monotonic()
        with self._lock:
            well, at = self._noted.get(known_as, (error is not None, 0.0))
            self._uncounted[known_as] += error is not None
            if well == (error is None) and now - at < self._every:
                return
            self._noted[known_as] = (error is None, now)
            count = self._uncounted.pop(known_as)
        args = [known_as, "good" if error is None else "bad", (error or "")[:LONGEST], int(forbidden), count]
        try:
            self._scripts.run("contact", [self.key], [*args, REMEMBERED * 1000])
        except RedisError:
            with self._lock:
                self._noted.pop(known_as, None)  # so that the next one is noted
                self._uncounted[known_as] += count

    def seen(self) -> list[ContactSeen]:
        """What is known of all of them."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self.key))
        found = {field.decode(): value for field, value in rows.items()}
        names = sorted({field.rpartition(" ")[0] for field in found})
        return [_seen(name, found.get(f"{name} good"), found.get(f"{name} bad")) for name in names]


@dataclass(frozen=True, slots=True)
class Contact:
    """One Jenkins, GitHub identity or channel."""

    contacts: Contacts
    kind: str
    name: str

    def good(self) -> None:
        """It gave a good answer."""
        self.contacts.note(self.kind, self.name, None)

    def bad(self, why: str, *, forbidden: bool = False) -> None:
        """It gave no answer, or a bad one; `forbidden`: it refused this request, and perhaps no other."""
        self.contacts.note(self.kind, self.name, why, forbidden=forbidden)


def _seen(name: str, good: bytes | None, bad: bytes | None) -> ContactSeen:
    kind, _, short = name.partition("/")
    good_at = None if good is None else int(good) / 1000
    if bad is None:
        return ContactSeen(kind, short, good_at)
    error = json.loads(bad)
    return ContactSeen(
        kind,
        short,
        good_at,
        error["at"] / 1000,
        error["since"] / 1000,
        str(error["why"]),
        bool(error["forbidden"]),
        int(error.get("count", 0)),
    )


#: How long it is remembered when a process was last heard, in seconds: for "since when" in the morning after.
HEARTBEATS_REMEMBERED = 3 * 86_400

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
        name = process or own_name()
        self._scripts.run("heartbeat", [self.key], [f"{kind} {name}", HEARTBEATS_REMEMBERED * 1000])

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
            self._forget(kind, own_name())

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


def own_name() -> str:
    """What this process is called: `machine/number`."""
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
