"""`up` checks everything first, and starts the processes of its own installation, from wherever it is called."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import launch
from bot.cli import up
from bot.cli.common import CommandFailed
from bot.cli.up import _check_free, process_environment
from launch import LaunchError, free_port, read_procfile
from tests.cli.conftest import typed
from tests.cli.test_cli_files import SECRETS
from tests.example_file import write_example

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pipeline file and nothing else."""
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path / "interlock.yaml")
    return tmp_path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `launch.Stack` was asked to start; nothing starts."""
    asked: list[dict[str, Any]] = []

    class Stack:
        web_url = "http://127.0.0.1:1234"

        def __init__(self, root: Path, **given: Any) -> None:
            asked.append({"root": root, **given})

        def run(self) -> None:
            if asked[-1]["env"].get("INTERLOCK_LOG_LEVEL") == "ERROR":
                raise LaunchError("web ended with exit code 3:\nno such stage \x1b[2J")

    monkeypatch.setattr(launch, "Stack", Stack)
    return asked


def test_all_mistakes_are_told_and_nothing_is_started(here: Path, started: list[dict[str, Any]]) -> None:
    no = typed("up", INTERLOCK_LOG_FORMAT="xml", INTERLOCK_GITHUB_TOKEN=" ")
    assert (no.exit_code, started, no.stdout) == (1, [], "")
    said = no.stderr.splitlines()
    assert [line.split()[0] for line in said[:2]] == ["INTERLOCK_GITHUB_TOKEN", "INTERLOCK_LOG_FORMAT"]
    assert said[-1].startswith("Nothing was started")


@pytest.mark.parametrize("name", [name for name in SECRETS if name != "INTERLOCK_API_TOKENS"])
def test_each_secret_that_is_missing_is_named(here: Path, started: list[dict[str, Any]], name: str) -> None:
    no = typed("up", **{**SECRETS, name: None})
    assert (no.exit_code, started) == (1, [])
    assert [line for line in no.stderr.splitlines() if line.startswith(name)]


def test_a_wrong_pipeline_file_starts_nothing(here: Path, started: list[dict[str, Any]]) -> None:
    no = typed("up", "--config", "other.yaml", **SECRETS)
    assert (no.exit_code, started) == (1, [])
    assert no.stderr.startswith("The configuration has 1 mistake:\nother.yaml:1:1: the file cannot be read")


def test_the_processes_start_in_the_checkout_with_paths_from_here(here: Path, started: list[dict[str, Any]]) -> None:
    (here / "token").write_text("token")
    env = {**SECRETS, "INTERLOCK_GITHUB_TOKEN": None, "INTERLOCK_GITHUB_TOKEN_FILE": "token", "INTERLOCK_TOKEN": "mine"}
    done = typed("up", "--bind", "127.0.0.1:1234", **env)
    assert done.exit_code == 0
    (asked,) = started
    assert (asked["root"], asked["data_dir"]) == (ROOT, here / ".interlock")
    given = {
        name: asked["env"].get(name)
        for name in ("CONFIG", "GITHUB_TOKEN_FILE", "BIND", "TOKEN")
        for name in [f"INTERLOCK_{name}"]
    }
    assert list(given.values()) == [str(here / "interlock.yaml"), str(here / "token"), "127.0.0.1:1234", None]
    assert "http://127.0.0.1:1234" in done.stdout
    assert "INTERLOCK_BIND" not in os.environ


def test_what_goes_wrong_while_starting_is_a_sentence(here: Path, started: list[dict[str, Any]]) -> None:
    no = typed("up", **SECRETS, INTERLOCK_LOG_LEVEL="ERROR")
    assert no.exit_code == 1
    assert no.stderr == "error: web ended with exit code 3:\nno such stage �[2J\n"


def test_an_address_to_listen_on_that_is_none_is_a_sentence(here: Path) -> None:
    no = typed("up", "--bind", "nowhere", **SECRETS)
    assert (no.exit_code, "INTERLOCK_BIND" in no.stderr) == (1, True)


def test_paths_are_made_absolute_and_nothing_else_is_touched() -> None:
    env = {
        "PATH": "bin",
        "INTERLOCK_REDIS_URL_FILE": "r",
        "INTERLOCK_REDIS_BINARY": "/usr/bin/r",
        "INTERLOCK_TOKEN": "t",
    }
    assert process_environment(env, Path("/srv")) == {
        "PATH": "bin",
        "INTERLOCK_CONFIG": "/srv/interlock.yaml",
        "INTERLOCK_DATA_DIR": "/srv/.interlock",
        "INTERLOCK_REDIS_URL_FILE": "/srv/r",
        "INTERLOCK_REDIS_BINARY": "/usr/bin/r",
    }


def test_an_installed_package_starts_the_processes_of_the_procfile(tmp_path: Path) -> None:
    data = up.procfile_folder(tmp_path / "data", installed=tmp_path / "site-packages")
    assert data == tmp_path / "data"
    ours = (ROOT / "Procfile").read_text()
    assert (data / "Procfile").read_text() == ours
    assert list(read_procfile(data / "Procfile", {})) == ["web", "worker", "beat"]


@pytest.mark.slow
@pytest.mark.parametrize("installed", [False, True], ids=["checkout", "installed"])
def test_everything_starts_answers_and_stops(here: Path, installed: bool) -> None:
    bind = f"127.0.0.1:{free_port()}"
    code = "from bot.cli import main, up\n"
    code += f"up.HERE = __import__('pathlib').Path({str(here)!r})\n" if installed else ""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
    env = {**bare, **SECRETS, "INTERLOCK_WEB_WORKERS": "1", "INTERLOCK_WORKER_THREADS": "2"}
    words = [sys.executable, "-c", code + "main.cli()", "up", "--bind", bind]
    with (here / "out").open("w") as out, subprocess.Popen(words, env=env, stdout=out, stderr=out) as running:
        try:
            shown = once_it_answers(f"http://{bind}", running)
        finally:
            running.send_signal(signal.SIGINT)
            code_at_end = running.wait(40)
    said = (here / "out").read_text()
    assert (code_at_end, "everything has stopped" in said) == (0, True), said
    assert shown.splitlines()[0].startswith("epages  running  0 runs")
    assert (here / ".interlock" / "Procfile").exists() is installed


def once_it_answers(url: str, running: subprocess.Popen[bytes]) -> str:
    """What `status` shows as soon as the configuration is in force, or what it showed last."""
    deadline = time.monotonic() + 60
    shown = ""
    while time.monotonic() < deadline and running.poll() is None and "pre-production" not in shown:
        try:
            urllib.request.urlopen(url + "/healthz", timeout=2).close()
            shown = typed("status", INTERLOCK_URL=url).output
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.1)
    return shown


def test_a_place_that_somebody_listens_on_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CommandFailed, match="cannot be used"):
        _check_free(f"http://127.0.0.1:{taken.getsockname()[1]}")
