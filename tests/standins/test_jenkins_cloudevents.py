"""The CloudEvents plugin: what it sends to its sink, and when."""

from __future__ import annotations

import time

import pytest

from standins.wire import Reply
from tests.standins.conftest import until

JOB = {"name": "team/job", "parameters": ["b", "A"], "quiet_period": 0}
PATH = "team/job/job"
BUILD = ["started", "completed", "finalized"]


@pytest.fixture
def sending(jenkins, receiver):
    """A controller with the plugin; `sink` is of its configuration, `changes` of the job."""

    def start(sink=None, **changes):
        return jenkins(
            {"cloud_events": {"url": f"{receiver.url}/sink", "job_data": True, **(sink or {})}}, JOB | changes
        )

    return start


def types(receiver):
    return [request.headers["ce-type"].removeprefix("org.jenkinsci.") for request in receiver.got]


def run(server, http, **parameters):
    number = http(server.url).trigger(PATH, **(parameters or {"A": "1"}))
    server.control.wait_idle()
    return number


def test_a_build_is_told_from_its_entry_into_the_queue_to_its_end(sending, http, receiver):
    run(sending(), http)
    assert types(receiver) == ["queue.entered_waiting", "queue.left", "job.started", "job.completed", "job.finalized"]


def test_the_attributes_are_headers_and_every_event_has_an_id_of_its_own(sending, http, receiver):
    run(sending(), http)
    for request in receiver.got:
        assert (request.method, request.target) == ("POST", "/sink")
        assert (request.headers["ce-specversion"], request.headers["ce-source"]) == ("1.0", "job/job")
        assert request.headers["content-type"] == "application/json"
        assert "ce-time" not in request.headers
    assert len({request.headers["ce-id"] for request in receiver.got}) == 5


def test_the_data_of_a_build_is_camel_case_with_its_nulls_and_names_the_whole_path(sending, http, receiver):
    server = sending({"events": BUILD})
    number = run(server, http, A="1", b="2")
    body = receiver.bodies[0]
    assert body["build"].pop("timestamp") > 0
    assert body == {
        "userId": "SYSTEM",
        "userName": "SYSTEM",
        "name": "job",
        "displayName": "job",
        "url": "job/team/job/job/",
        "build": {
            "fullUrl": f"{server.url}/job/team/job/job/1/",
            "number": 1,
            "queueId": number,
            "duration": 0,
            "phase": "STARTED",
            "status": None,
            "url": "job/team/job/job/1/",
            "displayName": None,
            "parameters": {"A": "1", "b": "2"},
            "scmState": {"url": None, "branch": None, "commit": None},
        },
    }
    ended = receiver.bodies[1]["build"]
    assert (ended["phase"], ended["status"], ended["duration"] > 0) == ("COMPLETED", "SUCCESS", True)


def test_release_1_0_0_leaves_the_body_of_every_event_about_a_job_empty(sending, http, receiver):
    run(sending({"job_data": False}), http)
    assert [len(request.body) > 0 for request in receiver.got] == [True, True, False, False, False]
    assert receiver.got[2].headers["ce-type"] == "org.jenkinsci.job.started"


def test_a_failed_build_ends_with_two_events_that_say_the_same(sending, http, receiver):
    server = sending({"events": ["failed", *BUILD]})
    server.control.rule(result="FAILURE")
    run(server, http)
    assert types(receiver) == ["job.started", "job.completed", "job.failed", "job.finalized"]
    assert receiver.bodies[2] == receiver.bodies[3]
    assert receiver.bodies[2]["build"]["status"] == "FAILURE"
    receiver.got.clear()
    server.control.clear_rules()
    run(server, http, A="2")
    assert types(receiver) == ["job.started", "job.completed", "job.finalized"]


def test_a_queue_event_names_the_item_and_neither_path_nor_build(sending, http, receiver):
    server = sending({"events": ["entered_waiting", "left"]})
    number = run(server, http)
    entered, left = receiver.bodies
    assert entered.pop("entryTime") <= left.pop("exitTime")
    assert (entered.pop("exitTime") > 0, left.pop("entryTime") > 0, left.pop("duration") >= 0) == (True, True, True)
    common = {"ciUrl": f"{server.url}/", "displayName": "job", "startedBy": "anonymous", "jenkinsQueueId": number}
    why = entered.pop("queueCauses")
    assert entered == common | {"status": "ENTERED_WAITING", "duration": 0}
    assert left == common | {"status": "LEFT"}
    assert [cause["type"] for cause in why] == ["entered_waiting"]


