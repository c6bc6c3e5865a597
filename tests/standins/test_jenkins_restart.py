"""Restarts, crashes, quiet-down: items 55 to 58 of the Jenkins checklist."""

from __future__ import annotations

import pytest
import requests
from jenkins import JenkinsException

from tests.standins.conftest import until

WAITING = {"name": "job", "parameters": ["A"], "quiet_period": 60}


def back_up(server):
    until(lambda: not server.controller.restart.down)


def test_55_while_starting_every_address_is_503(jenkins, http, client):
    server = jenkins({"users": {"bot": {"password": "pw"}}})
    caller = client(server.url, "bot", "pw")
    caller.get_job_info("job")
    server.control.restart(seconds=60)
    site = http(server.url, ("bot", "wrong"))
    for reply in (site.get("/api/json"), site.post("/job/job/buildWithParameters"), site.get("/nowhere")):
        assert (reply.status_code, reply.headers["Expires"]) == (503, "0")
        assert reply.headers["Content-Type"].startswith("text/html")
        assert reply.headers["Cache-Control"] == "no-cache,no-store,must-revalidate"
        assert "X-Jenkins" not in reply.headers
    with pytest.raises(JenkinsException, match="does not exist"):
        caller.get_build_info("job", 1)
    server.control.advance(60)
    back_up(server)


def test_56_quiet_down_accepts_triggers_and_starts_nothing(jenkins, http):
    server = jenkins()
    site = http(server.url)
    assert site.post("/quietDown", data={"message": "soon"}).status_code == 302
    shown = site.json("/api/json?tree=quietingDown,quietDownReason")
    assert (shown["quietingDown"], shown["quietDownReason"]) == (True, "soon")
    item = site.json(f"/queue/item/{site.trigger(A='1')}/api/json")
    assert (item["buildable"], "shut down" in item["why"]) == (True, True)
    assert server.control.builds() == []
    assert site.post("/cancelQuietDown").status_code == 302
    server.control.wait_builds("job")
    assert site.json("/api/json?tree=quietingDown")["quietingDown"] is False


def test_56b_a_pipeline_pauses_while_jenkins_prepares_to_stop(jenkins, http):
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0, "duration_seconds": 60})
    site = http(server.url)
    site.trigger(A="1")
    server.control.quiet_down()
    server.control.advance(120)
    assert site.json("/job/job/1/api/json")["building"] is True
    server.control.quiet_down(False)
    server.control.wait_builds("job", state="done")


def test_57_a_clean_restart_keeps_items_and_pipelines_and_aborts_freestyle(jenkins, http):
    free = {"name": "free", "kind": "freestyle", "parameters": ["A"], "quiet_period": 0}
    server = jenkins(None, WAITING, free)
    server.control.hold("job")
    server.control.hold("free")
    site = http(server.url)
    started, waiting = site.trigger(A="1", delay="0sec"), site.trigger(A="2")
    site.trigger("free", A="1")
    server.control.restart(seconds=0.02)
    back_up(server)
    assert site.json(f"/queue/item/{waiting}/api/json")["id"] == waiting
    assert site.get(f"/queue/item/{started}/api/json").status_code == 404
    resumed = site.json("/job/job/1/api/json")
    assert (resumed["building"], resumed["queueId"]) == (True, started)
    assert "Resuming build" in site.get("/job/job/1/consoleText").text
    dead = site.json("/job/free/1/api/json")
    assert (dead["building"], dead["result"]) == (False, "ABORTED")
    server.control.release("job")
    assert site.json("/job/job/1/api/json")["result"] == "SUCCESS"


def test_58_a_crash_loses_an_acknowledged_item(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    lost = site.trigger(A="1")
    server.control.restart("crash", seconds=0.02)
    back_up(server)
    assert site.get(f"/queue/item/{lost}/api/json").status_code == 404
    assert site.json("/queue/api/json")["items"] == []


def test_58b_a_crash_may_build_a_started_item_twice(jenkins, http):
    server = jenkins()
    server.control.hold("job")
    http(server.url).trigger(A="1")
    server.control.restart("crash", seconds=0.02, rebuild_started=True)
    assert len(server.control.wait_builds("job", 2)) == 2
    assert {build["queue_id"] for build in server.control.builds()} == {1}


def test_58d_a_crash_may_give_an_id_a_second_time(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    old = site.trigger(A="long ago")
    server.control.advance(59)
    lost, started = site.trigger(A="1"), site.trigger(A="2", delay="0sec")
    server.control.advance(2)
    server.control.restart("crash", seconds=0.02, reuse_ids=True)
    back_up(server)
    assert site.trigger(A="3") == lost
    assert site.trigger(A="4", delay="0sec") == started
    server.control.wait_builds("job", 3, "done")
    shown = site.json("/job/job/api/json?tree=builds[queueId,actions[parameters[value]]]")["builds"]
    assert [build["queueId"] for build in shown].count(started) == 2
    assert old < lost


def test_58c_a_crash_swallows_the_end_of_a_build(jenkins, http, receiver):
    job = {"name": "job", "parameters": ["A"], "quiet_period": 0, "duration_seconds": 30}
    server = jenkins(None, job | {"callbacks": [{"url": receiver.url}]})
    site = http(server.url)
    site.trigger(A="1")
    server.control.wait_builds("job", state="running")
    server.control.restart("crash", seconds=40)
    server.control.advance(40)
    back_up(server)
    server.control.wait_idle()
    assert site.json("/job/job/1/api/json")["result"] == "SUCCESS"
    assert receiver.phases == ["QUEUED", "STARTED"]


def test_a_dead_process_breaks_connections(jenkins, http):
    server = jenkins()
    server.control.restart(seconds=60, refuse=True)
    with pytest.raises(requests.ConnectionError):
        http(server.url).get("/api/json")
    server.control.advance(60)
    back_up(server)
    assert http(server.url).get("/api/json").status_code == 200


def test_a_restart_asked_by_get_does_nothing(jenkins, http):
    server = jenkins()
    site = http(server.url)
    assert site.get("/restart").status_code == 200
    assert site.get("/api/json").status_code == 200


def test_a_restart_can_be_asked_for_over_http(jenkins, http):
    server = jenkins({"restart_seconds": 60})
    site = http(server.url)
    assert site.post("/safeRestart").status_code == 302
    assert site.get("/api/json").status_code == 503
    server.control.advance(60)
    back_up(server)


def test_all_that_waited_for_the_end_of_quiet_down_starts(jenkins, http):
    server = jenkins()
    server.control.hold("job")
    server.control.quiet_down()
    site = http(server.url)
    for number in range(250):
        site.trigger(A=str(number))
    server.control.quiet_down(False)
    server.control.wait_builds("job", 250, "running")
