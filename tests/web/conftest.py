"""A real server, a pipeline of its own for each test, and the application over both."""

from __future__ import annotations

import hmac
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import strategies as st
from pydantic import SecretStr
from redis import Redis
from werkzeug.test import TestResponse

from bot.health.contacts import BEAT, WEB, WORKER, Heartbeats
from bot.web.app import create_app
from config.configuration import Configuration, Controller
from config.settings import Settings
from tests.redis_server import redis, redis_url
from tests.web.asked import TOKEN, Api
from tests.web.documented import DocumentedClient
from tests.web.routes import remember_builders
from tests.web.story import Story, pipeline, sha

__all__ = ["redis", "redis_url"]

remember_builders()

SECRET = "a secret that GitHub knows"
OLD_SECRET = "the secret before it"
JENKINS_SECRET = "a-secret-that-Jenkins-knows"


@pytest.fixture(autouse=True)
def documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the API answers in a test is looked up in its document."""
    monkeypatch.setattr(Flask, "test_client_class", DocumentedClient)


@pytest.fixture
def story(redis: Redis) -> Story:
    redis.delete("interlock:{github}:repositories")  # names that another test has learnt
    all_live(redis)
    return Story(redis, pipeline(f"p{uuid.uuid4().hex[:12]}"))


def all_live(redis: Redis, seconds: float = 3_600) -> None:
    """As if a process of each kind were running, for so long."""
    until = (time.time() + seconds) * 1000
    redis.zadd(Heartbeats(redis).key, {f"{kind} of-this-test": until for kind in (WEB, WORKER, BEAT)})


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(
        redis_url=SecretStr(redis_url),
        github_webhook_secrets=(SecretStr(OLD_SECRET), SecretStr(SECRET)),
        jenkins_webhook_secret=(SecretStr(JENKINS_SECRET),),
        api_tokens={"alex": SecretStr(TOKEN)},
    )


@pytest.fixture
def configuration(story: Story) -> Configuration:
    controllers = {name: Controller(name, f"https://{name}.example.com", "interlock") for name in ("build", "cdp")}
    return Configuration((story.shape,), controllers)


@pytest.fixture
def wake_ups() -> list[str]:
    return []


@pytest.fixture
def app(settings: Settings, configuration: Configuration, wake_ups: list[str]) -> Flask:
    return create_app(settings, configuration, wake_ups.append)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def api(client: FlaskClient, story: Story) -> Api:
    return Api(client, story)


def push(story: Story, **changes: Any) -> dict[str, Any]:
    """A push to the main branch of S1, as far as GitHub's description is used."""
    return {
        "ref": "refs/heads/main",
        "before": sha("S1 base"),
        "after": sha("S1a"),
        "created": False,
        "deleted": False,
        "forced": False,
        "repository": {"full_name": story.shape.services[0].repository, "pushed_at": 1_700_000_000},
        "head_commit": {"message": "Fix the rounding of prices (#12)\n\nMore", "author": {"username": "kim"}},
        "pusher": {"name": "kim"},
        **changes,
    }


def merged_pull(story: Story, **changes: Any) -> dict[str, Any]:
    """A merged pull request into the main branch of S1."""
    pull = {
        "number": 12,
        "merged": True,
        "merge_commit_sha": sha("S1a"),
        "title": "Fix",
        "user": {"login": "kim"},
        "base": {"ref": "main"},
        **changes,
    }
    repository = {"full_name": story.shape.services[0].repository}
    return {"action": "closed", "pull_request": pull, "repository": repository}


def moved_pull(story: Story, action: str = "opened", **changes: Any) -> dict[str, Any]:
    """A pull request to the main branch of S1."""
    pull = {
        "number": 12,
        "draft": False,
        "updated_at": "2026-03-01T10:00:00Z",
        "head": {"ref": "x; rm -rf /", "sha": sha("S1p"), "repo": {"id": 7}},
        "base": {"ref": "main", "repo": {"id": 7}},
        **changes,
    }
    repository = {"full_name": story.shape.services[0].repository}
    return {"action": action, "pull_request": pull, "repository": repository}


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


#: Anything that JSON can say.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
Send = Callable[..., TestResponse]


@pytest.fixture
def send(client: FlaskClient) -> Send:
    return sender(client)


def sender(client: FlaskClient) -> Send:
    """Delivers a body as GitHub would, signed unless `headers` say otherwise; None takes a header away."""

    def deliver(body: bytes | dict[str, Any], event: str = "push", **headers: str | None) -> TestResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: dict[str, str | None] = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": uuid.uuid4().hex,
            "X-Hub-Signature-256": signature(raw),
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return client.post("/webhooks/github", data=raw, headers={k: v for k, v in sent.items() if v is not None})

    return deliver
