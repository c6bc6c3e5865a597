"""Seen on a real Jenkins core (2.426.3) with the real Notification plugin (1.19): items 66 to 80 of the checklist."""

from __future__ import annotations

import pytest

from standins.wire import Reply
from tests.standins.conftest import until

USERS = {"bot": {"password": "pw", "tokens": ["tok"]}, "reader": {"tokens": ["r"], "permissions": ["Overall/Read"]}}
FREE = {"name": "free", "kind": "freestyle", "parameters": ["A"], "quiet_period": 0}


@pytest.fixture
def told(jenkins, receiver):
    """A controller with one job that calls the receiver back as the endpoint says; its builds run to their end."""

    def start(endpoint=None, settings=None, **changes):
        callback = {"url": f"{receiver.url}/cb", "events": "all", **(endpoint or {})}
        job = {"name": "job", "parameters": ["A"], "quiet_period": 0, "callbacks": [callback]}
        return jenkins(settings, job | changes)

    return start


def build(server, http, job="job", **parameters):
    http(server.url).trigger(job, **(parameters or {"A": "1"}))
    server.control.wait_idle()


@pytest.mark.parametrize("force", ["term", "kill"])
def test_66_term_and_kill_of_a_freestyle_build_lead_nowhere_and_it_runs_on(jenkins, http, force):
    server = jenkins(None, FREE)
    server.control.hold("free")
    site = http(server.url)
    site.trigger("free", A="1")
    server.control.wait_builds("free", state="running")
    reply = site.post(f"/job/free/1/{force}")
    assert (reply.status_code, reply.headers["Location"]) == (302, f"{server.url}/job/free/1/{force}/")
    assert site.get(f"/job/free/1/{force}/").status_code == 404
    assert site.json("/job/free/1/api/json")["building"] is True


def test_67_a_refused_permission_is_named_as_jenkins_names_it(jenkins, http):
    reader = http(jenkins({"users": USERS}).url, ("reader", "r"))
    assert reader.post("/quietDown").headers["X-Required-Permission"] == "hudson.model.Hudson.Administer"
    assert reader.get("/me/api/json").status_code == 200


def test_68_who_am_i_and_the_login_page_are_open_to_everybody(jenkins, http):
    server = jenkins({"users": USERS})
    nobody = http(server.url)
    shown = nobody.json("/whoAmI/api/json")
    assert (shown["anonymous"], shown["name"]) == (True, "anonymous")
    assert nobody.get("/login").status_code == 200
    known = http(server.url, ("bot", "tok")).json("/whoAmI/api/json")
    assert (known["anonymous"], known["name"]) == (False, "bot")
    assert http(server.url, ("bot", "wrong")).get("/whoAmI/api/json").status_code == 401


def test_69_error_pages_name_the_version_but_not_that_of_a_bad_crumb(jenkins, http):
    server = jenkins({"users": USERS})
    site = http(server.url, ("bot", "tok"))
    pages = [site.get("/nowhere"), site.get("/job/job/buildWithParameters"), site.get("/api/json?tree=a[")]
    assert [(page.status_code, page.headers["X-Jenkins"]) for page in pages] == [(s, "2.555") for s in (404, 405, 500)]
    assert "X-Jenkins" not in http(server.url, ("bot", "pw")).post("/nowhere").headers


def test_70_cancelling_an_unknown_item_is_404_in_html(jenkins, http):
    reply = http(jenkins().url).post("/queue/cancelItem?id=77")
    assert (reply.status_code, reply.headers["Content-Type"]) == (404, "text/html;charset=utf-8")


def test_71_a_crash_takes_the_record_of_a_freestyle_build_and_never_gives_its_number_again(jenkins, http):
    server = jenkins(None, FREE)
    server.control.hold("free")
    site = http(server.url)
    site.trigger("free", A="1")
    server.control.wait_builds("free", state="running")
    server.control.restart("crash", seconds=0.02)
    until(lambda: not server.controller.restart.down)
    assert site.get("/job/free/1/api/json").status_code == 404
    assert site.json("/job/free/api/json")["lastBuild"] is None
    server.control.unhold("free")
    build(server, http, "free", A="2")
    assert [row["number"] for row in site.json("/job/free/api/json?tree=builds[number]")["builds"]] == [2]


def test_71b_a_clean_stop_may_take_it_as_well(jenkins, http):
    server = jenkins(None, FREE)
    server.control.hold("free")
    site = http(server.url)
    site.trigger("free", A="1")
    server.control.wait_builds("free", state="running")
    server.control.restart(seconds=0.02, lose_builds=True)
    until(lambda: not server.controller.restart.down)
    assert site.get("/job/free/1/api/json").status_code == 404


def test_72_ids_of_the_queue_begin_anew_at_1_after_a_crash_before_anything_was_saved(jenkins, http):
    server = jenkins()
    site = http(server.url)
    assert [site.trigger(A=str(number)) for number in range(3)] == [1, 2, 3]
    server.control.wait_builds("job", 3, "done")
    server.control.restart("crash", seconds=0.02, reuse_ids=True)
    until(lambda: not server.controller.restart.down)
    assert site.trigger(A="again") == 1
    server.control.wait_builds("job", 4, "done")
    shown = site.json("/job/job/api/json?tree=builds[queueId]")["builds"]
    assert [row["queueId"] for row in shown] == [1, 3, 2, 1]


