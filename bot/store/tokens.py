"""API tokens that were made by `interlock token`: hashed, with a scope, an end, and when they were last used.

A token is 256 random bits, so its SHA-256 is as hard to guess as the token itself: the slow, salted hashes of passwords
are for what people choose. The text begins with `ilk_` and ends with a checksum, so that scanners find one that was
committed somewhere, and a mistyped one is known without asking the store.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import zlib
from dataclasses import asdict, dataclass
from typing import Any, cast

from redis import Redis

from bot.core.access import Scope

#: How every token begins; and its form: 43 characters are 256 bits, the last 8 are their checksum.
PREFIX = "ilk_"
_FORM = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}[0-9a-f]{{8}}")
#: How many digits of its hash name a token.
ID_DIGITS = 12
#: The time of the last use is written at most this often, in seconds.
USED_EVERY = 60.0
#: For how long a token that has ended is still listed, in seconds.
ENDED_LISTED = 90 * 86_400.0


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What is kept of a token. Times are seconds since the epoch."""

    #: Who is on record for what is done with it.
    name: str
    scope: Scope
    created: float
    #: None: it does not end.
    expires: float | None
    digest: str

    @property
    def id(self) -> str:
        """What it is called in lists: says nothing about the token."""
        return self.digest[:ID_DIGITS]

    def has_ended(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now


def is_token(text: str) -> bool:
    """Whether a text has the form of a token, its checksum included. Says nothing about whether there is such a one."""
    return _FORM.fullmatch(text) is not None and text[-8:] == _checksum(text[:-8])


def digest_of(text: str) -> str:
    """The SHA-256 of a token, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


class Tokens:
    """The tokens of an installation. A name has no colon: no login at GitHub can be mistaken for it."""

    #: What a token may be called.
    NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}"

    def __init__(self, redis: Redis, prefix: str = "interlock") -> None:
        self._redis = redis
        self._records, self._used = f"{prefix}:{{access}}:tokens", f"{prefix}:{{access}}:tokens-used"

    def create(self, name: str, scope: Scope, expires: float | None, now: float) -> tuple[str, StoredToken]:
        """Make a token. Its text is returned here and kept nowhere. Tokens that ended long ago are forgotten."""
        for each in self.all():
            if each.has_ended(now - ENDED_LISTED):
                self._forget(each)
        body = PREFIX + secrets.token_urlsafe(32)
        text = body + _checksum(body)
        made = StoredToken(name, scope, now, expires, digest_of(text))
        self._redis.hset(self._records, made.id, json.dumps(asdict(made)))
        return text, made

    def find(self, text: str, now: float) -> StoredToken | None:
        """The token whose text this is, unless its time is over; notes that it was used."""
        return self.with_digest(digest_of(text), now) if is_token(text) else None

    def with_digest(self, digest: str, now: float) -> StoredToken | None:
        """The token with this hash, as a session keeps it, unless its time is over; notes that it was used.

        It is looked up by the first digits of the hash, and the whole is compared in a time that says nothing.
        """
        raw = cast("bytes | None", self._redis.hget(self._records, digest[:ID_DIGITS]))
        found = None if raw is None else _read(raw)
        if found is None or not hmac.compare_digest(found.digest, digest) or found.has_ended(now):
            return None
        before = self.last_used(found)
        if before is None or now - before >= USED_EVERY:
            self._redis.hset(self._used, found.id, now)
        return found

    def all(self) -> list[StoredToken]:
        """Every token, also those whose time is over, the oldest first."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._records))
        return sorted((_read(raw) for raw in rows.values()), key=lambda token: token.created)

    def last_used(self, token: StoredToken) -> float | None:
        """When it was last used, to the minute; None if never."""
        raw = cast("bytes | None", self._redis.hget(self._used, token.id))
        return None if raw is None else float(raw)

    def shape(self, token: StoredToken) -> dict[str, Any]:
        """All that may be told of a token, as JSON."""
        return {
            "id": token.id,
            "name": token.name,
            "scope": str(token.scope),
            "created": token.created,
            "expires": token.expires,
            "used": self.last_used(token),
        }

    def revoke(self, which: str) -> list[StoredToken]:
        """Remove the token with this id, or all of this name; returns those that were removed."""
        gone = [token for token in self.all() if which in (token.id, token.name)]
        for token in gone:
            self._forget(token)
        return gone

    def _forget(self, token: StoredToken) -> None:
        self._redis.hdel(self._records, token.id)
        self._redis.hdel(self._used, token.id)


def _read(raw: bytes) -> StoredToken:
    fields = json.loads(raw)
    return StoredToken(**{**fields, "scope": Scope(fields["scope"])})
