"""Stand-ins on free ports, and a receiver that keeps what was posted to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import jenkins as python_jenkins
import pytest
import requests

from standins.github import GitHubStandIn
from standins.jenkins import JenkinsStandIn
from standins.wire import HttpServer, Reply, Request

JOB = {"name": "job", "parameters": ["A", "B"], "quiet_period": 0}


class Receiver:
    """An endpoint whose answers can be scripted; `got` holds the requests in their order."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.script: list[Callable[[Request], Reply]] = []
        self.arrived = threading.Condition()
        self.server = HttpServer(self._handle)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.json() for request in self.got]

    @property
    def phases(self) -> list[str]:
        return [body["build"]["phase"] for body in self.bodies]

    def wait(self, count: int, seconds: float = 5) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= count, seconds), f"{len(self.got)} of {count} came"

    def _handle(self, request: Request) -> Reply:
        with self.arrived:
            self.got.append(request)
            answer = self.script.pop(0) if self.script else None
            self.arrived.notify_all()
        return answer(request) if answer is not None else Reply(202)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with made.server:
        yield made


@pytest.fixture
def jenkins() -> Iterator[Callable[..., JenkinsStandIn]]:
    """Starts a controller: `jenkins(settings, job, job...)`; without jobs it has the job `job` with A and B."""
    with ExitStack() as running:

        def start(settings: dict[str, Any] | None = None, *jobs: dict[str, Any]) -> JenkinsStandIn:
            return running.enter_context(JenkinsStandIn(settings, list(jobs or (JOB,))))

        yield start


@pytest.fixture
def github() -> Iterator[Callable[..., GitHubStandIn]]:
    with ExitStack() as running:
        yield lambda **arguments: running.enter_context(GitHubStandIn(**arguments))


@pytest.fixture
def client() -> Iterator[Callable[..., python_jenkins.Jenkins]]:
    """Clients of the python-jenkins library; their sessions are closed afterwards."""
    made: list[python_jenkins.Jenkins] = []

    def start(*arguments: str) -> python_jenkins.Jenkins:
        made.append(python_jenkins.Jenkins(*arguments, timeout=10))
        return made[-1]

    yield start
    for one in made:
        one._session.close()


class Http:
    """Plain requests against one base address; no redirects are followed."""

    def __init__(self, base: str, auth: tuple[str, str] | None = None) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.auth = auth

    def __call__(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self.session.request(method, self.base + path, allow_redirects=False, timeout=10, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self("GET", path, **arguments)

    def post(self, path: str, **arguments: Any) -> requests.Response:
        return self("POST", path, **arguments)

    def json(self, path: str, **arguments: Any) -> Any:
        reply = self.get(path, **arguments)
        assert reply.status_code == 200, (path, reply.status_code, reply.text)
        return reply.json()

    def trigger(self, job: str = "job", **parameters: str) -> int:
        """Triggers and returns the queue id."""
        reply = self.post(f"/job/{job}/buildWithParameters", params=parameters)
        assert reply.status_code == 201, reply.text
        return int(reply.headers["Location"].rstrip("/").rpartition("/")[2])


@pytest.fixture
def http() -> Iterator[Callable[..., Http]]:
    made: list[Http] = []

    def start(base: str, auth: tuple[str, str] | None = None) -> Http:
        made.append(Http(base, auth))
        return made[-1]

    yield start
    for one in made:
        one.session.close()


def until(true: Callable[[], Any], seconds: float = 5) -> Any:
    """Waits until `true()` is truthy and returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return value
