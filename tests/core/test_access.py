"""Access: each action needs one role, each role includes the lower ones, and each refusal names who may."""

from __future__ import annotations

import pytest

from bot.core.access import (
    COMMANDS,
    NEEDED,
    AccessAllowed,
    AccessRefused,
    AccessRequest,
    Action,
    Member,
    MemberKind,
    Membership,
    Permission,
    PermissionQuestion,
    Person,
    Role,
    Roles,
    Scope,
    TeamQuestion,
    decide,
    github_person,
)
from bot.github.webhooks import VERBS
from bot.reporting.refusals import refusal

REPOSITORY = "shop/s1"
KIM = github_person("kim")
NOTHING = Membership()


def name(value: str) -> Member:
    return Member(MemberKind.NAME, value)


def team(value: str) -> Member:
    return Member(MemberKind.TEAM, value)


def permission(value: Permission) -> Member:
    return Member(MemberKind.PERMISSION, value)


def asks(action: Action, *repositories: str, service: str | None = "S1") -> AccessRequest:
    return AccessRequest(action, service, repositories or (REPOSITORY,))


NAMED = Roles((name("vera"),), (name("dora"),), (name("olga"),), (name("ada"),), {"S1": (name("sam"),)})


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(("who", "role"), list(zip(("vera", "dora", "olga", "ada"), Role, strict=True)))
def test_each_role_may_do_what_it_takes_and_what_the_lower_ones_may(action: Action, who: str, role: Role) -> None:
    roles = list(Role)
    may = roles.index(role) >= roles.index(NEEDED[action])
    verdict = decide(NAMED, asks(action), Person(who), NOTHING)
    assert isinstance(verdict, AccessAllowed if may else AccessRefused)


def test_every_action_takes_a_role_and_every_command_is_an_action_or_free() -> None:
    assert set(NEEDED) == set(Action)
    assert set(COMMANDS) == set(VERBS)


def test_a_developer_of_one_service_is_none_of_another() -> None:
    assert decide(NAMED, asks(Action.RETRY, service="S1"), Person("sam"), NOTHING) == AccessAllowed(Role.DEVELOPER)
    assert isinstance(decide(NAMED, asks(Action.RETRY, service="S2"), Person("sam"), NOTHING), AccessRefused)
    assert isinstance(decide(NAMED, asks(Action.LOCK, service=None), Person("sam"), NOTHING), AccessRefused)
    assert decide(NAMED, asks(Action.READ, service=None), Person("sam"), NOTHING) == AccessAllowed(Role.DEVELOPER)


def test_a_login_is_no_name_of_ours_and_a_name_of_ours_is_no_login() -> None:
    roles = Roles(admin=(name("kim"), name("github:Lee")))
    assert isinstance(decide(roles, asks(Action.MODE), Person("kim"), NOTHING), AccessAllowed)
    assert isinstance(decide(roles, asks(Action.MODE), KIM, NOTHING), AccessRefused)
    assert isinstance(decide(roles, asks(Action.MODE), github_person("lee"), NOTHING), AccessAllowed)
    assert isinstance(decide(roles, asks(Action.MODE), Person("lee"), NOTHING), AccessRefused)


# -- what GitHub is asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("has", "retries", "locks"),
    [
        (Permission.NONE, False, False),
        (Permission.READ, False, False),
        (Permission.WRITE, True, False),
        (Permission.MAINTAIN, True, True),
        (Permission.ADMIN, True, True),
    ],
)
def test_without_roles_in_the_file_write_makes_a_developer_and_maintain_an_operator(
    has: Permission, retries: bool, locks: bool
) -> None:
    known = NOTHING.with_permission(REPOSITORY, has)
    assert isinstance(decide(Roles(), asks(Action.RETRY), KIM, known), AccessAllowed) is retries
    assert isinstance(decide(Roles(), asks(Action.LOCK), KIM, known), AccessAllowed) is locks
    assert isinstance(decide(Roles(), asks(Action.MODE), KIM, known), AccessRefused)


def test_nothing_is_asked_about_whoever_is_named_or_is_not_at_github() -> None:
    roles = Roles(operator=(team("shop/release"), name("olga"), name("github:kim")))
    assert decide(roles, asks(Action.LOCK), KIM, NOTHING) == AccessAllowed(Role.OPERATOR)
    assert decide(roles, asks(Action.LOCK), Person("olga"), NOTHING) == AccessAllowed(Role.OPERATOR)
    assert isinstance(decide(roles, asks(Action.LOCK), Person("zoe"), NOTHING), AccessRefused)


