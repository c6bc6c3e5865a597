"""The API obeys each role as the table says, and a refusal says which role it takes and who has it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from bot.core.access import NEEDED, Action
from bot.core.model.events import ModeAsked
from bot.core.model.pipeline import Mode, Outcome
from bot.web.app import create_app
from config.configuration import Configuration, PipelineAccess
from config.settings import Settings
from tests.roles import CASES, PEOPLE, REASON, ROLES, SAM, Case, cases, token
from tests.web.story import Story


@pytest.fixture
def settings(settings: Settings) -> Settings:
    tokens = {who: SecretStr(token(who)) for who in (*PEOPLE, SAM, "nora")}
    return settings.model_copy(update={"api_tokens": tokens})


@pytest.fixture
def configuration(configuration: Configuration, story: Story) -> Configuration:
    return replace(configuration, accesses={story.shape.name: PipelineAccess(ROLES)})


@pytest.fixture
def board(story: Story) -> Story:
    """S1a has failed in pre-production, and S2a waits behind its lock."""
    story.start()
    first = story.merge("S1", "a")
    story.pass_stages(first, 2)
    story.build(first, Outcome.FAILURE)
    story.pass_stages(story.merge("S2", "a"), 2)
    return story


#: Whoever asks what an action would lead to.
FORESEEABLE = [(case, who) for case, who in cases("path") if case.foreseeable]


def asked(client: FlaskClient, story: Story, case: Case, who: str) -> TestResponse:
    if story.board.header.mode is not case.mode:
        story.tell(ModeAsked(case.mode, "test", REASON))
    headers = {"Authorization": f"Bearer {token(who)}"}
    address = f"/api/v1{'' if case.everywhere else f'/pipelines/{story.shape.name}'}{case.path}"
    return client.post(address, json={"reason": REASON, **case.body}, headers=headers)


@pytest.mark.parametrize(("case", "who"), list(cases("path")), ids=lambda each: getattr(each, "name", each))
def test_each_role_may_do_what_the_table_says(client: FlaskClient, board: Story, case: Case, who: str) -> None:
    before = board.waiting()
    answer = asked(client, board, case, who)
    if case.may(who):
        assert answer.status_code in (200, 201, 202, 404, 409), answer.json
    else:
        assert (answer.status_code, answer.json["needs"]) == (403, str(NEEDED[case.action]))
        assert answer.json["detail"].startswith(f"{who} may not ")
        assert "ada" in answer.json["detail"]
        assert board.waiting() == before + (case.mode is not Mode.RUN)


def test_the_table_has_every_action_but_reading() -> None:
    assert {case.action for case in CASES} == set(Action) - {Action.READ}


@pytest.mark.parametrize(("case", "who"), FORESEEABLE, ids=lambda each: getattr(each, "name", each))
def test_a_dry_run_takes_the_role_of_its_action(client: FlaskClient, board: Story, case: Case, who: str) -> None:
    before = board.waiting()
    answer = asked(client, board, replace(case, body={**case.body, "dry_run": True}), who)
    if case.may(who):
        assert answer.status_code in (200, 409), answer.json
    else:
        assert (answer.status_code, answer.json["needs"]) == (403, str(NEEDED[case.action]))
    assert board.waiting() == before + (case.mode is not Mode.RUN), "a dry run is kept nowhere"


def test_every_way_to_act_through_the_api_is_in_the_table(app: Flask, story: Story) -> None:
    """A new route without a case would be a way that nobody has compared with the table."""
    urls = app.url_map.bind("localhost")
    base = f"/api/v1/pipelines/{story.shape.name}"
    played = {
        urls.match(f"{'/api/v1' if case.everywhere else base}{case.path}", "POST")[0] for case in CASES if case.path
    }
    acts = {rule.endpoint for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/") and is_post(rule)}
    assert played == acts


def is_post(rule: Rule) -> bool:
    return "POST" in (rule.methods or ())


def test_a_developer_of_one_service_acts_on_its_runs_alone(client: FlaskClient, board: Story) -> None:
    mine, other = (Case(Action.CANCEL, f"/runs/{run}/cancel") for run in ("S1.1", "S2.1"))
    refused = asked(client, board, other, SAM)
    assert refused.status_code == 403
    assert "the role `developer` for S2" in refused.json["detail"]
    assert asked(client, board, mine, SAM).status_code == 202


def test_a_run_of_no_service_takes_a_role_too(client: FlaskClient, board: Story) -> None:
    assert asked(client, board, Case(Action.CANCEL, "/runs/S9.1/cancel"), "vera").status_code == 403
    assert asked(client, board, Case(Action.CANCEL, "/runs/S9.1/cancel"), "ada").status_code == 404


def test_somebody_without_a_role_may_do_nothing(client: FlaskClient, board: Story) -> None:
    for case in CASES:
        if case.path:
            assert asked(client, board, case, "nora").status_code == 403


def test_where_the_file_names_no_roles_a_token_may_do_everything(
    settings: Settings, configuration: Configuration, board: Story
) -> None:
    client = create_app(settings, replace(configuration, accesses={}), lambda _: None).test_client()
    for case in CASES:
        if case.path:
            assert asked(client, board, case, "nora").status_code != 403, case
