"""Deliveries as GitHub really sent them, whole and damaged: the door takes them all, and keeps what is used, once."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.board_records import Header
from bot.core.model.events import Configured, HeadSeen
from bot.core.model.pipeline import Service
from bot.store.codec import dump_event
from bot.store.inbox import InboxEntry
from bot.store.keys import Keys
from tests.github.packages import EXAMPLES, content
from tests.web.conftest import Send, signature
from tests.web.serving import served
from tests.web.story import Story, pipeline
from workers.turn import decide_all

pytestmark = pytest.mark.slow

#: Repository and branch of the pushes and merges among the examples.
OURS = Service("S1", "Codertocat/Hello-World", "master")
#: What is done to a pull request that moves or ends what is verified.
MOVES = {"opened", "reopened", "synchronize", "ready_for_review", "converted_to_draft", "closed"}
#: How many damaged deliveries are tried.
DAMAGED = 500


def examples() -> list[tuple[str, dict[str, Any]]]:
    return [(event["name"], payload) for event in content(EXAMPLES) for payload in event["examples"]]


@pytest.fixture
def story(redis: Redis) -> Story:
    """A pipeline whose service is the repository that most of the examples are about."""
    shape = pipeline(f"p{uuid.uuid4().hex[:12]}")
    return Story(redis, replace(shape, services=(OURS, *shape.services[1:])))


def used(event: str, payload: dict[str, Any]) -> bool:
    """Whether a delivery concerns our main branch, told by the fields that GitHub's documentation names."""
    if payload.get("repository", {}).get("full_name") != OURS.repository:
        return False
    if event in ("issue_comment", "check_run"):
        return commanding(event, payload)
    if event == "repository":
        before = payload.get("changes", {}).get("default_branch", {}).get("from")
        return payload["action"] == "edited" and before == OURS.branch
    if event == "push":
        return payload["ref"] == f"refs/heads/{OURS.branch}" and not payload["deleted"]
    if event == "merge_group":
        return (
            payload["action"] == "checks_requested"
            and payload["merge_group"]["base_ref"] == f"refs/heads/{OURS.branch}"
        )
    if event != "pull_request" or payload["pull_request"]["base"]["ref"] != OURS.branch:
        return False
    return payload["action"] in MOVES  # the pipeline verifies pull requests


def commanding(event: str, payload: dict[str, Any]) -> bool:
    """Whether a person commands something: none of the examples' comments does, but a button of theirs is pressed."""
    if payload["sender"]["type"] != "User":
        return False
    if event == "check_run":
        pressed = (payload.get("requested_action") or {}).get("identifier") in ("retry", "fast-lane")
        return payload["action"] == "rerequested" or (payload["action"] == "requested_action" and pressed)
    lines = payload["comment"]["body"].splitlines()
    return payload["action"] == "created" and any(line.startswith("/interlock") for line in lines)


def said(payload: dict[str, Any]) -> dict[str, Any]:
    """An example of a comment as it would have come had it been a command on a pull request of ours."""
    made = copy.deepcopy(payload)
    made["action"], made["comment"]["body"] = "created", "/interlock retry"
    made["issue"]["pull_request"] = {"url": made["issue"]["url"]}
    made["comment"]["id"] = int(uuid.uuid4().hex[:12], 16)
    return made


def unnamed(payload: dict[str, Any]) -> dict[str, Any]:
    """An example of an edited repository as it would have come had its default branch been ours."""
    made = copy.deepcopy(payload)
    made["repository"]["full_name"] = OURS.repository
    made["action"], made["changes"] = "edited", {"default_branch": {"from": OURS.branch}}
    made["repository"]["default_branch"] = "trunk"
    return made


def merging(payload: dict[str, Any]) -> dict[str, Any]:
    """An example of a closed pull request as it would have come had it been merged: the package has none."""
    made = copy.deepcopy(payload)
    made["pull_request"] |= {"merged": True, "merge_commit_sha": "c" * 40, "merged_at": "2019-05-15T15:21:13Z"}
    return made


