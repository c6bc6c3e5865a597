"""A badge says how a pipeline, a stage or a service is, and nothing that its reader did not name."""

from __future__ import annotations

import time
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from bot.core.model.events import FreezesPlanned, ModeAsked
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Mode, Outcome
from bot.web.app import create_app
from config.configuration import Configuration, SignInSettings, WebSettings
from config.settings import Settings
from tests.web.asked import AUTH
from tests.web.story import Story


def badge(client: FlaskClient, story: Story, query: str = "") -> str:
    """What a screen reader says of it."""
    answer = client.get(f"/p/{story.shape.name}/badge.svg{query}")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml"), answer.text
    return ET.fromstring(answer.data).attrib["aria-label"]


@pytest.fixture
def locked(story: Story) -> Story:
    """S1 has failed in pre-production, and S2 waits behind its lock."""
    story.start()
    first = story.merge("S1", "a")
    story.pass_stages(first, 2)
    story.pass_stages(story.merge("S2", "a"), 2)
    story.build(first, Outcome.FAILURE)
    return story


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "{p}: 1 of 4 locked"),
        ("?stage=pre-production", "pre-production: locked"),
        ("?stage=production", "production: open"),
        ("?service=S1", "S1: failed"),
        ("?service=S2", "S2: in progress"),
        ("?service=S3", "S3: up to date"),
    ],
)
def test_a_badge_says_how_it_is(client: FlaskClient, locked: Story, query: str, words: str) -> None:
    assert badge(client, locked, query) == words.replace("{p}", locked.shape.name)


def test_a_pipeline_that_does_not_act_says_so(client: FlaskClient, story: Story) -> None:
    story.start()
    assert badge(client, story).endswith(": open")
    story.tell(ModeAsked(Mode.PAUSE, "alex", "the database moves"))
    assert badge(client, story).endswith(": paused")


def test_it_is_fresh_for_half_a_minute_and_then_asked_for_again(client: FlaskClient, locked: Story) -> None:
    path = f"/p/{locked.shape.name}/badge.svg"
    first = client.get(path)
    assert first.headers["Cache-Control"] == "public, max-age=30"
    assert client.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_a_stage_that_only_freezes_close_says_until_when(client: FlaskClient, locked: Story) -> None:
    window = FreezeWindow(time.time() - 60, 1_953_532_800.0)
    locked.tell(FreezesPlanned((Freeze("fair", ("pre-production", "production"), (window,), "Europe/Berlin"),)))
    assert badge(client, locked, "?stage=production") == "production: frozen until Thu 2031-11-27 09:00 CET"
    assert badge(client, locked, "?stage=pre-production") == "pre-production: locked"
    assert badge(client, locked).endswith("2 of 4 locked")


def test_it_refers_to_nothing_and_runs_nothing(client: FlaskClient, locked: Story) -> None:
    picture = client.get(f"/p/{locked.shape.name}/badge.svg").text
    assert "href" not in picture
    assert "style" not in picture
    assert "<script" not in picture


@pytest.mark.parametrize("query", ["?stage=nowhere", "?service=S9"])
def test_a_name_that_is_none_gives_no_other_away(client: FlaskClient, locked: Story, query: str) -> None:
    answer = client.get(f"/p/{locked.shape.name}/badge.svg{query}")
    assert answer.status_code == 404
    assert not {"valid", "meant"} & set(answer.json)


def test_of_a_service_in_a_stage_its_runs_there_count(client: FlaskClient, locked: Story) -> None:
    assert badge(client, locked, "?service=S1&stage=pre-production") == "S1: failed"
    assert badge(client, locked, "?service=S1&stage=build") == "S1: up to date"


@pytest.mark.parametrize("is_open", [False, True])
def test_where_reading_takes_a_sign_in_badges_do_unless_the_file_says_otherwise(
    settings: Settings, configuration: Configuration, locked: Story, is_open: bool
) -> None:
    web = WebSettings("http://localhost", True, SignInSettings(token=True), is_open)
    secret = settings.model_copy(update={"session_secrets": (SecretStr("a secret"),)})
    client = create_app(secret, replace(configuration, web=web), lambda _: None).test_client()
    path = f"/p/{locked.shape.name}/badge.svg"
    assert client.get(path).status_code == (200 if is_open else 401)
    shown = client.get(path, headers=AUTH)
    assert shown.headers["Cache-Control"] == f"{'public' if is_open else 'private'}, max-age=30"
    assert client.get("/p/another/badge.svg").status_code == (404 if is_open else 401)
    assert client.get(f"/api/v1/pipelines/{locked.shape.name}").status_code == 401
