"""The commands for the pipeline file need no server and tell every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config import model, scenario
from tests.cli.conftest import typed
from tests.example_file import PLACEHOLDER, example_text, write_example

SECRETS = {
    "INTERLOCK_JENKINS_TOKEN_BUILD": "token",
    "INTERLOCK_JENKINS_TOKEN_CDP": "token",
    "INTERLOCK_NOTIFY_URLS": "team-chat=json://localhost on-call=json://localhost",
    "INTERLOCK_GITHUB_TOKEN": "token",
    "INTERLOCK_GITHUB_WEBHOOK_SECRETS": "a-long-enough-secret",
    "INTERLOCK_JENKINS_WEBHOOK_SECRET": "a-long-enough-secret",
    "INTERLOCK_API_TOKENS": "alex:a-long-enough-token-for-alex",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A newcomer's folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_newcomer_begins_with_the_example_and_is_told_which_addresses_to_write(here: Path) -> None:
    text = typed("example").stdout
    (here / "interlock.yaml").write_text(text)
    refused = typed("check")
    assert refused.exit_code == 1
    places = [line for line in refused.stderr.splitlines()[1:] if line.startswith("interlock.yaml:")]
    lines = [number for number, line in enumerate(text.splitlines(), 1) if PLACEHOLDER in line.partition("#")[0]]
    assert [int(each.split(":")[1]) for each in places] == lines
    assert places[0].partition(": ")[2] == (
        "`https://build.example.com/jenkins` is a placeholder of the example; expected address of the controller, with "
        "its context path if it has one (at controllers.build.url)"
    )
    write_example(here / "interlock.yaml")
    checked = typed("check")
    assert checked.exit_code == 0
    assert checked.stdout.splitlines()[:8] == [
        "interlock.yaml: no mistakes",
        "  epages: build, acceptance, pre-production (locks), production (locks); 3 services; mode run",
        "    viewer: the team shop/everybody",
        "    developer: everybody with the permission `write` in the repository of the service; of S3 also the team "
        "shop/team-three",
        "    operator: the team shop/release-managers and everybody with the permission `maintain` in a repository of "
        "the pipeline",
        "    admin: alex and github:kim",
        "    locked: team-chat, on-call, authors; on-call in production of S3",
        "    unlocked: team-chat; on-call in production of S3",
    ]
    assert "\nThe environment of this command:\n" in checked.stdout
    assert "  INTERLOCK_JENKINS_TOKEN_BUILD (or INTERLOCK_JENKINS_TOKEN_BUILD_FILE) is not set" in checked.stdout
    assert typed("check", "--strict").exit_code == 1


def test_a_complete_environment_is_said_to_be_complete(here: Path) -> None:
    write_example(here / "other.yaml")
    ours = {"INTERLOCK_URL": "http://x", "INTERLOCK_TOKEN": "x"}
    checked = typed("check", "other.yaml", "--strict", **SECRETS, **ours)
    assert (checked.exit_code, checked.stdout.splitlines()[-1]) == (0, "The environment has everything it needs.")


def test_a_misspelt_variable_is_told(here: Path) -> None:
    write_example(here / "interlock.yaml")
    checked = typed("check", **SECRETS, INTERLOCK_LOG_LEVL="DEBUG")
    assert "  INTERLOCK_LOG_LEVL is not known; did you mean `INTERLOCK_LOG_LEVEL`?" in checked.stdout.splitlines()


def test_the_webhooks_of_a_pipeline_are_shown_and_their_secrets_are_missed(here: Path) -> None:
    told = "\nwebhooks:\n- {name: audit, url: https://audit.shop.test}\n"
    told += "- {name: board, url: https://b.shop.test, format: cdevents, facts: [stage-locked, run-failed]}\n"
    (here / "interlock.yaml").write_text(example_text() + told)
    checked = typed("check", **SECRETS, INTERLOCK_WEBHOOK_SECRET_AUDIT="a-long-enough-secret").stdout
    assert "    webhook audit: every fact, as interlock\n    webhook board: 2 kinds of facts, as cdevents\n" in checked
    assert "INTERLOCK_WEBHOOK_SECRET_AUDIT" not in checked
    assert "  INTERLOCK_WEBHOOK_SECRET_BOARD (or INTERLOCK_WEBHOOK_SECRET_BOARD_FILE) is not set; " in checked


def test_a_variable_that_is_wrong_fails_and_one_that_is_missing_does_not(here: Path) -> None:
    write_example(here / "interlock.yaml")
    assert typed("check", **{**SECRETS, "INTERLOCK_GITHUB_TOKEN": None}).exit_code == 0
    channels = "team-chat=https://hooks.slack.com/services/T000/B000/XXXX on-call=json://localhost"
    checked = typed("check", **{**SECRETS, "INTERLOCK_NOTIFY_URLS": channels})
    assert checked.exit_code == 1
    told = "  INTERLOCK_NOTIFY_URLS holds a placeholder for `team-chat`; expected its real address"
    assert told in checked.stdout.splitlines()


def test_a_channel_that_nobody_has_is_mistyped_where_others_have_addresses(here: Path) -> None:
    write_example(here / "interlock.yaml")
    checked = typed(
        "check", **{**SECRETS, "INTERLOCK_NOTIFY_URLS": "team-chat=json://localhost on-cal=json://localhost"}
    )
    assert checked.exit_code == 1
    assert (
        "NOTIFY_URLS has no address for channel `on-call`; expected `on-call=...`; is `on-cal` meant" in checked.stdout
    )
    assert typed("check", **{**SECRETS, "INTERLOCK_NOTIFY_URLS": None}).exit_code == 0


def test_every_mistake_is_told_with_its_line(here: Path) -> None:
    text = example_text().replace("capacity: 3", "capcity: 3").replace("rejoins: pre", "rejoins: per")
    (here / "interlock.yaml").write_text(text)
    checked = typed("check")
    assert (checked.exit_code, checked.stdout) == (1, "")
    head, *mistakes = checked.stderr.splitlines()
    assert head == "The configuration has 2 mistakes:"
    assert [text.splitlines()[int(m.split(":")[1]) - 1].strip() for m in mistakes] == [
        "capcity: 3",
        "rejoins: per-production",
    ]


def test_a_missing_file_is_told_with_the_way_to_one(here: Path) -> None:
    checked = typed("check", "my.yaml")
    assert (checked.exit_code, checked.stdout) == (1, "")
    assert checked.stderr.splitlines()[-1] == "To begin with an example: interlock example > my.yaml"


def test_the_file_is_found_where_the_environment_says(here: Path) -> None:
    write_example(here / "elsewhere.yaml")
    checked = typed("check", INTERLOCK_CONFIG="elsewhere.yaml")
    assert checked.stdout.startswith("elsewhere.yaml: no mistakes")


def test_the_schema_is_printed_and_written(here: Path) -> None:
    assert typed("schema").stdout == model.SCHEMA_FILE.read_text()
    assert typed("schema", "--scenario").stdout == scenario.SCHEMA_FILE.read_text()
    assert typed("schema", "-o", "s.json").stdout == "done: s.json\n"
    assert json.loads((here / "s.json").read_text())["title"] == "Interlock pipeline file"
    no = typed("schema", "-o", "nowhere/s.json")
    assert (no.exit_code, no.stderr) == (1, "error: nowhere/s.json cannot be written: No such file or directory\n")
