"""Migrate one pipeline: take the lease, write the new state under temporary keys, put it in force by one script.

A crash before that script leaves the old state in force, and the next start begins again. Performers may finish effects
during the migration, so the script replaces only effects that have not changed since they were read. There is no way
back: a version that finds a higher schema refuses to run (`bot.store.scripts`).
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from redis import Redis

from bot.store.keys import Keys
from bot.store.migrations import to_3, to_4, to_5
from bot.store.migrations.to_3 import Raw
from bot.store.replica import BARRIER
from bot.store.scripts import FIRST, SCHEMA, OlderSchema, Scripts, refusal, stored_schema

#: How long the lease lasts, in milliseconds; it is renewed after each slice.
LEASE_MS = 30_000
#: The pause between two tries to get the lease, in seconds.
PAUSE = 0.1
#: The number of values that are written at a time.
SLICE = 500


class _Step(Protocol):
    """The functions of the module of one step, from one schema to the next."""

    def migrate_board(self, records: dict[str, Raw], /) -> dict[str, Raw]: ...
    def migrate_ended(self, raw: Raw, /) -> Raw: ...
    def migrate_effect(self, raw: Raw, /) -> Raw: ...


#: The steps that change stored values, each with the schema to which it leads. Schema 2 only added families of records
#: to schema 1, so the step to 3 handles both. Schema 6 changes no value: each new field has a default that means
#: *unknown* or *none*. Its number only keeps former versions from reading what they do not understand: the records of
#: follow-ups, freezes in the header, the effect `mention`, and the events and facts of freezes, of watchers, of
#: deliveries and dead letters that people take out, and of runs that people move.
_STEPS: tuple[tuple[int, _Step], ...] = ((3, to_3), (4, to_4), (5, to_5))


def migrate(redis: Redis, keys: Keys, patience: float = 60.0) -> int | None:
    """Migrate the state of one pipeline to our schema; returns its former schema, or None if nothing had to be done.

    If several processes start at once, one migrates and the others wait. Raises NewerSchema if a newer version wrote
    the state, InvalidSchema if no version did, OlderSchema if a worker held the lease for `patience` seconds,
    RedisError if the store cannot be reached.
    """
    token = uuid.uuid4().hex
    deadline = time.monotonic() + patience
    while True:
        stored = stored_schema(redis, keys)
        if stored is None or stored == SCHEMA:
            return None
        if not FIRST <= stored < SCHEMA:
            raise refusal(keys.pipeline, stored)
        if redis.set(keys.lease, token, nx=True, px=LEASE_MS):
            try:  # another process may have migrated it before we got the lease: then there is nothing to do
                if stored_schema(redis, keys) == stored and _Migration(redis, keys, token).run(stored):
                    return stored
            finally:
                _release(redis, keys, token)
        if time.monotonic() > deadline:
            raise OlderSchema(f"{refusal(keys.pipeline, stored)}; a worker held the lease for {patience:g} s")
        time.sleep(PAUSE)


def _release(redis: Redis, keys: Keys, token: str) -> None:
    """Release the lease if it is still ours."""
    if redis.get(keys.lease) == token.encode():
        redis.delete(keys.lease)


class _Migration:
    """One try to migrate a pipeline."""

    def __init__(self, redis: Redis, keys: Keys, token: str) -> None:
        self._redis, self._keys, self._token = redis, keys, token
        self._prepared: list[tuple[str, str]] = []

    def run(self, stored: int) -> bool:
        """Migrate from the schema `stored`; returns False, and changes nothing, if another process committed or
        migrated meanwhile."""
        keys = self._keys
        epoch_field = "mark" if stored < 4 else "epoch"
        version, epoch = self._redis.hmget(keys.meta, ["version", epoch_field])
        steps = [step for number, step in _STEPS if number > stored]
        records = {field: json.loads(text) for field, text in self._all(keys.board) if field != BARRIER}
        ended = {run: json.loads(text) for run, text in self._all(keys.ended)}
        for step in steps:
            records = step.migrate_board(records)
            ended = {run: step.migrate_ended(raw) for run, raw in ended.items()}
        barrier = {BARRIER: "1"}
        self._prepare(keys.board, {field: json.dumps(raw) for field, raw in records.items()} | barrier)
        self._prepare(keys.ended, {run: json.dumps(raw) for run, raw in ended.items()})
        if stored < 3:
            runs = {field.removeprefix("run/") for field in records if field.startswith("run/")}
            self._prepare(keys.stories, to_3.stories(self._facts(), runs | ended.keys()))
        carried = to_4.CARRIED if stored < 4 else {}
        dead = keys.named("dead") if stored < 4 else keys.dead_letters
        outbox = self._effects(1, keys.outbox, lambda text: _in_outbox(steps, text))
        effects = [*outbox, *self._effects(2, dead, lambda text: _in_dead_letter(steps, text))]
        if stored < 4:
            self._copy(to_4.COPIED)
        names = [keys.lease, keys.meta, keys.changes, keys.outbox, dead, keys.heads]
        names += [name for pair in self._prepared for name in pair]
        names += [keys.named(name) for pair in carried.items() for name in pair]
        args = [self._token, stored, SCHEMA, version or 0, epoch or 0, json.dumps(effects)]
        return bool(Scripts(self._redis).run("migrate", names, args))

    def _all(self, key: str) -> list[tuple[str, str]]:
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(key))
        return [(field.decode(), text.decode()) for field, text in rows.items()]

    def _facts(self) -> Iterator[tuple[str, str]]:
        """Yield id and JSON of all facts of the log, oldest first."""
        last = "-"
        while page := cast("list[Any]", self._redis.xrange(self._keys.facts, min=last, count=SLICE)):
            for identity, fields in page:
                yield identity.decode(), fields[b"f"].decode()
            last = f"({page[-1][0].decode()}"

    def _prepare(self, key: str, values: dict[str, str]) -> None:
        """Write the new content of the hash `key` under a temporary key, and keep the lease."""
        beside = f"{key}:migrated"
        self._redis.delete(beside)
        rows = list(values.items())
        for start in range(0, len(rows), SLICE):
            self._redis.hset(beside, mapping=dict(rows[start : start + SLICE]))
            if self._redis.get(self._keys.lease) == self._token.encode():
                self._redis.pexpire(self._keys.lease, LEASE_MS)
        self._prepared.append((beside, key))

    def _copy(self, prefixes: dict[str, str]) -> None:
        """Copy keys with these prefixes to their new names; the copies expire when the old keys do."""
        for before, after in prefixes.items():
            start = self._keys.named(before)
            for key in self._redis.scan_iter(f"{_literally(start)}*", count=SLICE):
                self._redis.copy(key, self._keys.named(after) + key.decode().removeprefix(start), replace=True)

    def _effects(self, which: int, key: str, change: Callable[[str], str]) -> list[list[Any]]:
        changed = ((slot, text, change(text)) for slot, text in self._all(key))
        return [[which, slot, text, after] for slot, text, after in changed if after != text]


def _literally(text: str) -> str:
    """Escape a text for use in a SCAN pattern."""
    return re.sub(r"([*?\[\]\\^])", r"\\\1", text)


def _in_outbox(steps: list[_Step], text: str) -> str:
    """Migrate an effect of the outbox: its revision, a line break, its JSON."""
    revision, _, effect = text.partition("\n")
    before: Raw = json.loads(effect)
    after = _migrated(steps, before)
    return text if after == before else f"{revision}\n{json.dumps(after)}"


def _in_dead_letter(steps: list[_Step], text: str) -> str:
    """Migrate a dead letter, as JSON."""
    dead_letter = json.loads(text)
    after = _migrated(steps, dead_letter["effect"])
    return text if after == dead_letter["effect"] else json.dumps({**dead_letter, "effect": after})


def _migrated(steps: list[_Step], effect: Raw) -> Raw:
    for step in steps:
        effect = step.migrate_effect(effect)
    return effect
