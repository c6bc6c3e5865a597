"""Triggering and folding: items 19 to 34 of the Jenkins checklist."""

from __future__ import annotations

import time

import pytest
import requests
from jenkins import EmptyResponseException, NotFoundException

WITH = "/job/job/buildWithParameters"
WAITING = {"name": "job", "parameters": ["A"], "quiet_period": 60}


def location_id(reply):
    return int(reply.headers["Location"].rstrip("/").rpartition("/")[2])


def test_19_a_trigger_is_201_with_an_absolute_location_and_no_body(jenkins, http):
    server = jenkins()
    reply = http(server.url).post(WITH, params={"A": "1"})
    assert (reply.status_code, reply.content) == (201, b"")
    assert reply.headers["Location"] == f"{server.url}/queue/item/1/"


def test_20_get_is_405_and_triggers_nothing(jenkins, http):
    server = jenkins()
    reply = http(server.url).get(WITH)
    assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
    assert server.control.queue() == server.control.builds() == []


def test_20b_a_get_with_an_api_token_is_405_as_well(jenkins, http):
    server = jenkins({"version": "2.426.3", "users": {"bot": {"tokens": ["t"]}}})
    reply = http(server.url, ("bot", "t")).get(WITH)
    assert (reply.status_code, reply.headers["Allow"], server.control.queue()) == (405, "POST", [])


def test_20c_get_build_on_a_job_with_parameters_is_405_with_the_form(jenkins, http):
    reply = http(jenkins().url).get("/job/job/build")
    assert (reply.status_code, "<form>" in reply.text) == (405, True)


def test_21_build_on_a_job_with_parameters_is_400_without_its_form(jenkins, http, client):
    server = jenkins()
    site = http(server.url)
    assert (site.post("/job/job/build").status_code, site.post("/job/job/build").text) == (400, "Nothing is submitted")
    assert "form submission" in site.post("/job/job/build?x=1").text
    with pytest.raises(requests.HTTPError):
        client(server.url).build_job("job", {})
    assert server.control.queue() == server.control.builds() == []


def test_21b_a_submitted_form_has_what_it_names_and_no_defaults(jenkins, http):
    server = jenkins()
    site = http(server.url)
    form = {"json": '{"parameter":[{"name":"A","value":"1"}]}'}
    assert site.post("/job/job/build", data=form).status_code == 201
    assert server.control.wait_builds("job")[0]["params"] == {"A": "1"}
    assert site.post("/job/job/build", data={"json": '{"parameter":[{"name":"Z","value":"1"}]}'}).status_code == 500


def test_22_no_parameters_is_400_and_disabled_is_409(jenkins, http):
    jobs = ({"name": "plain"}, {"name": "off", "parameters": ["A"], "disabled": True})
    site = http(jenkins(None, *jobs).url)
    reply = site.post("/job/plain/buildWithParameters")
    assert (reply.status_code, "plain is not parameterized" in reply.text) == (400, True)
    refused = site.post("/job/off/buildWithParameters")
    assert (refused.status_code, "off is not buildable" in refused.text) == (409, True)
    for version, status in (("2.523", 500), ("2.524", 400)):
        assert (
            http(jenkins({"version": version}, *jobs).url).post("/job/plain/buildWithParameters").status_code == status
        )


def test_22b_disabled_goes_before_not_parameterized_and_for_build_before_permission(jenkins, http):
    users = {"reader": {"tokens": ["t"], "permissions": ["Overall/Read", "Item/Read"]}, "bot": {"tokens": ["b"]}}
    server = jenkins({"users": users}, {"name": "off", "disabled": True})
    assert http(server.url, ("bot", "b")).post("/job/off/buildWithParameters").status_code == 409
    reader = http(server.url, ("reader", "t"))
    assert reader.post("/job/off/build").status_code == 409
    assert reader.post("/job/off/buildWithParameters").status_code == 403


def test_23_what_is_missing_gets_its_default_what_is_undeclared_is_dropped(jenkins, http):
    server = jenkins(None, {"name": "job", "parameters": [{"name": "A", "default": "d"}], "quiet_period": 0})
    site = http(server.url)
    number = site.trigger(Z="9")
    assert server.control.wait_builds("job")[0]["params"] == {"A": "d"}
    for path in (f"/queue/item/{number}", "/job/job/1"):
        actions = site.json(f"{path}/api/json?tree=actions[parameters[name,value]]")["actions"]
        assert [(one["name"], one["value"]) for one in actions[0]["parameters"]] == [("A", "d")]
    assert site.json(f"/queue/item/{number}/api/json")["params"] == "\nA=d"


def test_24_an_illegal_choice_or_a_name_given_twice_is_500_and_queues_nothing(jenkins, http):
    server = jenkins(None, {"name": "job", "parameters": [{"name": "C", "choices": ["x", "y"]}, "A"]})
    site = http(server.url)
    assert site.post(WITH, params={"C": "z"}).status_code == 500
    assert site.post(WITH, params=[("A", "1"), ("A", "2")]).status_code == 500
    assert server.control.queue() == []
    site.trigger()
    assert server.control.queue()[0]["params"] == {"C": "x", "A": ""}


