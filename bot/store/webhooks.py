"""Store how far each outbound webhook of a pipeline has come in the log of facts, and its undelivered facts.

A webhook has a cursor into the log. One process at a time has the lease on it, so the posts arrive in the order of the
facts. The cursor is stored after the receiver has taken a post, so a process that dies in between posts it again. This
module posts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, cast

from pydantic import TypeAdapter
from redis import Redis

from bot.store.keys import Keys
from bot.store.scripts import Scripts

#: Where a webhook without a stored cursor begins: with the facts of the last ten minutes. So a new one is told of what
#: has just happened, and one whose cursor was lost with everything else in Redis misses nothing that came after.
LOOKED_BACK_MS = 600_000
#: After how long the state and the redeliveries of a webhook that no process serves any more are deleted.
FORGOTTEN_MS = 90 * 86_400_000


@dataclass(frozen=True, slots=True)
class OutboundState:
    """The progress of a webhook in one pipeline. Times in seconds since the epoch, by the clock of the store."""

    #: The id of the last fact that it has taken or that does not concern it.
    cursor: str
    #: How many posts about the next fact it has taken already.
    taken: int = 0
    #: How many posts it has taken, how many tries failed, how many facts were given up.
    delivered: int = 0
    failed: int = 0
    given_up: int = 0
    #: How often the present post was tried, why the last try failed, and since when every try has failed.
    tries: int = 0
    error: str = ""
    failing_since: float = 0.0
    #: The time before which nothing is tried.
    due: float = 0.0
    #: The slot of the dead letter to which the next fact, if given up, is added; empty if a post was taken since.
    gap: str = ""

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return self.failing_since > 0


_STATE: TypeAdapter[OutboundState] = TypeAdapter(OutboundState)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Facts that a webhook did not take: those in the log after `after` up to `last`; `facts` of them concern it."""

    webhook: str
    after: str
    last: str
    facts: int
    #: Constant; it distinguishes a dead letter of a webhook from one of an effect.
    kind: ClassVar[str] = "outbound-delivery"

    @property
    def slot(self) -> str:
        """The slot of its dead letter."""
        return f"{self.kind}/{self.webhook}/{self.after}"


@dataclass(frozen=True, slots=True)
class UndeliveredLetter:
    """A dead letter of a webhook: the error, when (seconds since the epoch) and after how many tries."""

    what: Undelivered
    error: str
    at: float
    tries: int

    def dump(self) -> str:
        """Convert it to JSON, in the form of every dead letter."""
        effect = {"kind": Undelivered.kind, **asdict(self.what)}
        return json.dumps({"effect": effect, "error": self.error, "at": self.at, "tries": self.tries, "revision": ""})


@dataclass(frozen=True, slots=True)
class WebhookLease:
    """The result of asking for the lease on a webhook: `held` by this process, `taken` just now, the number of waiting
    redeliveries, and the store's time in seconds since the epoch."""

    held: bool
    taken: bool
    redeliveries: int
    now: float


class LetterChanged(Exception):
    """An error: the dead letter that was to be continued has been retried or dropped meanwhile."""


def load_undelivered(raw: Mapping[str, Any]) -> Undelivered | None:
    """Return the undelivered facts in a dead letter (its decoded JSON); None if it is not one of a webhook."""
    effect = raw["effect"]
    if effect["kind"] != Undelivered.kind:
        return None
    return Undelivered(effect["webhook"], effect["after"], effect["last"], int(effect["facts"]))


