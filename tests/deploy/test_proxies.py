"""The proxies of `deploy/proxy`, the real programs, in front of the real web process.

Debian: apt install nginx-light caddy. Where they cannot be had, these tests skip, and fail where CI is set.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.store.connection import connect
from launch.embedded import Embedded
from tests.web.serving import free_port, served
from tests.web.story import Story, pipeline

PROXY = Path(__file__).parents[2] / "deploy" / "proxy"
SLOW = 40
ROOT = "/ci"

pytestmark = pytest.mark.slow


class Front:
    """The site behind a proxy that has just started; `root`: below which path of the host."""

    def __init__(self, host: str, root: str, backend: int, story: Story) -> None:
        self.host, self.root, self.url, self.backend, self.story = host, root, f"{host}{root}", backend, story

    def connections(self) -> int:
        """How many connections to the web process are open now."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
        return sum(int(row[2].partition(":")[2], 16) == self.backend and row[3] == "01" for row in rows)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody else trusts, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*form))
    return folder / "cert.pem", folder / "key.pem"


def as_said(said: str) -> str:
    """What a comment of an example tells to write, for the path that these tests have."""
    return said.replace("/interlock", ROOT)


def nginx(folder: Path, port: int, backend: int, root: str) -> list[str]:
    """nginx with our file, at other ports and with a certificate of its own."""
    cert, key = certificate(folder)
    ours = (PROXY / "nginx.conf").read_text("utf-8")
    below = re.findall("`(location [^`]+)`", ours)
    assert len(below) == 2
    places = dict(zip(("location / {", "location ~ (/live|/events)$ {"), below, strict=True)) if root else {}
    for old, new in {
        **{old: f"{as_said(new)} {{" for old, new in places.items()},
        "127.0.0.1:8080": f"127.0.0.1:{backend}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/certs/ci.example.com.pem": str(cert),
        "/etc/ssl/private/ci.example.com.key": str(key),
        "server_name ci.example.com": "server_name localhost",
    }.items():
        assert old in ours
        ours = ours.replace(old, new)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
    whole += f"events {{ worker_connections 1024; }}\nhttp {{ access_log off;\n{temporary}{ours}\n}}\n"
    (folder / "nginx.conf").write_text(whole)
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def caddy(folder: Path, port: int, backend: int, root: str) -> list[str]:
    """Caddy with our file, at other ports; for localhost it makes its own certificate."""
    ours = (PROXY / "Caddyfile").read_text("utf-8")
    leads, takes_off = re.findall("`((?:redir|handle_path) [^`]+)`", ours)
    if root:
        before, proxies, after = ours.rpartition("\treverse_proxy")
        before += f"\t{as_said(leads)}\n\t{as_said(takes_off)}\n"
        ours = f"{before}{proxies}{after.rstrip().removesuffix('}')}\t}}\n}}\n"
    version = subprocess.run(["caddy", "version"], capture_output=True, text=True, timeout=20, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < (2, 7):
        ours = re.sub(r"request_buffers \S+", "buffer_requests", ours)
    ours = ours.replace("{\n", "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n", 1)
    ours = ours.replace("{$INTERLOCK_HOST}", f"https://localhost:{port}").replace(
        "{$INTERLOCK_WEB}", f"127.0.0.1:{backend}"
    )
    (folder / "Caddyfile").write_text(ours)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


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


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def front(request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    program, root = request.param.__name__, site.root
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed here")
    folder, port = tmp_path_factory.mktemp(program), free_port()
    with ExitStack() as stack:
        env = {
            **os.environ,
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
        }
        with (folder / "proxy.log").open("wb") as log:
            process = subprocess.Popen(request.param(folder, port, site.port, root), env=env, stdout=log, stderr=log)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        host, deadline = f"https://localhost:{port}", time.monotonic() + 30
        while True:
            try:
                requests.get(f"{host}{root}/healthz", verify=False, timeout=5)
                break
            except requests.RequestException:
                assert process.poll() is None, (folder / "proxy.log").read_text("utf-8")
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield Front(host, root, site.port, site.story)


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
    before = front.connections()
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
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
        assert front.connections() - before < SLOW // 4
