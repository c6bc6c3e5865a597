"""The GitHub door: what is kept, what is ignored, what is refused, and that nothing else is stored."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from redis import Redis
from structlog.testing import capture_logs

from bot.core.model.events import Merged, PullClosed, PullMoved
from bot.core.model.pipeline import LockStatus
from bot.store.github import Repositories
from bot.web import ingress
from bot.web.app import create_app
from config.configuration import Configuration, GitHubLimits, GitHubSettings
from config.errors import SettingsError
from config.settings import Settings
from tests.web.conftest import OLD_SECRET, Send, merged_pull, moved_pull, push, sender, signature
from tests.web.story import Story, sha
from tests.web.test_ingress_commands import comment
from workers.turn import events_of


def test_a_signed_push_to_main_is_kept_as_it_came_and_a_worker_is_woken_up(
    send: Send, story: Story, wake_ups: list[str]
) -> None:
    body = json.dumps(push(story)).encode()
    answer = send(body, X_GitHub_Delivery="guid-1")
    assert (answer.status_code, answer.json) == (202, {"status": "kept"})
    (entry,) = story.store.begin("test")
    assert (entry.source, entry.name, entry.delivery, entry.body) == ("github", "push", "guid-1", body)
    assert wake_ups == [story.shape.name]


def test_a_delivery_runs_through_nothing_that_is_for_people(send: Send, story: Story) -> None:
    """No session, no sign-in, no compression, no description of the API."""
    run: set[Path] = set()
    sys.setprofile(lambda frame, *_: run.add(Path(frame.f_code.co_filename)))
    try:
        answer = send(push(story))
    finally:
        sys.setprofile(None)
    assert answer.status_code == 202
    ours = {path.name for path in run if path.parent == Path(ingress.__file__).parent}
    assert ours == {"ingress.py", "bodies.py", "metrics.py"}


def test_githubs_own_example_of_a_signature_is_right() -> None:
    # GitHub docs: validating webhook deliveries, "testing the webhook payload validation"
    found = signature(b"Hello, World!", "It's a Secret to Everybody")
    assert found == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_the_secret_before_it_counts_while_it_is_being_changed(send: Send, story: Story) -> None:
    body = json.dumps(push(story)).encode()
    assert send(body, X_Hub_Signature_256=signature(body, OLD_SECRET)).status_code == 202


def test_a_repeated_delivery_is_kept_once(send: Send, story: Story) -> None:
    answers = [send(push(story), X_GitHub_Delivery="guid").json for _ in range(3)]
    assert answers == [{"status": "kept"}, {"status": "duplicate"}, {"status": "duplicate"}]
    assert story.waiting() == 1


def test_only_one_wake_up_is_pending_per_pipeline(send: Send, story: Story, wake_ups: list[str]) -> None:
    for _ in range(5):
        send(push(story))
    assert wake_ups == [story.shape.name]


def test_a_form_with_the_payload_is_kept_as_the_json_in_it(send: Send, story: Story) -> None:
    payload = json.dumps(push(story, ref="refs/heads/main"))
    form = urlencode({"payload": payload}).encode()
    assert send(form, Content_Type="application/x-www-form-urlencoded").status_code == 202
    assert story.store.begin("test")[0].body == payload.encode()


def test_a_ping_is_answered_and_not_kept(send: Send, story: Story) -> None:
    assert send({"zen": "Keep it logically awesome.", "hook_id": 1}, "ping").status_code == 200
    assert story.nothing_is_stored()


def test_a_merged_pull_request_is_kept(send: Send, story: Story) -> None:
    assert send(merged_pull(story), "pull_request").json == {"status": "kept"}


@pytest.mark.parametrize(
    "action", ["opened", "reopened", "synchronize", "ready_for_review", "converted_to_draft", "closed"]
)
def test_what_moves_a_pull_request_that_is_verified_is_kept(send: Send, story: Story, action: str) -> None:
    assert send(moved_pull(story, action), "pull_request").json == {"status": "kept"}
    (entry,) = story.store.begin("test")
    (event,) = events_of(entry, story.shape)
    assert isinstance(event, PullMoved | PullClosed)
    assert (event.service, event.pull, event.sha) == ("S1", 12, sha("S1p"))


@pytest.mark.parametrize(
    ("action", "changes"),
    [
        ("edited", {}),
        ("labeled", {}),
        ("enqueued", {}),
        (None, {}),
        ("opened", {"base": {"ref": "release/2", "repo": {"id": 7}}}),
        ("opened", {"base": None}),
        ("opened", {"head": {"sha": "main"}}),
        ("opened", {"head": None}),
        ("opened", {"number": "12"}),
    ],
)
def test_what_else_is_said_of_pull_requests_is_ignored(
    send: Send, story: Story, action: Any, changes: dict[str, Any]
) -> None:
    answer = send(moved_pull(story, action, **changes), "pull_request")
    assert (answer.status_code, answer.json["status"]) == (202, "ignored")
    assert story.nothing_is_stored()


def test_pull_requests_that_nobody_verifies_are_ignored(
    send: Send, story: Story, settings: Settings, configuration: Configuration
) -> None:
    not_this_service = moved_pull(story, "closed") | {"repository": {"full_name": story.shape.services[2].repository}}
    answer = send(not_this_service, "pull_request")
    assert answer.json == {"status": "ignored", "why": "pull requests of S3 are not verified"}
    without = replace(configuration, pipelines=(replace(story.shape, verify=None, lock_status=LockStatus.OFF),))
    client = create_app(settings, without, lambda _: None).test_client()
    body = json.dumps(moved_pull(story)).encode()
    headers = {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": "g", "X-Hub-Signature-256": signature(body)}
    assert client.post("/webhooks/github", data=body, headers=headers).json["status"] == "ignored"
    assert story.nothing_is_stored()


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("a-new-event", {}),
        ("push", {"repository": {"full_name": "some/where-else"}}),
        ("push", {"repository": {"full_name": "stranger/fork-of-s1"}}),
        ("push", {"ref": "refs/heads/feature/x"}),
        ("push", {"ref": "refs/tags/main"}),
        ("push", {"deleted": True, "after": "0" * 40, "head_commit": None}),
        ("push", {"after": None}),
        ("push", {"ref": None}),
        ("push", {"repository": None}),
        ("push", {"repository": []}),
        ("push", {"ref": {"deep": 1}}),
        ("push", {"after": "A" * 40}),
        ("push", {"repository": {"full_name": "\ud800"}}),
    ],
)
def test_what_moves_no_main_branch_of_ours_is_ignored(
    send: Send, story: Story, event: str, changes: dict[str, Any]
) -> None:
    answer = send(push(story, **changes), event)
    assert answer.status_code == 202
    assert answer.json["status"] == "ignored"
    assert answer.json["why"]
    assert story.nothing_is_stored()


@pytest.mark.parametrize("changes", [{"merged": False}, {"merge_commit_sha": None}, {"base": None}, {"merged": "yes"}])
def test_a_pull_request_that_merged_nothing_into_main_is_ignored(
    send: Send, story: Story, changes: dict[str, Any]
) -> None:
    assert send(merged_pull(story, **changes), "pull_request").json["status"] == "ignored"
    assert story.nothing_is_stored()


def test_a_push_with_null_fields_is_kept(send: Send, story: Story) -> None:
    body = push(story, head_commit=None, pusher=None, before=None, forced=None)
    assert send(body).json == {"status": "kept"}


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "sha256=" + "é" * 64,
        "sha256=ÿþ",
        "SHA256=" + "a" * 64,
        "0" * 64,
    ],
)
def test_a_signature_that_does_not_fit_is_refused(send: Send, story: Story, given: str | None) -> None:
    answer = send(push(story), X_Hub_Signature_256=given)
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert story.nothing_is_stored()


def test_sha1_alone_is_refused(send: Send, story: Story) -> None:
    headers = {"X_Hub_Signature_256": None, "X_Hub_Signature": "sha1=" + "0" * 40}
    assert send(push(story), **headers).status_code == 401
    assert story.nothing_is_stored()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        json.dumps({"ref": "x"}).encode("utf-16"),
        b"\xff\xfe",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_signed_body_that_is_no_json_object_is_refused_with_what_is_wrong(
    send: Send, story: Story, body: bytes
) -> None:
    answer = send(body)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.json["detail"]
    assert story.nothing_is_stored()


FORMS = [b"", b"payload", b"other=1", b"payload=", b"payload=%FF", b"payload=\xff", b"payload=&b&c&d&e"]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_without_a_payload_is_refused(send: Send, story: Story, form: bytes) -> None:
    answer = send(form, Content_Type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert story.nothing_is_stored()


@pytest.mark.parametrize("header", ["X_GitHub_Event", "X_GitHub_Delivery"])
@pytest.mark.parametrize("value", [None, "", "x" * 201, "é", "a\tb"])
def test_a_header_that_is_missing_or_odd_is_refused(send: Send, story: Story, header: str, value: str | None) -> None:
    assert send(push(story), **{header: value}).status_code == 400
    assert story.nothing_is_stored()


def test_a_body_beyond_githubs_limit_is_refused(send: Send, story: Story) -> None:
    answer = send(b" " * (27 << 20))
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
    assert story.nothing_is_stored()


def test_with_redis_out_of_reach_the_sender_is_told_to_try_again(
    settings: Settings, configuration: Configuration, story: Story
) -> None:
    down = settings.model_copy(update={"redis_url": SecretStr("redis://:hush@127.0.0.1:1/0")})
    client = create_app(down, configuration, lambda _: None).test_client()
    body = json.dumps(push(story)).encode()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": signature(body)}
    answer = client.post("/webhooks/github", data=body, headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "hush" not in answer.text
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


@pytest.mark.slow
def test_a_wake_up_that_fails_does_not_fail_the_delivery(
    settings: Settings, configuration: Configuration, story: Story
) -> None:
    nowhere = settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    client = create_app(nowhere, configuration).test_client()
    body = json.dumps(push(story)).encode()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": signature(body)}
    assert client.post("/webhooks/github", data=body, headers=headers).status_code == 202
    assert story.waiting() == 1


@pytest.mark.parametrize("name", ["github_webhook_secrets", "jenkins_webhook_secret", "redis_url"])
def test_without_a_secret_the_application_does_not_start(
    settings: Settings, configuration: Configuration, name: str
) -> None:
    lacking = settings.model_copy(update={name: () if name.endswith("s") else None})
    with pytest.raises(SettingsError, match=name.upper()):
        create_app(lacking, configuration, lambda _: None)


@pytest.mark.parametrize(("method", "path"), [("GET", "/webhooks/github"), ("GET", "/nowhere"), ("PUT", "/healthz")])
def test_every_other_request_gets_a_problem(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code in (404, 405)
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == answer.status_code


def test_a_failure_of_ours_is_a_problem_without_details(app: Flask, client: FlaskClient) -> None:
    @app.get("/breaks")
    def breaks() -> str:
        raise ValueError("a secret detail")

    answer = client.get("/breaks")
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert "detail of" not in answer.text
    assert "secret" not in answer.text


# -- renamed repositories --------------------------------------------------------------------------------------


def renamed(story: Story, **changes: Any) -> dict[str, Any]:
    """A push to the repository of S1 under a name that the file does not have."""
    return push(story, repository={"full_name": "shop/new-name", "id": 4711, "pushed_at": 1_700_000_000}, **changes)


def test_a_push_to_a_renamed_repository_counts_if_its_id_is_known(send: Send, story: Story, redis: Redis) -> None:
    Repositories(redis).learn(story.shape.services[0].repository, "shop/new-name", 4711)
    assert send(renamed(story)).json == {"status": "kept"}
    entries = story.store.begin("test")
    (event,) = events_of(entries[0], story.shape)
    assert isinstance(event, Merged)
    assert (event.service, event.sha) == ("S1", sha("S1a"))


@pytest.mark.parametrize("number", [4712, None, "4711", True, [4711], 10**400])
def test_a_push_to_a_repository_with_another_id_is_ignored(
    send: Send, story: Story, redis: Redis, number: object
) -> None:
    Repositories(redis).learn(story.shape.services[0].repository, "shop/new-name", 4711)
    body = renamed(story)
    body["repository"]["id"] = number
    assert send(body).json["status"] == "ignored"  # type: ignore[index]
    assert story.nothing_is_stored()


def test_a_push_to_another_branch_of_a_renamed_repository_is_ignored(send: Send, story: Story, redis: Redis) -> None:
    Repositories(redis).learn(story.shape.services[0].repository, "shop/new-name", 4711)
    assert send(renamed(story, ref="refs/heads/feature")).json["status"] == "ignored"  # type: ignore[index]


def test_what_was_learnt_is_heard_of_within_a_while(
    settings: Settings, configuration: Configuration, story: Story, redis: Redis
) -> None:
    forgetful = replace(configuration, github=GitHubSettings(limits=GitHubLimits(names_believed=0.0)))
    send = sender(create_app(settings, forgetful, lambda _: None).test_client())
    assert send(renamed(story)).json["status"] == "ignored"  # type: ignore[index]
    Repositories(redis).learn(story.shape.services[0].repository, "shop/new-name", 4711)
    assert send(renamed(story)).json["status"] == "kept"  # type: ignore[index]


@pytest.mark.parametrize(("action", "status"), [("opened", "kept"), ("synchronize", "kept"), ("closed", "ignored")])
def test_heads_of_open_pull_requests_that_are_not_verified_are_kept_for_the_notices_of_a_lock(
    send: Send, story: Story, action: str, status: str
) -> None:
    body = moved_pull(story, action) | {"repository": {"full_name": story.shape.services[2].repository}}
    assert send(body, "pull_request").json["status"] == status  # type: ignore[index]


# -- pull requests that are sent to another branch -------------------------------------------------------------


def turned(story: Story, to: str, before: str) -> dict[str, Any]:
    """A pull request that goes to another branch than before."""
    return moved_pull(story, "edited", base={"ref": to, "repo": {"id": 7}}) | {
        "changes": {"base": {"ref": {"from": before}, "sha": {"from": sha("S1 base")}}}
    }


@pytest.mark.parametrize(
    ("to", "before", "event"),
    [
        ("main", "next", PullMoved("S1", 12, sha("S1p"), at=1_772_359_200.0)),
        ("next", "main", PullClosed("S1", 12, sha("S1p"), at=1_772_359_200.0, elsewhere=True)),
    ],
)
def test_a_pull_request_that_comes_to_main_or_leaves_it_is_kept(
    send: Send, story: Story, to: str, before: str, event: object
) -> None:
    assert send(turned(story, to, before), "pull_request").json == {"status": "kept"}
    (entry,) = story.store.begin("test")
    assert events_of(entry, story.shape) == [event]


def test_one_that_goes_from_one_branch_of_nobody_to_another_is_ignored(send: Send, story: Story) -> None:
    assert send(turned(story, "next", "last"), "pull_request").json["status"] == "ignored"  # type: ignore[index]
    assert story.nothing_is_stored()


def test_one_that_goes_from_one_pipelines_branch_to_anothers_is_kept_for_both(
    story: Story, settings: Settings, configuration: Configuration
) -> None:
    service = story.shape.services[0]
    other = replace(story.shape, name=f"{story.shape.name}-next", services=(replace(service, branch="next"),))
    both = replace(configuration, pipelines=(story.shape, other))
    client = create_app(settings, both, lambda _: None).test_client()
    body = json.dumps(turned(story, "next", "main")).encode()
    headers = {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": "g", "X-Hub-Signature-256": signature(body)}
    assert client.post("/webhooks/github", data=body, headers=headers).json == {"status": "kept"}
    (here,) = story.store.begin("test")
    (there,) = Story(story.redis, other).store.begin("test")
    assert [type(event) for event in events_of(here, story.shape)] == [PullClosed]
    assert [type(event) for event in events_of(there, other)] == [PullMoved]


# -- a name that was free and is somebody else's now -----------------------------------------------------------


def taken(story: Story, number: object) -> dict[str, Any]:
    """A push to a repository with the very name that the file has."""
    name = story.shape.services[0].repository
    return push(story, repository={"full_name": name, "id": number, "pushed_at": 1_700_000_000})


@pytest.mark.parametrize("present", ["shop/new-name", ""])
def test_a_repository_that_took_the_name_of_ours_is_not_heard_and_that_is_said_loudly(
    send: Send, story: Story, redis: Redis, present: str
) -> None:
    name = story.shape.services[0].repository
    Repositories(redis).learn(name, present or name, 4711)
    with capture_logs() as logs:
        answers = [send(taken(story, 666)) for _ in range(3)]  # said once: it goes on until somebody mends it
    answer = answers[-1]
    why = "another repository has the name of a configured one by now"
    assert (answer.status_code, answer.json) == (202, {"status": "ignored", "why": why})
    assert story.nothing_is_stored()
    (said,) = [row for row in logs if row["event"] == "repository-name-taken"]
    assert (said["log_level"], said["id"], said["other"]) == ("error", 4711, 666)
    assert send(taken(story, 4711)).json == {"status": "kept"}


def test_repositories_that_have_exchanged_their_names_are_told_apart(send: Send, story: Story, redis: Redis) -> None:
    first, second = (service.repository for service in story.shape.services[:2])
    Repositories(redis).learn(first, second, 1)
    Repositories(redis).learn(second, first, 2)
    assert send(taken(story, 2)).json == {"status": "kept"}
    (event,) = events_of(story.store.begin("test")[0], story.shape)
    assert isinstance(event, Merged)
    assert event.service == "S2"


def test_a_comment_in_a_repository_that_took_the_name_of_ours_is_not_heard(
    send: Send, story: Story, redis: Redis
) -> None:
    Repositories(redis).learn(story.shape.services[0].repository, "shop/new-name", 4711)
    assert send(comment(story), "issue_comment").json["status"] == "ignored"  # type: ignore[index]
    assert story.nothing_is_stored()


def test_half_a_character_in_a_name_is_replaced_and_the_merge_is_decided(send: Send, story: Story) -> None:
    """JSON may write one, UTF-8 cannot: the turn could not store it, and the merge would be parked."""
    person = {"message": "\ud800 rounds prices", "author": {"username": "k\udc00m"}}
    assert send(push(story, head_commit=person)).json == {"status": "kept"}
    (entry,) = story.store.begin("test")
    (merged,) = events_of(entry, story.shape)
    assert isinstance(merged, Merged)
    assert (merged.title, merged.author) == ("\ufffd rounds prices", "k\ufffdm")
