"""Builds, stopping, logs, stages, tests: items 42 to 50 of the Jenkins checklist."""

from __future__ import annotations

import time

from standins.wire import Reply


def state_of(site, number=1, job="job"):
    return site.json(f"/job/{job}/{number}/api/json")


def started(server, site, job="job"):
    """A build that keeps running."""
    server.control.hold(job)
    site.trigger(job, A="1")
    server.control.wait_builds(job, state="running")


def test_42_a_build_has_a_result_and_a_duration_when_it_ended_not_before(jenkins, http):
    server = jenkins()
    site = http(server.url)
    started(server, site)
    running = state_of(site)
    assert (running["building"], running["result"], running["duration"]) == (True, None, 0)
    assert running["executor"] is not None
    server.control.release("job", result="FAILURE")
    ended = state_of(site)
    assert (ended["building"], ended["inProgress"], ended["result"]) == (False, False, "FAILURE")
    assert ended["duration"] > 0


def test_43_a_pipeline_may_show_a_result_while_it_runs_which_only_gets_worse(jenkins, http):
    server = jenkins()
    site = http(server.url)
    server.control.rule(mid_result="UNSTABLE")
    started(server, site)
    assert (state_of(site)["building"], state_of(site)["result"]) == (True, "UNSTABLE")
    assert server.control.builds()[0]["result"] is None
    server.control.release("job", result="SUCCESS")
    assert state_of(site)["result"] == "UNSTABLE"


def test_44_stop_is_a_request_the_build_ends_aborted_later(jenkins, http):
    server = jenkins()
    site = http(server.url, ("bot", "any"))
    server.control.rule(stop_seconds=60)
    started(server, site)
    assert site.post("/job/job/1/stop").status_code == 302
    assert site.post("/job/job/1/stop").status_code == 302
    assert state_of(site)["building"] is True
    server.control.advance(60)
    server.control.wait_builds("job", state="done")
    ended = state_of(site)
    assert ended["result"] == "ABORTED"
    interrupted = next(a for a in ended["actions"] if a.get("_class") == "jenkins.model.InterruptedBuildAction")
    assert [cause["shortDescription"] for cause in interrupted["causes"]] == ["Aborted by bot"]


def test_45_stop_on_an_ended_build_changes_nothing(jenkins, http):
    server = jenkins()
    site = http(server.url)
    site.trigger(A="1")
    server.control.wait_idle()
    assert site.post("/job/job/1/stop").status_code == 302
    assert state_of(site)["result"] == "SUCCESS"
    assert site.post("/job/job/9/stop").status_code == 404
    assert site.get("/job/job/1/stop").status_code == 405


def test_46_a_script_may_catch_the_stop_and_kill_ends_at_once(jenkins, http):
    server = jenkins()
    site = http(server.url)
    server.control.rule(catches_abort="SUCCESS", count=1)
    started(server, site)
    site.post("/job/job/1/stop")
    server.control.wait_builds("job", state="done")
    assert state_of(site)["result"] == "SUCCESS"
    server.control.rule(ignores_stop=True, stop_seconds=60)
    site.trigger(A="2")
    server.control.wait_builds("job", state="running")
    site.post("/job/job/2/stop")
    assert site.post("/job/job/2/term").status_code == 302
    assert state_of(site, 2)["building"] is True
    assert site.post("/job/job/2/kill").status_code == 302
    assert state_of(site, 2)["result"] == "ABORTED"
    assert "Hard kill!" in site.get("/job/job/2/consoleText").text


def test_46b_the_log_offers_term_and_kill_to_who_waits(jenkins, http):
    server = jenkins()
    site = http(server.url)
    server.control.rule(ignores_stop=True, stop_seconds=600)
    started(server, site)
    site.post("/job/job/1/stop")
    assert "Click here" not in site.get("/job/job/1/consoleText").text
    server.control.advance(16)
    assert "forcibly terminate running steps" in site.get("/job/job/1/consoleText").text


def test_47_the_pages_that_redirects_lead_to_are_there(jenkins, http, client):
    server = jenkins()
    site = http(server.url)
    started(server, site)
    for path in ("/job/job/", "/job/job/1/", "/"):
        reply = site.get(path)
        assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html;charset=utf-8")
    client(server.url).stop_build("job", 1)


