"""Store what was written to GitHub, by slot: the id, a hash of the last content, and whether a reply is missing.

Each write is noted before the request is sent. If the reply is lost, nothing more is written in that slot until the
request cannot arrive any more: GitHub ends every request after ten seconds (GitHub docs: troubleshooting the REST API,
time-outs). So an old text never arrives after a newer one. Then the caller asks GitHub once whether the write arrived.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, cast

from bot.effect_outcomes import ClaimLost, PermanentFailure, RateLimited, RetryLater
from bot.github.session import Purpose, Session
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

#: How long the written state is kept, in seconds: longer than a run lives.
REMEMBERED = 14 * 86_400

#: The fields of a write whose reply is missing. Schema 3 called the first one `doubt`, which may be stored at an
#: upgrade.
_UNANSWERED = ("unanswered", "doubt", "sent")


#: The hash for a write that the store may have lost; no content has this hash.
FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Written:
    """The written state of a slot. `id` is None as long as nothing is known to have been created."""

    id: int | None = None
    #: The hash of the content at GitHub.
    mark: str = ""
    #: The hash of a write whose reply is missing, and when it was sent (seconds since the epoch).
    unanswered: str = ""
    sent: float = 0.0
    #: The number of writes so far.
    count: int = 0
    #: Whether anything is stored for the slot, even if only that nothing exists at GitHub.
    known: bool = False
    #: The long wait of a run that is all the content reports; empty if it reports anything else.
    wait: str = ""


class RenewedClaim:
    """Our claim on an effect, renewed before each write, so that a worker that has lost its claim writes nothing."""

    def __init__(self, runtime: Runtime, context: PipelineContext, claim: Claim) -> None:
        self.context, self.limits, self._claim = context, runtime.configuration.github.limits, claim

    def renew(self) -> None:
        """Extend the claim. Raises ClaimLost if another worker has it, or the effect is done."""
        renewed = self.context.outbox.renew(self._claim)
        if renewed is None:
            raise ClaimLost
        self._claim = renewed


class WrittenSlot:
    """The written state of one slot, for the worker that has claimed the effect."""

    def __init__(self, claim: RenewedClaim, slot: str) -> None:
        self._claim, self._context, self._key = claim, claim.context, claim.context.keys.wrote(slot)
        self._ticket = f"{claim.context.pipeline.name}/{slot}"
        self._unsure = False

    def read(self, *, makes: bool = False) -> Written:
        """Return the written state. Raises RateLimited while a write whose reply is missing may still arrive.

        `makes`: the slot stands for one thing that is created once. If no id is stored, and the store may have lost
        writes since GitHub was last asked, this counts as a write whose reply is missing.
        """
        found = self._read()
        if makes and found.id is None and not found.unanswered:
            found = self._assume_lost(found)
        late = self._claim.limits.late_request
        left = found.sent + late - self._now() if found.unanswered else 0.0
        if left > 0:
            raise RateLimited("GitHub has not answered the last request, which may still arrive", after=min(left, late))
        self._unsure = bool(found.unanswered)
        return found

    def _assume_lost(self, found: Written) -> Written:
        """Return an unanswered write if the store lost writes since GitHub was last asked; otherwise return `found`."""
        lost = self._context.outbox.lost_writes()
        looked = cast("bytes | None", self._context.redis.hget(self._key, "looked"))
        if lost is None or lost < float(looked or 0):
            return found
        return replace(found, unanswered=FORGOTTEN, sent=lost)

    def _now(self) -> float:
        """Return the time by the clock of Redis, in seconds since the epoch, so that all machines agree."""
        seconds, micros = self._context.redis.time()
        return seconds + micros / 1e6

    def _read(self) -> Written:
        rows = cast("dict[bytes, bytes]", self._context.redis.hgetall(self._key))
        found = {name.decode(): value.decode() for name, value in rows.items()}
        number = int(found["id"]) if "id" in found else None
        unanswered = found.get("unanswered") or found.get("doubt", "")
        sent, count = float(found.get("sent", 0)), int(found.get("count", 0))
        return Written(number, found.get("mark", ""), unanswered, sent, count, bool(rows), found.get("wait", ""))

    def write(self, session: Session, verb: str, path: str, body: object, purpose: Purpose, mark: str) -> Any:
        """Note one write, send it, and return GitHub's answer. Call `settle` when it has arrived.

        Raises ClaimLost if another worker has the effect, and what `Session.write` raises.
        """

        def note() -> None:
            self._claim.renew()
            forgotten = {"mark": ""} if self._unsure else {}  # the content at GitHub is unknown, whatever happens now
            self._set({"unanswered": mark, "sent": self._now(), **forgotten})

        try:
            return session.write(verb, path, body, purpose, self._ticket, before=note)
        except (RetryLater, PermanentFailure) as error:
            if isinstance(error, PermanentFailure) or (error.certain and not isinstance(error, RateLimited)):
                self._context.redis.hdel(self._key, *_UNANSWERED)  # the request certainly did nothing
            raise

    def settle(self, mark: str, number: int | None = None, *, counts: bool = False, wait: str = "") -> None:
        """Record that GitHub has the content with this hash, under the id `number`, and that no reply is missing.

        `wait`: the long wait that the content reports, see `Written.wait`.
        """
        known: dict[str, object] = {"mark": mark} | ({"id": number} if number is not None else {})
        known |= {"wait": wait} if wait else {}
        self._set(known, count=counts)
        self._unsure = False

    def _set(self, fields: dict[str, object], *, count: bool = False) -> None:
        with self._context.redis.pipeline() as pipe:
            if "unanswered" not in fields:
                pipe.hdel(self._key, *_UNANSWERED, *(() if "wait" in fields else ("wait",)))
            pipe.hset(self._key, mapping={name: str(value) for name, value in fields.items()})
            if count:
                pipe.hincrby(self._key, "count", 1)
            pipe.expire(self._key, REMEMBERED)
            pipe.execute()

    def looked(self, number: int | None, mark: str = "") -> None:
        """Record that GitHub was asked, and has the object under this id, or (None) does not have it."""
        self.settle(mark, number)
        self._set({"looked": self._now()})

    def forget(self) -> None:
        """Record that the written object no longer exists."""
        self._context.redis.delete(self._key)


def mark_of(content: Any) -> str:
    """Return a short hash of a content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]
