"""`interlock doctor` and `interlock jenkins-jobs`: what they print, and with what they end."""

from pathlib import Path

import pytest
import yaml

from config.jobs.plan import PARAMETERS
from standins.jenkins import JenkinsStandIn
from tests.cli.conftest import typed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "interlock.yaml").write_text(typed("example").stdout)
    return tmp_path


def test_the_doctor_says_what_is_good_and_what_is_not_and_how_to_mend_it(here: Path) -> None:
    names = [name for name, _ in PARAMETERS]
    with JenkinsStandIn(settings={"users": {"interlock": {"tokens": ["t"], "permissions": ["*"]}}}) as jenkins:
        jenkins.control.create_job("deploy", parameters=names[1:])
        stage = {"name": "stage", "job": "cdp: deploy", "capacity": 1, "on_failure": "lock"}
        file = {
            "controllers": {"cdp": {"url": jenkins.url, "user": "interlock"}},
            "pipelines": [{"name": "p", "stages": [stage], "services": [{"name": "S1", "repository": "shop/s1"}]}],
        }
        (here / "interlock.yaml").write_text(yaml.safe_dump(file))
        told = typed("doctor", INTERLOCK_JENKINS_TOKEN_CDP="t")
    assert told.exit_code == 1
    assert "ok     controller cdp: Jenkins" in told.stdout
    assert "BAD    job deploy on cdp: it does not declare INTERLOCK_RUN\n       → Jenkins drops" in told.stdout
    assert "BAD    github: there is neither an App nor a token\n       → make a GitHub App" in told.stdout
    assert told.stdout.endswith("2 to mend before runs get through.\n")


def test_jobs_come_out_in_each_form(here: Path) -> None:
    assert typed("jenkins-jobs").stdout.count("pipelineJob(") == 6
    assert typed("jenkins-jobs", "--controller", "build").stdout.count("pipelineJob(") == 1
    jjb = yaml.safe_load(typed("jenkins-jobs", "--form", "jjb").stdout)
    assert [item["job"]["name"] for item in jjb][:2] == ["shop", "shop/build"]
    assert typed("jenkins-jobs", "--form", "jenkinsfile", "--job", "shop/build").stdout.count("stage('build')") == 1


def test_an_unknown_controller_is_answered_with_those_there_are(here: Path) -> None:
    told = typed("jenkins-jobs", "--controller", "cpd")
    assert told.exit_code == 1
    assert "there are build, cdp" in told.output
