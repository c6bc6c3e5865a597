"""The proxies of `deploy/proxy`, the real programs, in front of the real web process.

Debian: apt install nginx-light caddy. Where they cannot be had, these tests skip, and fail where CI is set.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urljoin

import pytest
import requests

from bench import proxies
from bot.store.connection import connect
from launch.embedded import Embedded
from tests.web.serving import free_port, served
from tests.web.story import Story, pipeline

SLOW = 40
ROOT = "/ci"

pytestmark = pytest.mark.slow


class Front:
    """The site behind a proxy that has just started; `root`: below which path of the host."""

    def __init__(self, host: str, root: str, backend: int, story: Story) -> None:
        self.host, self.root, self.url, self.backend, self.story = host, root, f"{host}{root}", backend, story


@dataclass
class Site:
    """The web process that the proxies lead to, whose `public_url` has this path."""

    root: str
    port: int
    story: Story


@pytest.fixture(scope="module", params=["", ROOT], ids=["at-the-root", "below-a-path"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    with Embedded(folder / "redis", fsync="no") as server, connect(server.url) as store:
        story = Story(store, pipeline("shop"))
        story.start()
        also = f"web: {{public_url: 'https://localhost{request.param}'}}\n"
        with served(story.shape, server.url, folder, also, port):
            yield Site(request.param, port, story)


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    program: str = request.param
    if not proxies.is_here(program):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed here")
    with proxies.running(program, tmp_path_factory.mktemp(program), site.port, site.root) as port:
        yield Front(f"https://localhost:{port}", site.root, site.port, site.story)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_page_and_the_api_are_there(front: Front) -> None:
    page = requests.get(f"{front.url}/p/{front.story.shape.name}", verify=False, timeout=10)
    assert (page.status_code, "pre-production" in page.text) == (200, True)
    assert requests.get(f"{front.url}/api/v1/pipelines", verify=False, timeout=10).status_code == 200


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_every_link_of_the_page_leads_through_the_proxy(front: Front) -> None:
    session = requests.Session()
    answer = session.get(f"{front.url}/", verify=False, timeout=10)
    assert answer.url == f"{front.url}/p/{front.story.shape.name}"
    named = set(re.findall(r'(?:href|src)="([^"#]+)', answer.text))
    ours = sorted(address for address in named if not address.startswith("https:"))
    assert len(ours) > 10
    for address in ours:
        assert address.startswith(f"{front.root}/")
        assert session.get(urljoin(answer.url, address), verify=False, timeout=10).status_code in (200, 401), address


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_live_page_hears_of_a_change_at_once(front: Front) -> None:
    url = f"{front.url}/p/{front.story.shape.name}/live"
    with requests.get(url, verify=False, stream=True, timeout=20) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        _next_data(lines)
        began = time.monotonic()
        front.story.merge("S1", f"a{int(began)}")
        _next_data(lines)
        assert time.monotonic() - began < 5, "a proxy that keeps answers back would do so for a minute"


def _next_data(lines: Iterator[bytes]) -> bytes:
    return next(line for line in lines if line.startswith(b"data:"))


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_slow_clients_do_not_get_as_far_as_the_web_process(front: Front) -> None:
    """Each has sent half of a webhook. The proxy waits for the rest, and a whole one is answered meanwhile."""
    before = proxies.connections(front.backend)
    trusting = proxies.trusting()
    port = int(front.host.rpartition(":")[2])
    with ExitStack() as stack:
        for _ in range(SLOW):
            plain = stack.enter_context(socket.create_connection(("localhost", port), timeout=10))
            slow = stack.enter_context(trusting.wrap_socket(plain, server_hostname="localhost"))
            slow.sendall(
                b"POST "
                + front.root.encode()
                + b"/webhooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\n"
                b"Content-Length: 2000\r\n\r\n" + b" " * 1000
            )
        answer = requests.post(f"{front.url}/webhooks/github", data=b"{}", verify=False, timeout=10)
        assert answer.status_code in (400, 401, 403)
        assert proxies.connections(front.backend) - before < SLOW // 4
