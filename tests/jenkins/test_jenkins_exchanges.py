"""Single exchanges with Jenkins: what each status, header and broken connection means, and what goes out.

No server: `responses` answers in place of the network. What Jenkins itself does is tested with the stand-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
import responses
from responses import matchers
from urllib3.exceptions import NewConnectionError

from bot.effect_outcomes import RetryLater
from bot.jenkins import client as jenkins_client
from bot.jenkins import withdrawals
from bot.jenkins.client import JenkinsClient, JenkinsForbidden, JenkinsNotFound
from config.configuration import Controller, job_path

URL = "https://ci.example.com/jenkins"
CONTROLLER = Controller("cdp", URL, "interlock", timeout=7.0)
JOB = "job/shop/job/build"


@pytest.fixture
def net() -> Iterator[responses.RequestsMock]:
    """Answers what is registered; anything else cannot be reached."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> JenkinsClient:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # of the machine that the tests run on
        monkeypatch.delenv(name, raising=False)
    return JenkinsClient(CONTROLLER, "token")


def refused(net: responses.RequestsMock, client: JenkinsClient, method: str = "GET", **answer: Any) -> Exception:
    """What comes of a request that is answered so."""
    net.add(method, f"{URL}/{JOB}/x", **answer)
    with pytest.raises((RetryLater, JenkinsNotFound, JenkinsForbidden)) as caught:
        client.ask(method, f"{JOB}/x")
    return caught.value


# -- what a status means ---------------------------------------------------------------------------------------


def test_not_there_and_may_not_be_seen_are_one(net: responses.RequestsMock, client: JenkinsClient) -> None:
    assert isinstance(refused(net, client, status=404), JenkinsNotFound)


@pytest.mark.parametrize("status", [400, 401, 403, 405, 409, 422])
def test_a_refusal_carries_its_status_and_what_it_was_about(
    net: responses.RequestsMock, client: JenkinsClient, status: int
) -> None:
    error = refused(net, client, "POST", status=status)
    assert isinstance(error, JenkinsForbidden)
    assert error.status == status
    assert f"Jenkins answers {status} (" in str(error)
    assert f"to POST {JOB}/x" in str(error)


def test_the_reason_that_jenkins_gives_is_told(net: responses.RequestsMock, client: JenkinsClient) -> None:
    error = refused(net, client, "POST", status=400, headers={"X-Error": "name taken"})
    assert "(name taken)" in str(error)


@pytest.mark.parametrize(("status", "over"), [(429, True), (500, True), (502, True), (503, True), (504, False)])
def test_what_passes_is_asked_later_and_only_a_gateway_that_gave_up_may_still_be_at_it(
    net: responses.RequestsMock, client: JenkinsClient, status: int, over: bool
) -> None:
    error = refused(net, client, "POST", status=status)
    assert isinstance(error, RetryLater)
    assert (error.certain, error.over, error.after) == (False, over, None)


@pytest.mark.parametrize(("wait", "after"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None)])
def test_a_proxys_retry_after_is_obeyed_if_it_is_a_number(
    net: responses.RequestsMock, client: JenkinsClient, wait: str, after: float | None
) -> None:
    error = refused(net, client, status=429, headers={"Retry-After": wait})
    assert isinstance(error, RetryLater)
    assert error.after == after


def test_a_redirect_is_an_answer_and_not_followed(net: responses.RequestsMock, client: JenkinsClient) -> None:
    net.add("POST", f"{URL}/{JOB}/buildWithParameters", status=303, headers={"Location": f"{URL}/queue/item/7/"})
    answer = client.ask("POST", f"{JOB}/buildWithParameters", expect=(201, 303))
    assert answer.headers["Location"].endswith("/queue/item/7/")
    assert len(net.calls) == 1
    assert isinstance(refused(net, client, status=302, headers={"Location": "/login"}), JenkinsForbidden)


def test_a_page_where_json_should_be_is_a_sign_in(net: responses.RequestsMock, client: JenkinsClient) -> None:
    net.add("GET", f"{URL}/{JOB}/api/json", body="<html>Sign in</html>")
    with pytest.raises(JenkinsForbidden, match="a page instead of JSON"):
        client.get(JOB)


# -- connections that break ------------------------------------------------------------------------------------

