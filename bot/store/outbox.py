"""The outbox: effects to be performed. A performer claims one, then finishes it, postpones it, or gives it up.

One performer at a time has the claim on an effect. What was given up is kept as a dead letter. This module performs no
effect.
"""

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

#: How long a claim lasts, in milliseconds; after that another performer may take the effect. Before a performer does
#: something that cannot be undone it renews its claim, so that one that stalled and continues late does nothing.
CLAIM_MS = 30_000
#: How long a replica of Redis may take to confirm a note, in milliseconds.
CONFIRM_MS = 500
#: How long writes count as unacknowledged after another Redis took over, in milliseconds: longer than most builds run.
UNACKNOWLEDGED_MS = 1_800_000
#: How many dead letters are kept; the oldest are deleted first.
DEAD_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class NotedPost:
    """The result of storing a post note. `follows`: a replica of Redis must confirm it before the trigger is sent."""

    follows: bool


@dataclass(frozen=True, slots=True)
class PostNotes:
    """The post notes to store when a trigger for one of these jobs is claimed for its first try, as `intend` would.

    `by_job`: the text of the note. `kept_ms`: how long it is kept. While writes count as unacknowledged, none is
    stored.
    """

    by_job: Mapping[Job, str]
    kept_ms: int


@dataclass(frozen=True, slots=True)
class Claim:
    """An effect that a performer has taken; `revision` distinguishes it from a newer one in the same slot.

    `tries` is how often it was claimed before. `claimed_until` (milliseconds) identifies the claim: no other claim of
    this effect has the same. `noted`: it is a trigger, and its post note was stored in the same step, at `at` (this
    process' monotonic clock).
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
    """The answer that the store may have lost notes of triggers that were posted, since the change at `when`
    (milliseconds).

    `seconds`: how long ago the change was noticed; since then nothing can have been sent on the basis of the former
    state.
    """

    when: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An effect, or undelivered facts of a webhook, that was given up: the error, when (seconds since the epoch), and
    after how many tries."""

    slot: str
    effect: Effect | Undelivered
    error: str
    at: float
    tries: int


