"""Roles at GitHub: teams and permissions as GitHub has them at that moment, and commands that are turned off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.access import COMMANDS, Action, Member, MemberKind, Roles
from config.configuration import PipelineAccess
from tests.github.test_commands import REPO, answers, comment, locked, told
from tests.roles import CASES, ROLES, Case, cases
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop

TEAM = "shop/release"


def opened(workshop: Open, access: PipelineAccess) -> tuple[Workshop, int]:
    """A shop with this access, in which dana may write and mona may maintain, and a pull request."""
    shop = workshop()
    shop.github.control.set_collaborators(REPO, {"dana": "write", "mona": "maintain"})
    shop.start()
    shop.reload(replace(shop.configuration, accesses={shop.pipeline.name: access}))
    return shop, int(shop.github.control.open_pull(REPO, title="Change something"))


def operators(*members: Member) -> PipelineAccess:
    return PipelineAccess(Roles(operator=members, admin=()))


def test_a_member_of_the_team_may_and_whoever_is_only_invited_may_not(workshop: Open) -> None:
    shop, pull = opened(workshop, operators(Member(MemberKind.TEAM, TEAM)))
    shop.github.control.set_team(TEAM, {"Dana": "active", "ivy": "pending"})
    assert told(shop, pull, "/interlock lock acceptance because", "dana")[0] == ["+1"]
    for user in ("ivy", "mona", "mallory"):
        reactions, words = told(shop, pull, "/interlock unlock acceptance because", user)
        assert reactions == ["-1"]
        assert f"{user} may not unlock a stage" in words
        assert "It is held by the team shop/release" in words
    assert locked(shop)


def test_a_team_that_we_may_not_ask_about_is_a_no(workshop: Open) -> None:
    shop, pull = opened(workshop, operators(Member(MemberKind.TEAM, TEAM)))
    shop.github.control.set_team(TEAM, {"dana": "active"})
    shop.github.control.set_tokens({"t": {"login": "interlock-bot", "permissions": {"pull_requests": "write"}}})
    _, words = told(shop, pull, "/interlock lock acceptance because")
    assert "GitHub did not say whether you may do this, and Interlock does nothing without that" in words
    assert not locked(shop)


def test_a_person_is_named_by_login_in_any_case_and_github_is_not_asked(workshop: Open) -> None:
    shop, pull = opened(workshop, operators(Member(MemberKind.NAME, "github:Dana")))
    shop.github.control.reset_counters()
    assert told(shop, pull, "/interlock lock acceptance because", "dana")[0] == ["+1"]
    assert not [route for route in shop.github.control.requests() if "permission" in route or "teams" in route]


def test_a_name_of_this_installation_is_no_login(workshop: Open) -> None:
    shop, pull = opened(workshop, operators(Member(MemberKind.NAME, "dana")))
    assert told(shop, pull, "/interlock lock acceptance because", "dana")[0] == ["-1"]
    assert not locked(shop)


@pytest.mark.parametrize(("user", "may"), [("dana", False), ("mona", True)])
def test_a_fix_into_a_stage_that_is_named_takes_an_operator(workshop: Open, user: str, may: bool) -> None:
    shop, pull = opened(workshop, PipelineAccess())
    _, words = told(shop, pull, "/interlock fast-lane pre-production customers cannot pay", user)
    assert ("into a stage that is named" not in words) is may
    _, words = told(shop, pull, "/interlock fast-lane customers cannot pay", user)
    assert "may not" not in words


def test_one_command_that_is_refused_stops_the_whole_comment(workshop: Open) -> None:
    shop, pull = opened(workshop, PipelineAccess())
    reactions, words = told(shop, pull, "/interlock verify\n/interlock lock acceptance because", "dana")
    assert reactions == ["-1"]
    assert "dana may not lock a stage" in words
    assert not shop.context.outbox.size()
    assert not shop.facts("verification-queued")


@pytest.mark.parametrize("command", ["lock acceptance because", "why"])
def test_a_command_that_is_turned_off_is_refused_to_everybody(workshop: Open, command: str) -> None:
    shop, pull = opened(workshop, PipelineAccess(commands=("status", "retry")))
    reactions, words = told(shop, pull, f"/interlock {command}", "mona")
    assert reactions == ["-1"]
    assert f"the pipeline file turns `{command.partition(' ')[0]}` off at GitHub" in words
    assert told(shop, pull, "/interlock status", "mona")[0] == ["+1"]


def test_a_deleted_collaborator_is_refused_at_once(workshop: Open) -> None:
    shop, pull = opened(workshop, PipelineAccess())
    assert told(shop, pull, "/interlock lock acceptance because", "mona")[0] == ["+1"]
    shop.github.control.set_collaborators(REPO, {"dana": "write"})
    comment(shop, pull, "/interlock unlock acceptance because", "mona")
    shop.work()
    assert "mona may not unlock a stage" in answers(shop, pull)[-1]
    assert locked(shop)


@pytest.mark.parametrize("command", ["status", "why"])
def test_where_reading_takes_a_sign_in_the_answers_are_for_readers(workshop: Open, command: str) -> None:
    shop, pull = opened(workshop, PipelineAccess())
    shop.reload(replace(shop.configuration, web=replace(shop.configuration.web, private=True)))
    reactions, words = told(shop, pull, f"/interlock {command}", "mallory")
    assert reactions == ["-1"]
    assert "mallory may not look at this pipeline" in words
    assert "everybody with an API token; everybody may use `help`." in words
    assert told(shop, pull, f"/interlock {command}", "dana")[0] == ["+1"]
    assert told(shop, pull, "/interlock help", "mallory")[0] == ["+1"]


def test_every_command_that_acts_is_in_the_table() -> None:
    played = {(case.comment.partition(" ")[0], case.action) for case in CASES if case.comment}
    acts = {(verb, action) for verb, action in COMMANDS.items() if action is not None}
    assert played == acts | {("fast-lane", Action.FAST_LANE_INTO)}


@pytest.mark.parametrize(("case", "who"), list(cases("comment")), ids=lambda each: getattr(each, "name", each))
def test_each_role_may_command_what_the_table_says(workshop: Open, case: Case, who: str) -> None:
    shop, pull = opened(workshop, PipelineAccess(ROLES))
    shop.github.control.reset_counters()
    _, words = told(shop, pull, f"/interlock {case.comment}", who)
    assert (f"{who} may not" in words) is not case.may(who)
    assert not [route for route in shop.github.control.requests() if "permission" in route]  # names alone decide