def test_41_a_cancelled_item_has_left_too_and_no_build_is_told_of(sending, http, receiver):
    server = sending(quiet_period=60)
    site = http(server.url)
    number = site.trigger(PATH, A="1")
    assert site.post("/queue/cancelItem", params={"id": number}).status_code == 204
    server.control.wait_idle()
    assert types(receiver) == ["queue.entered_waiting", "queue.left"]
    assert site.post(f"/job/{PATH}/buildWithParameters", params={"A": "2"}).status_code == 201
    folded = site.post(f"/job/{PATH}/buildWithParameters", params={"A": "2"})
    until(lambda: len(receiver.got) == 3)
    assert (folded.status_code, types(receiver)[2:]) == (303, ["queue.entered_waiting"])


def test_a_display_name_that_makes_no_uri_sends_nothing(sending, http, receiver):
    server = sending()
    server.control.change_job("team/job", {"display_name": "Roll out"})
    run(server, http)
    assert receiver.got == []
    assert "is no URI" in http(server.url).get(f"/job/{PATH}/1/consoleText").text


def test_nothing_is_repeated_and_a_lost_answer_loses_nothing_but_the_event(sending, http, receiver):
    receiver.script += [lambda _: Reply(500), lambda _: Reply(dropped=True)]
    server = sending({"events": BUILD})
    run(server, http)
    assert types(receiver) == ["job.started", "job.completed", "job.finalized"]
    assert [row["status"] for row in server.control.callbacks()] == [500, None, 202]


def test_a_slow_sink_holds_up_the_build(sending, http, receiver):
    receiver.script.append(lambda _: (time.sleep(0.2), Reply())[1])
    server = sending({"events": ["started"]}, duration_seconds=0)
    site = http(server.url)
    site.trigger(PATH, A="1")
    assert site.json(f"/job/{PATH}/1/api/json")["building"] is True
    server.control.wait_idle()
    assert site.json(f"/job/{PATH}/1/api/json")["building"] is False


def test_the_faults_of_callbacks_strike_events_as_well(sending, http, receiver):
    server = sending({"events": BUILD})
    server.control.callback_fault("drop", phase=r"org\.jenkinsci\.job\.started")
    server.control.callback_fault("duplicate", phase=r".*\.completed")
    run(server, http)
    assert types(receiver) == ["job.completed", "job.completed", "job.finalized"]
    assert receiver.got[0].headers["ce-id"] == receiver.got[1].headers["ce-id"]
    assert receiver.got[0].headers["ce-id"] != receiver.got[2].headers["ce-id"]
    receiver.got.clear()
    server.control.clear_faults()
    server.control.callback_fault("delay", phase=r".*\.started", seconds=60)
    run(server, http, A="2")
    server.control.advance(60)
    until(lambda: len(receiver.got) == 3)
    assert types(receiver) == ["job.completed", "job.finalized", "job.started"]


def test_both_plugins_may_tell_of_one_build(sending, http, receiver):
    server = sending({"events": ["completed"]}, callbacks=[{"url": f"{receiver.url}/cb", "events": ["COMPLETED"]}])
    run(server, http)
    assert sorted(request.target for request in receiver.got) == ["/cb", "/sink"]


def test_an_event_that_the_plugin_does_not_have_is_refused_in_words(jenkins):
    with pytest.raises(ValueError, match="an event is one of entered_waiting, left, started"):
        jenkins({"cloud_events": {"url": "http://127.0.0.1:1/", "events": ["begun"]}})


def test_a_sink_that_refuses_connections_costs_no_build(jenkins, http):
    server = jenkins({"cloud_events": {"url": "http://127.0.0.1:9/"}})
    http(server.url).trigger(A="1")
    server.control.wait_idle()
    assert server.control.history() == [("job", {"A": "1", "B": ""}, "SUCCESS")]
    assert {row["status"] for row in server.control.callbacks()} == {None}