def test_25_a_bare_delay_is_milliseconds(jenkins, http):
    server = jenkins(None, {"name": "job", "parameters": ["A"]})
    site = http(server.url)
    site.trigger(A="1", delay="0sec")
    site.trigger(A="2", delay="5")
    server.control.wait_builds("job", 2)
    item = site.json(f"/queue/item/{site.trigger(A='3', delay='5sec')}/api/json")
    assert item["_class"] == "hudson.model.Queue$WaitingItem"
    assert 4000 < item["timestamp"] - time.time() * 1000 <= 5000
    server.control.advance(5)
    server.control.wait_builds("job", 3)
    assert site.post(WITH, params={"delay": "soon"}).status_code == 500


def test_26_an_equal_trigger_folds_into_the_waiting_item(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    first = site.post(WITH, params={"A": "1"})
    second = site.post(WITH, params={"A": "1"})
    assert (first.status_code, second.status_code) == (201, 303)
    assert location_id(first) == location_id(second)
    item = site.json(f"/queue/item/{location_id(first)}/api/json")
    assert len(item["actions"][1]["causes"]) == 2
    server.control.advance(60)
    server.control.wait_idle()
    assert len(server.control.builds()) == 1
    causes = site.json("/job/job/1/api/json")["actions"][1]["causes"]
    assert [cause["shortDescription"] for cause in causes] == ["Started by user anonymous"] * 2


def test_27_another_value_is_another_item(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    assert site.trigger(A="1") != site.trigger(A="2")
    assert [item["params"] for item in server.control.queue()] == [{"A": "1"}, {"A": "2"}]


def test_28_an_undeclared_parameter_does_not_tell_triggers_apart(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    first = site.trigger(A="1", RUN="x")
    folded = site.post(WITH, params={"A": "1", "RUN": "y"})
    assert (folded.status_code, location_id(folded), len(server.control.queue())) == (303, first, 1)


def test_29_an_equal_trigger_after_the_start_is_a_second_build(jenkins, http):
    server = jenkins()
    server.control.hold("job")
    site = http(server.url)
    assert site.trigger(A="1") != site.trigger(A="1")
    server.control.wait_builds("job", 2, "running")


def test_30_without_parameters_an_equal_trigger_is_201_with_the_same_id(jenkins, http):
    site = http(jenkins(None, {"name": "job"}).url)
    first, second = site.post("/job/job/build"), site.post("/job/job/build")
    assert (first.status_code, second.status_code) == (201, 201)
    assert location_id(first) == location_id(second)
    assert len(site.json("/queue/api/json")["items"]) == 1


def test_30b_an_equal_submitted_form_leads_back_to_the_job_and_names_no_item(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    form = {"json": '{"parameter":[{"name":"A","value":"1"}]}'}
    assert site.post("/job/job/build", data=form).status_code == 201
    again = site.post("/job/job/build", data=form)
    assert (again.status_code, again.headers["Location"]) == (302, f"{server.url}/job/job/")


def test_31_a_folded_trigger_that_is_due_earlier_shortens_the_wait(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    number = site.trigger(A="1")
    due = site.json(f"/queue/item/{number}/api/json")["timestamp"]
    assert site.post(WITH, params={"A": "1", "delay": "30sec"}).status_code == 303
    assert 25_000 < due - site.json(f"/queue/item/{number}/api/json")["timestamp"] < 35_000
    assert site.post(WITH, params={"A": "1", "delay": "90sec"}).status_code == 303
    assert site.post(WITH, params={"A": "1", "delay": "0sec"}).status_code == 303
    server.control.wait_builds("job")
    assert len(server.control.builds()) == 1


def test_32_the_client_library_reports_a_folded_trigger_as_an_empty_response(jenkins, client):
    caller = client(jenkins(None, WAITING).url)
    caller.build_job("job", {"A": "1"})
    with pytest.raises(EmptyResponseException):
        caller.build_job("job", {"A": "1"})


def test_33_the_page_of_a_queue_item_came_with_2_469(jenkins, http):
    for version, status in (("2.468", 404), ("2.469", 200)):
        site = http(jenkins({"version": version}, WAITING).url)
        reply = site.get(f"/queue/item/{site.trigger(A='1')}/")
        assert reply.status_code == status
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert "Queue item exists" in reply.text


def test_33b_so_a_folded_trigger_is_not_found_for_the_client_library_before_that(jenkins, client):
    server = jenkins({"version": "2.468"}, WAITING)
    caller = client(server.url)
    caller.build_job("job", {"A": "1"})
    with pytest.raises(NotFoundException):
        caller.build_job("job", {"A": "1"})
    assert len(server.control.queue()) == 1


def test_34_location_and_url_may_name_different_hosts(jenkins, http, client):
    server = jenkins({"root_url": "https://ci.example/", "location_host": "inner:8080"})
    site = http(server.url)
    assert site.post(WITH).headers["Location"] == "http://inner:8080/queue/item/1/"
    assert site.json("/job/job/api/json")["url"] == "https://ci.example/job/job/"
    assert client(server.url).build_job("job", {"A": "1"}) == 2


def test_26b_old_versions_answer_a_folded_trigger_with_201(jenkins, http):
    for version, status in (("2.307", 201), ("2.308", 303)):
        site = http(jenkins({"version": version}, WAITING).url)
        number = site.trigger(A="1")
        folded = site.post(WITH, params={"A": "1"})
        assert (folded.status_code, location_id(folded)) == (status, number)


def test_a_form_body_may_be_large_a_query_may_not(jenkins, http):
    server = jenkins()
    site = http(server.url)
    large = "x" * 20_000
    assert site.post(WITH, params={"A": large}).status_code == 414
    assert site.post(WITH, data={"A": large}).status_code == 201
    assert server.control.wait_builds("job")[0]["params"]["A"] == large
