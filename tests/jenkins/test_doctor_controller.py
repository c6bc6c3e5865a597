"""The doctor says what exactly is wrong with a controller that does not answer as it should, and how to mend it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest
import responses

from bot.doctor import DoctorFinding, Subject
from bot.jenkins.doctor.controller import clocks, version_number
from standins.jenkins import JenkinsStandIn
from standins.wire.message import Reply, Request
from standins.wire.server import HttpServer
from tests.jenkins.doctor_kit import bad, configured, examined, good_job, of_controller, standin
from tests.workers.tls import tls_before

GOOD = ("good", "Jenkins 2.555 answers interlock")
#: Looks at a controller, and returns the one bad finding about it.
Look = Callable[[Reply | Callable[[Request], Reply]], DoctorFinding]


@pytest.fixture
def jenkins() -> Iterator[JenkinsStandIn]:
    with standin() as controller:
        good_job(controller)
        yield controller


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Looks at somebody who answers everything in one way: without a server, or with one that looks back."""

    def at(answer: Reply | Callable[[Request], Reply]) -> DoctorFinding:
        if callable(answer):
            with HttpServer(answer) as server:
                return bad(examined(configured(tmp_path, f"http://127.0.0.1:{server.port}")))
        with responses.RequestsMock(assert_all_requests_are_fired=False) as net:
            for method in ("GET", "POST"):
                net.add(method, re.compile(".*"), answer.body, status=answer.status, headers=dict(answer.headers))
            return bad(examined(configured(tmp_path, "http://ci.shop.test")))

    return at


