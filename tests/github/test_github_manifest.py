"""The App that the page on GitHub tells people to make has what the doctor asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bot.github.doctor import NEEDS, lacking_permissions
from bot.github.doctor_webhooks import EVENTS

PAGE = (Path(__file__).parents[2] / "docs" / "github.md").read_text()
MANIFEST = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])


def test_the_manifest_has_every_permission_and_no_other() -> None:
    permissions = MANIFEST["default_permissions"]
    assert list(lacking_permissions(permissions)) == []
    assert set(permissions) == {"metadata", *(need.names[0] for need in NEEDS)}
    assert {name for name, level in permissions.items() if level == "read"} == {"metadata", "contents", "merge_queues"}


def test_the_manifest_subscribes_to_every_event() -> None:
    assert MANIFEST["default_events"] == list(EVENTS)


def test_every_permission_and_event_is_explained() -> None:
    words = {"statuses": "Commit statuses"}
    for need in NEEDS:
        name = words.get(need.names[0], need.names[0].replace("_", " ").capitalize())
        assert f"| {name}: {need.level} |" in PAGE
    for event in EVENTS:
        assert f"(`{event}`) |" in PAGE
