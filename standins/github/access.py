"""Who asks GitHub, what they may do, and how much they have asked: tokens, 404 hiding, rate limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from standins.github.model import RefusedError, Repo
from standins.wire.message import Request

_READ, _WRITE = ("read", "triage", "write", "maintain", "admin"), ("write", "maintain", "admin")
WINDOW = 3600.0


@dataclass(slots=True)
class Token:
    """A token: whose it is, and the repositories that it reaches (`*`: all, with writing)."""

    login: str
    repos: tuple[str, ...] = ("*",)
    read_only: bool = False
    #: Seconds since 1970; None: for ever.
    expires: float | None = None
    #: An App's own JSON web token: good for /app and nothing else.
    app: bool = False


@dataclass(slots=True)
class Allowance:
    used: int = 0
    reset: float = 0.0


@dataclass(slots=True)
class Access:
    """`limit` requests an hour per token; 0: not limited, as on a GHES with default settings."""

    tokens: dict[str, Token] = field(default_factory=lambda: {"t": Token("interlock-bot")})
    limit: int = 1_000_000
    anonymous_limit: int = 60
    _used: dict[str, Allowance] = field(default_factory=dict)

    def token(self, request: Request, now: float) -> Token | None:
        """Whose token the request carries, None if none; raises RefusedError(401) for an unknown one."""
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if not secret:
            return None
        token = self.tokens.get(secret.strip()) if kind.lower() in ("token", "bearer") else None
        if token is None and kind.lower() == "bearer" and secret.count(".") == 2:
            return Token("interlock[bot]", app=True)
        if token is None or (token.expires is not None and token.expires < now):
            raise RefusedError(401, "Bad credentials")
        return token

    def allowance(self, request: Request, now: float) -> tuple[Allowance, int]:
        """The asker's use of the running hour, and the limit."""
        key = request.headers.get("authorization", "anonymous")
        entry = self._used.setdefault(key, Allowance())
        if now >= entry.reset:
            entry.used, entry.reset = 0, now + WINDOW
        return entry, self.anonymous_limit if key == "anonymous" and self.limit else self.limit

    @staticmethod
    def sees(token: Token | None, repo: Repo) -> bool:
        if token is not None and ("*" in token.repos or repo.full_name in token.repos):
            return True
        return not repo.private or (token is not None and repo.collaborators.get(token.login) in _READ)

    @staticmethod
    def check_write(token: Token | None, repo: Repo) -> None:
        """401 without a token, 403 with one that may only read here."""
        if token is None:
            raise RefusedError(401, "Requires authentication")
        reaches = "*" in token.repos or repo.full_name in token.repos
        if token.read_only or not (reaches or repo.collaborators.get(token.login) in _WRITE):
            raise RefusedError(403, "Resource not accessible by personal access token")
        if repo.archived:
            raise RefusedError(403, "Repository was archived so is read-only.")
