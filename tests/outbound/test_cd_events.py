"""What is sent as CDEvents is valid by the schemas of CDEvents themselves (tests/outbound/cdevents), and says the same
as the fact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Message, RunFailed, Verbatim, Who
from bot.core.model.pipeline import VERIFY, Outcome, Pipeline, Step
from bot.outbound import cd_events
from bot.outbound.payload import outbound_fact
from bot.store.codec import RecordedFact
from config.configuration import Configuration, Controller, GitHubSettings, WebSettings
from config.notices import WebhookFormat
from demo.pipeline import pipeline as pictures
from tests.core.town import Town
from tests.outbound.conftest import Open
from tests.outbound.receiver import SECRET, Receiver, signature_by_openssl

SCHEMAS = Path(__file__).parent / "cdevents"
SHA = "b22c32c" + "0" * 33
WHO = Who("S1", SHA)


def deploying() -> Pipeline:
    """The pipeline of the four pictures, rolled out to environments."""
    made = pictures("shop")
    names = {"pre-production": "staging", "production": "live"}
    return replace(made, stages=tuple(replace(each, environment=names.get(each.name, "")) for each in made.stages))


PIPELINE = deploying()
HERE = Configuration(
    (PIPELINE,),
    {"cdp": Controller("cdp", "https://cdp.shop.test/jenkins", "interlock")},
    web=WebSettings("https://interlock.shop.test"),
)


@cache
def schemas() -> tuple[dict[str, Any], Registry[Any]]:
    """The schema of each type of event, and what they refer to."""
    loaded = [json.loads(file.read_text("utf-8")) for file in sorted(SCHEMAS.rglob("*.json"))]
    registry: Registry[Any] = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in loaded)
    types = {
        each["properties"]["context"]["properties"]["type"]["default"]: each
        for each in loaded
        if "default" in each.get("properties", {}).get("context", {}).get("properties", {}).get("type", {})
    }
    return types, registry


def told(fact: Fact, configuration: Configuration = HERE) -> list[dict[str, Any]]:
    """The events about a fact, each checked by its schema."""
    pipeline = configuration.pipelines[0]
    found = outbound_fact(configuration, pipeline, "1796072709120-0", RecordedFact(1796072709.12, "1-0", fact))
    return [valid(message.body, message.headers) for message in cd_events.messages(found)]


def valid(raw: bytes, headers: Any) -> dict[str, Any]:
    """An event that its schema and the binding to CloudEvents allow."""
    types, registry = schemas()
    event: dict[str, Any] = json.loads(raw)
    context = event["context"]
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator(types[context["type"]], registry=registry, format_checker=checker).validate(event)
    assert {name: headers[name] for name in headers if name.startswith("ce-")} == {
        "ce-specversion": "1.0",
        "ce-id": context["id"],
        "ce-source": context["source"],
        "ce-type": context["type"],
        "ce-subject": event["subject"]["id"],
        "ce-time": context["timestamp"],
    }
    return event


def valid_custom(raw: bytes) -> dict[str, Any]:
    """An event of a type that CDEvents does not define, in the form that it wants for those."""
    event: dict[str, Any] = json.loads(raw)
    schema = json.loads((SCHEMAS / "custom.json").read_text("utf-8"))
    Draft202012Validator(schema, registry=schemas()[1]).validate(event)
    return event


def test_an_event_that_is_not_valid_is_found() -> None:
    (event,) = told(Fact(FactKind.BUILD_STARTED, Verbatim("x"), "S1.4", "S1", SHA, Step("acceptance"), build=3))
    event["subject"]["content"]["stage"] = "acceptance"
    with pytest.raises(ValidationError, match="Additional properties are not allowed"):
        valid(json.dumps(event).encode(), {})


def short(event: dict[str, Any]) -> tuple[str, str]:
    return event["context"]["type"].removeprefix("dev.cdevents.").removesuffix(".0.3.0"), event["subject"]["id"]


def story() -> Iterator[Fact]:
    """The four pictures, as the rules decide them: a lock, its fix, and a production that is reached."""
    town = Town(PIPELINE)
    for service, letter in ("S1", "a"), ("S2", "a"), ("S1", "b"):
        town.merge_up_to(service, letter, before="pre-production")
    town.fail_build("S1a", tests=("CheckoutTest",))
    town.merge("S1", "e")
    for _ in range(4):
        town.pass_build("S1e")
    town.pass_build("S1e")
    town.merge_up_to("S3", "x", before="acceptance")
    town.cancel("S3x")
    yield from town.facts


def test_every_event_of_the_four_pictures_is_valid() -> None:
    events = [event for fact in story() for event in told(fact)]
    kinds = {short(event)[0] for event in events}
    assert kinds == {
        "change.merged",
        "pipelinerun.queued",
        "pipelinerun.started",
        "pipelinerun.finished",
        "taskrun.started",
        "taskrun.finished",
        "service.deployed",
        "incident.detected",
        "incident.resolved",
    }
    named = [event["context"]["id"] for fact in story() for event in told(fact)]
    assert len(named) == len(events)


def test_a_run_begins_and_ends_once() -> None:
    by_run: dict[str, list[str]] = {}
    for fact in story():
        for event in told(fact):
            kind, subject = short(event)
            if kind.startswith("pipelinerun"):
                by_run.setdefault(subject, []).append(kind.removeprefix("pipelinerun."))
    assert by_run["S1.3"] == ["queued", "started", "finished"]
    assert all(each[:2] == ["queued", "started"] for each in by_run.values())
    assert all(each.count("finished") <= 1 for each in by_run.values())


def test_a_lock_is_one_incident_from_its_beginning_to_its_end() -> None:
    found = [event for fact in story() for event in told(fact) if short(event)[0].startswith("incident")]
    assert [short(event) for event in found] == [
        ("incident.detected", "pre-production/S1.1"),
        ("incident.resolved", "pre-production/S1.1"),
    ]
    assert found[0]["subject"]["content"]["environment"] == {"id": "staging"}
    assert found[0]["subject"]["content"]["service"] == {"id": "S1"}


def test_the_lock_of_a_person_is_no_incident() -> None:
    fact = Fact(FactKind.STAGE_LOCKED, Verbatim("maintenance"), step=Step("production"), by="ann")
    assert told(fact) == []


def test_a_build_that_passed_where_it_rolls_out_is_a_deployment_of_its_commit() -> None:
    fact = Fact(FactKind.BUILD_PASSED, Verbatim("x"), "S1.4", "S1", SHA, Step("production"), build=17)
    finished, deployed = told(fact)
    assert short(finished) == ("taskrun.finished", "S1.4/production/17")
    assert finished["subject"]["content"] == {
        "taskName": "production",
        "uri": "https://cdp.shop.test/jenkins/job/shop/job/production/17/",
        "pipelineRun": {"id": "S1.4", "source": "https://interlock.shop.test/p/shop"},
        "outcome": "success",
    }
    assert short(deployed) == ("service.deployed", "S1")
    assert deployed["subject"]["content"] == {
        "environment": {"id": "live"},
        "artifactId": f"pkg:github/shop/s1@{SHA}",
    }
    assert finished["context"]["id"] != deployed["context"]["id"]


def test_the_commit_of_another_github_is_named_with_its_address() -> None:
    elsewhere = replace(HERE, github=GitHubSettings(web_url="https://ghe.shop.test"))
    fact = Fact(FactKind.BUILD_PASSED, Verbatim("x"), "S1.4", "S1", SHA, Step("production"), build=17)
    artifact = told(fact, elsewhere)[1]["subject"]["content"]["artifactId"]
    assert artifact == f"pkg:github/shop/s1@{SHA}?repository_url=https://ghe.shop.test/shop/s1"


@pytest.mark.parametrize(
    ("why", "outcome"),
    [
        (RunFailed(WHO, Step("acceptance"), Outcome.FAILURE, ("CheckoutTest.pays",)), "failure"),
        (RunFailed(WHO, Step("acceptance"), Outcome.UNSTABLE), "failure"),
        (RunFailed(WHO, Step("acceptance"), Outcome.TIMEOUT), "failure"),
        (RunFailed(WHO, Step("acceptance"), Outcome.ABORTED, by="kim"), "cancel"),
        (RunFailed(WHO, Step("acceptance"), Outcome.NOT_BUILT), "cancel"),
        (RunFailed(WHO, Step("acceptance"), Outcome.FAILURE, lost="Jenkins does not know it"), "error"),
    ],
)
def test_how_a_build_ended_is_one_of_the_outcomes(why: Message, outcome: str) -> None:
    (event,) = told(Fact(FactKind.BUILD_FAILED, why, "S1.4", "S1", SHA, Step("acceptance"), build=3))
    assert event["subject"]["content"]["outcome"] == outcome
    assert "S1 b22c32c" in event["subject"]["content"]["errors"]


def test_a_pull_request_is_verified_by_a_task_of_no_pipeline_run() -> None:
    fact = Fact(FactKind.BUILD_STARTED, Verbatim("x"), "S1.pr12-3", "S1", SHA, VERIFY, build=3)
    (event,) = told(fact)
    assert "pipelineRun" not in event["subject"]["content"]


@pytest.mark.parametrize("kind", list(FactKind))
def test_whatever_is_in_a_fact_what_is_made_of_it_is_valid(kind: FactKind) -> None:
    for fact in (
        Fact(kind, Verbatim("x")),
        Fact(kind, Verbatim("x"), "S1.4", "S1", SHA, Step("build"), "ann", 3, "shop/s1#12"),
        Fact(kind, Verbatim("x"), "S9.4", "S9", SHA, Step("gone"), "ann", 3, "shop/s1#12"),
    ):
        told(fact)


def test_both_events_of_a_fact_arrive_signed_and_each_is_tried_again_alone(open_desk: Open, receiver: Receiver) -> None:
    desk = open_desk(format=WebhookFormat.CDEVENTS)
    desk.pipeline = replace(PIPELINE, name=desk.pipeline.name)
    desk.configuration = replace(desk.configuration, pipelines=(desk.pipeline,))
    desk.start()
    receiver.answer = lambda taken: (503 if len(receiver.requests) == 2 else 202, {})
    desk.tell("a fact that ends a run")
    desk.commit(Fact(FactKind.BUILD_PASSED, Verbatim("x"), "S1.4", "S1", SHA, Step("production"), build=17))
    desk.commit(Fact(FactKind.CONTAINMENT_ASKED, Verbatim("no event"), service="S1"))
    desk.deliver()
    for request in receiver.requests:
        valid(request.raw, request.headers)
        assert request.headers["x-interlock-signature-256"] == signature_by_openssl(SECRET, request.raw)
        assert request.delivery == request.body["context"]["id"]
    kinds = [short(each.body)[0] for each in receiver.requests]
    assert kinds == ["pipelinerun.finished", "taskrun.finished", "taskrun.finished", "service.deployed"]
