"""The doctor finds each thing about a job that would keep a run from getting through, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.core.model.pipeline import Job, Verify
from bot.doctor import Verdict
from bot.jenkins.job_plan import PARAMETERS
from standins.jenkins import JenkinsStandIn
from tests.jenkins.doctor_kit import CALLBACK, NAMES, bad, configured, examined, good_job, of_jobs, standin, trigger


@pytest.fixture
def jenkins() -> Iterator[JenkinsStandIn]:
    with standin() as controller:
        yield controller


def built(jenkins: JenkinsStandIn, name: str = "deploy", **changes: Any) -> None:
    """A good job with a build that has ended, so that every permission can be tried."""
    good_job(jenkins, name, duration_seconds=0.0, quiet_period=0.0, **changes)
    trigger(jenkins, name, "before")
    jenkins.control.wait_idle()


def found(folder: Path, jenkins: JenkinsStandIn, **stage: Any) -> list[tuple[str, str]]:
    return of_jobs(examined(configured(folder, jenkins.url, **stage)))


def test_a_job_that_has_everything_is_good(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins)
    assert found(tmp_path, jenkins) == [("good", "")]


def test_a_job_without_a_build_is_good_and_it_is_said_what_could_not_be_tried(
    tmp_path: Path, jenkins: JenkinsStandIn
) -> None:
    good_job(jenkins)
    assert found(tmp_path, jenkins) == [("good", "the doctor could not test Item/Cancel")]


# -- nothing changes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.204", "2.300", "2.462.3", "2.555"])
@pytest.mark.parametrize("without", ["", "Item/Build", "Item/Cancel", "Item/Configure", "Item/ExtendedRead"])
def test_the_doctor_starts_and_changes_nothing(tmp_path: Path, without: str, version: str) -> None:
    with standin(without=without, version=version, quiet_period=0.0) as jenkins:
        built(jenkins, description="the owner's own text")
        good_job(jenkins, "held", description="a build runs here", duration_seconds=600, quiet_period=0.0)
        trigger(jenkins, "held", "running")
        jenkins.control.wait_builds("held", state="running")
        before = picture(jenkins)
        for job in ("deploy", "held"):
            examined(configured(tmp_path, jenkins.url, job=job))
        assert picture(jenkins) == before
        assert jenkins.control.requests()["POST job/buildWithParameters"] > 0


def picture(jenkins: JenkinsStandIn) -> Any:
    """All that the doctor must leave alone."""
    jobs = jenkins.controller.jobs
    kept = [(name, job.description, job.disabled, job.next_number, len(job.builds)) for name, job in jobs.items()]
    return jenkins.control.queue(), jenkins.control.builds(), kept


def test_a_trigger_that_should_have_been_refused_is_taken_out_of_the_queue(
    tmp_path: Path, jenkins: JenkinsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.jenkins.doctor import job

    built(jenkins)
    once = job._TWICE.replace("INTERLOCK_RUN=doctor&", "", 1)  # as a proxy would that makes one of two
    monkeypatch.setattr(job, "_TWICE", once)
    [(verdict, text)] = found(tmp_path, jenkins)
    assert verdict == "unsure"
    assert "taken it out of Jenkins' queue again" in text
    assert jenkins.control.queue() == []
    assert len(jenkins.control.builds("deploy")) == 1


# -- permissions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permission", "verdict", "words"),
    [
        ("Item/Build", "bad", "Item/Build is missing: Interlock cannot start a build"),
        ("Item/Cancel", "bad", "Item/Cancel is missing: Interlock cannot stop its builds"),
        (
            "Item/Configure",
            "unsure",
            "Item/Configure is missing: Interlock cannot put a banner on it when its stage locks",
        ),
    ],
)
def test_a_missing_permission_is_named_with_its_stage_and_what_fails_without_it(
    tmp_path: Path, permission: str, verdict: str, words: str
) -> None:
    with standin(without=permission) as jenkins:
        built(jenkins)
        [finding] = [f for f in examined(configured(tmp_path, jenkins.url)) if f.subject and f.verdict != "good"]
        assert (str(finding.verdict), finding.found, finding.stage) == (verdict, words, "stage")
        assert f"give the user {permission}" in finding.mend


def test_a_stage_that_never_locks_needs_no_configure(tmp_path: Path) -> None:
    with standin(without="Item/Configure") as jenkins:
        built(jenkins)
        assert found(tmp_path, jenkins, on_failure="report") == [("good", "")]
        assert "POST job/description" not in jenkins.control.requests()


def test_permissions_count_for_each_job_alone(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins, permissions={"interlock": ["Item/Read", "Item/Configure", "Item/Cancel"]})
    assert [words for _, words in found(tmp_path, jenkins)] == ["Item/Build is missing: Interlock cannot start a build"]


def test_what_a_freestyle_job_does_not_ask_for_is_not_claimed(tmp_path: Path) -> None:
    with standin(without="Item/Cancel") as jenkins:
        built(jenkins, kind="freestyle")
        assert found(tmp_path, jenkins) == [("good", "the doctor could not test Item/Cancel")]


def test_a_configuration_that_may_not_be_read_is_no_fault(tmp_path: Path) -> None:
    with standin() as jenkins:
        built(jenkins, permissions={"interlock": ["Item/Read", "Item/Build", "Item/Cancel"]})
        [(verdict, words)] = found(tmp_path, jenkins, on_failure="report")
        assert verdict == "unsure"
        assert "Item/ExtendedRead is missing" in words


# -- the job itself --------------------------------------------------------------------------------------------


def test_a_job_without_the_parameters_is_refused_by_name_and_never_tried(
    tmp_path: Path, jenkins: JenkinsStandIn
) -> None:
    built(jenkins, parameters=NAMES[1:])
    assert found(tmp_path, jenkins) == [("bad", "it does not declare INTERLOCK_RUN")]
    assert jenkins.control.requests().get("POST job/buildWithParameters", 0) == 1  # that of the test itself


@pytest.mark.parametrize(
    ("kind", "words"), [("password", "a password"), ("choice", "a choice"), ("boolean", "a boolean")]
)
def test_a_parameter_that_cannot_hold_the_value_is_found(
    tmp_path: Path, jenkins: JenkinsStandIn, kind: str, words: str
) -> None:
    odd = {"name": "INTERLOCK_SHA", "type": kind, "choices": ["a"] if kind == "choice" else []}
    built(jenkins, parameters=[odd if name == "INTERLOCK_SHA" else name for name, _ in PARAMETERS])
    assert found(tmp_path, jenkins) == [("bad", f"its parameter INTERLOCK_SHA is {words}")]


def test_a_text_parameter_will_do(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins, parameters=[{"name": name, "type": "text"} for name in NAMES])
    assert found(tmp_path, jenkins) == [("good", "")]


def test_a_missing_job_is_answered_with_what_is_like_it(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    good_job(jenkins, "shop/acceptance")
    good_job(jenkins, "shop/production")
    text = bad(examined(configured(tmp_path, jenkins.url, job="shop/acceptence"))).found
    assert text == (
        "it does not exist, or Interlock may not read it: the folder shop has no acceptence; there is acceptance"
    )
    text = bad(examined(configured(tmp_path, jenkins.url, job="store/acceptance"))).found
    assert text == "it does not exist, or Interlock may not read it: the top folder has no store; there is shop"


def test_a_folder_is_no_job(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    good_job(jenkins, "shop/acceptance")
    finding = bad(examined(configured(tmp_path, jenkins.url, job="shop")))
    assert finding.found == "it is a folder, not a job (Folder)"
    assert "shop/acceptance" in finding.mend


def test_a_name_in_another_case_is_found(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins, "Deploy")
    assert found(tmp_path, jenkins) == [("bad", "its name in Jenkins is Deploy")]


def test_a_disabled_job_is_found(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins)
    jenkins.control.change_job("deploy", {"disabled": True})
    assert found(tmp_path, jenkins) == [("bad", "it is disabled")]


def test_a_job_that_runs_one_at_a_time_where_several_fit_is_mentioned(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins, concurrent=False)
    words = "it runs one build at a time, but its stage has room for several"
    assert found(tmp_path, jenkins, capacity=3) == [("unsure", words)]
    assert found(tmp_path, jenkins, capacity=1) == [("good", "")]


def test_a_job_whose_builds_end_each_other_is_found(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins, concurrent=False, abort_previous=True)
    assert [verdict for verdict, _ in found(tmp_path, jenkins, capacity=1)] == ["unsure"]
    assert "bad" in [verdict for verdict, _ in found(tmp_path, jenkins, capacity=3)]


def test_a_job_that_does_not_call_back_works_but_is_mentioned(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins, callbacks=[])
    words = "it does not call back when a build starts or ends, as far as the doctor can see"
    assert found(tmp_path, jenkins) == [("unsure", words)]


def test_a_branch_of_a_multibranch_project_is_a_job_like_any_other(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    built(jenkins, "shop/feature%2Fx", callbacks=[CALLBACK])
    assert found(tmp_path, jenkins, job="shop/feature%2Fx") == [("good", "")]


def test_a_controller_that_stops_answering_is_asked_no_more(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    configuration = configured(tmp_path, jenkins.url, others=[f"s{number}" for number in range(40)])
    jenkins.control.fault("drop_request", "GET job/api/json")
    told = of_jobs(examined(configuration))
    assert {verdict for verdict, _ in told} == {"bad"}
    assert told[-1][1] == "not checked: the controller has stopped answering"
    assert jenkins.control.requests()["GET job/api/json"] < 20


def test_the_job_for_pull_requests_must_declare_their_number(tmp_path: Path) -> None:
    with standin() as jenkins:
        good_job(jenkins)
        good_job(jenkins, "verify")
        configuration = configured(tmp_path, jenkins.url)
        verify = Verify(Job("cdp", "verify"))
        configuration = replace(configuration, pipelines=(replace(configuration.pipelines[0], verify=verify),))
        lacking = [f for f in examined(configuration) if f.subject is not None and f.verdict is Verdict.BAD]
        assert [(f.subject, f.stage, f.found) for f in lacking] == [
            ("job verify", "verify", "it does not declare INTERLOCK_PULL")
        ]