NEVER = requests.exceptions.ConnectionError(NewConnectionError(None, "Connection refused"))  # type: ignore[arg-type]
UNTRUSTED = requests.exceptions.SSLError("certificate verify failed: CERTIFICATE_VERIFY_FAILED")
BROKEN = requests.exceptions.ConnectionError("('Connection aborted.', RemoteDisconnected('Remote end closed'))")
SLOW = requests.exceptions.ConnectionError("HTTPSConnectionPool: Read timed out.")


@pytest.mark.parametrize(
    ("error", "certain", "over", "asked"),
    [
        (requests.exceptions.ConnectTimeout(), True, False, 1),
        (NEVER, True, True, 1),
        (UNTRUSTED, True, True, 1),
        (requests.exceptions.ReadTimeout(), False, False, 1),
        (SLOW, False, False, 1),
        (BROKEN, False, True, 1),
        (requests.exceptions.ChunkedEncodingError(), False, False, 1),
    ],
)
def test_a_command_goes_out_once_and_what_is_certain_of_it_is_told(
    net: responses.RequestsMock, client: JenkinsClient, error: Exception, certain: bool, over: bool, asked: int
) -> None:
    told = refused(net, client, "POST", body=error)
    assert isinstance(told, RetryLater)
    assert (told.certain, told.over, len(net.calls)) == (certain, over, asked)


def test_a_question_under_which_the_connection_breaks_is_asked_once_more(
    net: responses.RequestsMock, client: JenkinsClient
) -> None:
    net.add("GET", f"{URL}/{JOB}/api/json", body=BROKEN)
    net.add("GET", f"{URL}/{JOB}/api/json", json={"name": "build"})
    assert client.get(JOB) == {"name": "build"}
    net.add("GET", f"{URL}/queue/api/json", body=BROKEN)
    net.add("GET", f"{URL}/queue/api/json", body=BROKEN)
    with pytest.raises(RetryLater, match="cannot be reached"):
        client.get("queue")
    assert len(net.calls) == 4


def test_a_question_that_never_got_through_is_not_asked_again(
    net: responses.RequestsMock, client: JenkinsClient
) -> None:
    assert isinstance(refused(net, client, body=NEVER), RetryLater)
    assert len(net.calls) == 1


def test_authorities_that_are_not_there_are_told_and_certain(net: responses.RequestsMock) -> None:
    wary = JenkinsClient(replace(CONTROLLER, ca_bundle=Path("/nowhere.pem")), "token")
    net.add_passthru(URL)  # the file is looked for before anything is sent
    with pytest.raises(RetryLater, match=r"nowhere\.pem") as caught:
        wary.get(JOB)
    assert caught.value.certain


# -- what goes out ---------------------------------------------------------------------------------------------


def test_each_request_is_signed_bounded_in_time_and_not_redirected(
    net: responses.RequestsMock, client: JenkinsClient
) -> None:
    bounded = matchers.request_kwargs_matcher({"timeout": 7.0, "verify": True})
    signed = matchers.header_matcher({"Authorization": "Basic aW50ZXJsb2NrOnRva2Vu"})  # interlock:token
    tree = matchers.query_param_matcher({"tree": "builds[number]{0,50}"})
    net.add("GET", f"{URL}/{JOB}/api/json", json={}, match=[bounded, signed, tree])
    assert client.get(JOB, "builds[number]{0,50}") == {}


def test_parameters_go_in_the_body_where_no_log_has_them(net: responses.RequestsMock, client: JenkinsClient) -> None:
    net.add("POST", f"{URL}/{JOB}/buildWithParameters", status=201)
    client.ask("POST", f"{JOB}/buildWithParameters", data={"INTERLOCK_RUN": "S1.5", "delay": "0sec"}, expect=(201,))
    [call] = net.calls
    assert call.request.url == f"{URL}/{JOB}/buildWithParameters"
    assert dict(parse_qsl(str(call.request.body))) == {"INTERLOCK_RUN": "S1.5", "delay": "0sec"}


@pytest.mark.parametrize(
    ("name", "path"),
    [("build", "job/build"), ("shop/build", "job/shop/job/build"), ("mb/a%2Fb", "job/mb/job/a%252Fb"), ("ü ?", None)],
)
def test_a_jobs_name_is_encoded_once(name: str, path: str | None) -> None:
    assert job_path(name) == (path or "job/%C3%BC%20%3F")


