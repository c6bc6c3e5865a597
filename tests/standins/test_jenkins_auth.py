"""Sign-in and crumbs: items 1 to 12 of the Jenkins checklist."""

from __future__ import annotations

import pytest

USERS = {
    "bot": {"password": "pw", "tokens": ["tok"]},
    "reader": {"password": "pw", "permissions": ["Overall/Read", "Item/Read"]},
    "guesser": {"password": "pw", "permissions": ["Overall/Read", "Item/Discover"]},
    "stranger": {"password": "pw", "permissions": ["Overall/Read"]},
}
TRIGGER = "/job/job/buildWithParameters"


@pytest.fixture
def closed(jenkins):
    return jenkins({"users": USERS})


def crumb_of(session):
    body = session.json("/crumbIssuer/api/json")
    return {body["crumbRequestField"]: body["crumb"]}


def test_01_a_wrong_password_is_401_everywhere(closed, http):
    for path in ("/api/json", "/crumbIssuer/api/json", "/job/job/", "/nowhere"):
        reply = http(closed.url, ("bot", "wrong")).get(path)
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"] == 'Basic realm="Jenkins"'


def test_01a_even_where_anybody_may_read(jenkins, http):
    server = jenkins({"users": USERS, "anonymous": ["Overall/Read", "Item/Read"]})
    assert http(server.url).get("/api/json").status_code == 200
    assert http(server.url, ("bot", "wrong")).get("/api/json").status_code == 401
    assert http(server.url, ("nobody", "tok")).get("/api/json").status_code == 401


def test_01b_a_basic_header_that_cannot_be_read_is_401(closed, http):
    assert http(closed.url).get("/api/json", headers={"Authorization": "Basic !!!"}).status_code == 401


def test_02_anonymous_on_a_closed_server_is_403_not_401(closed, http):
    reply = http(closed.url).get("/api/json")
    assert reply.status_code == 403
    assert reply.headers["X-Jenkins"] == "2.555"
    assert not {"X-You-Are-Authenticated-As", "X-Required-Permission"} & set(reply.headers)
    assert ("Authentication required" in reply.text, "/login?from=" in reply.text) == (True, True)


def test_02d_a_newer_version_names_nobody_and_what_was_needed(jenkins, http):
    reply = http(jenkins({"users": USERS, "version": "2.579"}).url).get("/api/json")
    assert reply.headers["X-You-Are-Authenticated-As"] == "anonymous"
    assert reply.headers["X-Required-Permission"] == "hudson.model.Hudson.Read"


def test_02b_a_script_in_a_browser_gets_no_page(closed, http):
    reply = http(closed.url).get("/api/json", headers={"X-Requested-With": "XMLHttpRequest"})
    assert (reply.status_code, reply.text) == (403, "")


def test_02c_a_crumbs_cookie_alone_signs_nobody_in(closed, http):
    session = http(closed.url, ("bot", "pw"))
    crumb_of(session)
    session.session.auth = None
    assert session.session.cookies
    assert session.get("/api/json").status_code == 403


def test_03_a_post_with_a_password_and_no_crumb_is_403_and_queues_nothing(closed, http):
    reply = http(closed.url, ("bot", "pw")).post(TRIGGER)
    assert reply.status_code == 403
    assert "No valid crumb was included in the request" in reply.text
    assert closed.control.queue() == closed.control.history() == []


def test_04_an_api_token_needs_no_crumb(closed, http):
    assert http(closed.url, ("bot", "tok")).post(TRIGGER).status_code == 201
    assert len(closed.control.history()) == 1


def test_05_a_crumb_of_another_session_or_without_its_cookie_is_403(closed, http):
    a, b = http(closed.url, ("bot", "pw")), http(closed.url, ("bot", "pw"))
    crumb = crumb_of(a)
    crumb_of(b)
    assert b.post(TRIGGER, headers=crumb).status_code == 403
    assert http(closed.url, ("bot", "pw")).post(TRIGGER, headers=crumb).status_code == 403
    assert closed.control.history() == []


