"""The printed jobs are what Jenkins' own tools read: Jenkins Job Builder's parser makes the right XML of ours."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from config import pipeline_file
from config.configuration import Configuration
from config.jobs.jenkinsfile import jenkinsfile, script
from config.jobs.jjb import jjb
from config.jobs.job_dsl import job_dsl, quoted
from config.jobs.plan import PARAMETERS, plans

pytestmark = pytest.mark.slow  # Job Builder in a process of its own

EXAMPLE = Path(__file__).parents[2] / "config" / "example.yaml"
NAMES = [name for name, _ in PARAMETERS]


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return pipeline_file.load(EXAMPLE)


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
        assert [name for name in declared if name in NAMES] == NAMES, plan.name


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


def test_job_dsl_names_every_job_and_only_those_of_the_controller(configuration: Configuration) -> None:
    text = job_dsl(configuration, "cdp")
    for plan in plans(configuration):
        assert (f"pipelineJob('{plan.name}')" in text) is (plan.controller == "cdp")
    assert text.count("{") == text.count("}")


def test_groovy_strings_expand_nothing() -> None:
    assert quoted("it's $HOME \\ \n") == "'it\\'s $HOME \\\\ \\n'"


def test_a_jenkinsfile_never_puts_a_parameter_into_a_shell_command(configuration: Configuration) -> None:
    text = jenkinsfile(configuration, "shop/pre-production")
    assert "${" not in text
    assert "credentialsId: 'interlock-callback-cdp'" in text
    assert text.count("post {") == 1


def test_an_unknown_job_is_answered_with_those_there_are(configuration: Configuration) -> None:
    with pytest.raises(LookupError, match="shop/acceptance"):
        jenkinsfile(configuration, "shop/nothing")
