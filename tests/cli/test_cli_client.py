"""Finding Interlock, and every way in which that can fail: a sentence, an exit code, never a traceback or a secret."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.core.model.run import Run
from bot.web.app import create_app
from config.configuration import Configuration, WebSettings
from config.settings import Settings
from tests.cli.conftest import Interlock, serving, typed
from tests.web.conftest import TOKEN, Story

R = ("--reason", "the database moves")
DONE = {"request": "1-0", "state": "done", "facts": []}
ONE = {"pipelines": [{"name": "shop"}]}
App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def answering(status: str, body: Any, kind: str = "application/json", **headers: str) -> App:
    """A server that says the same to everybody."""

    def app(_environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(status, [("Content-Type", kind), *headers.items()])
        return [body if isinstance(body, bytes) else json.dumps(body).encode()]

    return app


def noting(notes: list[dict[str, Any]], fail_first: int = 0) -> App:
    """A server with one pipeline that notes every POST and hangs up on the first few."""

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            notes.append({name: environ.get(name, "") for name in ("HTTP_AUTHORIZATION", "HTTP_IDEMPOTENCY_KEY")})
            if len(notes) <= fail_first:
                environ["werkzeug.socket"].shutdown(2)
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({**ONE, **DONE}).encode()]

    return app


@pytest.mark.parametrize("end", ["", "/"])
def test_interlock_below_a_path_is_found_there(
    settings: Settings, configuration: Configuration, broken: Run, story: Story, end: str
) -> None:
    file = replace(configuration, web=WebSettings("https://ci.example.com/interlock"))
    with serving(create_app(settings, file, lambda _: story.turns())) as host:
        env = {"INTERLOCK_URL": f"{host}/interlock{end}", "INTERLOCK_TOKEN": TOKEN}
        assert "pre-production" in typed("status", **env).stdout
        done = typed("lock", "production", *R, **env)
        assert (done.exit_code, done.stderr) == (0, "")
    assert story.board.locks_of("production")


def test_nobody_there_ends_with_3() -> None:
    no = typed("status", "--url", "http://127.0.0.1:1")
    assert (no.exit_code, no.stdout) == (3, "")
    assert no.stderr.startswith("error: no Interlock can be reached at http://127.0.0.1:1: the connection is refused")
    assert len(no.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("app", "code", "sentence"),
    [
        (answering("200 OK", b"<html>", "text/html"), 3, "answers 200, which is not Interlock's answer"),
        (answering("200 OK", {"hello": 1}), 3, "answers 200, which is not Interlock's answer"),
        (answering("200 OK", b"[" * 100_000), 3, "answers 200, which is not Interlock's answer"),
        (answering("502 Bad Gateway", b"no", "text/html"), 3, "answers 502, which is not Interlock's answer"),
        (answering("302 Found", b"", Location="https://login.example.com/\x1b[2J"), 3, "redirects to https://login."),
        (answering("503 Service Unavailable", {"detail": "the store cannot be reached"}), 1, "the store cannot be"),
        (answering("404 Not Found", {"detail": "no [red]such\x1b[2J thing"}), 1, "error: no [red]such�[2J thing"),
        (answering("200 OK", b"x" * (33 << 20)), 3, "more than 32 MiB"),
    ],
    ids=["html", "json", "deep", "gateway", "redirect", "store", "hostile", "endless"],
)
@pytest.mark.parametrize("command", [("status",), ("why", "S1", "-p", "shop"), ("log",)])
def test_an_answer_that_does_not_help_is_a_sentence(app: App, code: int, sentence: str, command: tuple[str]) -> None:
    with serving(app) as url:
        no = typed(*command, INTERLOCK_URL=url)
    assert (no.exit_code, no.stdout) == (code, "")
    assert sentence in no.stderr
    assert "\x1b" not in no.stderr


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://x", "http://", "http://x:99999999", "http://x:0", "http://[x"]
)
def test_an_address_that_is_none_is_wrong_usage(url: str) -> None:
    no = typed("status", "--url", url)
    assert (no.exit_code, "expected one such as http://127.0.0.1:8080" in no.stderr) == (2, True)


def test_an_address_with_a_password_is_refused_without_repeating_it() -> None:
    no = typed("status", "--url", "http://alex:sesame@127.0.0.1:1")
    assert (no.exit_code, "sesame" in no.output) == (2, False)


def test_with_several_pipelines_one_must_be_named() -> None:
    with serving(answering("200 OK", {"pipelines": [{"name": "shop"}, {"name": "warehouse"}]})) as url:
        no = typed("log", INTERLOCK_URL=url)
    assert no.exit_code == 2
    assert no.stderr == "error: name the pipeline with --pipeline; there are several: shop, warehouse\n"


def test_the_address_may_be_given_for_one_command(address: str, story: Story) -> None:
    shown = typed("status", "--url", f"{address}/", "--pipeline", story.shape.name)
    assert (shown.exit_code, story.shape.name in shown.output) == (0, True)


def test_without_a_token_nothing_is_asked(address: str, story: Story) -> None:
    story.start()
    before = story.waiting()
    no = typed("lock", "production", *R, INTERLOCK_URL=address)
    assert (no.exit_code, story.waiting()) == (2, before)
    assert "put it into INTERLOCK_TOKEN" in no.stderr


def test_a_wrong_token_is_refused_with_where_it_comes_from(interlock: Interlock, story: Story) -> None:
    story.start()
    no = interlock("lock", "production", *R, INTERLOCK_TOKEN="wrong-token")
    assert (no.exit_code, "wrong-token" in no.output) == (1, False)
    assert no.stderr.startswith("refused: this token is not known. Your token comes from INTERLOCK_TOKEN")


def test_a_token_is_no_argument() -> None:
    for command in ("lock", "status"):
        assert "--token" not in typed(command, "--help").output


@pytest.mark.parametrize("content", ["sesame", "sesame\n", " sesame \nsecond line"])
def test_a_token_is_read_from_its_file(tmp_path: Path, content: str) -> None:
    file, notes = tmp_path / "token", list[dict[str, Any]]()
    file.write_text(content)
    with serving(noting(notes)) as url:
        assert typed("pause", *R, INTERLOCK_URL=url, INTERLOCK_TOKEN_FILE=str(file)).exit_code == 0
    assert notes[0]["HTTP_AUTHORIZATION"] == "Bearer sesame"


@pytest.mark.parametrize(
    ("token", "content", "sentence"),
    [
        ("x", b"y", "are both set"),
        (None, None, "names a file that cannot be read (No such file or directory)"),
        (None, b"", "INTERLOCK_TOKEN_FILE holds no token"),
        (None, b"\xff\xfe", "names a file that is not text"),
        ("b\xe4r", None, "INTERLOCK_TOKEN holds no token"),
        ("a\r\nX-Evil: 1", None, "INTERLOCK_TOKEN holds no token"),
    ],
)
def test_a_token_that_cannot_be_used_is_wrong_usage(
    tmp_path: Path, token: str | None, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "sesame"
    if content is not None:
        file.write_bytes(content)
    given = None if token and content is None else str(file)
    with serving(answering("200 OK", ONE)) as url:
        no = typed("pause", *R, INTERLOCK_URL=url, INTERLOCK_TOKEN=token, INTERLOCK_TOKEN_FILE=given)
    assert (no.exit_code, sentence in no.stderr, "sesame" in no.stderr) == (2, True, False)


def test_the_token_goes_only_with_requests_to_act_and_netrc_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[str] = []

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        seen.append(environ["REQUEST_METHOD"] + " " + environ.get("HTTP_AUTHORIZATION", ""))
        return answering("200 OK", {**ONE, **DONE})(environ, start)

    with serving(app) as url:
        typed("pause", *R, INTERLOCK_URL=url, INTERLOCK_TOKEN="sesame")
    assert seen == ["GET ", "POST Bearer sesame"]


def test_a_lost_answer_is_asked_for_again_as_the_same_request() -> None:
    notes: list[dict[str, Any]] = []
    with serving(noting(notes, fail_first=1)) as url:
        done = typed("pause", *R, INTERLOCK_URL=url, INTERLOCK_TOKEN="sesame")
    assert (done.exit_code, done.stdout) == (0, "done: nothing had to change\n")
    keys = [note["HTTP_IDEMPOTENCY_KEY"] for note in notes]
    assert (len(keys), len(set(keys)), bool(keys[0])) == (2, 1, True)


def test_a_server_that_goes_on_hanging_up_is_given_up() -> None:
    notes: list[dict[str, Any]] = []
    with serving(noting(notes, fail_first=9)) as url:
        no = typed("pause", *R, INTERLOCK_URL=url, INTERLOCK_TOKEN="sesame")
    assert (no.exit_code, len(notes)) == (3, 2)


def test_names_are_sent_as_names_whatever_they_hold(interlock: Interlock, story: Story) -> None:
    story.start()
    no = interlock("lock", "../mode?wait=0#", *R)
    assert (no.exit_code, story.board.locks) == (1, {})


def test_help_loads_nothing_that_is_slow() -> None:
    code = (
        "import sys\nfrom bot.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "slow = {'rich', 'requests', 'pydantic', 'yaml', 'redis', 'flask', 'celery', 'structlog'}\n"
        "sys.exit(', '.join(sorted(slow & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