def test_48_the_log_can_be_read_piece_by_piece(jenkins, http):
    server = jenkins()
    site = http(server.url)
    started(server, site)
    path = "/job/job/1/logText/progressiveText"
    first = site.get(f"{path}?start=0")
    size = int(first.headers["X-Text-Size"])
    assert (first.headers["X-More-Data"], len(first.content)) == ("true", size)
    server.control.release("job")
    rest = site.get(f"{path}?start={size}")
    assert "X-More-Data" not in rest.headers
    assert rest.text == "Finished: SUCCESS\n"
    assert site.get(f"{path}?start=99999").content == first.content + rest.content


def test_49_stages_say_failed_and_in_progress_and_only_for_pipelines(jenkins, http):
    server = jenkins(
        None, {"name": "job", "parameters": ["A"], "quiet_period": 0}, {"name": "free", "kind": "freestyle"}
    )
    site = http(server.url)
    started(server, site)
    assert site.json("/job/job/1/wfapi/describe/")["status"] == "IN_PROGRESS"
    server.control.release("job", result="FAILURE", failing_step="Smoke")
    shown = site.json("/job/job/1/wfapi/describe")
    assert shown["status"] == "FAILED"
    assert [(stage["name"], stage["status"]) for stage in shown["stages"]][-1] == ("Smoke", "FAILED")
    site.post("/job/free/build?delay=0sec")
    server.control.wait_builds("free")
    assert site.get("/job/free/1/wfapi/describe").status_code == 404


def test_50_a_test_report_is_there_when_tests_failed(jenkins, http, client):
    server = jenkins()
    site = http(server.url)
    started(server, site)
    server.control.release("job", result="UNSTABLE", tests=["shop.BasketTest.adds", "shop.BasketTest.pays"])
    report = client(server.url).get_build_test_report("job", 1)
    cases = report["suites"][0]["cases"]
    assert [(c["className"], c["name"], c["status"]) for c in cases if c["errorDetails"]] == [
        ("shop.BasketTest", "adds", "REGRESSION"),
        ("shop.BasketTest", "pays", "FAILED"),
    ]
    assert site.json("/job/job/1/testReport/api/json?tree=failCount") == {
        "_class": "hudson.tasks.junit.TestResult",
        "failCount": 2,
    }
    server.control.unhold("job")
    site.trigger(A="2")
    server.control.wait_idle()
    assert site.get("/job/job/2/testReport/api/json").status_code == 404


def test_abort_previous_ends_the_older_build_as_not_built(jenkins, http):
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0, "abort_previous": True})
    site = http(server.url)
    started(server, site)
    site.trigger(A="2")
    server.control.wait_builds("job", state="done", match={"A": "1"})
    assert server.control.history() == [("job", {"A": "1"}, "NOT_BUILT"), ("job", {"A": "2"}, None)]


def test_a_freestyle_build_is_in_progress_after_its_result(jenkins, http, receiver):
    job = {"name": "job", "kind": "freestyle", "parameters": ["A"], "quiet_period": 0, "duration_seconds": 0}
    server = jenkins(None, job | {"callbacks": [{"url": receiver.url, "events": ["COMPLETED"]}]})
    site = http(server.url)
    seen = []
    receiver.script.append(lambda _: (seen.append(state_of(site)), Reply())[1])
    site.trigger(A="1")
    server.control.wait_idle()
    assert [(s["building"], s["inProgress"], s["result"]) for s in seen] == [(False, True, "SUCCESS")]
    assert state_of(site)["inProgress"] is False


def test_names_descriptions_and_keeping_of_a_build(jenkins, http):
    site = http(jenkins().url)
    site.trigger(A="1")
    form = {"json": '{"displayName": "shop-1", "description": "d"}'}
    assert site.post("/job/job/1/configSubmit", data=form).status_code == 302
    assert site.post("/job/job/1/toggleLogKeep").status_code == 302
    shown = state_of(site)
    assert (shown["displayName"], shown["description"], shown["keepLog"]) == ("shop-1", "d", True)
    site.post("/job/job/1/submitDescription", data={"description": "other"})
    assert state_of(site)["description"] == "other"
    assert site.post("/job/job/1/doDelete").status_code == 302
    assert site.get("/job/job/1/api/json").status_code == 404


def test_a_build_is_released_once_its_start_callbacks_are_out(jenkins, http, receiver):
    callback = {"url": receiver.url, "events": ["STARTED"]}
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0, "callbacks": [callback]})
    receiver.script.append(lambda _: (time.sleep(0.1), Reply())[1])
    server.control.hold("job")
    site = http(server.url)
    site.trigger(A="1")
    server.control.release("job", result="FAILURE")
    assert state_of(site)["result"] == "FAILURE"
