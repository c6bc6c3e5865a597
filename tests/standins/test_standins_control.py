"""Control over HTTP, faults, counters, the wire, and the commands."""

from __future__ import annotations

import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

import standins
from standins.github import GitHubControl, GitHubVerbs
from standins.jenkins import JenkinsControl, JenkinsVerbs
from standins.remote import ControlError
from standins.wire import Reply

pytestmark = pytest.mark.slow  # processes, and a storm


def test_the_verbs_work_the_same_over_http(jenkins, http):
    server = jenkins({"context": "/ci"})
    control = JenkinsControl(server.url)
    control.create_job("team/made", parameters=["RUN"], quiet_period=0)
    control.hold("team/made")
    http(server.url).trigger("team/job/made", RUN="1")
    assert control.wait_builds("team/made", state="running")[0]["params"] == {"RUN": "1"}
    assert control.release("team/made", match={"RUN": "1"}, result="FAILURE") == [1]
    assert control.history() == server.control.history() == [("team/made", {"RUN": "1"}, "FAILURE")]
    assert control.requests() == {"POST job/buildWithParameters": 1}


def test_githubs_verbs_work_the_same_over_http(github):
    world = github()
    control = GitHubControl(world.url)
    first = control.create_repo("acme/shop")
    landed = control.merge("acme/shop")
    assert world.control.compare("acme/shop", first, landed) == "ahead"
    assert control.pull("acme/shop", 1)["merged"] is True


def test_a_mistake_is_told_in_words(jenkins, github):
    control = JenkinsControl(jenkins().url)
    with pytest.raises(ControlError, match="there is no job 'nope'; there are: job"):
        control.hold("nope")
    with pytest.raises(ControlError, match="a result is one of SUCCESS"):
        control.rule(result="GREAT")
    with pytest.raises(ControlError, match="no build of job is running, not within"):
        control.release("job", seconds=0.01)
    reply = requests.post(f"{control.url}/__control__/nonsense", timeout=5)
    assert (reply.status_code, "there is no verb" in reply.json()["error"]) == (404, True)
    with pytest.raises(ControlError, match="begins with http"):
        control.create_job("x", callbacks=[{"url": "localhost:1"}])
    with pytest.raises(ControlError, match="pull request 9"):
        (made := GitHubControl(github().url)).create_repo("a/b")
        made.merge("a/b", 9)


@pytest.mark.parametrize("verbs", [JenkinsVerbs, GitHubVerbs])
def test_the_short_reference_names_every_verb(verbs):
    reference = (Path(standins.__file__).parent / "README.md").read_text()
    assert [v for v in dir(verbs) if not v.startswith("_") and f"`{v}`" not in reference] == []


def test_a_mistake_of_the_stand_in_is_a_500_that_says_where(jenkins, http, monkeypatch):
    server = jenkins()
    monkeypatch.setattr(server.controller, "top", None)
    reply = http(server.url).get("/api/json")
    assert (reply.status_code, "Traceback" in reply.text) == (500, True)


def test_a_lost_reply_leaves_the_work_done(jenkins, http):
    server = jenkins()
    site = http(server.url)
    server.control.fault("drop_reply", route="buildWithParameters", count=1)
    with pytest.raises(requests.ConnectionError):
        site.post("/job/job/buildWithParameters", params={"A": "1"})
    server.control.wait_builds("job")
    server.control.fault("drop_request", route="buildWithParameters", count=1)
    with pytest.raises(requests.ConnectionError):
        site.post("/job/job/buildWithParameters", params={"A": "2"})
    server.control.wait_idle()
    assert [row[1]["A"] for row in server.control.history()] == ["1"]
    assert server.control.statuses()["dropped"] == 2


def test_an_error_may_come_after_the_work(jenkins, http):
    server = jenkins()
    server.control.fault("status_after", route="buildWithParameters", status=504)
    assert http(server.url).post("/job/job/buildWithParameters").status_code == 504
    server.control.wait_builds("job")


def test_the_same_seed_gives_the_same_faults(jenkins, http):
    def statuses(seed):
        server = jenkins()
        server.control.seed(seed)
        server.control.fault("status", rate=0.5)
        site = http(server.url)
        return [site.get("/api/json").status_code for _ in range(20)]

    assert statuses(3) == statuses(3)
    assert statuses(3) != statuses(4)


def test_rules_decide_by_parameters_the_newest_first_and_so_often(jenkins, http):
    server = jenkins()
    site = http(server.url)
    server.control.rule("job", result="FAILURE")
    server.control.rule("job", match={"A": "flaky"}, result="UNSTABLE", count=1)
    for value in ("flaky", "flaky"):
        site.trigger(A=value)
        server.control.wait_idle()
    server.control.clear_rules()
    site.trigger(A="x")
    server.control.wait_idle()
    assert [row[2] for row in server.control.history()] == ["UNSTABLE", "FAILURE", "SUCCESS"]