def moving(payload: dict[str, Any]) -> dict[str, Any]:
    """An example of a push as it would have come had it been to our branch."""
    made = copy.deepcopy(payload)
    made["ref"], made["after"], made["deleted"] = f"refs/heads/{OURS.branch}", "d" * 40, False
    made["repository"]["full_name"] = OURS.repository
    return made


def interesting() -> list[tuple[str, dict[str, Any]]]:
    """The deliveries that the ingress keeps: pushes to our branch, and closed pull requests if merged."""
    pushes = [("push", moving(p)) for event, p in examples() if event == "push"]
    ours = [p for event, p in examples() if event == "pull_request" and p["action"] == "closed"]
    pulls = [("pull_request", merging(p)) for p in ours if p["repository"]["full_name"] == OURS.repository]
    comments = [("issue_comment", said(p)) for event, p in examples() if event == "issue_comment"]
    buttons = [(event, p) for event, p in examples() if event == "check_run" and used(event, p)]
    edited = [("repository", unnamed(p)) for event, p in examples() if event == "repository"]
    return pushes + pulls + comments + buttons + edited


def test_there_are_hundreds_of_examples_of_all_kinds() -> None:
    events = {event for event, _ in examples()}
    assert len(examples()) > 300
    assert {"push", "pull_request", "issue_comment", "check_run", "merge_group", "repository", "ping"} <= events
    assert len(interesting()) >= 8


def test_no_example_makes_the_door_fail_and_only_what_is_used_is_stored(send: Send, story: Story) -> None:
    kept = 0
    for event, payload in examples():
        answer = send(payload, event)
        assert answer.status_code in (200, 202), (event, payload.get("action"), answer.text)
        kept += used(event, payload)
        said = "kept" if used(event, payload) else "pong" if event == "ping" else "ignored"
        assert answer.json["status"] == said, (event, payload.get("action"), answer.text)
        assert story.waiting() == kept, (event, payload.get("action"))


def test_the_server_that_runs_in_production_takes_every_example(story: Story, redis_url: str, tmp_path: Path) -> None:
    with served(story.shape, redis_url, tmp_path) as url, requests.Session() as site:
        for event, payload in examples():
            body = json.dumps(payload).encode()
            headers = {
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": uuid.uuid4().hex,
                "Content-Type": "application/json",
            }
            headers["X-Hub-Signature-256"] = signature(body)
            answer = site.post(f"{url}/webhooks/github", data=body, headers=headers, timeout=10)
            assert answer.status_code in (200, 202), (event, payload.get("action"), answer.text)


def test_what_is_used_is_stored_once_however_often_it_comes(send: Send, story: Story) -> None:
    for event, payload in interesting():
        guid = uuid.uuid4().hex
        said = [send(payload, event, X_GitHub_Delivery=guid).json["status"] for _ in range(3)]
        assert said == ["kept", "duplicate", "duplicate"]
    assert story.waiting() == len(interesting())


def test_the_turn_decides_every_example_and_parks_none(redis: Redis, story: Story) -> None:
    """Also those that the ingress would not have kept: the configuration may have changed in between."""
    decided = 0
    for event, payload in [*examples(), *interesting()]:
        decided += _decide(redis, story, event, payload)
    assert decided >= 3, "no example led to a fact"