def test_one_question_after_another_until_one_is_answered_yes() -> None:
    roles = Roles(operator=(permission(Permission.MAINTAIN), team("shop/release")), admin=(team("shop/admins"),))
    request, known = asks(Action.LOCK, "shop/s1", "shop/s2"), NOTHING
    asked = []
    while not isinstance(verdict := decide(roles, request, KIM, known), AccessAllowed | AccessRefused):
        asked.append(verdict)
        match verdict:
            case TeamQuestion(of):
                known = known.with_team(of, member=of == "shop/admins")
            case PermissionQuestion(repository):
                known = known.with_permission(repository, Permission.WRITE)
    assert verdict == AccessAllowed(Role.ADMIN)
    assert asked == [
        TeamQuestion("shop/release"),
        PermissionQuestion("shop/s1"),
        PermissionQuestion("shop/s2"),
        TeamQuestion("shop/admins"),
    ]


@pytest.mark.parametrize(
    ("roles", "does"),
    [
        (Roles(), False),
        (NAMED, False),
        (Roles(viewer=(team("shop/all"),)), True),
        (Roles(developers={"S1": (team("shop/one"),)}), True),
    ],
)
def test_it_is_known_whether_github_is_asked_for_a_team(roles: Roles, does: bool) -> None:
    assert roles.names_a_team is does


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "reads", "acts", "administers"),
    [(Scope.READ, True, False, False), (Scope.ACT, True, True, False), (Scope.ADMIN, True, True, True)],
)
def test_without_roles_in_the_file_a_token_may_do_what_its_scope_allows(
    scope: Scope, reads: bool, acts: bool, administers: bool
) -> None:
    robot = Person("robot", by_token=True, scope=scope)
    for action, may in ((Action.READ, reads), (Action.LOCK, acts), (Action.RETRY, acts), (Action.MODE, administers)):
        assert isinstance(decide(Roles(), asks(action), robot, NOTHING), AccessAllowed) is may


def test_a_token_does_no_more_than_its_owner_may() -> None:
    verdict = decide(NAMED, asks(Action.LOCK), Person("dora", by_token=True, scope=Scope.ADMIN), NOTHING)
    assert isinstance(verdict, AccessRefused)


def test_whoever_the_proxy_signs_in_may_read_and_nothing_else_unless_named() -> None:
    assert isinstance(decide(Roles(), asks(Action.READ), Person("paula"), NOTHING), AccessAllowed)
    assert isinstance(decide(Roles(), asks(Action.RETRY), Person("paula"), NOTHING), AccessRefused)


# -- refusals ----------------------------------------------------------------------------------------------------------


def refused(roles: Roles, request: AccessRequest, person: Person, known: Membership = NOTHING) -> str:
    verdict = decide(roles, request, person, known)
    assert isinstance(verdict, AccessRefused)
    return refusal(verdict, person.name)


def test_a_refusal_says_which_role_it_takes_and_who_has_it() -> None:
    roles = Roles(operator=(team("shop/release"), permission(Permission.ADMIN)), admin=(name("ada"),))
    known = NOTHING.with_team("shop/release", member=False).with_permission(REPOSITORY, Permission.WRITE)
    assert refused(roles, asks(Action.LOCK, service=None), KIM, known) == (
        "github:kim may not lock a stage: that takes the role `operator`. It is held by the team shop/release, "
        "everybody with the permission `admin` in shop/s1 and ada"
    )
    assert refused(NAMED, asks(Action.RETRY), Person("vera")) == (
        "vera may not retry a run: that takes the role `developer` for S1. It is held by dora, sam, olga and ada"
    )


def test_a_refusal_for_a_scope_says_so_and_lists_nobody() -> None:
    robot = Person("robot", by_token=True, scope=Scope.READ)
    assert refused(Roles(), asks(Action.LOCK, service=None), robot) == (
        "robot may not lock a stage: that takes the role `operator`, and a token of scope `read` acts as `viewer` at "
        "most"
    )


def test_a_role_that_nobody_has_is_said_to_be_nobodys() -> None:
    nobody = Roles(operator=(), admin=())
    assert refused(nobody, asks(Action.LOCK, service=None), Person("zoe")).endswith("It is held by nobody")


@pytest.mark.parametrize("action", Action)
def test_every_action_has_words_for_its_refusal(action: Action) -> None:
    known = NOTHING.with_permission(REPOSITORY, Permission.NONE)
    assert refused(Roles((), (), (), ()), asks(action), KIM, known).startswith("github:kim may not ")
