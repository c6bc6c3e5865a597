"""The access rules: one table from action to role, and one decision for page, API, command line and comments.

The decision does no I/O. For facts that only GitHub has (teams, permissions) it returns a question; the caller asks
GitHub, adds the answer to the known ones, and calls it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain


class Role(StrEnum):
    """The role of a person in a pipeline. Each role includes the rights of those before it."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Action(StrEnum):
    """The actions that need a role."""

    READ = "read"
    RETRY = "retry"
    CANCEL = "cancel"
    VERIFY = "verify"
    FAST_LANE = "fast-lane"
    #: The fast lane into a named stage: the run enters it even if another service's lock closes it.
    FAST_LANE_INTO = "fast-lane-into"
    LOCK = "lock"
    UNLOCK = "unlock"
    MOVE = "move"
    WATCH = "watch"
    LET_THROUGH = "let-through"
    PAUSE = "pause"
    MODE = "mode"
    DEAD_LETTERS = "dead-letters"
    PARKED = "parked"
    TOKENS = "tokens"


#: The lowest role that may take each action.
NEEDED: Mapping[Action, Role] = {
    Action.READ: Role.VIEWER,
    Action.RETRY: Role.DEVELOPER,
    Action.CANCEL: Role.DEVELOPER,
    Action.VERIFY: Role.DEVELOPER,
    Action.FAST_LANE: Role.DEVELOPER,
    Action.FAST_LANE_INTO: Role.OPERATOR,
    Action.LOCK: Role.OPERATOR,
    Action.UNLOCK: Role.OPERATOR,
    Action.MOVE: Role.OPERATOR,
    Action.WATCH: Role.VIEWER,
    Action.LET_THROUGH: Role.OPERATOR,
    Action.PAUSE: Role.OPERATOR,
    Action.MODE: Role.ADMIN,
    Action.DEAD_LETTERS: Role.ADMIN,
    Action.PARKED: Role.ADMIN,
    Action.TOKENS: Role.ADMIN,
}

#: The commands at GitHub with their actions; None: open to everybody who may comment.
COMMANDS: Mapping[str, Action | None] = {
    "status": None,
    "why": None,
    "help": None,
    "lock": Action.LOCK,
    "unlock": Action.UNLOCK,
    "fast-lane": Action.FAST_LANE,
    "retry": Action.RETRY,
    "cancel": Action.CANCEL,
    "move": Action.MOVE,
    "let-through": Action.LET_THROUGH,
    "watch": Action.WATCH,
    "verify": Action.VERIFY,
}


class Permission(StrEnum):
    """A person's permission in a repository, from least to most (GitHub docs: repository roles for an organization)."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


_ROLES, _PERMISSIONS = tuple(Role), tuple(Permission)


# -- the members of a role ---------------------------------------------------------------------------------------------


class MemberKind(StrEnum):
    """How a member of a role is named."""

    NAME = "name"
    TEAM = "team"
    PERMISSION = "permission"
    #: Everybody with an API token.
    TOKEN = "token"  # noqa: S105  no secret
    #: Everybody whose name comes from this installation: from a token, or from the proxy that signs people in.
    SIGNED_IN = "signed-in"


@dataclass(frozen=True, slots=True)
class Member:
    """One person, or all members of a team, or all with a permission in a service's repository."""

    kind: MemberKind
    #: The name, `org/team`, or the permission; empty for the other kinds.
    value: str = ""


Members = tuple[Member, ...]


@dataclass(frozen=True)
class Roles:
    """The members of each role in one pipeline. The defaults count for roles that the pipeline file does not set."""

    viewer: Members = (Member(MemberKind.SIGNED_IN),)
    developer: Members = (Member(MemberKind.PERMISSION, Permission.WRITE),)
    operator: Members = (Member(MemberKind.PERMISSION, Permission.MAINTAIN),)
    admin: Members = (Member(MemberKind.TOKEN),)
    #: The developers of single services, besides the developers of all.
    developers: Mapping[str, Members] = field(default_factory=dict)

    def members(self, role: Role, service: str | None = None) -> Members:
        """Return the members of `role`; for developers those of `service`, or of any service if it is None."""
        match role:
            case Role.VIEWER:
                return self.viewer
            case Role.OPERATOR:
                return self.operator
            case Role.ADMIN:
                return self.admin
            case Role.DEVELOPER:
                named = self.developers.values() if service is None else (self.developers.get(service, ()),)
                return tuple(dict.fromkeys(chain(self.developer, *named)))

    @property
    def names_a_team(self) -> bool:
        """Whether a team is a member of any role, so that GitHub is asked for its members."""
        groups = (self.viewer, self.developer, self.operator, self.admin, *self.developers.values())
        return any(member.kind is MemberKind.TEAM for member in chain.from_iterable(groups))


# -- people and requests -----------------------------------------------------------------------------------------------


class Scope(StrEnum):
    """The most that a token may be used for, whatever its owner may do."""

    READ = "read"
    ACT = "act"
    ADMIN = "admin"