# -- crumbs ----------------------------------------------------------------------------------------------------

NO_CRUMB = {"status": 403, "body": "HTTP ERROR 403 No valid crumb was included in the request"}
ISSUER = f"{URL}/crumbIssuer/api/json"


def test_with_a_token_no_crumb_is_asked_for(net: responses.RequestsMock, client: JenkinsClient) -> None:
    net.add("POST", f"{URL}/{JOB}/stop", status=302)
    client.ask("POST", f"{JOB}/stop", expect=(302,))
    assert [call.request.url for call in net.calls] == [f"{URL}/{JOB}/stop"]


def test_a_command_that_lacks_a_crumb_did_nothing_and_is_sent_again_with_one(
    net: responses.RequestsMock, client: JenkinsClient
) -> None:
    crumbed = matchers.header_matcher({"Jenkins-Crumb": "c1"})
    net.add("POST", f"{URL}/{JOB}/stop", **NO_CRUMB)
    net.add("GET", ISSUER, json={"crumbRequestField": "Jenkins-Crumb", "crumb": "c1"})
    net.add("POST", f"{URL}/{JOB}/stop", status=302, match=[crumbed])
    client.ask("POST", f"{JOB}/stop", expect=(302,))
    net.add("POST", f"{URL}/{JOB}/kill", status=302, match=[crumbed])
    client.ask("POST", f"{JOB}/kill", expect=(302,))  # the crumb is kept
    assert [call.request.url for call in net.calls].count(ISSUER) == 1


def test_a_crumb_that_is_refused_again_is_a_refusal(net: responses.RequestsMock, client: JenkinsClient) -> None:
    net.add("POST", f"{URL}/{JOB}/stop", **NO_CRUMB)
    net.add("GET", ISSUER, json={"crumbRequestField": "Jenkins-Crumb", "crumb": "c1"})
    with pytest.raises(JenkinsForbidden) as caught:
        client.ask("POST", f"{JOB}/stop", expect=(302,))
    assert caught.value.status == 403
    assert len(net.calls) == 3


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 401}, {"body": BROKEN}, {"body": "<html>"}])
def test_without_a_crumb_to_be_had_it_is_certain_that_nothing_was_done(
    net: responses.RequestsMock, client: JenkinsClient, answer: dict[str, Any]
) -> None:
    net.add("POST", f"{URL}/{JOB}/stop", **NO_CRUMB)
    net.add("GET", ISSUER, **answer)
    with pytest.raises(RetryLater) as caught:
        client.ask("POST", f"{JOB}/stop", expect=(302,))
    assert caught.value.certain


# -- the session of Jenkins ------------------------------------------------------------------------------------


def test_a_restart_is_noticed_by_the_next_answer_once_and_not_by_one_that_names_no_session(
    net: responses.RequestsMock, client: JenkinsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it starts, Jenkins answers 503 without one; so does a proxy."""
    noticed: list[str] = []
    monkeypatch.setattr(jenkins_client, "_listeners", [lambda: noticed.append("restarted")])
    monkeypatch.setattr(jenkins_client, "_sessions", {})
    for session, status in (("a", 200), ("a", 200), (None, 503), ("a", 404), ("b", 200), ("b", 200)):
        headers = {} if session is None else {"X-Jenkins-Session": session}
        net.add("GET", f"{URL}/{JOB}/api/json", json={}, status=status, headers=headers)
    seen = []
    for _ in range(6):
        with suppress(RetryLater, JenkinsNotFound):
            client.get(JOB)
        seen.append((client.session, len(noticed)))
    assert seen == [("a", 0), ("a", 0), ("a", 0), ("a", 0), ("b", 1), ("b", 1)]


@pytest.mark.parametrize(("status", "cancelled"), [(204, True), (302, False), (500, False), (404, False)])
def test_only_204_says_that_a_queue_item_is_cancelled(
    net: responses.RequestsMock, client: JenkinsClient, status: int, cancelled: bool
) -> None:
    """An older core answers 302 whether the item was still in the queue or not, so its build may come."""
    net.add("POST", f"{URL}/queue/cancelItem", status=status)
    assert withdrawals._cancelled(client, 7) is cancelled