def test_a_controller_that_answers_is_good(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    assert of_controller(examined(configured(tmp_path, jenkins.url))) == [GOOD]


# -- no answer -------------------------------------------------------------------------------------------------


def test_a_refused_connection_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    configuration = configured(tmp_path, jenkins.url)
    jenkins.stop()
    assert bad(examined(configuration)).found == f"{jenkins.url} refuses the connection: nothing listens there"


@pytest.mark.slow
def test_a_server_that_says_nothing_is_told_after_the_time_out(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        found = bad(examined(configured(tmp_path, url, controller={"timeout": "1s"}))).found
        assert found == f"{url} accepted the connection and did not answer within 1 s"
        assert time.monotonic() - began < 20, "a time-out of a second, and not the usual ones"


def test_a_name_that_nobody_knows_is_told(tmp_path: Path) -> None:
    found = bad(examined(configured(tmp_path, "http://jenkins.nowhere.test"))).found
    assert found == "the host name jenkins.nowhere.test cannot be resolved"


def test_a_certificate_of_an_unknown_authority_is_refused_and_taken_with_ca_bundle(
    tmp_path: Path, jenkins: JenkinsStandIn
) -> None:
    with tls_before(_port(jenkins), tmp_path) as (port, certificate):
        url = f"https://127.0.0.1:{port}"
        finding = bad(examined(configured(tmp_path, url)))
        assert finding.found == f"the certificate of {url} is not trusted: this machine does not have its authority"
        assert "ca_bundle" in finding.mend
        trusting = configured(tmp_path, url, controller={"ca_bundle": str(certificate)})
        assert of_controller(examined(trusting)) == [GOOD]


def test_a_certificate_for_another_name_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    with tls_before(_port(jenkins), tmp_path, name="jenkins.example.com") as (port, certificate):
        url = f"https://127.0.0.1:{port}"
        configuration = configured(tmp_path, url, controller={"ca_bundle": str(certificate)})
        assert bad(examined(configuration)).found == f"the certificate of {url} is for another name"


def test_an_expired_certificate_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    with tls_before(_port(jenkins), tmp_path, days=-1) as (port, certificate):
        url = f"https://127.0.0.1:{port}"
        configuration = configured(tmp_path, url, controller={"ca_bundle": str(certificate)})
        assert bad(examined(configuration)).found == f"the certificate of {url} has expired"


def test_a_port_without_tls_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    url = jenkins.url.replace("http:", "https:")
    assert bad(examined(configured(tmp_path, url))).found == f"{url} does not speak TLS at that port"


def test_a_ca_bundle_that_is_not_there_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    url = jenkins.url.replace("http:", "https:")
    finding = bad(examined(configured(tmp_path, url, controller={"ca_bundle": "nowhere.pem"})))
    assert "nowhere.pem" in finding.found


# -- the wrong answer ------------------------------------------------------------------------------------------


def test_a_wrong_token_is_found_and_not_repeated(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    finding = bad(examined(configured(tmp_path, jenkins.url), token="wr0ng-t0ken"))
    assert finding.found == "it refuses the user interlock with this token (401)"
    assert "INTERLOCK_JENKINS_TOKEN_CDP" in finding.mend
    assert "wr0ng-t0ken" not in f"{finding}"


def test_a_user_without_overall_read_is_told(tmp_path: Path) -> None:
    with standin(without="Overall/Read") as jenkins:
        finding = bad(examined(configured(tmp_path, jenkins.url)))
        assert finding.found == "the user interlock lacks Overall/Read (403)"


def test_a_missing_context_path_is_found_where_it_usually_is(tmp_path: Path) -> None:
    with standin(context="/jenkins") as jenkins:
        finding = bad(examined(configured(tmp_path, jenkins.base)))
        assert finding.found == f"there is no Jenkins at {jenkins.base}, but one at {jenkins.base}/jenkins"


def test_a_context_path_too_much_is_found(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    finding = bad(examined(configured(tmp_path, f"{jenkins.url}/ci")))
    assert finding.found == f"there is no Jenkins at {jenkins.url}/ci, but one at {jenkins.url}"


def test_the_token_is_not_given_to_whoever_may_be_at_another_path(look: Look) -> None:
    asked: list[tuple[str, bool]] = []

    def unmanaged(request: Request) -> Reply:
        asked.append((request.raw_path, "authorization" in request.headers))
        return Reply(404)

    assert "no Jenkins at" in look(unmanaged).found
    assert asked == [("/api/json", True), ("/jenkins/api/json", False)]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (
            "https://sso.shop.test/oauth2/authorize?state=1",
            "it redirects to a sign-in page at https://sso.shop.test/oauth2/authorize",
        ),
        ("/login?from=%2F", "it redirects to a sign-in page at /login"),
        ("https://ci.shop.test/jenkins/api/json", "it redirects to https://ci.shop.test/jenkins/api/json"),
    ],
)
def test_a_redirect_is_told_and_not_followed(look: Look, location: str, words: str) -> None:
    assert look(Reply(302, b"", [("Location", location)])).found == words


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(200, b"<html>Sign in</html>"), "it answers with a page instead of Jenkins' API"),
        (Reply(200, b'{"mode": 1}'), "it answers with a page instead of Jenkins' API"),
        (
            Reply(401, b"", [("WWW-Authenticate", 'Basic realm="Company"')]),
            'a proxy in front of Jenkins asks for a sign-in (401, Basic realm="Company")',
        ),
        (Reply(403, b"no"), "a proxy in front of Jenkins refuses Interlock's requests (403)"),
        (
            Reply(403, b"no", [("X-Jenkins", "2.579"), ("X-You-Are-Authenticated-As", "anonymous")]),
            "Interlock's sign-in does not reach Jenkins, which treats Interlock as anonymous",
        ),
        (
            Reply(403, b"no", [("X-Jenkins", "2.555")]),
            "Interlock's sign-in does not reach Jenkins, which treats Interlock as anonymous",
        ),
        (Reply(429), "the proxy in front of Jenkins limits Interlock's requests (429)"),
        (Reply(502), "the proxy in front of Jenkins answers, Jenkins does not (502)"),
        (Reply(503), "Jenkins is starting, or its proxy does not reach it (503)"),
    ],
)
def test_what_stands_before_jenkins_is_told_from_jenkins(look: Look, reply: Reply, words: str) -> None:
    assert look(reply).found == words


def test_a_jenkins_that_starts_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    jenkins.control.restart(seconds=30)
    assert bad(examined(configured(tmp_path, jenkins.url))).found.startswith("Jenkins is starting")


def test_a_proxy_that_drops_the_sign_in_of_a_readable_jenkins_is_found(tmp_path: Path) -> None:
    with standin(anonymous=["Overall/Read", "Item/Read"]) as jenkins:

        def forgetful(request: Request) -> Reply:
            request.headers.pop("authorization", None)
            return front(request)

        front = jenkins._server._handler
        with HttpServer(forgetful) as proxy:
            finding = bad(examined(configured(tmp_path, f"http://127.0.0.1:{proxy.port}")))
        assert finding.found == "Interlock's sign-in does not reach Jenkins, which treats Interlock as anonymous"


