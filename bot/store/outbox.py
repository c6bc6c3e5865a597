"""The outbox: effects to be done, each claimed by one performer at a time, postponed, done, or given up visibly."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from redis import Redis

from bot.core.model.effects import Effect
from bot.core.model.events import Event, TakenOut
from bot.core.model.pipeline import Job
from bot.store.codec import dump_effect, dump_event, load_effect
from bot.store.connection import server_of
from bot.store.inbox import WAKE_UP_MS
from bot.store.keys import FAMILIES, Keys
from bot.store.scripts import Scripts
from bot.store.store import ClaimRequest, family_of
from bot.store.webhooks import FORGOTTEN_MS, Undelivered, load_undelivered

#: How long a performer has for one effect before another may try, in milliseconds. Before it does something that
#: cannot be undone it renews its claim, so that a stalled performer that wakes up late does nothing.
CLAIM_MS = 30_000
#: How long a replica may take to confirm a note, in milliseconds.
CONFIRM_MS = 500
#: How long writes count as unacknowledged after a change of history, in milliseconds: longer than most builds run.
UNACKNOWLEDGED_MS = 1_800_000
#: How many effects that were given up are kept; the oldest go first.
DEAD_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class NotedPost:
    """It is stored that an attempt is about to be posted. `follows`: a replica has to confirm that first."""

    follows: bool


@dataclass(frozen=True, slots=True)
class PostNotes:
    """What to note of a trigger that goes to one of these jobs at its first try, as `intend` does, kept for `kept_ms`;
    where writes are unacknowledged nothing is noted."""

    by_job: Mapping[Job, str]
    kept_ms: int


@dataclass(frozen=True, slots=True)
class Claim:
    """An effect that a performer has taken; `revision` tells it from a newer one in the same slot.

    `tries` is how often it was claimed before; `claimed_until` (milliseconds) is the proof of whose claim it is.
    `noted`: it is a trigger, and the same step has noted that it is about to be posted, at `at` (this process'
    monotonic clock).
    """

    family: str
    effect: Effect
    revision: str
    tries: int
    claimed_until: int
    noted: NotedPost | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class UnacknowledgedWrites:
    """The store has changed its history, and may have forgotten what was posted: `when` names the change.

    `seconds`: for how long nothing can have been sent by what came before: since that was noticed.
    """

    when: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What was given up: an effect, or what a webhook did not take; why, when (epoch seconds), after how many tries."""

    slot: str
    effect: Effect | Undelivered
    error: str
    at: float
    tries: int


