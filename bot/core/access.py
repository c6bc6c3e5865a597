"""Who may do what: one table from action to role, and one decision for page, API, command line and comments.

The decision asks nothing. What only GitHub knows (teams, permissions) it returns as a question; whoever asked for the
decision has GitHub answer, adds the answer to what is known, and asks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain


class Role(StrEnum):
    """What a person is in a pipeline. Each role may do what those before it may."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Action(StrEnum):
    """What a person may want to do."""

    READ = "read"
    RETRY = "retry"
    CANCEL = "cancel"
    VERIFY = "verify"
    FAST_LANE = "fast-lane"
    #: The fast lane into a stage that somebody names: the run enters it though another service's lock closes it.
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


#: The role that each action takes.
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

#: The commands at GitHub, with the action that each is; None: whoever may comment may ask it.
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
    """What somebody may do in a repository, from least to most (GitHub docs: repository roles for an organization)."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


_ROLES, _PERMISSIONS = tuple(Role), tuple(Permission)


# -- who is a member of a role -----------------------------------------------------------------------------------------


class MemberKind(StrEnum):
    """How a member of a role is named."""

    NAME = "name"
    TEAM = "team"
    PERMISSION = "permission"
    #: Everybody with an API token.
    TOKEN = "token"  # noqa: S105  no secret
    #: Everybody whose name was given by this installation: by a token, or by the proxy that signs people in.
    SIGNED_IN = "signed-in"


@dataclass(frozen=True, slots=True)
class Member:
    """One person, or all of a team, or all with a permission in a service's repository."""

    kind: MemberKind
    #: The name, `org/team`, or the permission; empty for the other kinds.
    value: str = ""


Members = tuple[Member, ...]


@dataclass(frozen=True)
class Roles:
    """The members of each role in one pipeline. What is not given holds where the pipeline file says nothing."""

    viewer: Members = (Member(MemberKind.SIGNED_IN),)
    developer: Members = (Member(MemberKind.PERMISSION, Permission.WRITE),)
    operator: Members = (Member(MemberKind.PERMISSION, Permission.MAINTAIN),)
    admin: Members = (Member(MemberKind.TOKEN),)
    #: The developers of single services, beside those of all.
    developers: Mapping[str, Members] = field(default_factory=dict)

    def members(self, role: Role, service: str | None = None) -> Members:
        """The members of `role`; the developers are those of `service`, or of any service without one."""
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
        """Whether GitHub is asked for the members of a team."""
        groups = (self.viewer, self.developer, self.operator, self.admin, *self.developers.values())
        return any(member.kind is MemberKind.TEAM for member in chain.from_iterable(groups))


# -- who asks for what -------------------------------------------------------------------------------------------------


class Scope(StrEnum):
    """The most that a token may be used for, whatever its owner may do."""

    READ = "read"
    ACT = "act"
    ADMIN = "admin"


#: The highest role that a token of each scope can be used as.
HIGHEST: Mapping[Scope, Role] = {Scope.READ: Role.VIEWER, Scope.ACT: Role.OPERATOR, Scope.ADMIN: Role.ADMIN}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has shown who they are. With `login` it is GitHub who says so, and who may be asked about them."""

    #: As it is on record: `alex`, or `github:kim`.
    name: str
    #: The login at GitHub; empty for somebody whom GitHub does not know by this name.
    login: str = ""
    #: Whether an API token says who it is.
    by_token: bool = False
    scope: Scope = Scope.ADMIN


def github_person(login: str) -> Person:
    """Somebody at GitHub. No name that this installation gives can be mistaken for theirs: those have no colon."""
    return Person(f"github:{login}", login)


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """An action in a pipeline: on one service, or on what all share."""

    action: Action
    #: The service that it is about; None: it is about the pipeline.
    service: str | None
    #: The repositories in which a permission counts: that of the service, or those of all services.
    repositories: tuple[str, ...]

    @property
    def needs(self) -> Role:
        """The role that it takes."""
        return NEEDED[self.action]


# -- what GitHub must be asked -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TeamQuestion:
    """Is this person a member of `team` (`org/name`)?"""

    team: str


@dataclass(frozen=True, slots=True)
class PermissionQuestion:
    """Which permission has this person in `repository`?"""

    repository: str


AccessQuestion = TeamQuestion | PermissionQuestion


@dataclass(frozen=True, slots=True)
class Membership:
    """What GitHub has answered about one person so far."""

    teams: Mapping[str, bool] = field(default_factory=dict)
    permissions: Mapping[str, Permission] = field(default_factory=dict)

    def with_team(self, team: str, *, member: bool) -> Membership:
        """The same and one more answer."""
        return Membership({**self.teams, team: member}, self.permissions)

    def with_permission(self, repository: str, permission: Permission) -> Membership:
        """The same and one more answer."""
        return Membership(self.teams, {**self.permissions, repository: permission})


# -- the decision ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccessAllowed:
    """They may, as `role`."""

    role: Role


@dataclass(frozen=True, slots=True)
class AccessRefused:
    """They may not: which role it takes, and who has it."""

    request: AccessRequest
    needs: Role
    #: The members of the role and of every higher one, without those that are named twice.
    holders: Members
    #: The scope of the token, if that is what stands in the way.
    scope: Scope | None = None


def decide(
    roles: Roles, request: AccessRequest, person: Person, known: Membership
) -> AccessAllowed | AccessRefused | AccessQuestion:
    """Whether `person` may; or what GitHub must be asked before that can be said.

    Whoever is a member of a role has it, and so has whoever is a member of a higher one. The lowest role that is enough
    is looked at first, and in each role what costs no question.
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
    """Whether the member is this person, as far as that can be said without GitHub."""
    match member.kind:
        case MemberKind.NAME:
            if person.login:  # GitHub takes logins without regard to case
                return member.value.casefold() == person.name.casefold()
            return member.value == person.name
        case MemberKind.TOKEN:
            return person.by_token
        case MemberKind.SIGNED_IN:
            return not person.login
        case MemberKind.TEAM | MemberKind.PERMISSION:
            return False


def _asked(members: Members, request: AccessRequest, known: Membership) -> bool | AccessQuestion:
    """Whether GitHub has said that somebody is one of the members, or what it must be asked."""
    for question, is_yes in _answers(members, request, known):
        if is_yes is None:
            return question
        if is_yes:
            return True
    return False


def _answers(
    members: Members, request: AccessRequest, known: Membership
) -> Iterator[tuple[AccessQuestion, bool | None]]:
    """What decides about each member, and the answer if there is one. A team is one question, so it comes first."""
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
