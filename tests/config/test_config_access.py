"""Roles and commands in the pipeline file: what they mean, and every mistake with its line."""
# ruff: noqa: E501  a message is one line

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.access import COMMANDS, Member, MemberKind, Roles
from config.configuration import Configuration
from config.pipeline_file import load
from tests.config.test_config_mistakes import GOOD, lines

ROLES = "    roles:\n      admin: [{name: alex}]\n"


def loaded(folder: Path, text: str) -> Configuration:
    path = folder / "interlock.yaml"
    path.write_text(text)
    return load(path)


def test_without_roles_the_defaults_hold(tmp_path: Path) -> None:
    access = loaded(tmp_path, GOOD).access("shop")
    assert access.roles == Roles()
    assert access.commands == tuple(COMMANDS)


def test_a_role_that_is_given_replaces_its_default_and_the_others_stay(tmp_path: Path) -> None:
    more = "      operator:\n        - team: shop/release\n        - permission: admin\n      viewer: []\n"
    text = GOOD.replace("repository: shop/s1", "repository: shop/s1, developers: [{name: 'github:kim'}]")
    roles = loaded(tmp_path, text + ROLES + more).access("shop").roles
    assert roles.admin == (Member(MemberKind.NAME, "alex"),)
    assert roles.operator == (Member(MemberKind.TEAM, "shop/release"), Member(MemberKind.PERMISSION, "admin"))
    assert roles.viewer == ()
    assert roles.developer == Roles().developer
    assert roles.developers == {"S1": (Member(MemberKind.NAME, "github:kim"),)}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("all", tuple(COMMANDS)), ("none", ()), ("[help, retry, status]", ("status", "help", "retry"))],
)
def test_commands_are_all_none_or_a_list(tmp_path: Path, written: str, meant: tuple[str, ...]) -> None:
    assert loaded(tmp_path, f"{GOOD}    commands: {written}\n").access("shop").commands == meant


VERBS = "one of " + ", ".join(f"`{name}`" for name in COMMANDS)
NAME = "the name of a token or of a person, or `github:` and a login, as in `github:kim`"
MISTAKES = [
    ("    roles: {}\n", "14:12: key `admin` is missing; expected the people who may change whether the pipeline observes, and retry or drop dead letters and parked deliveries (at pipelines.0.roles)"),
    ("    roles: {admin: []}\n", "14:20: `admin` has no entries; expected at least one (at pipelines.0.roles.admin)"),
    ("    roles: {admin: [{name: alex}], owner: []}\n", "14:36: unknown key `owner`; expected one of `viewer`, `developer`, `operator`, `admin` (at pipelines.0.roles.owner)"),
    ("    roles: {admin: [alex]}\n", "14:21: `alex` does not belong here; expected a mapping (`key: value` lines) (at pipelines.0.roles.admin.0)"),
    ("    roles: {admin: [{}]}\n", "14:21: a member with nothing; expected exactly one of `name`, `team` and `permission` in each entry (at pipelines.0.roles.admin.0)"),
    ("    roles: {admin: [{name: a, team: shop/x}]}\n", "14:21: a member with `name` and `team`; expected exactly one of `name`, `team` and `permission` in each entry (at pipelines.0.roles.admin.0)"),
    ("    roles: {admin: [{name: 'a b'}]}\n", f"14:28: `a b` is not a name; expected {NAME}; did you mean `a-b`? (at pipelines.0.roles.admin.0.name)"),
    ("    roles: {admin: [{team: Release Managers}]}\n", "14:28: `Release Managers` is not a team; expected `organization/team`, the team as in its address, as in `shop/release-managers` (at pipelines.0.roles.admin.0.team)"),
    ("    roles: {admin: [{permission: wirte}]}\n", "14:34: `wirte` is not known here; expected one of `write`, `maintain`, `admin`; did you mean `write`? (at pipelines.0.roles.admin.0.permission)"),
    ("    roles: {admin: [{permission: read}]}\n", "14:34: `read` is not known here; expected one of `write`, `maintain`, `admin` (at pipelines.0.roles.admin.0.permission)"),
    ("    commands: [retyr]\n", f"14:15: there is no command `retyr`; expected {VERBS}; did you mean `retry`? (at pipelines.0.commands)"),
    ("    commands: off\n", f"14:15: `off` is not a list of commands; expected `all`, `none`, or a list of {VERBS} (at pipelines.0.commands)"),
    ("    commands: []\n", f"14:15: a list is not a list of commands; expected `all`, `none`, or a list of {VERBS} (at pipelines.0.commands)"),
]  # fmt: skip


@pytest.mark.parametrize(("added", "message"), MISTAKES, ids=[added.strip() for added, _ in MISTAKES])
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, added: str, message: str) -> None:
    assert lines(tmp_path, GOOD + added) == [message]
