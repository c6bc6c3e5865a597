"""The doctor finds each thing that would keep a run from getting through, on a Jenkins that has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from config import pipeline_file
from config.configuration import Configuration
from config.jobs.plan import PARAMETERS
from config.settings import Settings
from standins.jenkins import JenkinsStandIn
from workers.doctor import Finding, Verdict, examine_jenkins

NAMES = [name for name, _ in PARAMETERS]
USERS = {"interlock": {"password": "p", "tokens": ["token"], "permissions": ["*"]}}


@pytest.fixture
def jenkins() -> Iterator[JenkinsStandIn]:
    with JenkinsStandIn(settings={"users": USERS}) as standin:
        yield standin


def configured(tmp_path: Path, jenkins: JenkinsStandIn, capacity: int = 1) -> Configuration:
    stage = {"name": "stage", "job": "cdp: deploy", "capacity": capacity, "on_failure": "lock"}
    file = {
        "controllers": {"cdp": {"url": jenkins.url, "user": "interlock", "timeout": "2s"}},
        "pipelines": [{"name": "p", "stages": [stage], "services": [{"name": "S1", "repository": "shop/s1"}]}],
    }
    path = tmp_path / "interlock.yaml"
    path.write_text(yaml.safe_dump(file), "utf-8")
    return pipeline_file.load(path)


def examined(configuration: Configuration, token: str = "token") -> list[Finding]:
    return list(examine_jenkins(configuration, Settings(jenkins_tokens={"CDP": SecretStr(token)})))


def bad(findings: list[Finding]) -> list[str]:
    return [f"{f.what}: {f.found}" for f in findings if f.verdict is Verdict.BAD]


def callback(jenkins: JenkinsStandIn) -> list[dict[str, str]]:
    return [{"url": "http://127.0.0.1:1/webhooks/jenkins/cdp/secret"}]


def test_a_job_that_has_everything_is_good(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    jenkins.control.create_job("deploy", parameters=NAMES, callbacks=callback(jenkins))
    findings = examined(configured(tmp_path, jenkins))
    assert [f.verdict for f in findings] == [Verdict.GOOD, Verdict.GOOD]
    assert "answers interlock" in findings[0].found


def test_a_job_without_the_parameters_is_refused_by_name(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    jenkins.control.create_job("deploy", parameters=NAMES[1:], callbacks=callback(jenkins))
    assert bad(examined(configured(tmp_path, jenkins))) == ["job deploy on cdp: it does not declare INTERLOCK_RUN"]


def test_a_missing_job_is_found(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    assert bad(examined(configured(tmp_path, jenkins))) == ["job deploy on cdp: it is not there, or may not be read"]


def test_a_disabled_job_is_found(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    jenkins.control.create_job("deploy", parameters=NAMES, callbacks=callback(jenkins), disabled=True)
    assert bad(examined(configured(tmp_path, jenkins))) == ["job deploy on cdp: it is disabled"]


def test_a_job_that_runs_one_at_a_time_where_several_fit_is_mentioned(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    jenkins.control.create_job("deploy", parameters=NAMES, callbacks=callback(jenkins), concurrent=False)
    unsure = [f.found for f in examined(configured(tmp_path, jenkins, capacity=3)) if f.verdict is Verdict.UNSURE]
    assert unsure == ["it runs one build at a time, but its stage has room for several"]


def test_a_job_that_does_not_call_back_works_but_is_mentioned(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    jenkins.control.create_job("deploy", parameters=NAMES)
    unsure = [f.found for f in examined(configured(tmp_path, jenkins)) if f.verdict is Verdict.UNSURE]
    assert unsure == ["it does not call back when a build starts or ends"]


def test_a_wrong_token_is_found_and_not_repeated(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    [finding] = examined(configured(tmp_path, jenkins), token="wr0ng-t0ken")
    assert finding.verdict is Verdict.BAD
    assert "401" in finding.found
    assert "wr0ng-t0ken" not in f"{finding}"


def test_a_controller_out_of_reach_is_found(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    configuration = configured(tmp_path, jenkins)
    jenkins.stop()
    assert bad(examined(configuration)) == ["controller cdp: cdp cannot be reached"]


def test_a_jenkins_that_prepares_to_shut_down_is_mentioned(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    jenkins.control.create_job("deploy", parameters=NAMES, callbacks=callback(jenkins))
    jenkins.control.quiet_down()
    unsure = [f.found for f in examined(configured(tmp_path, jenkins)) if f.verdict is Verdict.UNSURE]
    assert unsure == ["it prepares to shut down"]
