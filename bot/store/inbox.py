"""The inbox: deliveries and events in the order of acceptance, each stored before its sender gets an answer.

A delivery that cannot be processed is parked: kept with the error until a person has it tried again or drops it.
`deliveries.py` moves decided deliveries out of the inbox.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

from redis import Redis

from bot.core.model.events import Event, TakenOut
from bot.store.codec import dump_event
from bot.store.keys import FAMILIES, Keys
from bot.store.scripts import Scripts

#: How long a wake-up counts as pending, in milliseconds. After that another one is sent: the worker may have died.
WAKE_UP_MS = 3_000
#: The most parked deliveries, and the most bytes of Redis that they take; the oldest are deleted first.
PARKED_KEPT, PARKED_BYTES = 500, 16 << 20


class Accepted(IntEnum):
    """The result of accepting a delivery."""

    DUPLICATE = 0
    KEPT = 1  # stored; a wake-up is pending already
    WAKE_UP = 2  # stored; the caller must send a wake-up


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One delivery or event: its source, its name and delivery id there, and its raw body."""

    id: str
    source: str
    name: str
    delivery: str
    body: bytes

    @property
    def at(self) -> float:
        """When it was accepted, in seconds since the epoch, by the clock of Redis."""
        return int(self.id.split("-", 1)[0]) / 1000


class Inbox:
    """The inbox of one pipeline."""

    def __init__(self, redis: Redis, keys: Keys, *, seen_seconds: int = 3 * 86_400) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)
        self._seen_seconds = seen_seconds

    def accept(self, source: str, name: str, delivery: str, body: bytes) -> Accepted:
        """Store a verified delivery once, in one round trip. When this returns, it is in the append-only file.

        The schema of the stored state does not matter: the inbox is not migrated, and a newer version reads the entries
        of an older one. So during an upgrade no delivery is refused, whichever web process receives it.
        """
        return self._accept(source, name, delivery, body, fence=None)[0]

    def add(self, event: Event, delivery: str) -> Accepted:
        """Store an event of our own (a person's request, a finding of the reconciler), once per `delivery`."""
        return self.add_identified(event, delivery)[0]

    def add_identified(self, event: Event, delivery: str) -> tuple[Accepted, str]:
        """Do as `add`, and also return the id of the inbox entry (for a duplicate, of the first one): the facts that
        follow from the event carry it."""
        return self._accept("event", event.kind, delivery, dump_event(event), fence=self._keys)

    def _accept(
        self, source: str, name: str, delivery: str, body: bytes, *, fence: Keys | None
    ) -> tuple[Accepted, str]:
        keys = self._keys
        names = [keys.seen(f"{source}:{delivery}"), keys.inbox, keys.wake_up, keys.meta]
        args = [self._seen_seconds, WAKE_UP_MS, source, name, delivery, body]
        what, identity = self._scripts.run("accept", names, args, fence=fence)
        return Accepted(what), identity.decode()

    def now(self) -> float:
        """Return the time that an entry accepted now would have: seconds since the epoch, by the clock of Redis."""
        seconds, micros = self._redis.time()
        return float(seconds) + float(micros) / 1_000_000

    def tick(self, event: Event) -> int:
        """Add `event` if something on the board is due; returns how many deliveries wait for a turn."""
        return self.tick_and_look(event)[0]

    def tick_and_look(self, event: Event) -> tuple[int, bool]:
        """Do as `tick`, and also return whether GitHub and Jenkins must be asked for everything now, because the
        store may have lost writes (`lua/history.lua`)."""
        keys = self._keys
        names = [keys.meta, keys.inbox, keys.due("jenkins"), keys.claimed("jenkins")]
        waiting, look = self._scripts.run("tick", names, [dump_event(event)], fence=self._keys)
        return int(waiting), bool(look)


