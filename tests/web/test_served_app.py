"""The web process answers by another configuration from one request to the next, and its live pages connect again."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from jinja2 import Environment
from redis import Redis
from werkzeug.test import Client

from bot.core.model.pipeline import Revision
from bot.runtime import rebuild
from bot.store.configuration import StoredConfiguration
from bot.web import app
from bot.web.access import bounded
from bot.web.app import ServedApp, create_app
from config import pipeline_file
from config.errors import SettingsError
from tests.web.serving import file_of
from tests.web.story import Story

SECRETS = {
    "INTERLOCK_GITHUB_WEBHOOK_SECRETS": "a secret that GitHub knows",
    "INTERLOCK_JENKINS_WEBHOOK_SECRET": "a-secret-that-Jenkins-knows",
}


@pytest.fixture
def served(story: Story, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedApp:
    story.start()
    with Redis.from_url(redis_url) as redis:
        redis.delete("interlock:{configuration}:current")
    file = tmp_path / "interlock.yaml"
    file.write_text(file_of(story.shape))
    for name, value in {**SECRETS, "INTERLOCK_REDIS_URL": redis_url, "INTERLOCK_CONFIG": str(file)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(app, "set_up", lambda *_: None)  # it is for a process of its own: these tests share theirs
    return ServedApp()


def use(served: ServedApp, more: str) -> None:
    """Put another configuration in force."""
    now = served.runtime()
    configuration = pipeline_file.parse(now.configuration.text + more, now.settings.config)
    revision = Revision(configuration.digest, now.revision.since + 1)
    served.use(rebuild(now, configuration, StoredConfiguration(revision, configuration.text, "alex")))


def test_the_next_request_is_answered_by_the_new_configuration(served: ServedApp) -> None:
    client = Client(served)
    assert client.get("/ci/healthz").status_code == 404
    use(served, "web: {public_url: 'https://shop.test/ci'}\n")
    assert client.get("/ci/healthz").status_code == 200
    assert served.extensions["interlock"].configuration.web.root == "/ci"


def test_the_application_that_follows_finds_its_templates_compiled(
    served: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(served)
    before = client.get("/sign-in").text
    use(served, "github: {write_spacing: 2s}\n")

    def compiled_anew(*_: object, **more: object) -> None:
        raise AssertionError(f"{more.get('name')} is compiled anew")

    monkeypatch.setattr(Environment, "compile", compiled_anew)
    assert client.get("/sign-in").text == before


def test_a_live_page_that_is_open_ends_and_connects_again(served: ServedApp) -> None:
    def made() -> Generator[bytes, None, None]:
        yield from (b"one", b"two", b"three")

    with create_app(served.runtime().settings, served.runtime().configuration).app_context() as context:
        context.app.extensions["interlock"] = served.runtime()
        pieces = bounded(made())
    assert next(pieces) == b"one"
    use(served, "web: {public_url: 'https://shop.test'}\n")
    assert list(pieces) == []


def test_a_configuration_that_the_environment_does_not_suffice_for_leaves_the_old_one(served: ServedApp) -> None:
    before = served.runtime()
    with pytest.raises(SettingsError, match="SESSION_SECRETS"):
        use(served, "web: {sign_in: {token: true}}\n")
    assert served.runtime() is before and not before.successor
    assert Client(served).get("/healthz").status_code == 200
