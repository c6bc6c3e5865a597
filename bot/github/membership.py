"""Ask GitHub for the membership of a person, where a role depends on it: in a team, or a permission in a repository.

Anything that GitHub does not confirm counts as no. The decision itself is in `bot.core.access`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast
from urllib.parse import quote

from bot.core.access import (
    AccessAllowed,
    AccessRefused,
    AccessRequest,
    Membership,
    Permission,
    PermissionQuestion,
    Person,
    Roles,
    TeamQuestion,
    decide,
)
from bot.github.session import Purpose, Session
from bot.github.transport import GitHubNotFound
from bot.payloads import at, text
from bot.runtime import Runtime

_MEMBER, _NO_MEMBER = b"member", b"none"


def judge(
    runtime: Runtime, roles: Roles, request: AccessRequest, person: Person, purpose: Purpose, remembered: int = 0
) -> AccessAllowed | AccessRefused:
    """Decide, and ask GitHub the questions on which the decision depends. Answers are stored for `remembered` seconds.

    Raises RetryLater or PermanentFailure if GitHub does not answer, or refuses to.
    """
    known = Membership()
    while True:
        verdict = decide(roles, request, person, known)
        match verdict:
            case TeamQuestion(team):
                known = known.with_team(team, member=_is_member(runtime, team, person, request, purpose, remembered))
            case PermissionQuestion(repository):
                permission = _permission(runtime, repository, person, purpose, remembered)
                known = known.with_permission(repository, permission)
            case _:
                return verdict


def permission_in(session: Session, login: str, purpose: Purpose) -> Permission:
    """Return the permission of `login` in the repository. Everybody has `read` on a public one (GitHub docs).

    GitHub's field `permission` reports maintain as `write`, so the role name and, for a custom role, the permissions of
    the user in the answer are checked as well.
    """
    try:
        answer = session.read(f"/collaborators/{quote(login, safe='')}/permission", purpose).data
    except GitHubNotFound:
        return Permission.NONE
    if text(answer, "user", "login").casefold() != login.casefold():
        return Permission.NONE
    found = text(answer, "permission")
    maintains = text(answer, "role_name") == "maintain" or at(answer, "user", "permissions", "maintain") is True
    if found == "write" and maintains:
        return Permission.MAINTAIN
    known = {"read": Permission.READ, "write": Permission.WRITE, "admin": Permission.ADMIN}
    return known.get(found, Permission.NONE)


def is_member(session: Session, team: str, login: str, purpose: Purpose) -> bool:
    """Return whether `login` is an active member of `team` (`org/slug`); a person who is only invited is not.

    Source: GitHub docs, "Get team membership for a user". An App needs the permission Members: read.
    """
    org, _, slug = team.partition("/")
    try:
        answer = session.read_elsewhere(f"/orgs/{org}/teams/{slug}/memberships/{quote(login, safe='')}", purpose).data
    except GitHubNotFound:
        return False
    return text(answer, "state") == "active"


def _permission(runtime: Runtime, repository: str, person: Person, purpose: Purpose, remembered: int) -> Permission:
    key = _key(person, f"permission:{repository.casefold()}")
    kept = _kept(runtime, key, remembered)
    if kept is not None:
        return Permission(kept.decode())
    found = permission_in(Session(runtime, repository), person.login, purpose)
    _keep(runtime, key, found.value.encode(), remembered)
    return found


def _is_member(
    runtime: Runtime, team: str, person: Person, request: AccessRequest, purpose: Purpose, remembered: int
) -> bool:
    key = _key(person, f"team:{team.casefold()}")
    kept = _kept(runtime, key, remembered)
    if kept is not None:
        return kept == _MEMBER
    found = is_member(Session(runtime, _near(team, request.repositories)), team, person.login, purpose)
    _keep(runtime, key, _MEMBER if found else _NO_MEMBER, remembered)
    return found


def _near(team: str, repositories: Iterable[str]) -> str:
    """Choose the repository whose identity is used to ask for the team: one of the same organization if possible."""
    names = list(repositories)
    org = team.partition("/")[0].casefold()
    return next((name for name in names if name.partition("/")[0].casefold() == org), names[0])


def _key(person: Person, question: str) -> str:
    return f"interlock:{{access}}:{person.login.casefold()}:{question}"


def _kept(runtime: Runtime, key: str, remembered: int) -> bytes | None:
    return cast("bytes | None", runtime.redis.get(key)) if remembered else None


def _keep(runtime: Runtime, key: str, answer: bytes, remembered: int) -> None:
    if remembered:
        runtime.redis.set(key, answer, ex=remembered)
