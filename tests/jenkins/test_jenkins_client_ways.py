"""The client reaches a controller by TLS, below a context path, and the job of a branch with a slash in its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.model.pipeline import Job
from bot.effect_outcomes import RetryLater
from bot.jenkins import attempts, builds
from bot.jenkins.callbacks import build_of, job_of
from bot.jenkins.client import JenkinsClient
from config.configuration import Configuration, Controller, job_path
from standins.jenkins import JenkinsStandIn
from standins.wire.message import Reply, Request
from standins.wire.server import HttpServer
from tests.jenkins.doctor_kit import configured, good_job, standin
from tests.workers.tls import tls_before

BRANCH = "shop/feature%2Fx"


@pytest.fixture
def jenkins() -> Iterator[JenkinsStandIn]:
    with standin(context="/ci/jenkins", quiet_period=0.0) as controller:
        yield controller


def controller(configuration: Configuration) -> Controller:
    return configuration.controllers["cdp"]


def test_a_certificate_of_an_unknown_authority_is_refused_for_certain(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    with tls_before(int(jenkins.base.rpartition(":")[2]), tmp_path) as (port, _):
        wary = JenkinsClient(controller(configured(tmp_path, f"https://127.0.0.1:{port}/ci/jenkins")), "token")
        with pytest.raises(RetryLater):
            wary.get(job_path("deploy"))
        with pytest.raises(RetryLater) as refused:
            wary.ask("POST", "job/deploy/buildWithParameters", data={"INTERLOCK_RUN": "S1.1"}, expect=(201,))
        assert refused.value.certain  # the crumb could not be fetched, so nothing was posted
    assert jenkins.control.requests() == {}


def test_with_ca_bundle_the_same_certificate_is_trusted(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    good_job(jenkins)
    with tls_before(int(jenkins.base.rpartition(":")[2]), tmp_path) as (port, certificate):
        url = f"https://127.0.0.1:{port}/ci/jenkins"
        configuration = configured(tmp_path, url, controller={"ca_bundle": certificate.name})  # beside the file
        trusting = JenkinsClient(controller(configuration), "token")
        assert trusting.get(job_path("deploy"), "fullName")["fullName"] == "deploy"
        done = trusting.ask("POST", "job/deploy/buildWithParameters", data={"INTERLOCK_RUN": "S1.1"}, expect=(201,))
        assert "/ci/jenkins/queue/item/" in done.headers["Location"]


@pytest.mark.parametrize(
    "token", ["token", "password"]
)  # without and with a crumb, whose cookie is for the context path
def test_a_branch_below_a_context_path_is_built_found_described_and_stopped(
    tmp_path: Path, jenkins: JenkinsStandIn, token: str
) -> None:
    good_job(jenkins, BRANCH, duration_seconds=600)
    configuration = configured(tmp_path, jenkins.url, job=BRANCH)
    job = configuration.pipelines[0].stages[0].job
    assert job == Job("cdp", BRANCH)
    client = JenkinsClient(controller(configuration), token)
    path = job_path(BRANCH)
    assert path == "job/shop/job/feature%252Fx"
    data = {builds.RUN: "S1.1", builds.ATTEMPT: "1", "delay": "0sec"}
    client.ask("POST", f"{path}/buildWithParameters", data=data, expect=(201,))
    [build] = jenkins.control.wait_builds(BRANCH, state="running")
    found = attempts.find(client, job, attempts.AttemptParameters("S1.1", 1, ""))
    assert found is not None
    assert (found.build or {})["number"] == build["number"]
    client.ask("POST", f"{path}/description", data={"description": "locked"}, expect=(204,))
    assert client.ask("GET", f"{path}/description").text == "locked"
    client.ask("POST", f"{path}/{build['number']}/stop", expect=(302,))
    jenkins.control.wait_builds(BRANCH, state="done")
    assert client.get(f"{path}/{build['number']}", "result")["result"] == "ABORTED"


def test_a_waiting_build_of_a_branch_is_found_in_the_queue(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    good_job(jenkins, BRANCH, quiet_period=600.0)
    client = JenkinsClient(controller(configured(tmp_path, jenkins.url, job=BRANCH)), "token")
    data = {builds.RUN: "S1.1", builds.ATTEMPT: "1"}
    client.ask("POST", f"{job_path(BRANCH)}/buildWithParameters", data=data, expect=(201,))
    found = attempts.find(client, Job("cdp", BRANCH), attempts.AttemptParameters("S1.1", 1, ""))
    assert found is not None
    assert found.item == jenkins.control.queue()[0]["id"]


def test_the_callback_of_a_branch_names_the_job_as_the_pipeline_file_does(
    tmp_path: Path, jenkins: JenkinsStandIn
) -> None:
    bodies: list[bytes] = []

    def door(request: Request) -> Reply:
        bodies.append(request.body)
        return Reply(202)

    with HttpServer(door) as server:
        good_job(jenkins, BRANCH, duration_seconds=0.0, callbacks=[{"url": f"http://127.0.0.1:{server.port}/"}])
        client = JenkinsClient(controller(configured(tmp_path, jenkins.url, job=BRANCH)), "token")
        client.ask("POST", f"{job_path(BRANCH)}/buildWithParameters", data={"delay": "0sec"}, expect=(201,))
        jenkins.control.wait_builds(BRANCH, state="done")
        jenkins.control.wait_idle()
    assert {(job_of(json.loads(body)), build_of(json.loads(body))) for body in bodies} == {(BRANCH, 1)}


def test_a_cloud_event_names_the_job_and_the_build() -> None:
    """As the CloudEvents plugin sends it (plugin: `Stage#buildJobModel`, camel case): `name` is the short one."""
    body = {"name": "feature%2Fx", "url": "job/shop/job/feature%252Fx/", "build": {"number": 7, "phase": "FINALIZED"}}
    assert (job_of(body), build_of(body)) == (BRANCH, 7)