#: Ways into a delivery that are used: half of the damage is done there, the rest anywhere.
USED = {
    "push": ["ref", "before", "after", "deleted", "forced", "repository", "repository/full_name", "head_commit",
             "head_commit/message", "head_commit/author", "head_commit/author/username", "pusher", "pusher/name",
             "repository/pushed_at"],
    "pull_request": ["action", "repository", "repository/full_name", "pull_request", "pull_request/merged",
                     "pull_request/merge_commit_sha", "pull_request/base", "pull_request/base/ref",
                     "pull_request/number", "pull_request/title", "pull_request/user", "pull_request/user/login",
                     "pull_request/head", "pull_request/head/sha", "pull_request/head/repo", "pull_request/draft",
                     "pull_request/updated_at", "before"],
    "merge_group": ["action", "merge_group", "merge_group/base_ref", "merge_group/head_sha", "repository",
                    "repository/full_name"],
    "issue_comment": ["action", "issue", "issue/number", "issue/pull_request", "comment", "comment/id", "comment/body",
                      "comment/user", "comment/user/login", "comment/user/type", "comment/created_at", "sender",
                      "sender/login", "sender/type", "repository", "repository/full_name"],
    "check_run": ["action", "check_run", "check_run/id", "check_run/head_sha", "check_run/external_id",
                  "check_run/pull_requests", "requested_action", "requested_action/identifier", "sender",
                  "sender/login", "sender/type", "repository", "repository/full_name"],
    "repository": ["action", "changes", "changes/default_branch", "changes/default_branch/from", "repository",
                   "repository/full_name", "repository/default_branch"],
}  # fmt: skip
GONE = object()
odd = st.sampled_from([GONE, None, "", 0, -1, 1e308, True, [], {}, [None], {"a": None}, "x" * 10_000, "\ud800", "\x00"])


def places(value: Any, way: str = "") -> Iterator[str]:
    """Every way into a payload, `/` between its steps."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield f"{way}/{step}".lstrip("/")
        yield from places(inner, f"{way}/{step}")


def damage(payload: dict[str, Any], way: str, value: Any) -> None:
    """Put a value there, or take away what is there; a way that an earlier damage has cut off is left alone."""
    *steps, last = way.split("/")
    at: Any = payload
    for step in steps:
        at = (
            at.get(step) if isinstance(at, dict) else at[int(step)] if isinstance(at, list) and _has(at, step) else None
        )
    if isinstance(at, list):
        if _has(at, last):
            at[int(last)] = None if value is GONE else value
    elif isinstance(at, dict):
        if value is GONE:
            at.pop(last, None)
        else:
            at[last] = value


def _has(rows: list[Any], step: str) -> bool:
    return step.isdigit() and int(step) < len(rows)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An example with up to four of its fields taken away, nulled or replaced."""
    event, whole = draw(st.sampled_from(examples()) | st.sampled_from(interesting()))
    payload = copy.deepcopy(whole)
    ways = st.sampled_from(list(places(whole)))
    if event in USED:
        ways = st.sampled_from(USED[event]) | ways
    for way in draw(st.lists(ways, min_size=1, max_size=4)):
        value = draw(odd)
        damage(payload, way, value if value is GONE else copy.deepcopy(value))
    return event, payload


@pytest.mark.timeout(360)
@given(damaged())
@hypothesis_settings(
    max_examples=DAMAGED,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
def test_a_damaged_example_is_kept_or_ignored_and_never_parked(
    send: Send, redis: Redis, story: Story, delivery: tuple[str, dict[str, Any]]
) -> None:
    event, payload = delivery
    before = story.waiting()
    answer = send(json.dumps(payload).encode(), event)
    assert answer.status_code in (200, 202), answer.text
    assert story.waiting() - before == (answer.json["status"] == "kept")
    _decide(redis, story, event, payload)


def _decide(redis: Redis, story: Story, event: str, payload: dict[str, Any]) -> int:
    """Decide one delivery as a turn would, after the baseline; returns how many facts came of it."""
    keys = Keys(f"{story.shape.name}-turn")
    baseline = [("event", "", dump_event(one)) for one in (Configured(story.shape), HeadSeen("S1", "b" * 40))]
    rows = [*baseline, ("github", event, json.dumps(payload).encode())]
    entries = [InboxEntry(f"{n}000-0", source, name, f"{n}", body) for n, (source, name, body) in enumerate(rows, 1)]
    work = decide_all(Board(Header(story.shape)), entries, redis, keys)
    assert not redis.exists(keys.parked), redis.lrange(keys.parked, 0, 0)
    return sum(entry is entries[-1] for entry, _ in work.facts)
