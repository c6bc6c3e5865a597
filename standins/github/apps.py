"""The GitHub App: its key, hook, installations and permissions, and the check of its JSON web tokens.

Source: GitHub docs, "Generating a JSON web token (JWT) for a GitHub App" and "Choosing permissions for a GitHub App".
Without `register` there is an App that accepts any key and is installed on every repository with every permission.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import jwt
from jwt.types import Options

from standins.github.model import Hook, RefusedError, Repo

#: The default permissions of an App, all with writing.
PERMISSIONS = {
    "metadata": "read", "contents": "write", "statuses": "write", "checks": "write", "deployments": "write",
    "issues": "write", "pull_requests": "write", "repository_hooks": "write", "merge_queues": "read",
    "members": "read",
}  # fmt: skip
#: The longest lifetime of a JSON web token, and the tolerance of its times, in seconds.
LIFE, DRIFT = 600.0, 60.0
#: The events an App can subscribe to; `installation` and `installation_repositories` need no subscription.
EVENTS = (
    "check_run", "check_suite", "create", "delete", "deployment", "deployment_status", "issue_comment", "merge_group",
    "pull_request", "push", "repository", "status",
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Installation:
    """The App on one account. `repos` are ids; None: all of the account, also future ones."""

    id: int
    account: str
    permissions: dict[str, str]
    at: float
    repos: set[int] | None = None
    suspended: float | None = None
    #: Installed on every account, as the App without a registration.
    everywhere: bool = False

    def reaches(self, repo: Repo) -> bool:
        if self.everywhere:
            return True
        if self.repos is None:
            return self.account.lower() == repo.owner.lower()
        return repo.id in self.repos


@dataclass(slots=True)
class App:
    """The registered App."""

    id: int = 1
    slug: str = "interlock"
    owner: str = "acme"
    #: PEM; None: any key is accepted, and the App is installed everywhere.
    public_key: str | None = None
    permissions: dict[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    events: tuple[str, ...] = ()
    hook: Hook | None = None
    at: float = 0.0

    @property
    def login(self) -> str:
        return f"{self.slug}[bot]"


class Apps:
    """The App and its installations."""

    def __init__(self) -> None:
        self.app = App()
        self.installations: dict[int, Installation] = {}
        self._ids = itertools.count(40_000_001)

    @property
    def registered(self) -> bool:
        return self.app.public_key is not None

    def install(
        self, account: str, permissions: dict[str, str] | None, repos: set[int] | None, at: float
    ) -> Installation:
        granted = dict(self.app.permissions if permissions is None else {"metadata": "read", **permissions})
        made = Installation(next(self._ids), account, granted, at, repos)
        self.installations[made.id] = made
        return made

    def on(self, repo: Repo) -> Installation | None:
        """Return the installation that reaches a repository."""
        if not self.registered:
            return self.get(repo.id)
        return next((one for one in self.installations.values() if one.reaches(repo)), None)

    def get(self, number: int) -> Installation | None:
        if not self.registered and number not in self.installations:
            self.installations[number] = Installation(number, "acme", dict(PERMISSIONS), 0.0, everywhere=True)
        return self.installations.get(number)

    def check_jwt(self, token: str, now: float) -> None:
        """Check signature, issuer and the two times; raise RefusedError as GitHub does."""
        try:
            if self.registered:
                claims = jwt.decode(token, str(self.app.public_key), algorithms=["RS256"], options=_UNTIMED)
            else:
                claims = jwt.decode(token, options={**_UNTIMED, "verify_signature": False})
                if jwt.get_unverified_header(token).get("alg") != "RS256":
                    raise jwt.InvalidAlgorithmError
        except jwt.PyJWTError:
            raise RefusedError(401, "A JSON web token could not be decoded") from None
        _check_times(claims.get("iat"), claims.get("exp"), now)
        if "iss" not in claims:
            raise RefusedError(401, "'Issuer' claim ('iss') must be an Integer")
        if self.registered and str(claims["iss"]) not in (str(self.app.id), client_id(self.app)):
            raise RefusedError(404, "Integration not found")


_UNTIMED: Options = {
    "verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_iss": False, "verify_aud": False,
    "verify_sub": False, "verify_jti": False,
}  # fmt: skip


def client_id(app: App) -> str:
    return f"Iv23li{app.id:014d}"


def _check_times(issued: object, expires: object, now: float) -> None:
    if not isinstance(issued, (int, float)) or issued > now + DRIFT:
        message = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued."
        raise RefusedError(401, message)
    if not isinstance(expires, (int, float)) or expires <= now:
        message = (
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
            "assertion expires."
        )
        raise RefusedError(401, message)
    if expires > now + LIFE + DRIFT or expires - issued > LIFE + DRIFT:
        raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future.")
