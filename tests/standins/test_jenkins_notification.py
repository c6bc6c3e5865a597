"""Callbacks of the notification plugin: items 59 to 65 of the Jenkins checklist."""

from __future__ import annotations

import time

import pytest

from standins.wire import Reply
from tests.standins.conftest import until

ALL = ["QUEUED", "STARTED", "COMPLETED", "FINALIZED"]


@pytest.fixture
def notifying(jenkins, receiver):
    """A controller whose job calls the receiver back; `changes` are of the job or of its endpoint."""

    def start(endpoint=None, **changes):
        callback = {"url": f"{receiver.url}/cb", **(endpoint or {})}
        job = {"name": "team/job", "parameters": ["A"], "quiet_period": 0, "callbacks": [callback]}
        return jenkins(None, job | changes)

    return start


def run(server, http, value="1"):
    number = http(server.url).trigger("team/job/job", A=value)
    server.control.wait_idle()
    return number


def attempts(server):
    return [(row["phase"], row["status"]) for row in server.control.callbacks()]


def test_59_each_build_tells_four_phases_queued_only_at_its_start(notifying, http, receiver):
    server = notifying(quiet_period=60)
    http(server.url).trigger("team/job/job", A="1")
    assert receiver.got == []
    server.control.advance(60)
    server.control.wait_builds("team/job", state="done")
    server.control.wait_idle()
    assert receiver.phases == ALL
    assert ["status" in body["build"] for body in receiver.bodies] == [False, False, True, True]


def test_60_the_payload_is_snake_case_without_nulls_and_names_the_queue_item(notifying, http, receiver):
    server = notifying()
    number = run(server, http)
    body = receiver.bodies[2]
    build = body.pop("build")
    assert body == {"name": "job", "display_name": "job", "url": "job/team/job/job/"}
    assert (build.pop("timestamp") > 0, build.pop("duration") > 0) == (True, True)
    assert build == {
        "number": 1,
        "queue_id": number,
        "phase": "COMPLETED",
        "status": "SUCCESS",
        "url": "job/team/job/job/1/",
        "scm": {"changes": [], "culprits": []},
        "parameters": {"A": "1"},
        "log": "",
        "notes": "",
        "artifacts": {},
    }
    assert receiver.got[0].headers["content-type"] == "application/json;charset=UTF-8"


def test_61_an_error_status_is_not_repeated(notifying, http, receiver):
    receiver.script += [lambda _: Reply(500)] * 4
    server = notifying({"retries": 3})
    run(server, http)
    assert attempts(server) == [(phase, 500) for phase in ALL]


def test_61b_a_refused_connection_is_tried_retries_and_one_times(jenkins, http):
    endpoint = {"url": "http://127.0.0.1:9/", "events": ["COMPLETED"], "retries": 2}
    server = jenkins(None, {"name": "job", "parameters": ["A"], "quiet_period": 0, "callbacks": [endpoint]})
    http(server.url).trigger(A="1")
    server.control.wait_idle()
    assert attempts(server) == [("COMPLETED", None)] * 3


def test_61c_after_one_failed_attempt_all_the_others_are_sent(notifying, http, receiver):
    receiver.script.append(lambda _: Reply(dropped=True))
    server = notifying({"retries": 3, "events": ["COMPLETED"]})
    run(server, http)
    assert attempts(server) == [("COMPLETED", None)] + [("COMPLETED", 202)] * 3


def test_62_a_307_is_followed_a_302_is_not(notifying, http, receiver):
    elsewhere = [("Location", f"{receiver.url}/elsewhere")]
    receiver.script += [lambda _: Reply(307, b"", elsewhere), lambda _: Reply(), lambda _: Reply(302, b"", elsewhere)]
    server = notifying({"events": ["COMPLETED", "FINALIZED"]})
    run(server, http)
    assert [request.target for request in receiver.got] == ["/cb", "/elsewhere", "/cb"]


def test_63_a_slow_receiver_delays_the_build_and_counts_as_failed(notifying, http, receiver):
    receiver.script.append(lambda _: (time.sleep(0.4), Reply())[1])
    server = notifying({"timeout": 0.2, "events": ["STARTED"]}, duration_seconds=0)
    site = http(server.url)
    began = time.monotonic()
    site.trigger("team/job/job", A="1")
    assert site.json("/job/team/job/job/1/api/json")["building"] is True
    server.control.wait_idle()
    assert time.monotonic() - began > 0.19
    assert attempts(server) == [("STARTED", None)]


