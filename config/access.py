"""The keys of the pipeline file that say who may read and act, and how people sign in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from config import values as v
from config.values import FileSection


class RepositoryPermission(StrEnum):
    """The permissions in a service's repository that can make somebody a member of a role."""

    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


class MemberEntry(FileSection):
    """A member of a role: one of `name`, `team` and `permission`."""

    name: v.PersonName | None = None
    """A person by the name that the log shows: that of a token or of the proxy, or `github:` and a login."""
    team: v.TeamName | None = None
    """Everybody in a team at GitHub, `organization/team`; the team as in its address."""
    permission: RepositoryPermission | None = None
    """Everybody with this permission, or a higher one, in the repository of the service."""

    @model_validator(mode="after")
    def _exactly_one(self) -> MemberEntry:
        given = [key for key in type(self).model_fields if getattr(self, key) is not None]
        if len(given) != 1:
            words = "exactly one of `name`, `team` and `permission` in each entry"
            v.refuse(f"a member with {' and '.join(f'`{key}`' for key in given) or 'nothing'}", words)
        return self


Members = tuple[MemberEntry, ...]


class RolesEntry(FileSection):
    """Who may do what in the pipeline. Each role may do what those before it may."""

    viewer: Members | None = None
    """Who may read, where reading needs a sign-in. Default: everybody whom a token or the proxy signs in."""
    developer: Members | None = None
    """Who may retry and cancel the runs of a service and send its fix on the fast lane. Default: `permission: write`
    in the repository of the service."""
    operator: Members | None = None
    """Who may lock, unlock, pause, resume and act on any run. Default: `permission: maintain` in the repository of a
    service."""
    admin: Annotated[Members, Field(min_length=1)]
    """Who may change whether the pipeline observes, and take out dead letters and parked deliveries."""


class ReadPolicy(StrEnum):
    """Who may read on page and API."""

    PUBLIC = "public"
    SIGNED_IN = "signed-in"


class ProxyEntry(FileSection):
    """A reverse proxy that signs people in, and says in a header who it is."""

    header: v.HeaderName
    """The header in which it names the person. It must drop this header where a client sends it."""
    addresses: Annotated[tuple[v.NetworkText, ...], Field(min_length=1)]
    """The addresses of the proxy, as addresses or networks. From anywhere else the header counts for nothing."""
    logins: v.Switch = False
    """Whether the names are logins at GitHub, for teams and permissions. Default `false`."""


class SignInEntry(FileSection):
    """The ways to sign in, and how long it lasts."""

    token: v.Switch = False
    """With an API token, typed into a form. Default `false`."""
    github: v.Switch = False
    """With GitHub, as an OAuth app: INTERLOCK_GITHUB_OAUTH_CLIENT_ID and its secret. Default `false`."""
    proxy: ProxyEntry | None = None
    """By a reverse proxy that says in a header who it is."""
    session: Annotated[v.Duration, v.between("5m", "30d")] = 43_200.0
    """How long somebody stays signed in. Default 12h."""
