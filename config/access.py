"""The keys of the pipeline file for access: roles, reading, and the ways to sign in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from config import values as v
from config.values import FileSection


class RepositoryPermission(StrEnum):
    """The permissions in a service's repository that can give a person a role."""

    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


class MemberEntry(FileSection):
    """A member of a role: one of `name`, `team` and `permission`."""

    name: v.PersonName | None = None
    """A person by the name in the log: that of a token or of the proxy, or `github:` and a login."""
    team: v.TeamName | None = None
    """Everybody in a team at GitHub, as `organization/team`, spelled as in the team's address."""
    permission: RepositoryPermission | None = None
    """Everybody with at least this permission in the repository of the service."""

    @model_validator(mode="after")
    def _exactly_one(self) -> MemberEntry:
        given = [key for key in type(self).model_fields if getattr(self, key) is not None]
        if len(given) != 1:
            words = "exactly one of `name`, `team` and `permission` in each entry"
            v.refuse(f"a member with {' and '.join(f'`{key}`' for key in given) or 'nothing'}", words)
        return self


Members = tuple[MemberEntry, ...]


class RolesEntry(FileSection):
    """The members of each role of a pipeline. Each role includes the rights of the roles before it."""

    viewer: Members | None = None
    """The people who may read, if reading requires a sign-in. Default: everybody whom a token or the proxy signs in."""
    developer: Members | None = None
    """The people who may retry and cancel the runs of a service and send its fix on the fast lane. Default:
    `permission: write` in the repository of the service."""
    operator: Members | None = None
    """The people who may lock, unlock, pause, resume and act on any run. Default: `permission: maintain` in the
    repository of a service."""
    admin: Annotated[Members, Field(min_length=1)]
    """The people who may change whether the pipeline observes, and retry or drop dead letters and parked deliveries."""


class ReadPolicy(StrEnum):
    """The access that a person needs to read page and API."""

    PUBLIC = "public"
    SIGNED_IN = "signed-in"


class ProxyEntry(FileSection):
    """A reverse proxy that signs people in and passes their name in a header."""

    header: v.HeaderName
    """The header with the name of the person. The proxy must remove this header from requests of clients."""
    addresses: Annotated[tuple[v.NetworkText, ...], Field(min_length=1)]
    """The addresses of the proxy, as addresses or networks. The header is ignored in requests from elsewhere."""
    logins: v.Switch = False
    """Whether the names are logins at GitHub, for teams and permissions. Default `false`."""


class SignInEntry(FileSection):
    """The ways to sign in, and how long a person stays signed in."""

    token: v.Switch = False
    """With an API token, typed into a form. Default `false`."""
    github: v.Switch = False
    """With GitHub, through an OAuth app: INTERLOCK_GITHUB_OAUTH_CLIENT_ID and its secret. Default `false`."""
    proxy: ProxyEntry | None = None
    """By a reverse proxy that passes the name of the person in a header."""
    session: Annotated[v.Duration, v.between("5m", "30d")] = 43_200.0
    """How long a person stays signed in. Default 12h."""
