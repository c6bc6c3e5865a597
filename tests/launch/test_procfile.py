"""The Procfile is read as any other tool would read it, and mistakes are shown with their line."""

from pathlib import Path

import pytest

from launch import LaunchError, expand, read_procfile
from launch.stack import local_address

ROOT = Path(__file__).parents[2]


def test_our_own_procfile_names_web_worker_and_beat() -> None:
    commands = read_procfile(ROOT / "Procfile", {})
    assert list(commands) == ["web", "worker", "beat"]
    assert commands["web"][0] == "gunicorn"
    assert commands["web"][-1] == "bot.web.app:serve()"
    assert commands["worker"][commands["worker"].index("--concurrency") + 1] == "24"
    assert ".interlock/beat-schedule" in commands["beat"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run $A", ("run", "one two")),
        ("run ${A}x", ("run", "one twox")),
        ("run ${B:-4} ${A:-5}", ("run", "4", "one two")),
        ("run ${EMPTY:-4} '${EMPTY}'", ("run", "4", "")),
        ("run 'a b' \"c()\"", ("run", "a b", "c()")),
    ],
)
def test_variables_are_filled_in_and_stay_one_word(command: str, words: tuple[str, ...]) -> None:
    assert expand(command, {"A": "one two", "EMPTY": ""}) == words


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# a remark\n\nweb gunicorn", r"Procfile:3: expected `name: command`"),
        ("web: a\nweb: b", r"Procfile:2: 'web' is in this file twice"),
        ("web: run $MISSING", r"Procfile:1: the variable MISSING is not set"),
        ("web: run 'a", r"Procfile:1: No closing quotation"),
    ],
)
def test_a_mistake_is_shown_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "Procfile").write_text(text)
    with pytest.raises(LaunchError, match=complaint):
        read_procfile(tmp_path / "Procfile", {})


def test_a_missing_procfile_is_said(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="cannot be read"):
        read_procfile(tmp_path / "Procfile", {})


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        (":80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("ci.example:80", "http://ci.example:80"),
    ],
)
def test_the_web_server_is_asked_where_this_machine_reaches_it(bind: str, address: str) -> None:
    assert local_address(bind) == address


@pytest.mark.parametrize("bind", ["8080", "localhost", "unix:/run/web.sock", "a:b"])
def test_a_bind_address_that_cannot_be_asked_is_refused(bind: str) -> None:
    with pytest.raises(LaunchError, match="expected host:port"):
        local_address(bind)