class Outbox:
    """The outbox of one pipeline."""

    def __init__(self, redis: Redis, keys: Keys, *, claim_ms: int = CLAIM_MS) -> None:
        """Open the outbox. `claim_ms`: how long a claim lasts, in milliseconds."""
        self._redis = redis
        self._keys = keys
        self._claim_ms = claim_ms
        self._scripts = Scripts(redis)

    def _names(self, family: str) -> list[str]:
        keys = self._keys
        return [keys.due(family), keys.claimed(family), keys.outbox, keys.tries]

    def claim(self, family: str, *, limit: int, notes: PostNotes | None = None) -> tuple[Claim | None, bool]:
        """Claim one effect that is due, unless `limit` of the family are claimed already; also return whether more are
        due."""
        wanted = self.claim_request(family, limit=limit, notes=notes)
        before = time.monotonic()
        answer = self._scripts.run("claim", wanted.names, wanted.args, fence=self._keys)
        return self.claimed(family, answer, before)

    def claim_request(self, family: str, *, limit: int, notes: PostNotes | None = None) -> ClaimRequest:
        """Return the arguments of `claim` for `Store.commit_and_claim`; `claimed` reads the answer."""
        names = [*self._names(family), self._keys.meta, self._keys.posted_prefix]
        texts, kept_ms = (notes.by_job, notes.kept_ms) if notes is not None else ({}, 1)
        by_job = {f"{job.controller}\n{job.name}": text for job, text in texts.items()}
        return ClaimRequest(names, [self._claim_ms, 1, limit, json.dumps(by_job), kept_ms, UNACKNOWLEDGED_MS])

    def claimed(self, family: str, answer: list[Any], asked_at: float) -> tuple[Claim | None, bool]:
        """Return the claim in the answer to a request that was sent at `asked_at` (this process' monotonic clock), and
        whether more effects are due."""
        more, *flat = answer or (0,)
        if not flat:
            return None, False
        _, tries, value, claimed_until, noted = flat
        revision, text = value.split(b"\n", 1)
        note = NotedPost(noted == 2) if noted else None
        claim = Claim(family, load_effect(text), revision.decode(), int(tries), int(claimed_until), note, asked_at)
        return claim, more > 0

    def renew(self, claim: Claim) -> Claim | None:
        """Renew a claim. Returns None if it is lost: then this performer must not perform the effect."""
        args = [claim.effect.slot, claim.revision, self._claim_ms, claim.claimed_until]
        until = int(self._scripts.run("renew", self._names(claim.family)[:3], args, fence=self._keys))
        return replace(claim, claimed_until=until) if until else None

    def intend(
        self, claim: Claim, note: str, text: str, kept_ms: int, looked: UnacknowledgedWrites | None = None
    ) -> NotedPost | UnacknowledgedWrites | None:
        """Store `text` under the key `note`: the claimed trigger is about to be sent. The same step checks the claim.

        Returns None if the claim is lost. Returns UnacknowledgedWrites, and stores nothing, if the caller must first
        look for triggers that were sent before; `looked` tells after which change it has done so.
        """
        names = [*self._names(claim.family)[:3], self._keys.meta, note]
        proof = [claim.effect.slot, claim.revision, self._claim_ms, claim.claimed_until]
        args = [*proof, text, kept_ms, looked.when if looked is not None else 0, UNACKNOWLEDGED_MS]
        what, *rest = self._scripts.run("intent", names, args, fence=self._keys)
        if what == 1:
            return NotedPost(bool(rest[1]))
        return UnacknowledgedWrites(int(rest[0]), int(rest[1]) / 1000) if what == 2 else None

    def lost_writes(self) -> float | None:
        """Return when the store may have lost acknowledged writes, in seconds since the epoch; None if not recently."""
        lost = int(self._scripts.run("lost_writes", [self._keys.meta], [UNACKNOWLEDGED_MS], fence=self._keys))
        return lost / 1000 if lost else None

    def confirm(self, note: str, kept_ms: int) -> bool:
        """Wait a moment for a replica to have the note, and so everything stored before it; return whether one has it.

        Both commands go to one server on one connection: this server has the note, and a replica of this server
        confirms it. Sentinel promotes the replica that has received most, so a confirmed note survives the master.
        """
        with server_of(self._redis, note).pipeline(transaction=False) as pipe:
            pipe.pexpire(note, kept_ms)
            pipe.wait(1, CONFIRM_MS)
            there, replicas = pipe.execute()
        return bool(there) and int(replicas) > 0

    def finish(self, claim: Claim, event: Event | None = None) -> bool:
        """Store in one step that the effect is done and that `event` resulted from it. True: wake a worker up."""
        keys = self._keys
        names = [*self._names(claim.family), keys.inbox, keys.wake_up, keys.meta]
        text = b"" if event is None else dump_event(event)
        args = [claim.effect.slot, claim.revision, WAKE_UP_MS, text]
        fence = keys if event else None  # an effect that is done stays done; a newer version could misread our event
        return bool(self._scripts.run("finish", names, args, fence))

    def postpone(self, claim: Claim, seconds: float, *, untried: bool = False) -> None:
        """Make the effect due again in `seconds`. `untried`: nothing was sent, so this does not count as a try."""
        self._postpone(claim, seconds, "", untried=untried)

    def give_up(self, claim: Claim, error: str, at: float) -> None:
        """Turn the effect into a dead letter, which an admin can see and try again. `at`: seconds since the epoch."""
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
        """Delete the oldest dead letters if there are too many."""
        if self._redis.hlen(self._keys.dead_letters) > DEAD_KEPT:
            self._forget_oldest_dead()

    def _postpone(self, claim: Claim, seconds: float, dead_letter: str, *, untried: bool = False) -> None:
        names = [*self._names(claim.family), self._keys.dead_letters]
        args = [claim.effect.slot, claim.revision, int(seconds * 1000), dead_letter, -1 if untried else 0]
        self._scripts.run("postpone", names, args, fence=self._keys if dead_letter else None)

    def unsend(self, family: str, slot: str) -> str:
        """Delete an effect that no performer has begun; returns `absent`, `taken-back`, or `begun`."""
        answer = self._scripts.run("unsend", self._names(family), [slot])
        return ("absent", "taken-back", "begun")[answer]

    def earlier(self, claim: Claim) -> list[Effect]:
        """Return the pending effects of the same kind and family whose slots sort before this one's."""
        kind = f"{claim.effect.kind}/".encode()
        slots = cast("list[bytes]", self._redis.zrange(self._keys.due(claim.family), 0, -1))
        found = sorted(slot for slot in slots if slot.startswith(kind) and slot < claim.effect.slot.encode())
        texts = cast("list[bytes | None]", self._redis.hmget(self._keys.outbox, found)) if found else []
        return [load_effect(text.partition(b"\n")[2]) for text in texts if text is not None]

    def due(self, family: str) -> int:
        """Return how many effects of a family are due now and not claimed."""
        seconds, micros = self._redis.time()
        return int(self._redis.zcount(self._keys.due(family), "-inf", seconds * 1000 + micros // 1000))

    def has(self, slot: str) -> bool:
        """Return whether an effect in this slot is pending or was given up."""
        return bool(self._redis.hexists(self._keys.outbox, slot) or self._redis.hexists(self._keys.dead_letters, slot))

    def size(self) -> int:
        """Return how many effects are not done yet."""
        return int(self._redis.hlen(self._keys.outbox))

    def dead_letters(self, limit: int = 200) -> list[DeadLetter]:
        """Return the dead letters, newest first, at most `limit`."""
        return [_dead_letter(slot, raw) for slot, raw in self._newest_dead()[:limit]]

    def take_out(self, taken: TakenOut) -> bool | None:
        """Try a dead letter again at once, or drop it; the same step adds the event `taken`, which says who did it.

        Returns None if there is no such dead letter any more, True if the caller must wake a worker up.
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
        """Delete the oldest tenth and what exceeds the bound, so that this is seldom needed."""
        oldest = self._newest_dead()[DEAD_KEPT - DEAD_KEPT // 10 :]
        self._redis.hdel(self._keys.dead_letters, *(slot for slot, _ in oldest))

    def _newest_dead(self) -> list[tuple[str, dict[str, Any]]]:
        """Return all dead letters in their stored form, with their slots, newest first."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.dead_letters))
        found = [(slot.decode(), json.loads(text)) for slot, text in rows.items()]
        return sorted(found, key=lambda row: -float(row[1]["at"]))


def _dead_letter(slot: str, raw: dict[str, Any]) -> DeadLetter:
    effect = load_undelivered(raw) or load_effect(json.dumps(raw["effect"]))
    return DeadLetter(slot, effect, str(raw["error"]), float(raw["at"]), int(raw["tries"]))
