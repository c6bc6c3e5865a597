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
    assert ended["executor"] is None


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
    assert "interrupted" not in str(state_of(site)).lower()


def test_45b_who_may_not_cancel_is_told_so_unless_a_freestyle_build_has_ended(jenkins, http):
    """WorkflowRun#doStop asks always, AbstractBuild#doStop asks the executor, which an ended build has not."""
    users = {"a": {"tokens": ["t"], "permissions": ["Overall/Read", "Item/Read", "Item/Build"]}, "b": {"tokens": ["t"]}}
    job = {"name": "job", "parameters": ["A"], "quiet_period": 0}
    server = jenkins({"users": users}, job, job | {"name": "free", "kind": "freestyle"})
    weak, strong = http(server.url, ("a", "t")), http(server.url, ("b", "t"))
    for name in ("job", "free"):
        started(server, weak, name)
        assert weak.post(f"/job/{name}/1/stop").status_code == 403
        server.control.release(name)
    server.control.wait_idle()
    assert [site.post("/job/job/1/stop").status_code for site in (weak, strong)] == [403, 302]
    assert [site.post("/job/free/1/stop").status_code for site in (weak, strong)] == [302, 302]
    assert [row[2] for row in server.control.history()] == ["SUCCESS", "SUCCESS"]


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
    assert site.get("/job/job/2/kill").status_code == 405
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
    assert site.get(f"{path}?start={size}").content == b""
    server.control.release("job")
    rest = site.get(f"{path}?start={size}")
    assert int(rest.headers["X-Text-Size"]) > size
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
    statuses = site.json("/job/job/1/testReport/api/json?tree=suites[cases[status]]")["suites"][0]["cases"]
    assert [one["status"] for one in statuses] == ["REGRESSION", "FAILED", "PASSED"]
    totals = next(one for one in state_of(site)["actions"] if one.get("urlName") == "testReport")
    assert (totals["failCount"], totals["totalCount"]) == (2, 3)
    server.control.unhold("job")
    site.trigger(A="2")
    server.control.wait_idle()
    assert site.get("/job/job/2/testReport/api/json").status_code == 404


STAGES = ["Check out", "Build", "Roll out", "Smoke"]


def failed(server, site, **outcome):
    server.control.rule(result="FAILURE", stages=STAGES, failing_step="Roll out", **outcome)
    site.trigger(A="1")
    server.control.wait_idle()
    return site.json("/job/job/1/wfapi/describe")


def test_49b_the_stage_that_failed_says_what_its_step_said_and_later_ones_are_not_there(jenkins, http):
    shown = failed(server := jenkins({"context": "/ci"}), site := http(server.url), error="roll-out timed out")
    assert "error" not in shown
    assert [(one["name"], one["status"]) for one in shown["stages"]] == [
        ("Check out", "SUCCESS"),
        ("Build", "SUCCESS"),
        ("Roll out", "FAILED"),
    ]
    stage = shown["stages"][2]
    assert stage["error"] == {"message": "roll-out timed out", "type": "hudson.AbortException"}
    assert stage["_links"]["self"]["href"] == f"/ci/job/job/1/execution/node/{stage['id']}/wfapi/describe"
    assert ("stageFlowNodes" in stage, "error" in shown["stages"][0], stage["execNode"]) == (False, False, "")
    assert "ERROR: roll-out timed out\nFinished: FAILURE\n" in site.get("/job/job/1/consoleText").text


def test_49c_full_stages_show_the_steps(jenkins, http):
    failed(server := jenkins(), site := http(server.url))
    stages = site.json("/job/job/1/wfapi/describe?fullStages=true")["stages"]
    assert [len(stage["stageFlowNodes"]) for stage in stages] == [1, 1, 1]
    stage, step = stages[2], stages[2]["stageFlowNodes"][0]
    timing = {"startTimeMillis", "durationMillis", "pauseDurationMillis"}
    here = f"/job/job/1/execution/node/{step['id']}"
    assert {name: value for name, value in step.items() if name not in timing} == {
        "_links": {
            "self": {"href": f"{here}/wfapi/describe"},
            "log": {"href": f"{here}/wfapi/log"},
            "console": {"href": f"{here}/log"},
        },
        "id": str(int(stage["id"]) + 1),
        "name": "Shell Script",
        "execNode": "",
        "status": "FAILED",
        "error": {"message": "script returned exit code 1", "type": "hudson.AbortException"},
        "parameterDescription": "./roll-out.sh",
        "parentNodes": [stage["id"]],
    }


def test_49d_one_stage_or_step_can_be_asked_for(jenkins, http):
    shown = failed(server := jenkins(), site := http(server.url))
    stage = site.json(shown["stages"][2]["_links"]["self"]["href"])
    step = stage.pop("stageFlowNodes")[0]
    assert stage == shown["stages"][2]
    alone = site.json(step["_links"]["self"]["href"])
    assert alone["error"] == step["error"]
    assert "console" not in alone["_links"]
    log = site.json(alone["_links"]["log"]["href"])
    assert (log["nodeId"], log["nodeStatus"], log["text"], log["hasMore"]) == (
        step["id"],
        "FAILED",
        "+ ./roll-out.sh\n",
        False,
    )
    for path in ("2/wfapi/describe", f"{stage['id']}/wfapi/log", "x/wfapi/describe"):
        assert site.get(f"/job/job/1/execution/node/{path}").status_code == 404


def test_49e_unstable_goes_on_aborted_names_who_and_killed_has_lost_its_stages(jenkins, http):
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0})
    site = http(server.url, ("bot", "any"))
    server.control.rule(match={"A": "soft"}, result="UNSTABLE", stages=STAGES, failing_step="Smoke")
    server.control.rule(match={"A": "stop"}, hold=True, stages=STAGES)
    for value in ("soft", "stop", "stop"):
        site.trigger(A=value)
        server.control.wait_builds("job", state="running" if value == "stop" else "done", match={"A": value})
        if value == "stop":
            number = server.control.builds()[-1]["number"]
            site.post(f"/job/job/{number}/{'stop' if number == 2 else 'kill'}")
            server.control.wait_idle()
    soft, stopped, killed = (site.json(f"/job/job/{number}/wfapi/describe") for number in (1, 2, 3))
    assert [(one["status"], "error" in one) for one in soft["stages"]] == [("SUCCESS", False)] * 3 + [
        ("UNSTABLE", False)
    ]
    assert (stopped["status"], stopped["stages"][-1]["error"]["message"]) == ("ABORTED", "Aborted by bot")
    assert stopped["stages"][-1]["error"]["type"].endswith("FlowInterruptedException")
    assert (killed["status"], killed["stages"]) == ("NOT_EXECUTED", [])


def test_abort_previous_ends_the_older_build_as_not_built(jenkins, http):
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0, "abort_previous": True})
    site = http(server.url)
    started(server, site)
    site.trigger(A="2")
    server.control.wait_builds("job", state="done", match={"A": "1"})
    assert server.control.history() == [("job", {"A": "1"}, "NOT_BUILT"), ("job", {"A": "2"}, None)]
    assert site.json("/job/job/1/wfapi/describe")["status"] == "ABORTED"


def test_64b_a_freestyle_build_is_in_progress_after_its_result(jenkins, http, receiver):
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
