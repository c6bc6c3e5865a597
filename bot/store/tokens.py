"""Store API tokens made by `interlock token`: the hash of each, with a scope, an end, and the time of the last use.

A token is 256 random bits, so its SHA-256 is as hard to guess as the token itself; slow, salted hashes are needed only
for passwords that people choose. The text begins with `ilk_` and ends with a checksum, so that scanners find a token
that was committed somewhere, and a mistyped one is rejected without a request to the store.
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

#: The prefix and the form of every token: 43 characters are 256 bits, the last 8 are the checksum.
PREFIX = "ilk_"
_FORM = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}[0-9a-f]{{8}}")
#: The number of digits of the hash that make the id of a token.
ID_DIGITS = 12
#: The shortest interval at which the time of the last use is written, in seconds.
USED_EVERY = 60.0
#: How long a token that has ended is still listed, in seconds.
ENDED_LISTED = 90 * 86_400.0


@dataclass(frozen=True, slots=True)
class StoredToken:
    """The stored data of a token. Times are seconds since the epoch."""

    #: The name under which actions with this token are logged.
    name: str
    scope: Scope
    created: float
    #: None: it does not end.
    expires: float | None
    digest: str

    @property
    def id(self) -> str:
        """The id in lists; it reveals nothing that helps to guess the token."""
        return self.digest[:ID_DIGITS]

    def has_ended(self, now: float) -> bool:
        """Return whether the token has ended."""
        return self.expires is not None and self.expires <= now


def is_token(text: str) -> bool:
    """Return whether a text has the form of a token, with a correct checksum; such a token need not exist."""
    return _FORM.fullmatch(text) is not None and text[-8:] == _checksum(text[:-8])


def digest_of(text: str) -> str:
    """Return the SHA-256 of a token, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


class Tokens:
    """The tokens of an installation. A name contains no colon, so that it cannot be confused with a GitHub login."""

    #: The pattern of a valid name.
    NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}"

    def __init__(self, redis: Redis, prefix: str = "interlock") -> None:
        self._redis = redis
        self._records, self._used = f"{prefix}:{{access}}:tokens", f"{prefix}:{{access}}:tokens-used"

    def create(self, name: str, scope: Scope, expires: float | None, now: float) -> tuple[str, StoredToken]:
        """Create a token; returns its text, which is not stored anywhere. Also deletes tokens that ended long ago."""
        for each in self.all():
            if each.has_ended(now - ENDED_LISTED):
                self._forget(each)
        body = PREFIX + secrets.token_urlsafe(32)
        text = body + _checksum(body)
        made = StoredToken(name, scope, now, expires, digest_of(text))
        self._redis.hset(self._records, made.id, json.dumps(asdict(made)))
        return text, made

    def find(self, text: str, now: float) -> StoredToken | None:
        """Return the token with this text unless it has ended; records the use."""
        return self.with_digest(digest_of(text), now) if is_token(text) else None

    def with_digest(self, digest: str, now: float) -> StoredToken | None:
        """Return the token with this hash, which a session contains, unless the token has ended; records the use.

        The lookup uses the first digits of the hash; the whole hash is compared in constant time.
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
        """Return every token, including those that have ended, oldest first."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._records))
        return sorted((_read(raw) for raw in rows.values()), key=lambda token: token.created)

    def last_used(self, token: StoredToken) -> float | None:
        """Return when a token was last used, to the minute; None if never."""
        raw = cast("bytes | None", self._redis.hget(self._used, token.id))
        return None if raw is None else float(raw)

    def shape(self, token: StoredToken) -> dict[str, Any]:
        """Return the public data of a token, as plain values for JSON."""
        return {
            "id": token.id,
            "name": token.name,
            "scope": str(token.scope),
            "created": token.created,
            "expires": token.expires,
            "used": self.last_used(token),
        }

    def revoke(self, which: str) -> list[StoredToken]:
        """Delete the token with this id, or all with this name; returns the deleted ones."""
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
