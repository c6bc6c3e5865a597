"""The API describes itself: every operation, what it takes, what it answers, and who may ask."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator

from bot.core.access import HIGHEST, NEEDED, Action, Role, Scope
from bot.web import openapi
from bot.web.app import create_app
from config.configuration import Configuration
from config.settings import Settings
from tests.roles import CASES
from tests.web.asked import Api
from tests.web.documented import fits
from tests.web.story import Story


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    return client.get("/api/v1/openapi.json").json


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for path, methods in document["paths"].items():
        found |= {f"{method.upper()} {path}": each for method, each in methods.items()}
    return found


def test_every_operation_is_described(app: Flask) -> None:
    assert openapi.undescribed(app) == []


def test_a_view_without_a_description_is_named_with_what_to_do(
    settings: Settings, configuration: Configuration
) -> None:
    app = create_app(settings, configuration, lambda _: None)
    app.add_url_rule("/api/v1/shutdown", view_func=lambda: "gone", methods=["POST"])
    (line,) = openapi.undescribed(app)
    assert line.startswith("/api/v1/shutdown: put @operation(...)")


def test_each_operation_has_a_name_a_sentence_and_words_for_each_parameter(document: dict[str, Any]) -> None:
    found = operations(document)
    names = [each["operationId"] for each in found.values()]
    assert sorted(set(names)) == sorted(names)
    for name, each in found.items():
        assert each["summary"].endswith("."), name
        assert all(parameter["description"] for parameter in each["parameters"]), name
        assert all(answer["description"] for answer in each["responses"].values()), name


def test_each_schema_is_one_and_every_reference_leads_to_one(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        OAS31Validator.check_schema(schema)
    text = json.dumps(document)
    referred = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= set(document["components"]["schemas"])
    assert "Any" not in referred


def test_what_an_action_takes_is_what_the_table_of_roles_says(document: dict[str, Any]) -> None:
    for name, each in operations(document).items():
        taken = each.get("x-interlock-actions", {})
        assert taken == {action: str(NEEDED[Action(action)]) for action in taken}, name
        scopes = [next(iter(way["token"])) for way in each["security"] if "token" in way]
        if taken:
            least = min((Role(role) for role in taken.values()), key=list(Role).index)
            highest = HIGHEST[Scope(scopes[0])]
            assert list(Role).index(highest) >= list(Role).index(least), name


def test_each_action_stands_at_the_operation_that_takes_it(app: Flask) -> None:
    """The table of cases is the one that the tests of the roles send: so what is said is what is asked."""
    found = {each.path: each for each in openapi.described(app) if each.method == "POST"}
    adapter = app.url_map.bind("")
    said: dict[str, set[Action]] = {}
    for case in CASES:
        if case.path:
            address = f"/api/v1{'' if case.everywhere else '/pipelines/shop'}{case.path}"
            rule, _ = adapter.match(address, "POST", return_rule=True)
            (path,) = [path for path, each in found.items() if each.rule.rule == rule.rule]
            said.setdefault(path, set()).add(case.action)
    for path, actions in said.items():
        assert set(found[path].operation.actions) == actions, path


def test_reading_is_open_only_where_it_is_public(app: Flask) -> None:
    path = "/api/v1/pipelines"
    public, private = (openapi.document(app, private=private)["paths"][path]["get"] for private in (False, True))
    assert {} in public["security"]
    assert {} not in private["security"]


def test_a_parameter_that_means_nothing_is_refused(client: FlaskClient, story: Story) -> None:
    story.start()
    refused = client.get(f"/api/v1/pipelines/{story.shape.name}/runs?stat=live")
    assert (refused.status_code, refused.json["detail"]) == (
        400,
        "there is no parameter 'stat' here; did you mean `state`?",
    )
    assert refused.json["valid"] == ["author", "lane", "limit", "offset", "q", "service", "stage", "state"]


def test_a_body_that_is_no_json_is_refused_by_its_type(api: Api, story: Story) -> None:
    story.start()
    sent = {"Authorization": "Bearer the token of alex"}
    refused = api.client.post(api.base + "/mode", data='{"reason": "x", "mode": "pause"}', headers=sent)
    assert (refused.status_code, refused.mimetype) == (415, openapi.PROBLEM)
    assert "application/json" in refused.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/api/v1/pipeline", 404, "there is nothing at '/api/v1/pipeline'"),
        ("GET", "/api/v2", 404, "/api lists the addresses"),
        ("DELETE", "/api/v1/pipelines", 405, "does not take DELETE; it takes GET, HEAD, OPTIONS"),
        ("GET", "/api/v1/pipelines/{p}/mode", 405, "it takes OPTIONS, POST"),
        ("GET", "/api/v1/pipelines/x", 404, "there is no pipeline 'x'"),
        ("POST", "/api/v1/pipelines/{p}/mode", 401, "token"),
    ],
)
def test_whatever_is_wrong_is_a_problem_that_says_what_would_be_right(
    client: FlaskClient, story: Story, method: str, path: str, status: int, words: str
) -> None:
    story.start()
    answer = client.open(path.replace("{p}", story.shape.name), method=method)
    assert (answer.status_code, answer.mimetype) == (status, openapi.PROBLEM)
    assert (answer.json["type"], answer.json["status"]) == ("about:blank", status)
    assert answer.json["title"]
    assert words in answer.json["detail"]


def test_a_failure_of_ours_is_a_problem_too(app: Flask) -> None:
    def fail() -> str:
        raise ZeroDivisionError("with a secret")

    app.add_url_rule("/api/fails", view_func=fail)
    answer = app.test_client().get("/api/fails")
    assert (answer.status_code, answer.mimetype) == (500, openapi.PROBLEM)
    assert "secret" not in answer.text


def test_an_answer_with_a_member_that_is_not_described_fails_the_test(app: Flask) -> None:
    (alive,) = [each for each in openapi.described(app) if each.name == "answer_alive"]
    with pytest.raises(AssertionError, match=r"ProcessShape.*more: Extra inputs are not permitted"):
        fits("GET /healthz: 200", alive.operation.answers[200], b'{"status": "ok", "more": 1}')
