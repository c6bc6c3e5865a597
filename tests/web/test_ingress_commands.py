"""Commands at the door: a comment that commands something is kept, once; all others are answered and forgotten."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from bot.core.model.events import Command, CommandSaid
from bot.core.model.pipeline import Pipeline, Service
from bot.store.github import Repositories
from bot.store.keys import Keys
from bot.web.app import create_app
from config.configuration import Configuration, PipelineAccess
from config.settings import Settings
from tests.web.conftest import Send, signature
from tests.web.story import Story, sha
from workers.turn import events_of

DANA = {"login": "dana", "type": "User"}


def comment(story: Story, body: str = "/interlock retry", **changes: Any) -> dict[str, Any]:
    """A comment on a pull request of S1."""
    return {
        "action": "created",
        "issue": {"number": 12, "pull_request": {"url": "x"}},
        "comment": {"id": 4711, "body": body, "user": DANA, "created_at": "2026-01-01T00:00:00Z"},
        "repository": {"id": 7, "full_name": story.shape.services[0].repository},
        "sender": DANA,
        **changes,
    }


def button(story: Story, **changes: Any) -> dict[str, Any]:
    """A button of a check run of S1."""
    return {
        "action": "requested_action",
        "requested_action": {"identifier": "retry"},
        "check_run": {"id": 5, "head_sha": sha("S1a"), "external_id": "", "pull_requests": []},
        "repository": {"id": 7, "full_name": story.shape.services[0].repository},
        "sender": DANA,
        **changes,
    }


def heard(story: Story) -> list[CommandSaid]:
    found = [event for entry in story.store.begin("test") for event in events_of(entry, story.shape)]
    return [event for event in found if isinstance(event, CommandSaid)]


def test_a_command_is_kept_and_becomes_what_was_said(send: Send, story: Story, wake_ups: list[str]) -> None:
    assert send(comment(story), "issue_comment").json == {"status": "kept"}
    (said,) = heard(story)
    assert (said.repository, said.by, said.commands) == (
        story.shape.services[0].repository,
        "dana",
        (Command("retry"),),
    )
    assert wake_ups == [story.shape.name]


def test_a_comment_is_kept_once_however_often_and_under_whatever_id_it_comes(send: Send, story: Story) -> None:
    said = [send(comment(story), "issue_comment").json["status"] for _ in range(3)]  # type: ignore[index]
    assert said == ["kept", "duplicate", "duplicate"]


def test_each_press_of_a_button_is_kept_once_under_whatever_id_it_comes_again(send: Send, story: Story) -> None:
    """The id of a delivery is not signed: who has seen a delivery could send it again under another."""
    later = button(story, check_run=button(story)["check_run"] | {"completed_at": "2026-01-01T00:00:00Z"})
    presses = [("one", button(story)), ("one", button(story)), ("two", button(story)), ("three", later)]
    said = [send(body, "check_run", X_GitHub_Delivery=guid).json["status"] for guid, body in presses]  # type: ignore[index]
    assert said == ["kept", "duplicate", "duplicate", "kept"]
    assert len({one.key for one in heard(story)}) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "edited"},
        {"action": "deleted"},
        {"issue": {"number": 12}},
        {"sender": {"login": "interlock[bot]", "type": "Bot"}},
        {"repository": {"id": 7, "full_name": "shop/elsewhere"}},
        {"repository": None},
        {"comment": None},
    ],
)
def test_what_is_no_command_to_us_is_ignored_and_not_stored(send: Send, story: Story, changes: dict[str, Any]) -> None:
    assert send(comment(story, **changes), "issue_comment").json["status"] == "ignored"  # type: ignore[index]
    assert story.nothing_is_stored()


@pytest.mark.parametrize(
    "body", ["Nice!", "see /interlock retry", "> /interlock retry", "```\n/interlock retry\n```", ""]
)
def test_a_comment_without_a_command_is_ignored_and_not_stored(send: Send, story: Story, body: str) -> None:
    assert send(comment(story, body), "issue_comment").json["status"] == "ignored"  # type: ignore[index]
    assert story.nothing_is_stored()


def test_re_running_all_checks_names_none_and_is_ignored(send: Send, story: Story) -> None:
    body = button(story, action="rerequested", check_suite={"id": 1, "head_sha": sha("S1a")})
    assert send({k: v for k, v in body.items() if k != "check_run"}, "check_suite").json["status"] == "ignored"  # type: ignore[index]
    assert story.nothing_is_stored()


def test_a_command_without_a_signature_is_refused(send: Send, story: Story) -> None:
    assert send(comment(story), "issue_comment", X_Hub_Signature_256=signature(b"")).status_code == 401
    assert story.nothing_is_stored()


def test_a_command_in_a_renamed_repository_counts_if_its_id_is_known(send: Send, story: Story, redis: Redis) -> None:
    configured = story.shape.services[0].repository
    Repositories(redis).learn(configured, "shop/new-name", 4711)
    moved = {"id": 4711, "full_name": "shop/new-name"}
    assert send(comment(story, repository=moved), "issue_comment").json == {"status": "kept"}
    assert [said.repository for said in heard(story)] == [configured]


def test_a_repository_is_known_in_any_case(send: Send, story: Story) -> None:
    name = story.shape.services[0].repository.upper()
    assert send(comment(story, repository={"full_name": name}), "issue_comment").json == {"status": "kept"}


def test_each_pipeline_with_a_service_in_the_repository_hears_it(
    settings: Settings, configuration: Configuration, story: Story, redis: Redis
) -> None:
    name = f"p{uuid.uuid4().hex[:12]}"
    other = Pipeline(name, story.shape.stages, (Service("T1", story.shape.services[0].repository, "trunk"),))
    both = replace(configuration, pipelines=(story.shape, other))
    client = create_app(settings, both, lambda _: None).test_client()
    import json

    body = json.dumps(comment(story)).encode()
    headers = {"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": signature(body)}
    assert client.post("/webhooks/github", data=body, headers=headers).json == {"status": "kept"}
    assert story.waiting() == 1
    assert redis.xlen(Keys(name).inbox) == 1


def test_where_the_pipeline_file_turns_commands_off_none_is_kept(
    settings: Settings, configuration: Configuration, story: Story
) -> None:
    silent = replace(configuration, accesses={story.shape.name: PipelineAccess(commands=())})
    client = create_app(settings, silent, lambda _: None).test_client()
    body = json.dumps(comment(story)).encode()
    headers = {
        "X-GitHub-Event": "issue_comment",
        "X-GitHub-Delivery": "d1",
        "X-Hub-Signature-256": signature(body),
        "Content-Type": "application/json",
    }
    answer = client.post("/webhooks/github", data=body, headers=headers)
    assert answer.json == {"status": "ignored", "why": "the pipeline file turns commands at GitHub off"}
    assert heard(story) == []