def test_06_a_crumb_with_its_cookie_passes_as_header_and_as_form_field(closed, http):
    session = http(closed.url, ("bot", "pw"))
    crumb = crumb_of(session)
    assert session.post(TRIGGER, params={"A": "1"}, headers=crumb).status_code == 201
    assert session.post(TRIGGER, params={"A": "2"}, data=crumb).status_code == 201


def test_07_the_crumb_is_checked_before_the_path(closed, http):
    assert http(closed.url, ("bot", "pw")).post("/nowhere").status_code == 403
    assert http(closed.url, ("bot", "tok")).post("/nowhere").status_code == 404


def test_08_wrong_credentials_go_before_a_valid_crumb(closed, http):
    session = http(closed.url, ("bot", "pw"))
    crumb = crumb_of(session)
    session.session.auth = ("bot", "wrong")
    reply = session.post(TRIGGER, headers=crumb)
    assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="Jenkins"')
    assert closed.control.history() == []


def test_09_without_crumbs_the_issuer_is_404_and_clients_do_without(jenkins, http, client):
    server = jenkins({"users": USERS, "crumbs": False})
    assert http(server.url, ("bot", "pw")).get("/crumbIssuer/api/json").status_code == 404
    assert http(server.url, ("bot", "pw")).json("/api/json?tree=useCrumbs")["useCrumbs"] is False
    assert client(server.url, "bot", "pw").build_job("job", {"A": "1"}) == 1


def test_10_the_client_asks_once_for_a_crumb_before_its_first_call(closed, client):
    caller = client(closed.url, "bot", "pw")
    caller.get_job_info("job")
    assert list(closed.control.requests()) == ["GET crumbIssuer/api/json", "GET job/api/json"]
    caller.build_job("job", {"A": "1"})
    caller.get_job_info("job")
    assert closed.control.requests()["GET crumbIssuer/api/json"] == 1


def test_11_a_restart_ends_the_session_and_its_crumb(closed, http):
    session = http(closed.url, ("bot", "pw"))
    crumb = crumb_of(session)
    closed.control.restart(seconds=0.05)
    closed.controller.await_(lambda: not closed.controller.restart.down, 5, "it did not come back")
    assert session.post(TRIGGER, headers=crumb).status_code == 403


def test_12_what_one_may_not_see_is_404_or_403(closed, http):
    assert http(closed.url, ("stranger", "pw")).get("/job/job/api/json").status_code == 404
    assert http(closed.url, ("guesser", "pw")).get("/job/job/api/json").status_code == 403
    reader = http(closed.url, ("reader", "pw"))
    assert reader.get("/job/job/api/json").status_code == 200
    assert reader.get("/job/nowhere/api/json").status_code == 404
    assert http(closed.url, ("stranger", "pw")).json("/api/json")["jobs"] == []
    refused = reader.post(TRIGGER, headers=crumb_of(reader))
    assert refused.status_code == 403
    assert "reader is missing the Item/Build permission" in refused.text
    assert closed.control.queue() == closed.control.history() == []


def test_the_jobs_own_token_lets_a_get_in_and_a_wrong_one_nobody(jenkins, http):
    server = jenkins({"users": USERS, "anonymous": ["Overall/Read", "Item/Read"]}, {"name": "open", "token": "s3"})
    assert http(server.url).get("/job/open/build?token=s3").status_code == 201
    assert http(server.url, ("bot", "tok")).get("/job/open/build?token=no").status_code == 403
    server.control.advance(10)
    server.control.wait_builds("open")
    shown = http(server.url).json("/job/open/1/api/json?tree=actions[causes[addr]]")
    assert {"_class": "hudson.model.Cause$RemoteCause", "addr": "127.0.0.1"} in shown["actions"][0]["causes"]
