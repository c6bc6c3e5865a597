"""docs/access.md says of every action which role it takes, and what it shows as a pipeline file is one."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from bot.core.access import NEEDED, Role
from config.model import RolesEntry, ServiceEntry
from config.values import commands

PAGE = (Path(__file__).parents[1] / "docs" / "access.md").read_text("utf-8")


def test_the_table_of_actions_is_the_one_that_decides() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (viewer|developer|operator|admin) \|", PAGE, re.MULTILINE)
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
