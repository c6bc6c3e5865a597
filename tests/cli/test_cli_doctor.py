"""`interlock doctor` and `interlock jenkins-jobs`: what they print, and with what they end."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from bot.jenkins.job_plan import PARAMETERS
from standins.github import GitHubStandIn
from standins.jenkins import JenkinsStandIn
from tests.cli.conftest import typed
from tests.example_file import write_example


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path / "interlock.yaml")
    return tmp_path


NAMES = [name for name, _ in PARAMETERS]
REPO = {"full_name": "shop/s1", "hook": {"url": "http://127.0.0.1:1/webhooks/github", "secret": "s3cret"}}
TOKENS = {"INTERLOCK_JENKINS_TOKEN_CDP": "token", "INTERLOCK_GITHUB_TOKEN": "token"}
CALLBACK = {"url": "http://127.0.0.1:1/", "credential": "interlock-callback-cdp", "timeout": 5.0}


@contextmanager
def hospital(here: Path, jobs: Mapping[str, list[str]]) -> Iterator[str]:
    """A controller with these jobs, each with its parameters, and a stage for each; the address of it."""
    users = {"interlock": {"tokens": ["token"], "permissions": ["*"]}}
    with JenkinsStandIn(settings={"users": users}) as jenkins, GitHubStandIn(repos=[REPO]) as github:
        for name, parameters in jobs.items():
            jenkins.control.create_job(name, parameters=parameters, callbacks=[CALLBACK])
        stages = [{"name": f"stage-{name}", "job": f"cdp: {name}", "capacity": 1} for name in jobs]
        file = {
            "controllers": {"cdp": {"url": jenkins.url, "user": "interlock"}},
            "pipelines": [{"name": "p", "stages": stages, "services": [{"name": "S1", "repository": "shop/s1"}]}],
            "web": {"public_url": "http://127.0.0.1:1"},
            "github": {"api_url": github.url},
        }
        (here / "interlock.yaml").write_text(yaml.safe_dump(file))
        yield jenkins.url


def test_the_doctor_says_what_is_bad_before_what_is_good_and_how_to_mend_it(here: Path) -> None:
    with hospital(here, {"test": NAMES, "deploy": NAMES[1:]}) as url:
        told = typed(
            "doctor",
            INTERLOCK_JENKINS_TOKEN_CDP="token",
            INTERLOCK_GITHUB_TOKEN="token",
            INTERLOCK_JENKINS_WEBHOOK_SECRET="a-long-enough-secret",
        )
    assert told.exit_code == 1
    lines = told.stdout.splitlines()
    assert lines[0] == f"controller cdp  {url}"
    assert lines[1] == "  BAD     job deploy (stage-deploy): it does not declare INTERLOCK_RUN"
    assert lines[2].startswith("          → declare them in the job as strings")
    assert lines[3].startswith("  unsure  callbacks: http://127.0.0.1:1 refuses the connection")
    assert lines[5:7] == [
        "  ok      Jenkins 2.555 answers interlock",
        "  ok      job test (stage-test): the doctor could not test Item/Cancel",
    ]
    assert lines[7].startswith("GitHub  http://127.0.0.1:")
    assert "  ok      repository shop/s1: Interlock can read it and its branch `main`" in lines
    assert lines[-1].startswith("1 to mend before runs get through. ")
    assert "s3cret" not in told.output


def test_a_hundred_jobs_stay_readable(here: Path) -> None:
    jobs = {f"j{number:03}": NAMES[1:] if number % 4 == 0 else NAMES for number in range(100)}
    with hospital(here, jobs):
        told = typed("doctor", **TOKENS)
    lines = told.stdout.splitlines()
    assert lines[1] == (
        "  BAD     jobs j000 (stage-j000), j004 (stage-j004), j008 (stage-j008), j012 (stage-j012) and 21 more: "
        "it does not declare INTERLOCK_RUN"
    )
    assert "  ok      75 jobs: the doctor could not test Item/Cancel" in lines
    assert len(lines) < 20


def test_programs_get_every_finding_and_the_same_exit_code(here: Path) -> None:
    with hospital(here, {"test": NAMES, "deploy": NAMES[1:]}):
        told = typed("doctor", "--json", **TOKENS)
    rows = json.loads(told.stdout)
    assert told.exit_code == 1
    bad = [row for row in rows if row["verdict"] == "bad"]
    assert bad[0]["mend"].startswith("declare them in the job as strings")
    assert bad == [
        {
            "verdict": "bad",
            "system": "controller cdp",
            "subject": "job deploy",
            "stage": "stage-deploy",
            "found": "it does not declare INTERLOCK_RUN",
            "mend": bad[0]["mend"],
        }
    ]


def test_without_anything_bad_the_doctor_ends_well(here: Path) -> None:
    with hospital(here, {"test": NAMES}):
        told = typed("doctor", **TOKENS)
    assert told.exit_code == 0
    assert told.stdout.splitlines()[-1].startswith("Runs get through. ")


def test_jobs_come_out_in_each_form(here: Path) -> None:
    assert typed("jenkins-jobs").stdout.count("pipelineJob(") == 7
    assert typed("jenkins-jobs", "--controller", "build").stdout.count("pipelineJob(") == 2
    jjb = yaml.safe_load(typed("jenkins-jobs", "--form", "jjb").stdout)
    assert [item["job"]["name"] for item in jjb][:2] == ["shop", "shop/build"]
    assert typed("jenkins-jobs", "--form", "jenkinsfile", "--job", "shop/build").stdout.count("stage('build')") == 1


def test_an_unknown_controller_is_answered_with_those_there_are(here: Path) -> None:
    told = typed("jenkins-jobs", "--controller", "cpd")
    assert told.exit_code == 1
    assert "there are build, cdp" in told.output
