"""docs/access.md says of every action which role it takes, and what it shows as a pipeline file is one."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import yaml

from bot.core.access import HIGHEST, NEEDED, Role
from bot.store.tokens import PREFIX, is_token
from config.access import RolesEntry
from config.model import ServiceEntry
from config.values import commands

PAGE = (Path(__file__).parents[1] / "docs" / "access.md").read_text("utf-8")


def test_the_table_of_actions_is_the_one_that_decides() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (viewer|developer|operator|admin) \|", PAGE.split("\n## Tokens")[0], re.MULTILINE
    )
    assert dict(rows) == {str(action): str(role) for action, role in NEEDED.items()}
    assert len(rows) == len(NEEDED)


def test_the_roles_are_listed_from_least_to_most() -> None:
    assert ", ".join(f"`{role}`" for role in Role) in PAGE


def test_the_examples_are_valid() -> None:
    first, second = (
        yaml.safe_load(block)["pipelines"][0] for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[:2]
    )
    RolesEntry.model_validate(first["roles"])
    ServiceEntry.model_validate(first["services"][0])
    assert commands(second["commands"]) == ("status", "why", "help", "retry")


def test_the_table_of_scopes_is_the_one_that_decides() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (viewer|operator|admin) \|$", PAGE.split("\n## Tokens\n")[1], re.MULTILINE)
    assert dict(rows) == {str(scope): str(role) for scope, role in HIGHEST.items()}


def test_the_form_of_a_token_is_the_one_that_is_made() -> None:
    (form,) = re.findall(r"`(ilk_\[.*?)`", PAGE)
    body = PREFIX + "x" * 43
    token = f"{body}{zlib.crc32(body.encode()):08x}"
    assert is_token(token)
    assert re.fullmatch(form, token)
