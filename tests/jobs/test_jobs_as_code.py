"""The printed jobs are what Jenkins' own tools read: Jenkins Job Builder's parser makes the right XML of ours."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bot.doctor import Subject
from bot.jenkins.doctor import job_settings
from bot.jenkins.job_plan import PARAMETERS, PULL, plans
from bot.jenkins.jobs_as_code import jenkinsfile, jjb, job_dsl, quoted, script
from config import pipeline_file
from config.configuration import Configuration
from standins.wire.message import Reply, Request
from standins.wire.server import HttpServer
from tests.example_file import write_example

pytestmark = pytest.mark.slow  # Job Builder in a process of its own

NAMES = [name for name, _ in (*PARAMETERS, PULL)]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    return pipeline_file.load(write_example(tmp_path_factory.mktemp("file") / "interlock.yaml"))


@pytest.fixture(scope="module")
def xml(configuration: Configuration, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ET.Element]:
    """What Jenkins Job Builder makes of our YAML: the XML of each job, by name. Its own command, in its own process."""
    folder = tmp_path_factory.mktemp("jjb")
    (folder / "jobs.yaml").write_text(jjb(configuration), "utf-8")
    command = [
        sys.executable,
        str(Path(__file__).with_name("run_jjb.py")),
        "test",
        "jobs.yaml",
        "--config-xml",
        "-o",
        "out",
    ]
    # A cache of plug-ins of its own: the one in the home folder may stem from before the installation.
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    out = folder / "out"
    return {str(path.parent.relative_to(out)): ET.parse(path).getroot() for path in out.rglob("config.xml")}


def test_every_configured_job_is_there(configuration: Configuration, xml: dict[str, ET.Element]) -> None:
    assert {plan.name for plan in plans(configuration)} <= set(xml)


def test_every_job_declares_the_parameters_of_a_trigger(
    configuration: Configuration, xml: dict[str, ET.Element]
) -> None:
    for plan in plans(configuration):
        declared = [e.text for e in xml[plan.name].iter("name")]
        assert [name for name in declared if name in NAMES] == [name for name, _ in plan.parameters], plan.name
    assert [plan.name for plan in plans(configuration) if PULL in plan.parameters] == ["shop/verify"]


def test_the_job_for_pull_requests_says_how_to_build_the_very_commit(configuration: Configuration) -> None:
    text = jenkinsfile(configuration, "shop/verify")
    assert 'git checkout --detach "$INTERLOCK_SHA"' in text
    assert "give this job no secrets" in text
    assert "give this job no secrets" not in jenkinsfile(configuration, "shop/build")


def test_the_script_comes_out_as_it_went_in(configuration: Configuration, xml: dict[str, ET.Element]) -> None:
    for plan in plans(configuration):
        assert "".join(xml[plan.name].itertext()).count(script(plan).strip()) == 1


def test_the_callback_is_a_credential_and_not_an_address(
    configuration: Configuration, xml: dict[str, ET.Element]
) -> None:
    for plan in plans(configuration):
        [info] = list(xml[plan.name].iter("urlInfo"))
        assert info.findtext("urlType") == "SECRET"
        assert info.findtext("urlOrId") == f"interlock-callback-{plan.controller}"


def test_a_stage_with_room_for_several_lets_jenkins_run_several(
    configuration: Configuration, xml: dict[str, ET.Element]
) -> None:
    concurrent = {plan.name: plan.concurrent for plan in plans(configuration)}
    assert concurrent["shop/acceptance"] is True
    assert concurrent["shop/pre-production"] is False
    serial = [name for name, job in xml.items() if "DisableConcurrentBuildsJobProperty" in ET.tostring(job, "unicode")]
    assert set(serial) == {name for name, several in concurrent.items() if not several}


def test_the_doctor_finds_nothing_wrong_with_the_printed_jobs(
    configuration: Configuration, xml: dict[str, ET.Element]
) -> None:
    for plan in plans(configuration):
        about = Subject(plan.controller, plan.name, plan.step)
        body = ET.tostring(xml[plan.name])
        root = job_settings.parsed(body)
        assert list(job_settings.examine_settings(about, plan, root)) == []
        assert list(job_settings.examine_callback(about, plan, root, (), called=False)) == []
        # And it would have seen what it looks for, in the very XML that Job Builder makes:
        silent = job_settings.parsed(body.replace(b"<branch>.*</branch>", b""))
        assert len(list(job_settings.examine_callback(about, plan, silent, (), called=False))) == 1
        partial = job_settings.parsed(body.replace(b"<event>all</event>", b"<event>failed</event>"))
        assert len(list(job_settings.examine_callback(about, plan, partial, (), called=False))) == 1


def test_job_dsl_names_every_job_and_only_those_of_the_controller(configuration: Configuration) -> None:
    text = job_dsl(configuration, "cdp")
    for plan in plans(configuration):
        assert (f"pipelineJob('{plan.name}')" in text) is (plan.controller == "cdp")
    assert text.count("{") == text.count("}")


def test_job_dsl_gives_the_endpoint_every_field_that_job_builder_gives_it(
    configuration: Configuration, xml: dict[str, ET.Element]
) -> None:
    """The plugin fills in no default for a field that is missing: without a branch filter it sends nothing."""
    [endpoint] = list(xml["shop/production"].iter("com.tikal.hudson.plugins.notification.Endpoint"))
    theirs = {element.tag: element.text for element in endpoint.iter() if element is not endpoint}
    theirs.pop("buildNotes")
    text = job_dsl(configuration, "cdp").partition("pipelineJob('shop/production')")[2]
    block = text.partition("notification.Endpoint' {")[2]
    ours = dict(re.findall(r"(\w+)\('?([^')]*)'?\)", block.partition("    }\n  }\n")[0]))
    assert ours == {name: value for name, value in theirs.items() if name != "urlInfo"}


def test_groovy_strings_expand_nothing() -> None:
    assert quoted("it's $HOME \\ \n") == "'it\\'s $HOME \\\\ \\n'"


def test_a_jenkinsfile_never_puts_a_parameter_into_a_shell_command(configuration: Configuration) -> None:
    text = jenkinsfile(configuration, "shop/pre-production")
    assert "${" not in text.replace("${INTERLOCK_ASK_AGAIN:-3}", "")  # the shell's, and of no parameter
    assert "credentialsId: 'interlock-callback-cdp'" in text
    assert text.count("post {") == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("status", "said"), [(202, ""), (401, "curl: (22) The requested URL returned error: 401")])
def test_the_curl_calls_back_and_a_refusal_neither_fails_the_build_nor_prints_the_secret(
    configuration: Configuration, status: int, said: str
) -> None:
    script = jenkinsfile(configuration, "shop/production").partition("sh '''")[2].partition("'''")[0]
    script = script.replace("\\\n", "")  # as Groovy reads it
    bodies: list[bytes] = []

    def door(request: Request) -> Reply:
        bodies.append(request.body)
        return Reply(status, b"s3cret")

    with HttpServer(door) as server:
        url = f"http://127.0.0.1:{server.port}/webhooks/jenkins/cdp/s3cret"
        environment = {**os.environ, "JOB_NAME": "mb/a%2Fb", "BUILD_NUMBER": "7", "INTERLOCK_CALLBACK": url}
        command = ["sh", "-xe", "-c", script]  # as Jenkins does
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, bodies) == (0, [b'{"job": "mb/a%2Fb", "build": "7"}'])
    assert "s3cret" not in done.stdout + done.stderr
    assert said in done.stderr


def question_of(configuration: Configuration, job: str = "shop/production") -> str:
    """The shell script that asks whether the build is still waited for, as Groovy reads it."""
    text = jenkinsfile(configuration, job).partition("script: '''")[2].partition("'''")[0]
    return text.replace("\\\n", "")


def test_only_jobs_that_roll_out_ask_whether_they_are_still_waited_for(configuration: Configuration) -> None:
    asking = [plan.name for plan in plans(configuration) if "Still wanted?" in script(plan)]
    assert asking == ["shop/pre-production", "shop/production"]
    text = jenkinsfile(configuration, "shop/production")
    assert text.index("stage('Still wanted?')") < text.index("stage('production')")
    assert "INTERLOCK_SILENT = 'stop'" in text
    assert text.count("{") == text.count("}")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("answers", "run", "said"),
    [
        ([200], "S1.1", "200"),
        ([409], "S1.1", "409"),
        ([503, 404, 200], "S1.1", "200"),
        ([503] * 12, "S1.1", "503"),
        ([], "", "by hand"),
    ],
)
def test_a_build_asks_until_it_has_an_answer_but_not_for_ever(
    configuration: Configuration, answers: list[int], run: str, said: str
) -> None:
    asked: list[str] = []

    def web(request: Request) -> Reply:
        asked.append(request.target)
        return Reply(answers[len(asked) - 1], b"{}")

    with HttpServer(web) as server:
        script = question_of(configuration).replace(configuration.web.public_url, f"http://127.0.0.1:{server.port}")
        build = {"INTERLOCK_RUN": run, "INTERLOCK_ATTEMPT": "3", "INTERLOCK_VERSION": "S1-1", "BUILD_NUMBER": "7"}
        environment = {**os.environ, **build, "INTERLOCK_ASK_AGAIN": "0"}
        command = ["sh", "-xe", "-c", script]  # as Jenkins does
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    path = f"/api/v1/pipelines/{configuration.pipelines[0].name}/attempts/S1.1/production/3?version=S1-1&build=7"
    assert (done.returncode, done.stdout.strip(), asked) == (0, said, [path] * len(answers))


def test_a_hanging_interlock_costs_a_build_little(configuration: Configuration, xml: dict[str, ET.Element]) -> None:
    """The plugin waits in the build itself: twice before its first step, twice at its end, each time for each try."""
    for plan in plans(configuration):
        [endpoint] = list(xml[plan.name].iter("com.tikal.hudson.plugins.notification.Endpoint"))
        assert (endpoint.findtext("timeout"), endpoint.findtext("retries")) == ("2000", "0")


def test_an_unknown_job_is_answered_with_those_there_are(configuration: Configuration) -> None:
    with pytest.raises(LookupError, match="shop/acceptance"):
        jenkinsfile(configuration, "shop/nothing")
