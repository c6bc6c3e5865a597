"""The inbox: what came in, in the order of acceptance, kept before it is answered (`deliveries.py`: and for how long).

A delivery that could not be digested is parked: kept with the error, until somebody has another try made or drops it.
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

#: How long a wake-up counts as pending, in milliseconds: a worker that was woken up and died is woken up again then.
WAKE_UP_MS = 3_000
#: How many parked deliveries are kept, and how many bytes of Redis they take; the oldest go first.
PARKED_KEPT, PARKED_BYTES = 500, 16 << 20


class Accepted(IntEnum):
    """What became of a delivery that came in."""

    DUPLICATE = 0
    KEPT = 1  # a worker has been woken up already
    WAKE_UP = 2  # kept, and the caller must wake a worker up


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One delivery: where it came from, what it was called there, and its raw body."""

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
        """Keep a verified delivery, once, in one round trip. When this returns it is in the append-only file.

        Whatever the schema of what is stored: the inbox is not migrated, and a newer version reads what an older one
        has put there. So during an upgrade no delivery is refused, whichever web process it reaches.
        """
        return self._accept(source, name, delivery, body, fence=None)[0]

    def add(self, event: Event, delivery: str) -> Accepted:
        """Keep an event of our own (a person's request, what the reconciler saw), once per `delivery`."""
        return self.add_identified(event, delivery)[0]

    def add_identified(self, event: Event, delivery: str) -> tuple[Accepted, str]:
        """The same, and the id of its inbox entry (of the first, for a duplicate): facts that come of it carry it."""
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
        """The time that an entry accepted now would have: seconds since the epoch by the clock of Redis."""
        seconds, micros = self._redis.time()
        return float(seconds) + float(micros) / 1_000_000

    def tick(self, event: Event) -> int:
        """Add `event` if something on the board is due by now; returns how many deliveries wait for a turn."""
        return self.tick_and_look(event)[0]

    def tick_and_look(self, event: Event) -> tuple[int, bool]:
        """The same; and whether the store has changed its history, so that everything must be asked for now."""
        keys = self._keys
        names = [keys.meta, keys.inbox, keys.due("jenkins"), keys.claimed("jenkins")]
        waiting, look = self._scripts.run("tick", names, [dump_event(event)], fence=self._keys)
        return int(waiting), bool(look)


def entry(raw: tuple[bytes, list[bytes]]) -> InboxEntry:
    """An inbox entry as the scripts return it."""
    identity, flat = raw
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return InboxEntry(
        identity.decode(), fields[b"s"].decode(), fields[b"n"].decode(), fields[b"d"].decode(), fields[b"b"]
    )


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a pipeline; times in seconds since the epoch, None: never, or nothing waits."""

    #: Deliveries that no turn has decided yet, and when the oldest of them was accepted.
    undecided: int
    oldest_at: float | None
    #: The version of the board, and when the last turn was committed.
    version: int
    committed_at: float | None
    #: Effects that are not done, and those of them that are due.
    effects: int
    due: int
    dead_letters: int
    parked: int
    #: The schema of what is stored; None if nothing is.
    schema: int | None


def read_backlog(scripts: Scripts, keys: Keys) -> Backlog:
    """What waits now, without the bodies of what waits. Raises RedisError."""
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
    """A delivery that was parked. `entry` is its id in the inbox, by which it is known."""

    entry: str
    source: str
    name: str
    delivery: str
    error: str
    body: str
    #: As it is stored, by which `take_out` finds it.
    text: bytes

    @property
    def at(self) -> float:
        """When it was accepted, in seconds since the epoch, by the clock of Redis."""
        return int(self.entry.split("-", 1)[0]) / 1000


def park(redis: Redis, keys: Keys, entry: InboxEntry, error: Exception) -> None:
    """Keep an entry that made the rules or the translation fail, with what went wrong; once, if it does so again."""
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
        pipe.lrem(keys.parked, 0, text)  # a turn that could not be stored is taken again
        pipe.lpush(keys.parked, text)
        pipe.ltrim(keys.parked, 0, PARKED_KEPT - 1)
        pipe.execute()
    while (redis.memory_usage(keys.parked, samples=0) or 0) > PARKED_BYTES and redis.llen(keys.parked) > 1:
        redis.rpop(keys.parked)  # the newest stays, however large it is


def parked(redis: Redis, keys: Keys, limit: int = PARKED_KEPT) -> list[ParkedDelivery]:
    """The parked deliveries, newest first, at most `limit`."""
    rows = cast("list[bytes]", redis.lrange(keys.parked, 0, limit - 1))
    return [ParkedDelivery(**json.loads(row), text=row) for row in rows]


def take_out(redis: Redis, keys: Keys, found: ParkedDelivery, taken: TakenOut) -> bool | None:
    """Take a parked delivery out, into the inbox again or for good; who did it goes on record in the same step.

    None if another has taken it out; True: wake a worker up. What was no UTF-8 comes back with replacement characters.
    """
    names = [keys.parked, keys.inbox, keys.wake_up, keys.meta]
    args = [found.text, int(taken.again), WAKE_UP_MS, found.source, found.name, found.delivery, found.body]
    answer = int(Scripts(redis).run("unpark", names, [*args, dump_event(taken)], fence=keys))
    return None if answer < 0 else answer == 1
