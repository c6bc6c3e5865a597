"""Finding from the command line: what is where, and the pipeline named before the command."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from bot.cli import find
from bot.cli.client import ApiClient
from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from tests.cli.conftest import Interlock
from tests.web.conftest import Story
from tests.web.story import sha


@pytest.fixture
def locked(story: Story) -> Run:
    """S1a is in production and S2a in pre-production; then S1b failed in pre-production."""
    story.start()
    story.passes(story.merge("S1", "a"), 4)
    story.passes(story.merge("S2", "a", "Faster\x1b[31m search"), 3)
    failing = story.merge("S1", "b")
    story.passes(failing, 2)
    story.build(failing, Outcome.FAILURE)
    return failing


def test_where_shows_what_passed_each_stage_and_what_failed_on_top(interlock: Interlock, locked: Run) -> None:
    output = interlock("where").output
    assert "pre-production LOCKED" in output
    assert f"failed {sha('S1b')[:7]}" in output
    row = next(line for line in output.splitlines() if line.startswith("S2"))
    assert row.split()[1] == sha("S2a")[:7]


def test_where_says_what_changed_before_a_lock(interlock: Interlock, locked: Run) -> None:
    output = interlock("where").output
    assert f"What changed in pre-production since S1 last passed ({sha('S1a')[:7]}," in output
    after = output.partition("What changed")[2]
    assert after.index(f"S1 {sha('S1b')[:7]} failed") < after.index(f"S2 {sha('S2a')[:7]} passed")
    assert f"/compare/{sha('S1a')}...{sha('S1b')}" in after
    assert "\x1b[31m" not in output


def test_where_of_one_service_and_for_programs(interlock: Interlock, locked: Run) -> None:
    output = interlock("where", "S2").output
    assert "S1 " not in output
    found = json.loads(interlock("where", "--json").output)
    assert [row["service"] for row in found["services"]] == ["S1", "S2", "S3"]
    missing = interlock("where", "S9")
    assert missing.exit_code == 1
    assert "S9" in missing.output


def test_the_pipeline_may_be_named_before_the_command_and_after_it(
    interlock: Interlock, story: Story, locked: Run
) -> None:
    name = story.shape.name
    assert interlock("-p", name, "status").output == interlock("status", "-p", name).output
    assert interlock("-p", "another", "status").exit_code == 1
    assert interlock("-p", "another", "status", "-p", name).exit_code == 0


def test_the_address_may_be_given_before_the_command(interlock: Interlock, address: str, locked: Run) -> None:
    dead = {"INTERLOCK_URL": "http://127.0.0.1:9"}
    assert interlock("--url", address, "status", **dead).exit_code == 0
    assert interlock("--url", "http://127.0.0.1:9", "status", "--url", address, **dead).exit_code == 0
    assert interlock("status", **dead).exit_code == 3


class Paged:
    """The API of a pipeline with three services, two to a page."""

    def get(self, *path: str, has: str, offset: int = 0, **query: str) -> dict[str, Any]:
        names = ("S1", "S2", "S3")[offset : offset + 2]
        rows = [{"service": name} for name in names]
        return {"services": rows, "next": 2 if offset == 0 else None, "locks": []}


def test_the_pages_of_many_services_are_one_table() -> None:
    found = find.all_services(cast(ApiClient, Paged()), None)
    assert ([row["service"] for row in found["services"]], found["next"]) == (["S1", "S2", "S3"], None)
