"""No secret is visible: not in `ps`, a log, a page, an answer of the API, the store, a message or a build.

The real processes play a story with many faults, while a thread lists the processes of the machine.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests

from demo.town import PIPELINE, Town
from tests.cli.conftest import typed
from tests.end_to_end.world import World, until, world
from tests.web.serving import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

GITHUB, JENKINS = "ghp_marked0token0of0GitHub", "11marked0token0of0Jenkins"
HOOK = "marked0secret0of0an0outbound0webhook"
MAIL, CHAT = "marked0password0of0the0mailbox", "marked0token0of0the0chat"
#: Nobody listens there: what is sent fails, and the failure is told.
NOWHERE = f"127.0.0.1:{free_port()}"
#: A page has links to other pages; this many are opened.
PAGES = 150


class Marked:
    """A running Interlock with known secrets, and the lists of its processes."""

    def __init__(self, here: World, folder: Path) -> None:
        self.here, self.folder = here, folder
        town, env = here.town, here.town.env
        self.secrets: dict[str, str] = {
            "GitHub's token": GITHUB,
            "Jenkins' token": JENKINS,
            "GitHub's webhook secret": env["INTERLOCK_GITHUB_WEBHOOK_SECRETS"],
            "Jenkins' webhook secret": env["INTERLOCK_JENKINS_WEBHOOK_SECRET"],
            "the API token": town.token,
            "the session secret": env["INTERLOCK_SESSION_SECRETS"],
            "the outbound webhook's secret": HOOK,
            "the mail password": MAIL,
            "the chat token": CHAT,
            "the store's password": urlsplit(here.stack.url).password or "",
        }
        assert all(len(secret) > 15 for secret in self.secrets.values())
        self.command_lines: set[str] = set()

    def found_in(self, text: str | bytes) -> list[str]:
        """Which secrets are in a text, also as an address or HTTP Basic carries them."""
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        return [name for name, secret in self.secrets.items() if any(form in data for form in _forms(secret))]

    @contextmanager
    def listing_processes(self) -> Iterator[None]:
        """Somebody else on the machine does `ps` all the time."""
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(0.05):
                self.command_lines.update(_command_lines())

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _forms(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    yield quote(secret, safe="").encode()
    for before in ("", ":", "interlock:", "any:"):  # in three of them it falls on other bits
        coded = base64.b64encode((before + secret).encode()).rstrip(b"=")
        yield coded[(len(before) * 4 + 2) // 3 : -1]


def _command_lines() -> Iterator[str]:
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marked]:
    folder = tmp_path_factory.mktemp("town")

    def prepare(town: Town, data: dict[str, Any]) -> None:
        town.github.control.set_tokens({GITHUB: {"login": "interlock"}})
        data["webhooks"] = [{"name": "audit", "url": f"http://{NOWHERE}/audit", "timeout": "1s"}]
        channels = ("mail", "chat")
        data["notify"] = {"channels": {name: ["locked", "unlocked", "health", "dead-letters"] for name in channels}}

    mail = f"mailto://interlock:{MAIL}@{NOWHERE}?from=interlock@shop.test&to=release@shop.test&mode=insecure"
    more = {
        "INTERLOCK_GITHUB_TOKEN": GITHUB,
        "INTERLOCK_JENKINS_TOKEN_BUILD": JENKINS,
        "INTERLOCK_JENKINS_TOKEN_CDP": JENKINS,
        "INTERLOCK_WEBHOOK_SECRET_AUDIT": HOOK,
        "INTERLOCK_NOTIFY_URLS": f"mail={mail} chat=json://{NOWHERE}/{CHAT}",
        "INTERLOCK_LOG_LEVEL": "DEBUG",
    }
    quick = {"heartbeat": "5s", "undecided": "5s", "silence": "5s", "tell_after": "1s", "calm": "1s"}
    with world(folder, quick, prepare=prepare, **more) as here:
        made = Marked(here, folder)
        with made.listing_processes():
            _play(here, made)
        yield made


def _play(here: World, made: Marked) -> None:
    """A stage locks, a worker and the store are killed, both sides fail, and unknown clients send requests."""
    jenkins, github = here.town.jenkins["cdp"].control, here.town.github.control
    jenkins.hold(here.town.job("pre-production"))
    here.push("S1")
    until("it is in pre-production", lambda: jenkins.builds(here.town.job("pre-production"), running=True))
    jenkins.fault("status", count=6)
    github.fault("status", count=4)
    github.fault("status", status=401, count=2)
    jenkins.release(here.town.job("pre-production"), result="FAILURE", tests=["CheckoutTest.paysWithCard"])
    until("the stage is locked", lambda: here.board_now().locks_of("pre-production"))
    _send_nonsense(here, made)
    here.send("worker", signal.SIGKILL)
    here.send("server", signal.SIGKILL)
    until("the store is back", lambda: here.get("/readyz")[1].count("store") == 0 or here.ready()[0] == 200)
    here.push("S2")
    until("channels and webhook fail", lambda: {"channel", "webhook"} <= {c.partition("/")[0] for c in here.causes()})


def _send_nonsense(here: World, made: Marked) -> None:
    """Right secrets with broken bodies, wrong ones, and requests that fail."""
    secret = made.secrets["Jenkins' webhook secret"]
    callback = f"{here.url}/webhooks/jenkins/cdp/{secret}"
    token = {"Authorization": f"Bearer {here.town.token}"}
    for url, body, headers in (
        (callback, b"{", {}),
        (callback, b"x" * (2 << 20), {}),
        (callback + "x", b"{}", {}),
        (f"{here.url}/webhooks/jenkins/nobody/{secret}", b"{}", {}),
        (f"{here.url}/webhooks/github", b"{}", {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        (f"{here.url}/api/v1/pipelines/{PIPELINE}/mode", b"[]", token),
        (f"{here.url}/api/v1/pipelines/{PIPELINE}/stages/production/lock", b'{"reason": "a test"}', token),
    ):
        headers = {"Content-Type": "application/json", **headers}
        assert requests.post(url, data=body, headers=headers, timeout=20).status_code < 500


def test_no_command_line_holds_a_secret(marked: Marked) -> None:
    assert any("gunicorn" in line for line in marked.command_lines)
    assert any("celery" in line for line in marked.command_lines)
    assert {line: found for line in marked.command_lines if (found := marked.found_in(line))} == {}


def test_the_search_finds_a_secret_in_every_form(marked: Marked) -> None:
    basic = base64.b64encode(f"interlock:{JENKINS}".encode()).decode()
    for text in (f"x{JENKINS}y", f"Authorization: Basic {basic}", base64.b64encode(JENKINS.encode())):
        assert marked.found_in(text) == ["Jenkins' token"]


def test_no_log_holds_a_secret(marked: Marked) -> None:
    logs = sorted((marked.folder / "log").iterdir())
    assert {"web.log", "worker.log", "beat.log"} <= {log.name for log in logs}
    said = b"".join(log.read_bytes() for log in logs)
    assert b"request-refused" in said
    assert b"Traceback" in said or b"failed" in said, "nothing has failed: this would prove nothing"
    assert {log.name: found for log in logs if (found := marked.found_in(log.read_bytes()))} == {}


def test_no_page_and_no_answer_holds_a_secret(marked: Marked) -> None:
    """Every page that a link leads to, and everything that the API says of itself, for an admin."""
    here, left, seen = marked.here, ["/"], {}
    browser = requests.Session()
    shown = browser.get(f"{here.url}/sign-in", timeout=20).text
    form = re.search(r'name="csrf_token" value="([^"]+)"', shown)
    assert form is not None
    sent = {"csrf_token": form[1], "token": here.town.token, "next": "/"}
    assert browser.post(f"{here.url}/sign-in/token", data=sent, timeout=20).status_code == 200
    seen["the cookies"] = json.dumps(browser.cookies.get_dict())
    document = browser.get(f"{here.url}/api/v1/openapi.json", timeout=20).json()
    left += [path.replace("{pipeline}", PIPELINE) for path, verbs in document["paths"].items() if "get" in verbs]
    left += ["/metrics", "/readyz", "/healthz", f"/p/{PIPELINE}/act/lock", "/api/v1/tokens"]
    for path in left:
        if path in seen or "{" in path or path.endswith(("/live", "/events")) or len(seen) > PAGES:
            continue
        answer = browser.get(here.url + path, timeout=20)
        seen[path] = answer.text + json.dumps(dict(answer.headers))
        left += re.findall(r'(?:href|src)="(/[^"#?]*)', answer.text)
    assert len(seen) > 40
    assert {path: found for path, text in seen.items() if (found := marked.found_in(text))} == {}


def test_no_command_says_a_secret(marked: Marked) -> None:
    here = marked.here
    env = {"INTERLOCK_URL": here.url, "INTERLOCK_TOKEN": here.town.token, "COLUMNS": "400"}
    for words in (["status"], ["why", "S1"], ["history"], ["dead-letters"], ["parked"], ["stats"], ["token", "list"]):
        assert marked.found_in(typed(*words, **env).output) == [], words


def test_the_store_holds_no_secret(marked: Marked) -> None:
    """Its append-only file has every write since it began, the messages of Celery among them."""
    files = [each for each in marked.folder.rglob("*.aof") if each.is_file()]
    written = b"".join(each.read_bytes() for each in files)
    assert PIPELINE.encode() in written
    assert marked.found_in(written) == []


def test_no_build_and_no_comment_holds_a_secret(marked: Marked) -> None:
    """Jenkins shows parameters and descriptions of jobs to all its users, GitHub comments to everybody."""
    town = marked.here.town
    told = [json.dumps(jenkins.control.builds(), default=str) for jenkins in town.jenkins.values()]
    told.append(town.jenkins["cdp"].control.description(town.job("pre-production")) or "")
    told.append(json.dumps([town.github.control.statuses(name) for name in ("shop/s1", "shop/s2")], default=str))
    told += marked.here.town.mailbox.subjects
    assert "INTERLOCK_SHA" in told[0]
    assert [found for text in told if (found := marked.found_in(text))] == []
