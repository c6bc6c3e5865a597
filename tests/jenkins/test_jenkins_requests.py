"""What is prepared quickly goes out as requests itself would have prepared it."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.auth import HTTPBasicAuth

from bot.jenkins.client import RequestTemplates
from config.configuration import job_path

FORM = {"INTERLOCK_RUN": "S1.1", "INTERLOCK_SERVICE": "späti & co = +%~/\u2028", "delay": "0sec"}
TREE = {"tree": "builds[number,actions[parameters[name,value]]]{0,50}"}


@pytest.fixture(
    params=["http://127.0.0.1:8080", "https://ci.example.com/ci/jenkins", "http://bücher.example", "http://[::1]:8"]
)
def both(request: pytest.FixtureRequest) -> tuple[requests.Session, RequestTemplates, str]:
    session = requests.Session()
    session.auth = HTTPBasicAuth("interlock", "tökén".encode())
    return session, RequestTemplates(session, request.param), request.param


def shown(prepared: requests.PreparedRequest) -> dict[str, Any]:
    """All that goes out."""
    return {
        "line": (prepared.method, prepared.url),
        "headers": dict(prepared.headers.items()),
        "body": prepared.body,
        "hooks": prepared.hooks,
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [job_path("shop/feature%2Fx ~1"), "queue/api/json"])
@pytest.mark.parametrize("more", [{}, {"params": TREE}, {"data": FORM}], ids=["alone", "query", "form"])
def test_it_is_the_same(
    both: tuple[requests.Session, RequestTemplates, str], method: str, path: str, more: dict[str, dict[str, str]]
) -> None:
    session, quick, url = both
    for _ in range(2):  # the second time without working anything out
        request = requests.Request(method, f"{url}/{path}", **more)
        assert shown(quick.prepare(request)) == shown(session.prepare_request(request))


def test_what_one_request_carries_the_next_does_not(both: tuple[requests.Session, RequestTemplates, str]) -> None:
    _, quick, url = both
    first = quick.prepare(requests.Request("POST", f"{url}/job/x/build", data=FORM))
    second = quick.prepare(requests.Request("POST", f"{url}/job/x/stop"))
    assert first.body
    assert (second.body, second.headers["Content-Length"]) == (None, "0")
    assert "Content-Type" not in second.headers


def test_a_cookie_and_a_crumb_go_out(both: tuple[requests.Session, RequestTemplates, str]) -> None:
    session, quick, url = both
    quick.prepare(requests.Request("POST", f"{url}/job/x/build"))
    request = requests.Request("POST", f"{url}/job/x/build", headers={"Jenkins-Crumb": "c"})
    assert quick.prepare(request).headers["Jenkins-Crumb"] == "c"
    session.cookies.set("JSESSIONID", "s")
    request = requests.Request("POST", f"{url}/job/x/build")
    assert quick.prepare(request).headers["Cookie"] == "JSESSIONID=s"
