"""Tokens, permissions and rate limits of the askers, and the 404 that hides private repositories."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from standins.github.apps import Apps, Installation
from standins.github.model import RefusedError, Repo
from standins.github.permissions import granted, needed
from standins.github.secondary_limits import SecondaryLimits, Use
from standins.wire.message import Pairs, Request

_READ, _WRITE = ("read", "triage", "write", "maintain", "admin"), ("write", "maintain", "admin")
WINDOW = 3600.0
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID."
)


@dataclass(slots=True)
class Token:
    """A token: its owner, and the repositories that it reaches (`*`: all, with writing)."""

    login: str
    repos: tuple[str, ...] = ("*",)
    read_only: bool = False
    #: Seconds since 1970; None: it never expires.
    expires: float | None = None
    #: An App's own JSON web token: valid only for /app.
    app: bool = False
    #: The permissions; None: all except those that only Apps have, as with a classic token.
    permissions: dict[str, str] | None = None
    installation: Installation | None = None
    #: The ids that a token of an installation is limited to; None: all of the installation.
    only: frozenset[int] | None = None
    #: The number of requests that are still refused because no server knows the token yet.
    unknown_for: int = 0

    @property
    def kind(self) -> str:
        return "integration" if self.app or self.installation is not None else "personal access token"

    def reaches(self, repo: Repo) -> bool:
        if self.installation is not None:
            return self.installation.reaches(repo) and (self.only is None or repo.id in self.only)
        return not self.app and ("*" in self.repos or repo.full_name in self.repos)


@dataclass(slots=True)
class Allowance:
    used: int = 0
    reset: float = 0.0
    #: The times of the latest writes, and the other counts of the secondary limits.
    written: deque[float] = field(default_factory=deque)
    use: Use = field(default_factory=Use)


class LimitedError(RefusedError):
    """A refusal for too many requests; the headers give its end."""

    def __init__(self, status: int, message: str, headers: Pairs) -> None:
        super().__init__(status, message)
        self.headers = headers


@dataclass(slots=True)
class Access:
    """The tokens and limits: `limit` requests an hour per token; 0: no limit, as on a GHES with default settings."""

    apps: Apps
    tokens: dict[str, Token] = field(default_factory=lambda: {each: Token("interlock-bot") for each in ("t", "token")})
    limit: int = 1_000_000
    anonymous_limit: int = 60
    #: The most writes per minute and token under the secondary limit; 0: no such limit.
    writes_a_minute: int = 0
    #: GitHub's own secondary limits; None: they are off, as on a GHES with default settings.
    secondary: SecondaryLimits | None = None
    #: The Retry-After of the secondary limit; None: the header is missing.
    retry_after: int | None = 60
    #: The number of requests with each new installation token that are refused as if it were unknown.
    fresh_refusals: int = 0
    _used: dict[str, Allowance] = field(default_factory=dict)

    def token(self, request: Request, now: float) -> Token | None:
        """Return the request's token, None if it has none; raise RefusedError(401) for an unknown one."""
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        secret = secret.strip()
        if not secret:
            return None
        token = self.tokens.get(secret) if kind.lower() in ("token", "bearer") else None
        if token is None and kind.lower() == "bearer" and secret.count(".") == 2:
            self.apps.check_jwt(secret, now)
            return Token(self.apps.app.login, app=True)
        if token is None or (token.expires is not None and token.expires < now):
            raise RefusedError(401, "Bad credentials")
        if token.unknown_for > 0:
            token.unknown_for -= 1
            raise RefusedError(401, "Bad credentials")
        if token.installation is not None and token.installation.suspended is not None:
            raise RefusedError(403, "This installation has been suspended")
        return token

    def allowance(self, request: Request, now: float) -> tuple[Allowance, int]:
        """Return the asker's use of the current hour, and the limit."""
        key = self._asker(request)
        entry = self._used.setdefault(key, Allowance())
        if now >= entry.reset:
            entry.used, entry.reset = 0, now + WINDOW
        return entry, self.anonymous_limit if key == "anonymous" and self.limit else self.limit

    def _asker(self, request: Request) -> str:
        """Return the key that the limits count by: the user or the installation, with all its tokens."""
        _, _, secret = request.headers.get("authorization", "").partition(" ")
        if not secret:
            return "anonymous"
        token = self.tokens.get(secret.strip())
        if token is None:
            return f"app {self.apps.app.id}"
        return token.login if token.installation is None else f"installation {token.installation.id}"

    def count(self, request: Request, now: float) -> Pairs:
        """Count the request against both limits; raise LimitedError beyond one. /rate_limit is free."""
        entry, limit = self.allowance(request, now)
        headers: Pairs = []
        if limit:
            entry.used += request.route != "GET /rate_limit"
            headers = [
                ("x-ratelimit-limit", str(limit)),
                ("x-ratelimit-remaining", str(max(0, limit - entry.used))),
                ("x-ratelimit-reset", str(int(entry.reset))),
                ("x-ratelimit-used", str(min(limit, entry.used))),
                ("x-ratelimit-resource", "core"),
            ]
            if entry.used > limit:
                raise LimitedError(403, "API rate limit exceeded for user.", headers)
        if self.writes_a_minute and request.method in ("POST", "PATCH", "PUT"):
            self._count_write(entry, now, headers)
        if self.secondary is not None:
            wait = entry.use.exceeds(self.secondary, request.method, request.raw_path, now)
            if wait is not None:
                raise LimitedError(403, SECONDARY, [("Retry-After", str(math.ceil(wait))), *headers])
        return headers

    def _count_write(self, entry: Allowance, now: float, headers: Pairs) -> None:
        while entry.written and entry.written[0] <= now - 60:
            entry.written.popleft()
        if len(entry.written) >= self.writes_a_minute:
            wait = [] if self.retry_after is None else [("Retry-After", str(self.retry_after))]
            raise LimitedError(403, SECONDARY, [*wait, *headers])
        entry.written.append(now)

    @staticmethod
    def sees(token: Token | None, repo: Repo) -> bool:
        if not repo.private or (token is not None and token.reaches(repo)):
            return True
        return token is not None and token.kind != "integration" and repo.collaborators.get(token.login) in _READ

    @staticmethod
    def check_permission(token: Token | None, repo: Repo, route: str) -> str:
        """Return the permission of this route as GitHub's header names it; 403 for a token without it."""
        if token is not None and token.app:  # the App's own token is for /app; other routes need an installation token
            raise RefusedError(403, "Resource not accessible by integration")
        names, level = needed(route, private=repo.private)
        if token is not None and names and token.permissions is not None:
            may = granted(token.permissions, names, level) and token.reaches(repo)
            if not may:
                raise RefusedError(403, f"Resource not accessible by {token.kind}")
        return "; ".join(f"{name}={level}" for name in names) or "metadata=read"

    @staticmethod
    def check_write(token: Token | None, repo: Repo) -> None:
        """Refuse a write: 401 without a token, 403 with one that may only read here."""
        if token is None:
            raise RefusedError(401, "Requires authentication")
        may = token.reaches(repo) or (token.kind != "integration" and repo.collaborators.get(token.login) in _WRITE)
        if token.read_only or not may:
            raise RefusedError(403, f"Resource not accessible by {token.kind}")
        if repo.archived:
            raise RefusedError(403, "Repository was archived so is read-only.")