def test_72b_an_item_with_a_delay_starts_at_the_next_look_of_the_queue(jenkins, http):
    """On a real core one with a delay of 3 s started after 6: its queue looks every 5 s."""
    server = jenkins({"queue_tick": 100.0})
    site = http(server.url)
    site.trigger(A="at once", delay="0sec")
    server.control.wait_builds("job")
    waiting = server.controller.queue.items[site.trigger(A="later", delay="3sec")]
    beside = (waiting.timer.due + 50) % 100 - 50  # Jenkins' own clock: at a whole look
    assert abs(beside) < 1  # which is read a moment before or after ours
    assert waiting.due <= waiting.timer.due < waiting.due + 100.001
    server.control.advance(104)
    server.control.wait_builds("job", 2)


def test_73_notes_are_always_there_and_the_full_address_only_with_a_configured_root(told, http, receiver):
    build(told(), http)
    assert {(body["build"]["notes"], body["build"].get("full_url")) for body in receiver.bodies} == {("", None)}
    receiver.got.clear()
    build(told(settings={"root_url": "https://ci.example.com/"}), http)
    assert receiver.bodies[0]["build"]["full_url"] == "https://ci.example.com/job/job/1/"


def test_74_queued_counts_from_the_end_of_the_quiet_period_so_it_may_be_later_than_started(told, http, receiver):
    server = told(quiet_period=60)
    http(server.url).trigger("job", A="1")
    server.control.advance(60)
    server.control.wait_builds("job", state="done")
    server.control.wait_idle()
    queued, started = (body["build"]["timestamp"] for body in receiver.bodies[:2])
    assert abs(queued - started) < 5000  # not a minute before


def test_75_without_a_branch_filter_nothing_is_sent(told, http, receiver):
    server = told({"branch": None})
    build(server, http)
    assert receiver.got == []
    assert "<branch>" not in http(server.url).get("/job/job/config.xml").text


@pytest.mark.parametrize(("event", "sent"), [("ALL", 0), ("Finalized", 0), ("", 0), ("finalized", 1), ("all", 4)])
def test_76_events_are_compared_exactly(told, http, receiver, event, sent):
    build(told({"events": event}), http)
    assert len(receiver.got) == sent


def test_77_a_secret_with_a_dollar_is_not_sent_and_user_info_is_sent_as_it_stands(told, http, receiver):
    server = told({"url": f"{receiver.url}/cb/pa$$"})
    build(server, http)
    assert (receiver.got, "unresolved variable" in http(server.url).get("/job/job/1/consoleText").text) == ([], True)
    host = receiver.url.removeprefix("http://")
    build(told({"url": f"http://any:a%2Fb@{host}/cb"}), http)
    assert receiver.got[0].headers["authorization"] == "Basic YW55OmElMkZi"  # any:a%2Fb


def test_78_a_relative_307_fails_and_is_tried_again_and_a_chain_has_no_limit(told, http, receiver):
    receiver.script += [lambda _: Reply(307, b"", [("Location", "/elsewhere")])]
    server = told({"events": ["COMPLETED"], "retries": 1})
    build(server, http)
    assert [row["status"] for row in server.control.callbacks()] == [None, 202]
    receiver.got.clear()
    receiver.script += [lambda _: Reply(307, b"", [("Location", f"{receiver.url}/on")])] * 30
    build(told({"events": ["COMPLETED"]}), http)
    assert len(receiver.got) == 31


def test_79_an_unknown_credential_sends_nothing_and_fills_the_log(told, http, receiver):
    server = told({"url": "", "credential": "not-there"})
    build(server, http)
    assert receiver.got == []
    assert "NullPointerException" in http(server.url).get("/job/job/1/consoleText").text
    known = told({"url": "", "credential": "there"}, {"credentials": {"there": f"{receiver.url}/cb"}})
    build(known, http)
    assert len(receiver.got) == 4
    assert "with credentials id 'there'" in http(known.url).get("/job/job/1/consoleText").text


def test_80_at_completed_a_freestyle_build_is_over_and_not_yet_the_last_completed_one(jenkins, http, receiver):
    seen = []
    callback = {"url": f"{receiver.url}/cb", "events": ["COMPLETED"]}
    server = jenkins(None, FREE | {"callbacks": [callback]})
    site = http(server.url)
    receiver.script.append(lambda _: (seen.append(site.json("/job/free/api/json?depth=1")), Reply())[1])
    build(server, http, "free", A="1")
    (shown,) = seen
    last = shown["lastBuild"]
    assert (last["building"], last["result"], last["inProgress"]) == (False, "SUCCESS", True)
    assert shown["lastCompletedBuild"] is None
    assert server.control.builds("free")[0]["result"] == "SUCCESS"


def test_log_lines_are_sent_as_many_as_the_endpoint_wants(told, http, receiver):
    build(told({"log_lines": 1, "events": ["COMPLETED"]}), http)
    build(told({"log_lines": -1, "events": ["COMPLETED"]}), http)
    few, all_of_it = (body["build"]["log"].splitlines() for body in receiver.bodies)
    assert (len(few), len(all_of_it) > 2) == (1, True)
