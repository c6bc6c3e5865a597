"""What Jenkins' callbacks mean: a hint to look at one build, or nothing."""

import pytest

from bot.core.model.events import BuildHinted
from bot.core.model.pipeline import Outcome
from bot.jenkins import callbacks


def callback(**build: object) -> dict[str, object]:
    return {"name": "deploy", "url": "job/team/job/deploy/", "build": {"number": 7, "phase": "STARTED", **build}}


def test_the_full_name_is_read_from_the_path_for_the_plugin_sends_only_the_short_one() -> None:
    assert callbacks.events("cdp", callback()) == [BuildHinted("cdp", "team/deploy", 7)]


def test_a_branch_job_has_its_name_as_jenkins_keeps_it() -> None:
    assert callbacks.job_of({"url": "job/mb/job/feature%252Fx/"}) == "mb/feature%2Fx"


def test_a_context_path_does_not_matter() -> None:
    assert callbacks.job_of({"url": "https://ci.example/jenkins/job/a/job/b/"}) == "a/b"


def test_our_own_curl_names_the_job_in_full_and_the_build_as_text() -> None:
    assert callbacks.events("cdp", {"job": "team/deploy", "build": "12"}) == [BuildHinted("cdp", "team/deploy", 12)]


@pytest.mark.parametrize("phase", ["STARTED", "COMPLETED", "FINALIZED"])
def test_every_phase_but_queued_is_a_hint(phase: str) -> None:
    assert callbacks.events("cdp", callback(phase=phase))
    assert callbacks.events("cdp", callback(phase="QUEUED")) == []


@pytest.mark.parametrize(
    "payload",
    [{}, {"build": None}, {"url": "job/x/", "build": {"number": -1}}, {"url": 3, "build": {"number": 1}}, {"job": "x"}],
)
def test_a_callback_without_job_or_build_means_nothing(payload: dict[str, object]) -> None:
    assert callbacks.events("cdp", payload) == []


#: What the CloudEvents plugin puts into the body of an event about a build: its job and build models, with nulls.
EVENT_DATA: dict[str, object] = {
    "userId": "SYSTEM",
    "name": "deploy",
    "displayName": "deploy",
    "url": "job/team/job/deploy/",
    "build": {"number": 7, "queueId": 41, "phase": "STARTED", "status": None, "url": "job/team/job/deploy/7/"},
}
ATTRIBUTES = {"specversion": "1.0", "id": "4f1c", "type": "org.jenkinsci.job.started", "source": "job/deploy"}
HEADERS = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}


def test_the_body_of_a_cloudevent_is_a_hint_by_itself_in_either_mode() -> None:
    hint = [BuildHinted("cdp", "team/deploy", 7)]
    assert callbacks.events("cdp", EVENT_DATA) == hint
    assert callbacks.events("cdp", {**ATTRIBUTES, "data": EVENT_DATA}) == hint


def test_an_event_is_told_by_its_headers_or_by_its_envelope() -> None:
    event = callbacks.CloudEvent("org.jenkinsci.job.started", "job/deploy", "4f1c")
    assert callbacks.cloud_event(HEADERS, EVENT_DATA) == event
    assert callbacks.cloud_event({}, {**ATTRIBUTES, "data": EVENT_DATA}) == event
    assert callbacks.cloud_event({}, callback()) is None
    assert callbacks.cloud_event({"ce-type": "x"}, callback()) is None
    assert callbacks.cloud_event({"ce-specversion": "1.0"}, {}) == callbacks.CloudEvent("", "", "")


@pytest.mark.parametrize("missing", sorted(ATTRIBUTES))
def test_an_envelope_without_one_of_the_attributes_is_none(missing: str) -> None:
    envelope = {name: value for name, value in ATTRIBUTES.items() if name != missing} | {"data": EVENT_DATA}
    assert callbacks.cloud_event({}, envelope) is None
    assert callbacks.events("cdp", envelope) == []


@pytest.mark.parametrize("data", [None, "text", [EVENT_DATA], {}, {"jenkinsQueueId": 41, "status": "LEFT"}])
def test_an_event_that_names_no_build_means_nothing(data: object) -> None:
    assert callbacks.events("cdp", {**ATTRIBUTES, "data": data}) == []
    assert callbacks.events("cdp", ATTRIBUTES) == []


def test_events_about_the_queue_are_told_apart() -> None:
    left = callbacks.CloudEvent("org.jenkinsci.queue.left", "job/deploy", "1")
    assert left.is_about_the_queue
    assert not left._replace(type="org.jenkinsci.job.completed").is_about_the_queue


def test_a_huge_build_number_as_text_is_none() -> None:
    assert callbacks.build_of({"build": "9" * 5000}) is None


def test_an_unknown_result_counts_as_a_failure() -> None:
    assert callbacks.outcome("EXPLODED") is Outcome.FAILURE
    assert callbacks.outcome("SUCCESS") is Outcome.SUCCESS
    assert callbacks.outcome(None) is None
