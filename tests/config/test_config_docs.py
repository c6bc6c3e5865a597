"""The reference and the examples mention every key and every variable, with the defaults that hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from config import model, settings

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "configuration.md").read_text()
ENVIRONMENT = (ROOT / "config" / "interlock.env.example").read_text()
EXAMPLE = (ROOT / "config" / "example.yaml").read_text()

HEADINGS = {
    "": "Top level",
    "ControllerEntry": "`controllers.<name>`",
    "PipelineEntry": "`pipelines[]`",
    "StageEntry": "`pipelines[].stages[]`",
    "OutcomesEntry": "`pipelines[].stages[].outcomes`",
    "FastEntry": "`pipelines[].stages[].fast`",
    "JobEntry": "`job`",
    "ServiceEntry": "`pipelines[].services[]`",
    "RolesEntry": "`pipelines[].roles`",
    "MemberEntry": "`member`",
    "VerifyEntry": "`pipelines[].verify`",
    "FastLaneEntry": "`pipelines[].fast_lane`",
    "RetryEntry": "`pipelines[].retry`",
    "AbortEntry": "`pipelines[].abort`",
    "FreezeEntry": "`pipelines[].freezes[]`",
    "FreezeExceptionsEntry": "`pipelines[].freezes[].except`",
    "PipelineNotifyEntry": "`pipelines[].notify`",
    "RouteEntry": "`pipelines[].notify.routes[]`",
    "EscalationEntry": "`pipelines[].notify.escalation[]`",
    "ReminderEntry": "`pipelines[].notify.reminder`",
    "WeeklyEntry": "`pipelines[].notify.weekly`",
    "GitHubEntry": "`github`",
    "NotifyEntry": "`notify`",
    "WebhookEntry": "`webhooks[]`",
    "WebEntry": "`web`",
    "SignInEntry": "`web.sign_in`",
    "ProxyEntry": "`web.sign_in.proxy`",
    "KeepEntry": "`keep`",
    "PollingEntry": "`polling`",
    "HealthEntry": "`health`",
}


def sections() -> dict[str, dict[str, Any]]:
    """The keys of every section of the file, by the section's name in the schema."""
    made = model.json_schema()
    found = {"": made["properties"]}
    for name, section in made["$defs"].items():
        mapping = section if "properties" in section else section.get("anyOf", [{}])[-1]
        if "properties" in mapping:
            found[name] = mapping["properties"]
    return found


def variable(field: str) -> str:
    named = {"jenkins_tokens": "INTERLOCK_JENKINS_TOKEN_", "webhook_secrets": "INTERLOCK_WEBHOOK_SECRET_"}
    return named.get(field, f"INTERLOCK_{field.upper()}")


def test_every_section_has_a_heading() -> None:
    assert set(sections()) == set(HEADINGS)


@pytest.mark.parametrize("section", HEADINGS)
def test_every_key_is_in_the_table_of_its_section_with_its_default(section: str) -> None:
    text = REFERENCE.split(f"\n### {HEADINGS[section]}\n")[1].split("\n#")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| *([^|]*?) *\|", text, re.MULTILINE))
    keys = sections()[section]
    assert set(rows) == set(keys)
    for name, key in keys.items():
        if "default" in key:
            written = key["default"] if isinstance(key["default"], str) else json.dumps(key["default"])
            assert rows[name] == f"`{written}`"


def test_every_key_is_in_the_example() -> None:
    mentioned = set(re.findall(r"(\w+):", EXAMPLE))
    keys = {name for section in set(HEADINGS) - {"JobEntry", "OutcomesEntry"} for name in sections()[section]}
    assert keys - mentioned == set()


@pytest.mark.parametrize("text", [REFERENCE, ENVIRONMENT], ids=["reference", "env.example"])
def test_every_variable_is_mentioned(text: str) -> None:
    variables = [variable(field) for field in settings.Settings.model_fields]
    variables += [f"INTERLOCK_{name}" for name in (*settings.LAUNCH, *settings.PERSONAL)]
    assert [name for name in variables if name not in text] == []


def test_the_reference_marks_every_setting_that_a_file_may_hold() -> None:
    rows = re.findall(r"^\| `(INTERLOCK_\w+?)(?:<CONTROLLER>|<NAME>)?` \| (file)? ?\|", REFERENCE, re.MULTILINE)
    assert {name for name, file in rows if file} == {variable(field) for field in settings.SECRETS}


def test_the_example_environment_holds_no_other_variables() -> None:
    names = set(re.findall(r"^#?(INTERLOCK_\w+)=", ENVIRONMENT, re.MULTILINE))
    known = {variable(field) for field in settings.Settings.model_fields}
    known |= {f"INTERLOCK_{name}" for name in (*settings.LAUNCH, *settings.PERSONAL)}
    by_name = (settings.TOKEN_PREFIX, settings.WEBHOOK_PREFIX)
    assert {name for name in names if not name.startswith(by_name)} <= known