class Outbox:
    """The outbox of one pipeline."""

    def __init__(self, redis: Redis, keys: Keys, *, claim_ms: int = CLAIM_MS) -> None:
        """`claim_ms`: for how long a claim holds an effect, in milliseconds."""
        self._redis = redis
        self._keys = keys
        self._claim_ms = claim_ms
        self._scripts = Scripts(redis)

    def _names(self, family: str) -> list[str]:
        keys = self._keys
        return [keys.due(family), keys.claimed(family), keys.outbox, keys.tries]

    def claim(self, family: str, *, limit: int, notes: PostNotes | None = None) -> tuple[Claim | None, bool]:
        """Take one effect that is due, so that at most `limit` of the family are claimed; and whether more are due."""
        wanted = self.claim_request(family, limit=limit, notes=notes)
        before = time.monotonic()
        answer = self._scripts.run("claim", wanted.names, wanted.args, fence=self._keys)
        return self.claimed(family, answer, before)

    def claim_request(self, family: str, *, limit: int, notes: PostNotes | None = None) -> ClaimRequest:
        """The same as a request, for `Store.commit_and_claim`; `claimed` reads the answer."""
        names = [*self._names(family), self._keys.meta, self._keys.posted_prefix]
        texts, kept_ms = (notes.by_job, notes.kept_ms) if notes is not None else ({}, 1)
        by_job = {f"{job.controller}\n{job.name}": text for job, text in texts.items()}
        return ClaimRequest(names, [self._claim_ms, 1, limit, json.dumps(by_job), kept_ms, UNACKNOWLEDGED_MS])

    def claimed(self, family: str, answer: list[Any], asked_at: float) -> tuple[Claim | None, bool]:
        """The claim in the answer to a request that was sent at `asked_at` (this process' monotonic clock)."""
        more, *flat = answer or (0,)
        if not flat:
            return None, False
        _, tries, value, claimed_until, noted = flat
        revision, text = value.split(b"\n", 1)
        note = NotedPost(noted == 2) if noted else None
        claim = Claim(family, load_effect(text), revision.decode(), int(tries), int(claimed_until), note, asked_at)
        return claim, more > 0

    def renew(self, claim: Claim) -> Claim | None:
        """Renew a claim; None if it is lost: then this performer must not do the effect."""
        args = [claim.effect.slot, claim.revision, self._claim_ms, claim.claimed_until]
        until = int(self._scripts.run("renew", self._names(claim.family)[:3], args, fence=self._keys))
        return replace(claim, claimed_until=until) if until else None

    def intend(
        self, claim: Claim, note: str, text: str, kept_ms: int, looked: UnacknowledgedWrites | None = None
    ) -> NotedPost | UnacknowledgedWrites | None:
        """Store under `note` that what was claimed is about to be sent; in one step with the proof that it is ours.

        None: it is not ours any more. UnacknowledgedWrites: nothing was noted, what was sent already must be looked for
        first; `looked` says after which change of history that was done.
        """
        names = [*self._names(claim.family)[:3], self._keys.meta, note]
        proof = [claim.effect.slot, claim.revision, self._claim_ms, claim.claimed_until]
        args = [*proof, text, kept_ms, looked.when if looked is not None else 0, UNACKNOWLEDGED_MS]
        what, *rest = self._scripts.run("intent", names, args, fence=self._keys)
        if what == 1:
            return NotedPost(bool(rest[1]))
        return UnacknowledgedWrites(int(rest[0]), int(rest[1]) / 1000) if what == 2 else None

    def lost_writes(self) -> float | None:
        """When the store may have lost writes that it had acknowledged, if not long ago; in seconds since the epoch."""
        lost = int(self._scripts.run("lost_writes", [self._keys.meta], [UNACKNOWLEDGED_MS], fence=self._keys))
        return lost / 1000 if lost else None

    def confirm(self, note: str, kept_ms: int) -> bool:
        """Whether a replica has the note, and with it all that was stored before; waits for it a moment.

        Asked in one go on one connection: the note is on this server, and a replica of this server has it. Sentinel
        promotes the replica that has most, so that a note which was confirmed outlives the master.
        """
        with server_of(self._redis, note).pipeline(transaction=False) as pipe:
            pipe.pexpire(note, kept_ms)
            pipe.wait(1, CONFIRM_MS)
            there, replicas = pipe.execute()
        return bool(there) and int(replicas) > 0

    def finish(self, claim: Claim, event: Event | None = None) -> bool:
        """The effect is done, and `event` came of it: both are stored together. True: wake a worker up."""
        keys = self._keys
        names = [*self._names(claim.family), keys.inbox, keys.wake_up, keys.meta]
        text = b"" if event is None else dump_event(event)
        args = [claim.effect.slot, claim.revision, WAKE_UP_MS, text]
        fence = keys if event else None  # what was done is done; an event of ours a newer version could misread
        return bool(self._scripts.run("finish", names, args, fence))

    def postpone(self, claim: Claim, seconds: float, *, untried: bool = False) -> None:
        """It cannot be done now: it is due again in `seconds`. `untried`: nothing was sent, so it counts as no try."""
        self._postpone(claim, seconds, "", untried=untried)

    def give_up(self, claim: Claim, error: str, at: float) -> None:
        """It will not work: put it where an operator sees it and can give it another try."""
        dead_letter = {
            "effect": json.loads(dump_effect(claim.effect)),
            "error": error,
            "at": at,
            "tries": claim.tries + 1,
            "revision": claim.revision,
        }
        self._postpone(claim, 0, json.dumps(dead_letter))
        self.bound_dead()

    def bound_dead(self) -> None:
        """Forget the oldest dead letters if there are too many."""
        if self._redis.hlen(self._keys.dead_letters) > DEAD_KEPT:
            self._forget_oldest_dead()

    def _postpone(self, claim: Claim, seconds: float, dead_letter: str, *, untried: bool = False) -> None:
        names = [*self._names(claim.family), self._keys.dead_letters]
        args = [claim.effect.slot, claim.revision, int(seconds * 1000), dead_letter, -1 if untried else 0]
        self._scripts.run("postpone", names, args, fence=self._keys if dead_letter else None)

    def unsend(self, family: str, slot: str) -> str:
        """Take back an effect nobody has begun: `absent`, `taken-back`, or `begun`."""
        answer = self._scripts.run("unsend", self._names(family), [slot])
        return ("absent", "taken-back", "begun")[answer]

    def earlier(self, claim: Claim) -> list[Effect]:
        """The effects of the same kind and family that are not done yet and whose slots come before this one's."""
        kind = f"{claim.effect.kind}/".encode()
        slots = cast("list[bytes]", self._redis.zrange(self._keys.due(claim.family), 0, -1))
        found = sorted(slot for slot in slots if slot.startswith(kind) and slot < claim.effect.slot.encode())
        texts = cast("list[bytes | None]", self._redis.hmget(self._keys.outbox, found)) if found else []
        return [load_effect(text.partition(b"\n")[2]) for text in texts if text is not None]

    def due(self, family: str) -> int:
        """How many effects of a family are due now and not claimed."""
        seconds, micros = self._redis.time()
        return int(self._redis.zcount(self._keys.due(family), "-inf", seconds * 1000 + micros // 1000))

    def has(self, slot: str) -> bool:
        """Whether an effect of this slot is to be done, or was given up."""
        return bool(self._redis.hexists(self._keys.outbox, slot) or self._redis.hexists(self._keys.dead_letters, slot))

    def size(self) -> int:
        """How many effects are not done yet."""
        return int(self._redis.hlen(self._keys.outbox))

    def dead_letters(self, limit: int = 200) -> list[DeadLetter]:
        """The effects that were given up, newest first, at most `limit`."""
        return [_dead_letter(slot, raw) for slot, raw in self._newest_dead()[:limit]]

    def take_out(self, taken: TakenOut) -> bool | None:
        """Give a dead letter another try, at once, or forget it; who did it goes on record in the same step.

        None if there is none of that name any more; True: wake a worker up.
        """
        slot, keys = taken.name, self._keys
        text = self._redis.hget(keys.dead_letters, slot)
        if text is None:
            return None
        dead_letter, how, family, value = json.loads(text), "drop", FAMILIES[0], ""
        if taken.again and load_undelivered(dead_letter) is not None:
            how = "redeliver"
        elif taken.again:
            effect = load_effect(json.dumps(dead_letter["effect"]))
            how, family, value = "revive", family_of(effect), f"{dead_letter['revision']}\n{dump_effect(effect)}"
        names = [keys.dead_letters, keys.inbox, keys.wake_up, keys.meta]
        names += [keys.due(family), keys.outbox, keys.tries, keys.redeliveries]
        args = [slot, WAKE_UP_MS, dump_event(taken), how, value, FORGOTTEN_MS]
        answer = int(self._scripts.run("dead_letter", names, args, keys))
        return None if answer < 0 else answer == 1

    def _forget_oldest_dead(self) -> None:
        """Make room for a tenth of what is kept, so that it is seldom done."""
        oldest = self._newest_dead()[DEAD_KEPT - DEAD_KEPT // 10 :]
        self._redis.hdel(self._keys.dead_letters, *(slot for slot, _ in oldest))

    def _newest_dead(self) -> list[tuple[str, dict[str, Any]]]:
        """All dead letters as they are stored, by slot, newest first."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.dead_letters))
        found = [(slot.decode(), json.loads(text)) for slot, text in rows.items()]
        return sorted(found, key=lambda row: -float(row[1]["at"]))


def _dead_letter(slot: str, raw: dict[str, Any]) -> DeadLetter:
    effect = load_undelivered(raw) or load_effect(json.dumps(raw["effect"]))
    return DeadLetter(slot, effect, str(raw["error"]), float(raw["at"]), int(raw["tries"]))