def test_64_when_completed_arrives_the_api_says_so_too(notifying, http, receiver):
    seen = []
    server = notifying({"events": ["COMPLETED"]})
    site = http(server.url)
    receiver.script.append(lambda _: (seen.append(site.json("/job/team/job/job/1/api/json")), Reply())[1])
    run(server, http)
    assert [(shown["building"], shown["inProgress"]) for shown in seen] == [(False, False)]


def test_65_an_endpoint_gets_the_event_that_it_asked_for(notifying, http, receiver):
    run(notifying({"events": "finalized"}), http)
    assert receiver.phases == ["FINALIZED"]
    receiver.got.clear()
    server = notifying({"events": "failed"})
    run(server, http)
    assert receiver.got == []
    server.control.rule(result="FAILURE")
    run(server, http, "2")
    assert receiver.phases == ["FINALIZED"]


def test_failing_tests_are_summed_up(notifying, http, receiver):
    server = notifying({"events": ["COMPLETED"]})
    server.control.rule(result="UNSTABLE", tests=["a.B.c"])
    run(server, http)
    summary = receiver.bodies[0]["build"]["test_summary"]
    assert (summary["failed"], summary["failed_tests"]) == (1, ["a.B.c"])


def test_a_variable_in_the_url_is_filled_in_and_an_unknown_one_sends_nothing(notifying, http, receiver):
    server = notifying({"url": f"{receiver.url}/$A/${{BUILD_NUMBER}}", "events": ["COMPLETED"]})
    run(server, http, "x")
    assert receiver.got[0].target == "/x/1"
    server.control.change_job("team/job", {"callbacks": [{"url": f"{receiver.url}/$NOBODY"}]})
    run(server, http, "y")
    assert len(receiver.got) == 1


@pytest.mark.parametrize(("kind", "phases"), [("drop", ALL[:2] + ALL[3:]), ("duplicate", [*ALL[:3], ALL[2], ALL[3]])])
def test_a_callback_can_be_lost_or_come_twice(notifying, http, receiver, kind, phases):
    server = notifying()
    server.control.callback_fault(kind, phase="COMPLETED")
    run(server, http)
    assert receiver.phases == phases


def test_a_callback_can_be_overtaken(notifying, http, receiver):
    server = notifying()
    server.control.callback_fault("delay", phase="STARTED", seconds=60)
    run(server, http)
    server.control.advance(60)
    until(lambda: len(receiver.got) == 4)
    assert receiver.phases == ["QUEUED", "COMPLETED", "FINALIZED", "STARTED"]


def test_59b_a_jenkinsfile_may_tell_of_an_end_that_is_not_yet(notifying, http, receiver):
    server = notifying({"events": "manual"})
    server.control.hold("team/job")
    http(server.url).trigger("team/job/job", A="1")
    server.control.wait_builds("team/job", state="running")
    server.control.notify_endpoints("team/job", "COMPLETED")
    receiver.wait(1)
    assert receiver.phases == ["COMPLETED"]
    assert "status" not in receiver.bodies[0]["build"]
    assert server.control.builds()[0]["building"] is True
    server.control.release("team/job")
    server.control.wait_idle()
    assert receiver.phases == ["COMPLETED"]
    with pytest.raises(LookupError, match="no build of team/job is running"):
        server.control.notify_endpoints("team/job", "COMPLETED")


def test_65b_the_first_success_after_a_failure_is_told_to_who_asked_for_it(notifying, http, receiver):
    server = notifying({"events": "failedAndFirstSuccess"})
    for at, result in enumerate(("SUCCESS", "FAILURE", "ABORTED", "SUCCESS", "SUCCESS")):
        server.control.rule(result=result)
        run(server, http, str(at))
    assert [(body["build"]["number"], body["build"]["status"]) for body in receiver.bodies] == [
        (2, "FAILURE"),
        (4, "SUCCESS"),
    ]
    assert set(receiver.phases) == {"FINALIZED"}


def test_65c_a_filter_of_branches_keeps_every_other_job_quiet(jenkins, http, receiver):
    endpoint = {"url": receiver.url, "events": ["COMPLETED"], "branch": "feature/.*"}
    job = {"parameters": ["A"], "quiet_period": 0, "callbacks": [endpoint]}
    names = ("mb/feature%2Fx", "mb/main", "plain")
    server = jenkins(None, {"name": "mb", "kind": "multibranch"}, *(job | {"name": name} for name in names))
    for path in ("mb/job/feature%252Fx", "mb/job/main", "plain"):
        http(server.url).trigger(path, A="1")
    server.control.wait_idle()
    assert [body["url"] for body in receiver.bodies] == ["job/mb/job/feature%252Fx/"]
