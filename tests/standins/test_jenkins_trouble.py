"""What stands between a client and Jenkins, and what Jenkins does in rare cases: proxies, repeated triggers, traps."""

from __future__ import annotations

import pytest
import requests
from jenkins import BadHTTPException, EmptyResponseException, JenkinsException

from tests.standins.conftest import until

WITH = "/job/job/buildWithParameters"
WAITING = {"name": "job", "parameters": ["A"], "quiet_period": 60}


@pytest.mark.parametrize("status", [502, 504, 429])
def test_a_proxy_in_trouble_is_no_jenkins_exception_when_triggering(jenkins, client, status):
    server = jenkins()
    caller = client(server.url)
    caller.get_job_info("job")
    server.control.fault("status", route="POST", status=status, headers={"Retry-After": "1"}, count=1)
    with pytest.raises(requests.HTTPError, match=str(status)):
        caller.build_job("job", {"A": "1"})
    assert server.control.builds() == []


def test_a_proxy_may_give_up_while_jenkins_goes_on(jenkins, client):
    server = jenkins()
    server.control.fault("status_after", route="POST", status=504, count=1)
    with pytest.raises(requests.HTTPError, match="504"):
        client(server.url).build_job("job", {"A": "1"})
    assert len(server.control.builds()) == 1


def test_a_proxy_that_sends_a_trigger_again_makes_a_second_build_or_folds(jenkins, http):
    server = jenkins()
    server.control.hold("job")
    server.control.fault("repeat", route="POST", count=1)
    site = http(server.url)
    assert site.trigger(A="1") == 2
    assert len(server.control.wait_builds("job", 2, "running")) == 2
    patient = jenkins(None, WAITING)
    patient.control.fault("repeat", route="POST", count=1)
    assert http(patient.url).post(WITH, params={"A": "1"}).status_code == 303
    assert len(patient.control.queue()) == 1


def test_a_sign_in_page_instead_of_json_cannot_be_parsed(jenkins, client):
    server = jenkins()
    page = {"Content-Type": "text/html"}
    server.control.fault("status", route="GET job/api/json", status=200, headers=page, body="<html>Sign in</html>")
    with pytest.raises(JenkinsException, match="Could not parse JSON"):
        client(server.url).get_job_info("job")


def test_a_restarting_server_has_no_version(jenkins, client):
    server = jenkins()
    server.control.restart(seconds=60)
    with pytest.raises((BadHTTPException, JenkinsException)):
        client(server.url).get_version()
    server.control.advance(60)
    until(lambda: not server.controller.restart.down)


def test_urls_follow_what_the_proxy_forwards(jenkins, http):
    site = http(jenkins({"context": "/ci"}).url)
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "ci.example"}
    assert site.post(WITH, headers=forwarded).headers["Location"] == "https://ci.example/ci/queue/item/1/"
    shown = site.json("/job/job/api/json?tree=url", headers={"X-Forwarded-Proto": "https", "Host": "ci.example"})
    assert shown["url"] == "https://ci.example/ci/job/job/"


def test_34b_a_location_may_have_another_scheme_as_well(jenkins, client):
    server = jenkins({"location_host": "https://ci.example:8443"})
    assert client(server.url).build_job("job", {"A": "1"}) == 1


def test_23b_parameters_of_a_jenkinsfile_are_known_after_the_first_build(jenkins, http):
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0, "late_parameters": True})
    site = http(server.url)
    assert site.post(WITH, params={"A": "1"}).status_code == 400
    assert site.json("/job/job/api/json")["property"] == []
    assert site.post("/job/job/build").status_code == 201
    server.control.wait_builds("job", state="done")
    assert site.trigger(A="1") == 2
    assert server.control.builds()[1]["params"] == {"A": "1"}


def test_a_queue_that_turns_triggers_away_names_no_item(jenkins, http, client):
    server = jenkins(None, {"name": "job", "parameters": ["A"], "refuses_queue": True})
    assert http(server.url).post(WITH).status_code == 302
    with pytest.raises(EmptyResponseException):
        client(server.url).build_job("job", {"A": "1"})
    server.control.change_job("job", {"refuses_queue": False})
    assert client(server.url).build_job("job", {"A": "1"}) == 1


def test_24b_a_name_given_twice_tells_whether_one_may_build_and_builds_nothing(jenkins, http):
    may = ["Overall/Read", "Item/Read"]
    users = {"a": {"tokens": ["t"], "permissions": may}, "b": {"tokens": ["t"], "permissions": [*may, "Item/Build"]}}
    server = jenkins({"users": users})
    twice = [("A", "1"), ("A", "1")]
    assert [http(server.url, (who, "t")).post(WITH, params=twice).status_code for who in "ab"] == [403, 500]
    assert server.control.queue() == server.control.builds() == []


def test_a_configuration_that_is_posted_again_keeps_parameters_and_endpoints(jenkins, http, receiver):
    endpoint = {"url": receiver.url, "events": "completed", "timeout": 5.0, "retries": 1}
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0, "callbacks": [endpoint]})
    site = http(server.url)
    xml = site.get("/job/job/config.xml")
    assert site.post("/job/job/config.xml", data=xml.content).status_code == 200
    site.trigger(A="1")
    server.control.wait_idle()
    assert receiver.phases == ["COMPLETED"]
    assert site.get("/job/job/config.xml").content == xml.content
    assert site.post("/job/job/config.xml", data=b"no xml").status_code == 500
