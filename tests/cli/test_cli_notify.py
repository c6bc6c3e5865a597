"""`interlock notify test`: a test arrives, says that it is one, and what goes wrong is named without a secret."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from launch import free_port
from tests.cli.conftest import typed
from tests.outbound.receiver import SECRET, Receiver, signature_by_openssl
from tests.outbound.test_cd_events import valid_custom

#: apprise imports a module of the standard library that is on its way out.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")]

FILE = """\
controllers: {{cdp: {{url: https://ci.shop.test, user: bot}}}}
pipelines:
  - {{name: shop, stages: [{{name: build, job: "cdp: b"}}], services: [{{name: S1, repository: shop/s1}}]}}
notify: {{channels: {{mail: [locked], team: [locked]}}}}
webhooks: [{{name: audit, url: "{url}", format: {format}}}]
web: {{public_url: https://interlock.shop.test}}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def mails() -> list[Message]:
    return []


@pytest.fixture
def mail(mails: list[Message]) -> Iterator[str]:
    class Mailbox:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd
            mails.append(message_from_bytes(envelope.content))
            return "250 OK"

    server = Controller(Mailbox(), hostname="127.0.0.1", port=free_port())
    server.start()
    yield f"mailto://127.0.0.1:{server.port}?from=interlock@shop.test&to=release@shop.test&mode=insecure"
    server.stop()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, receiver)
    return tmp_path


def write(folder: Path, receiver: Receiver, form: str = "interlock") -> None:
    (folder / "interlock.yaml").write_text(FILE.format(url=receiver.url, format=form))


def notify_test(*names: str, **env: str | None) -> tuple[int, str]:
    told = typed("notify", "test", *names, **{"INTERLOCK_WEBHOOK_SECRET_AUDIT": SECRET, **env})
    assert SECRET not in told.output
    return told.exit_code, told.output


def test_a_webhook_gets_a_signed_test_that_says_that_it_is_one(receiver: Receiver) -> None:
    code, output = notify_test("audit")
    assert (code, output.partition(",")[0]) == (0, "ok   webhook audit: HTTP 204")
    (request,) = receiver.requests
    assert request.headers["x-interlock-event"] == request.body["kind"] == "test"
    assert "nothing has happened" in request.body["words"]
    assert request.headers["x-interlock-signature-256"] == signature_by_openssl(SECRET, request.raw)


def test_a_webhook_of_cdevents_gets_one_that_cdevents_allows(receiver: Receiver, folder: Path) -> None:
    write(folder, receiver, "cdevents")
    assert notify_test("audit")[0] == 0
    (request,) = receiver.requests
    assert valid_custom(request.raw)["context"]["type"] == request.headers["ce-type"]


def test_a_channel_gets_a_test_that_says_that_it_is_one(mail: str, mails: list[Message]) -> None:
    code, output = notify_test("mail", INTERLOCK_NOTIFY_URLS=f"mail={mail}")
    assert (code, output.partition(",")[0]) == (0, "ok   channel mail: taken")
    (sent,) = mails
    assert sent["Subject"] == "Test of Interlock: channel mail"
    assert "Nothing has happened" in sent.as_string()


def test_what_is_wrong_is_said_with_what_would_be_right(receiver: Receiver) -> None:
    receiver.answer = lambda _: (401, {})
    hush = "hush-hush-hush"
    away = f"mailto://me:{hush}@127.0.0.1:{free_port()}?from=a@shop.test&to=b@shop.test&mode=insecure"
    code, output = notify_test("audit", "mail", "team", INTERLOCK_NOTIFY_URLS=f"mail={away} team=slcak://{hush}")
    assert code == 1
    assert hush not in output
    audit, mail, team = output.splitlines()
    assert audit.startswith(
        "BAD  webhook audit: HTTP 401: check that it uses the same secret for the signature, after "
    )
    assert mail.startswith("BAD  channel mail: ")
    assert "check its address in INTERLOCK_NOTIFY_URLS" in mail
    assert team.startswith("BAD  channel team: its address is of no known service; expected `team=...` in INTERLOCK_")


def test_what_is_not_set_is_named(receiver: Receiver) -> None:
    code, output = notify_test("audit", "team", INTERLOCK_WEBHOOK_SECRET_AUDIT=None)
    assert code == 1
    assert "INTERLOCK_WEBHOOK_SECRET_AUDIT" in output
    assert "`team=...` in INTERLOCK_NOTIFY_URLS" in output
    assert receiver.requests == []


def test_a_name_that_there_is_not_is_told_the_others() -> None:
    assert notify_test("audti") == (
        1,
        "error: there is no channel or webhook 'audti'; there are mail, team, audit\n",
    )