@pytest.mark.parametrize("version", ["2.426.3", "2.555", "2.579"])
def test_a_proxy_that_drops_the_sign_in_of_a_closed_jenkins_is_found_whatever_its_403_says(
    tmp_path: Path, version: str
) -> None:
    """Most versions do not say in their 403 that it is for nobody."""
    with standin(version=version) as jenkins:

        def forgetful(request: Request) -> Reply:
            request.headers.pop("authorization", None)
            return front(request)

        front = jenkins._server._handler
        with HttpServer(forgetful) as proxy:
            finding = bad(examined(configured(tmp_path, f"http://127.0.0.1:{proxy.port}")))
        assert finding.found == "Interlock's sign-in does not reach Jenkins, which treats Interlock as anonymous"


# -- how it is -------------------------------------------------------------------------------------------------


def test_a_password_works_and_a_token_is_recommended(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    findings = examined(configured(tmp_path, jenkins.url), token="password")
    assert of_controller(findings) == [GOOD, ("unsure", "Interlock signs in with a password")]
    assert [f.verdict for f in findings if f.subject] == ["good"]


def test_a_jenkins_without_security_is_mentioned(tmp_path: Path) -> None:
    with JenkinsStandIn() as jenkins:
        good_job(jenkins)
        findings = examined(configured(tmp_path, jenkins.url))
        assert of_controller(findings) == [GOOD, ("unsure", "its security is off: anybody may do anything there")]


def test_an_old_version_is_told_with_what_is_different(tmp_path: Path) -> None:
    with standin(version="2.204.1") as jenkins:
        [_, (verdict, words)] = of_controller(examined(configured(tmp_path, jenkins.url)))
        assert verdict == "unsure"
        assert "before 2.211" in words
        assert "before 2.308" in words
        assert "before 2.524" in words


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.479.3", (2, 479)), ("2.555-SNAPSHOT", (2, 555)), ("2.462.3.3", (2, 462)), ("of unknown version", None)],
)
def test_versions_are_read_in_all_their_forms(text: str, version: tuple[int, int] | None) -> None:
    assert version_number(text) == version


NOON = 1_700_000_000.0
NOON_WRITTEN = formatdate(NOON, usegmt=True)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (NOON + 61, NOON + 61, ["its clock is at least 60 s behind Interlock's"]),
        (NOON - 60, NOON - 60, ["its clock is at least 60 s ahead of Interlock's"]),
        (NOON - 60, NOON - 20, ["its clock is at least 20 s ahead of Interlock's"]),  # it took 40 s to answer
        (NOON + 2, NOON + 2, []),
        (NOON - 300, NOON + 300, []),  # whatever its clock says, it may have said it rightly
    ],
)
def test_only_what_clocks_are_certainly_apart_is_told(before: float, after: float, told: list[str]) -> None:
    found = [finding.found for finding in clocks(Subject.controller("cdp"), NOON_WRITTEN, before, after)]
    assert found == told


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_controller_that_gives_no_time_is_told_nothing_about_clocks(date: str) -> None:
    assert list(clocks(Subject.controller("cdp"), date, NOON, NOON)) == []


@pytest.mark.parametrize(("seconds", "words"), [(-3600, "behind"), (3600, "ahead of"), (2, "")])
def test_clocks_far_apart_are_told(tmp_path: Path, jenkins: JenkinsStandIn, seconds: int, words: str) -> None:
    def late(request: Request) -> Reply:
        reply: Reply = front(request)
        reply.headers.append(("Date", formatdate(time.time() + seconds, usegmt=True)))
        return reply

    front = jenkins._server._handler
    with HttpServer(late) as server:
        told = [text for _, text in of_controller(examined(configured(tmp_path, f"http://127.0.0.1:{server.port}")))]
    assert [f"s {words} Interlock's" in text for text in told if "clock" in text] == ([True] if words else [])


def test_a_jenkins_that_prepares_to_shut_down_is_mentioned(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    jenkins.control.quiet_down()
    assert of_controller(examined(configured(tmp_path, jenkins.url))) == [
        GOOD,
        ("unsure", "it is preparing to shut down"),
    ]


def _port(jenkins: JenkinsStandIn) -> int:
    return int(jenkins.base.rpartition(":")[2])