def entry(raw: tuple[bytes, list[bytes]]) -> InboxEntry:
    """Convert an inbox entry from the form in which the scripts return it."""
    identity, flat = raw
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return InboxEntry(
        identity.decode(), fields[b"s"].decode(), fields[b"n"].decode(), fields[b"d"].decode(), fields[b"b"]
    )


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog of a pipeline. Times are in seconds since the epoch; None: never, or nothing waits."""

    #: Deliveries that no turn has decided yet, and when the oldest of them was accepted.
    undecided: int
    oldest_at: float | None
    #: The version of the board, and when the last turn was committed.
    version: int
    committed_at: float | None
    #: Effects that are not done, and how many of them are due.
    effects: int
    due: int
    dead_letters: int
    parked: int
    #: The schema of the stored state; None if nothing is stored.
    schema: int | None


def read_backlog(scripts: Scripts, keys: Keys) -> Backlog:
    """Return the present backlog; bodies are not read. Raises RedisError."""
    names = [keys.meta, keys.inbox, keys.outbox, keys.dead_letters, keys.parked, *map(keys.due, FAMILIES)]
    accepted, taken, version, epoch, oldest, effects, due, dead, aside, schema = scripts.run("backlog", names, [])
    return Backlog(
        undecided=max(0, accepted - taken),
        oldest_at=int(oldest.split(b"-")[0]) / 1000 if oldest and accepted > taken else None,
        version=version,
        committed_at=int(epoch) / 1e6 if epoch else None,
        effects=effects,
        due=due,
        dead_letters=dead,
        parked=aside,
        schema=int(schema) if schema else None,
    )


@dataclass(frozen=True, slots=True)
class ParkedDelivery:
    """A parked delivery. `entry` is its id in the inbox, which identifies it."""

    entry: str
    source: str
    name: str
    delivery: str
    error: str
    body: str
    #: The stored text, by which `take_out` finds it.
    text: bytes

    @property
    def at(self) -> float:
        """When it was accepted, in seconds since the epoch, by the clock of Redis."""
        return int(self.entry.split("-", 1)[0]) / 1000


def park(redis: Redis, keys: Keys, entry: InboxEntry, error: Exception) -> None:
    """Park an entry that made the rules or the translation fail, with the error. Parking it again stores it once."""
    raw = {
        "entry": entry.id,
        "source": entry.source,
        "name": entry.name,
        "delivery": entry.delivery,
        "error": f"{type(error).__name__}: {error}",
        "body": entry.body.decode("utf-8", "replace"),
    }
    text = json.dumps(raw)
    with redis.pipeline(transaction=False) as pipe:
        pipe.lrem(keys.parked, 0, text)  # the turn is repeated if it could not be stored
        pipe.lpush(keys.parked, text)
        pipe.ltrim(keys.parked, 0, PARKED_KEPT - 1)
        pipe.execute()
    while (redis.memory_usage(keys.parked, samples=0) or 0) > PARKED_BYTES and redis.llen(keys.parked) > 1:
        redis.rpop(keys.parked)  # the newest stays, however large it is


def parked(redis: Redis, keys: Keys, limit: int = PARKED_KEPT) -> list[ParkedDelivery]:
    """Return the parked deliveries, newest first, at most `limit`."""
    rows = cast("list[bytes]", redis.lrange(keys.parked, 0, limit - 1))
    return [ParkedDelivery(**json.loads(row), text=row) for row in rows]


def take_out(redis: Redis, keys: Keys, found: ParkedDelivery, taken: TakenOut) -> bool | None:
    """Remove a parked delivery, for another try or for good, and add the event `taken`, which says who did it, in the
    same step.

    Returns None if somebody else has removed it, True if the caller must wake a worker up. Bytes that were not UTF-8
    come back as replacement characters.
    """
    names = [keys.parked, keys.inbox, keys.wake_up, keys.meta]
    args = [found.text, int(taken.again), WAKE_UP_MS, found.source, found.name, found.delivery, found.body]
    answer = int(Scripts(redis).run("unpark", names, [*args, dump_event(taken)], fence=keys))
    return None if answer < 0 else answer == 1
