"""Store contacts and heartbeats, from which the health is judged.

A contact is a Jenkins, a GitHub identity, a channel or the broker, with its last good answer and its last error. Each
process of Interlock stores a heartbeat every few seconds; one without a recent heartbeat has stopped or is cut off.
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

#: How long the contacts are kept after the last request to any of them, in seconds.
REMEMBERED = 7 * 86_400
#: The most characters of an error that are kept.
LONGEST = 300

#: The kinds of contacts to which we send requests; and the callbacks that we receive, by controller.
JENKINS, GITHUB, CHANNEL = "jenkins", "github", "channel"
CALLBACKS = "callbacks"
#: Celery's broker, and the name under which beat notes it: there is only one.
BROKER, MESSAGES = "broker", "messages"


class Contacts:
    """The contacts of an installation. Thread-safe; the same result is noted only once in `every` seconds."""

    def __init__(self, redis: Redis, prefix: str = "interlock", *, every: float = 5.0) -> None:
        """Begin without notes. `every`: the interval at which this process notes the same result again, in seconds; far
        shorter than the times by which contacts are judged."""
        self._redis = redis
        self._every = every
        self._scripts = Scripts(redis)
        self.key = f"{prefix}:{{health}}:contacts"
        self._noted: dict[str, tuple[bool, float]] = {}
        #: The number of errors of each contact that were not stored, because one had been stored just before.
        self._uncounted: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, kind: str, name: str) -> Contact:
        """Return one contact, for the code that sends requests to it."""
        return Contact(self, kind, name)

    def note(self, kind: str, name: str, error: str | None, *, forbidden: bool = False) -> None:
        """Store the result of a request: a good answer (None), or the error.

        Raises nothing: the judgement of the health notices if the store takes no writes, and the noted request has
        happened in any case.
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
                self._noted.pop(known_as, None)  # so that the next result is stored
                self._uncounted[known_as] += count

    def seen(self) -> list[ContactSeen]:
        """Return the stored state of all contacts."""
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
        """Record a good answer."""
        self.contacts.note(self.kind, self.name, None)

    def bad(self, why: str, *, forbidden: bool = False) -> None:
        """Record that there was no answer or a bad one; `forbidden`: this request was refused, perhaps no other."""
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


#: How long the last heartbeat of a process is kept, in seconds, so that a finding can still say since when it is gone.
HEARTBEATS_REMEMBERED = 3 * 86_400

#: The kinds of processes with a heartbeat.
WEB, WORKER, BEAT = "web", "worker", "beat"


class Heartbeats:
    """The last heartbeat of each process, by the clock of Redis."""

    def __init__(self, redis: Redis, prefix: str = "interlock") -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self.key = f"{prefix}:{{health}}:heartbeats"

    def beat(self, kind: str, process: str | None = None) -> None:
        """Store a heartbeat of this process. Raises RedisError."""
        name = process or own_name()
        self._scripts.run("heartbeat", [self.key], [f"{kind} {name}", HEARTBEATS_REMEMBERED * 1000])

    def bury(self) -> None:
        """Delete the processes of this machine that have ended, except the latest of each kind."""
        for kind, rows in self.heard().items():
            for process, _ in rows[1:]:
                host, _, number = process.rpartition("/")
                if host == socket.gethostname() and number.isdecimal() and not _exists(int(number)):
                    self._forget(kind, process)

    def leave(self, kind: str) -> None:
        """Delete this process, which ends in order, if others of its kind have heartbeats, so that it is not missed."""
        if len(self.heard().get(kind, [])) > 1:
            self._forget(kind, own_name())

    def _forget(self, kind: str, process: str) -> None:
        self._redis.zrem(self.key, f"{kind} {process}")

    def heard(self) -> dict[str, list[tuple[str, float]]]:
        """Return each process and its last heartbeat (seconds since the epoch) by kind, latest first."""
        found: dict[str, list[tuple[str, float]]] = {}
        rows = self._redis.zrange(self.key, 0, -1, desc=True, withscores=True)
        for member, score in cast("list[tuple[bytes, float]]", rows):
            kind, _, process = member.decode().partition(" ")
            found.setdefault(kind, []).append((process, score / 1000))
        return found


def own_name() -> str:
    """Return the name of this process: `machine/number`."""
    return f"{socket.gethostname()}/{os.getpid()}"


def _exists(pid: int) -> bool:
    """Return whether a process exists; one that is suspended or hangs does."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