class Webhooks:
    """The outbound webhooks of one pipeline. Every method raises RedisError if the store cannot be reached."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)

    def lease(self, name: str, token: str, milliseconds: int) -> WebhookLease:
        """Take or renew the lease on a webhook; 0 milliseconds release it."""
        names = [self._keys.webhook_lease(name), self._keys.redeliveries]
        held, waiting, now = self._scripts.run("webhook_lease", names, [token, milliseconds], fence=self._keys)
        return WebhookLease(held > 0, held == 1, int(waiting), int(now) / 1000)

    def state(self, name: str) -> OutboundState:
        """Return how far a webhook has come."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.webhook(name)))
        found = {field.decode(): text.decode() for field, text in rows.items()}
        if "cursor" not in found:
            return OutboundState(f"{max(0, self.now_ms() - LOOKED_BACK_MS)}-0")
        state: OutboundState = _STATE.validate_python(found)
        return state

    def store(
        self,
        name: str,
        token: str,
        milliseconds: int,
        state: OutboundState,
        *,
        letter: tuple[UndeliveredLetter, str] | None = None,
        redelivered: tuple[Undelivered, Undelivered | None] | None = None,
    ) -> bool:
        """Store how far a webhook has come and renew the lease; returns False if another process has the lease.

        `letter`: a dead letter, and the text of the one that it continues ('': it is new); raises LetterChanged if the
        stored one has another text. `redelivered`: the former redelivery, and what is left of it.
        """
        keys = self._keys
        names = [keys.webhook_lease(name), keys.webhook(name), keys.dead_letters, keys.redeliveries]
        fields = {field: str(value) for field, value in asdict(state).items()}
        args: list[Any] = [token, milliseconds, json.dumps(fields)]
        args += [letter[0].what.slot, letter[1], letter[0].dump()] if letter is not None else ["", "", ""]
        before, left = redelivered if redelivered is not None else (None, None)
        args += [before.slot if before else "", left.slot if left else "", _dump(left) if left else "", FORGOTTEN_MS]
        answer = int(self._scripts.run("webhook", names, args, fence=keys))
        if answer == 2:
            raise LetterChanged
        return answer == 1

    def letter(self, slot: str) -> tuple[Undelivered, str] | None:
        """Return the undelivered facts of the dead letter in a slot, and its text; None if there is none."""
        text = cast("bytes | None", self._redis.hget(self._keys.dead_letters, slot)) if slot else None
        found = load_undelivered(json.loads(text)) if text is not None else None
        return None if found is None or text is None else (found, text.decode())

    def redeliveries(self, name: str) -> list[Undelivered]:
        """Return the redeliveries of a webhook, oldest first."""
        rows = cast("list[bytes]", self._redis.hvals(self._keys.redeliveries))
        found = [undelivered for row in rows if (undelivered := load_undelivered(json.loads(row))) is not None]
        return sorted((each for each in found if each.webhook == name), key=lambda each: order(each.after))

    def behind(self, cursor: str) -> float:
        """Return for how many seconds the first fact after the cursor has been in the log; 0 if there is none."""
        rows: Any = self._redis.xrange(self._keys.facts, min=f"({cursor}", max="+", count=1)
        return max(0.0, (self.now_ms() - order(rows[0][0].decode())[0]) / 1000) if rows else 0.0

    def oldest(self) -> str:
        """Return the id of the oldest fact in the log; empty if there is none."""
        rows: Any = self._redis.xrange(self._keys.facts, count=1)
        return str(rows[0][0].decode()) if rows else ""

    def wait(self, cursor: str, seconds: float) -> None:
        """Wait until there is a fact after the cursor, but at most this many seconds."""
        self._redis.xread({self._keys.facts: cursor}, count=1, block=max(1, int(seconds * 1000)))

    def now_ms(self) -> int:
        """Return the time of the store in milliseconds since the epoch."""
        seconds, micros = self._redis.time()
        return seconds * 1000 + micros // 1000


def order(identity: str) -> tuple[int, int]:
    """Return a sort key for the id of a fact: its place in the log."""
    milliseconds, _, number = identity.partition("-")
    return int(milliseconds), int(number)


def _dump(left: Undelivered) -> str:
    return json.dumps({"effect": {"kind": Undelivered.kind, **asdict(left)}})