#: The highest role that a token of each scope can use.
HIGHEST: Mapping[Scope, Role] = {Scope.READ: Role.VIEWER, Scope.ACT: Role.OPERATOR, Scope.ADMIN: Role.ADMIN}


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in person. With `login`, GitHub has identified the person and can be asked about them."""

    #: The name on record: `alex`, or `github:kim`.
    name: str
    #: The login at GitHub; empty for a person who has none by this name.
    login: str = ""
    #: Whether an API token identified the person.
    by_token: bool = False
    scope: Scope = Scope.ADMIN


def github_person(login: str) -> Person:
    """Return the person of a GitHub login. The name has a colon, so no name of this installation equals it."""
    return Person(f"github:{login}", login)


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """An action in a pipeline: on one service, or on the whole pipeline."""

    action: Action
    #: The service of the action; None: it concerns the whole pipeline.
    service: str | None
    #: The repositories in which a permission counts: that of the service, or those of all services.
    repositories: tuple[str, ...]

    @property
    def needs(self) -> Role:
        """The lowest role that may take the action."""
        return NEEDED[self.action]


# -- questions to GitHub -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TeamQuestion:
    """Whether this person is a member of `team` (`org/name`)."""

    team: str


@dataclass(frozen=True, slots=True)
class PermissionQuestion:
    """Which permission this person has in `repository`."""

    repository: str


AccessQuestion = TeamQuestion | PermissionQuestion


@dataclass(frozen=True, slots=True)
class Membership:
    """GitHub's answers about one person so far."""

    teams: Mapping[str, bool] = field(default_factory=dict)
    permissions: Mapping[str, Permission] = field(default_factory=dict)

    def with_team(self, team: str, *, member: bool) -> Membership:
        """Return the membership with one more answer."""
        return Membership({**self.teams, team: member}, self.permissions)

    def with_permission(self, repository: str, permission: Permission) -> Membership:
        """Return the membership with one more answer."""
        return Membership(self.teams, {**self.permissions, repository: permission})


# -- the decision ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccessAllowed:
    """The person may take the action, as `role`."""

    role: Role


@dataclass(frozen=True, slots=True)
class AccessRefused:
    """The person may not take the action: the role that it needs, and the holders of that role."""

    request: AccessRequest
    needs: Role
    #: The members of the role and of every higher one, each once.
    holders: Members
    #: The scope of the token, if the scope is the obstacle.
    scope: Scope | None = None


def decide(
    roles: Roles, request: AccessRequest, person: Person, known: Membership
) -> AccessAllowed | AccessRefused | AccessQuestion:
    """Return whether `person` may take the action, or the next question to GitHub that the decision needs.

    A member of a role or of a higher one may. Members that need no question are checked first, then the others, each
    time from the lowest sufficient role upwards.
    """
    needed = _ROLES.index(request.needs)
    enough = _ROLES[needed:]
    if needed > _ROLES.index(HIGHEST[person.scope]):
        return AccessRefused(request, request.needs, _holders(roles, request), person.scope)
    for role in enough:
        if any(_is_named(member, person) for member in roles.members(role, request.service)):
            return AccessAllowed(role)
    if person.login:
        for role in enough:
            found = _asked(roles.members(role, request.service), request, known)
            if found is True:
                return AccessAllowed(role)
            if found is not False:
                return found
    return AccessRefused(request, request.needs, _holders(roles, request))


def _holders(roles: Roles, request: AccessRequest) -> Members:
    enough = _ROLES[_ROLES.index(request.needs) :]
    return tuple(dict.fromkeys(member for role in enough for member in roles.members(role, request.service)))


def _is_named(member: Member, person: Person) -> bool:
    """Return whether the member is this person, as far as the decision needs no question to GitHub."""
    match member.kind:
        case MemberKind.NAME:
            if person.login:  # GitHub ignores the case of logins
                return member.value.casefold() == person.name.casefold()
            return member.value == person.name
        case MemberKind.TOKEN:
            return person.by_token
        case MemberKind.SIGNED_IN:
            return not person.login
        case MemberKind.TEAM | MemberKind.PERMISSION:
            return False


def _asked(members: Members, request: AccessRequest, known: Membership) -> bool | AccessQuestion:
    """Return whether GitHub has answered that the person is one of the members, or the next question."""
    for question, is_yes in _answers(members, request, known):
        if is_yes is None:
            return question
        if is_yes:
            return True
    return False


def _answers(
    members: Members, request: AccessRequest, known: Membership
) -> Iterator[tuple[AccessQuestion, bool | None]]:
    """Yield the questions about the members, each with its answer, None if open.

    Teams come first: one question each.
    """
    for member in members:
        if member.kind is MemberKind.TEAM:
            yield TeamQuestion(member.value), known.teams.get(member.value)
    for member in members:
        if member.kind is MemberKind.PERMISSION:
            for repository in request.repositories:
                has = known.permissions.get(repository)
                yield PermissionQuestion(repository), None if has is None else _is_enough(has, member.value)


def _is_enough(has: Permission, wanted: str) -> bool:
    return _PERMISSIONS.index(has) >= _PERMISSIONS.index(Permission(wanted))
