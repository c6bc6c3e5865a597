"""python-jenkins works against the stand-in."""

from __future__ import annotations

import jenkins as python_jenkins
import pytest
import requests

from tests.standins.conftest import until


def test_one_whole_build_through_the_client_library(jenkins, client):
    server = jenkins(None, {"name": "team/deploy", "parameters": ["RUN"], "quiet_period": 0})
    server.control.hold("team/deploy")
    caller = client(server.url)
    number = caller.build_job("team/deploy", {"RUN": "r1"})
    built = until(lambda: caller.get_queue_item(number).get("executable"))["number"]
    assert caller.get_build_info("team/deploy", built)["building"] is True
    assert caller.get_build_stages("team/deploy", built)["status"] == "IN_PROGRESS"
    server.control.release("team/deploy", match={"RUN": "r1"}, result="FAILURE")
    assert caller.get_build_info("team/deploy", built)["result"] == "FAILURE"
    assert "Finished: FAILURE" in caller.get_build_console_output("team/deploy", built)
    assert caller.get_job_info("team/deploy")["lastFailedBuild"]["number"] == built
    assert caller.get_build_test_report("team/deploy", built) is None


def test_jobs_can_be_made_through_the_client_library(jenkins, client):
    server = jenkins()
    caller = client(server.url)
    caller.create_folder("made")
    caller.create_job("made/job", python_jenkins.EMPTY_CONFIG_XML)
    assert caller.job_exists("made/job")
    with pytest.raises(python_jenkins.JenkinsException):
        caller.create_job("made/job", python_jenkins.EMPTY_CONFIG_XML)
    caller.reconfig_job("made/job", caller.get_job_config("job"))
    assert caller.get_job_info("made/job")["property"][0]["parameterDefinitions"][0]["name"] == "A"
    caller.delete_job("made/job")
    assert not caller.job_exists("made/job")


def test_the_other_calls_of_the_client_library(jenkins, client):
    waiting = {"name": "team/job", "parameters": ["A"], "quiet_period": 60}
    server = jenkins({"users": {"bot": {"tokens": ["t"]}}}, waiting)
    caller = client(server.url, "bot", "t")
    assert caller.get_whoami()["fullName"] == "bot"
    assert caller.get_version() == "2.555"
    assert [job["fullname"] for job in caller.get_all_jobs()] == ["team", "team/job"]
    number = caller.build_job("team/job", {"A": "1"})
    assert [item["id"] for item in caller.get_queue_info()] == [number]
    caller.cancel_queue(number)
    assert caller.get_queue_item(number)["cancelled"] is True
    caller.disable_job("team/job")
    with pytest.raises(requests.HTTPError, match="409"):
        caller.build_job("team/job", {"A": "1"})
    caller.enable_job("team/job")
    caller.quiet_down()