def test_released_builds_are_chosen_by_their_parameters(jenkins, http):
    server = jenkins()
    site = http(server.url)
    server.control.hold("job")
    for value in "12":
        site.trigger(A=value)
    assert server.control.release("job", match={"A": "2"}) == [2]
    assert [build["number"] for build in server.control.builds(running=True)] == [1]


def test_settings_change_at_run_time(jenkins, http):
    server = jenkins()
    server.control.set({"version": "2.400", "quiet_period": 1})
    assert http(server.url).get("/api/json").headers["X-Jenkins"] == "2.400"


def test_one_connection_serves_many_requests_and_survives_odd_ones(jenkins):
    server = jenkins()
    address = ("127.0.0.1", int(server.base.rpartition(":")[2]))
    with socket.create_connection(address, 5) as raw, raw.makefile("rb") as reader:
        for body in (b"A=1", b"A=2"):
            head = b"POST /job/job/buildWithParameters HTTP/1.1\r\nHost: h\r\n"
            head += b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
            raw.sendall(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            assert reader.readline() == b"HTTP/1.1 201 Created\r\n"
            while reader.readline() != b"\r\n":
                pass
        raw.sendall(b"HEAD /api/json HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert b"jobs" not in reader.read()
    with socket.create_connection(address, 5) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
    assert {row["params"]["A"] for row in server.control.builds()} == {"1", "2"}


def test_a_server_that_was_out_of_reach_comes_back_with_its_state(jenkins, http):
    server = jenkins()
    site = http(server.url)
    site.trigger(A="1")
    server.control.wait_idle()
    server.stop()
    with pytest.raises(requests.ConnectionError):
        site.get("/api/json")
    server.start()
    assert site.json("/job/job/1/api/json")["result"] == "SUCCESS"


def test_a_build_whose_callbacks_were_cut_off_goes_on_when_the_server_is_back(jenkins, http, receiver):
    callback = {"url": receiver.url, "events": ["STARTED"]}
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0, "callbacks": [callback]})
    receiver.script.append(lambda _: (time.sleep(0.2), Reply())[1])
    http(server.url).trigger(A="1")
    receiver.wait(1)
    server.stop()
    server.start()
    assert server.control.wait_builds("job", state="done")[0]["result"] == "SUCCESS"


def test_a_storm_of_triggers_cancels_and_stops_loses_nothing_and_never_overlaps(jenkins, http, receiver):
    job = {"parameters": ["A"], "quiet_period": 0, "duration_seconds": 0.01}
    serial = {"name": "serial", "concurrent": False, "callbacks": [{"url": receiver.url}]} | job
    server = jenkins(None, serial, {"name": "free"} | job)
    taken, cancelled = [], []

    def storm(number):
        site, dice = http(server.url), random.Random(number)
        for turn in range(12):
            item = site.trigger("serial", A=f"{number}-{turn}")
            taken.append((item, f"{number}-{turn}"))
            site.trigger("free", A=f"{number}-{turn}")
            if dice.random() < 0.3 and site.post(f"/queue/cancelItem?id={item}").status_code == 204:
                cancelled.append(item)
            if dice.random() < 0.3:
                site.post("/job/serial/lastBuild/stop")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(storm, range(6)))
    server.control.wait_idle(30)
    built = server.control.builds("serial")
    assert {build["queue_id"]: build["params"]["A"] for build in built} == {
        item: value for item, value in taken if item not in cancelled
    }
    assert len(server.control.builds("free")) == 72
    assert all(one["ended"] <= next_one["started"] + 0.002 for one, next_one in itertools.pairwise(built))
    assert len(receiver.got) == 4 * len(built)


@pytest.mark.slow
def test_one_command_starts_a_whole_world_and_stops_on_sigterm(tmp_path):
    config = {
        "jenkins": {"build": {"jobs": [{"name": "b"}]}, "cdp": {"settings": {"context": "/ci"}}},
        "github": {"repos": [{"full_name": "acme/shop"}]},
    }
    path = tmp_path / "world.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "standins", "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            urls = json.loads(process.stdout.readline())
            assert requests.get(f"{urls['jenkins']['build']}/job/b/api/json", timeout=5).json()["name"] == "b"
            assert requests.get(f"{urls['jenkins']['cdp']}/api/json", timeout=5).status_code == 200
            assert GitHubControl(urls["github"]).head("acme/shop")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
