"""docs/webhooks.md says what is sent: every kind, every key, every CDEvent; and its recipes check a real signature."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import cast

from bot.core.model.facts import FactKind
from bot.outbound import cd_events
from bot.outbound.posts import REFUSALS, sign
from tests.outbound.conftest import Desk
from tests.outbound.receiver import SECRET, Receiver
from tests.outbound.test_cd_events import short, story, told

TEXT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")


def section(heading: str) -> str:
    return re.split(rf"^#+ {heading}$", TEXT, flags=re.MULTILINE)[1].partition("\n## ")[0]


def first_cells(text: str) -> str:
    """What stands in the first column of the tables of a text."""
    return "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))


def code(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def test_every_kind_of_fact_has_its_place_in_the_table() -> None:
    named = re.findall(r"`([a-z-]+)`", first_cells(section("The kinds of facts")))
    assert sorted(named) == sorted(str(kind) for kind in FactKind)


def test_every_key_of_the_body_is_explained(desk: Desk, receiver: Receiver) -> None:
    desk.tell("a")
    desk.deliver()
    named = re.findall(r"`(\w+)`", first_cells(section("What is sent").partition("### ")[0]))
    assert set(receiver.requests[0].body) - set(named) - {"pipeline"} == set()


def test_the_table_of_cdevents_names_the_kinds_and_the_events_that_there_are() -> None:
    rows = [line.split("|")[1:3] for line in section("CDEvents").splitlines() if line.startswith("| `")]
    kinds = {kind for cell, _ in rows for kind in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", cell)}
    assert kinds == {str(kind) for kind in cd_events._EVENTS}
    events = {event for _, cell in rows for event in re.findall(r"`([a-z]+\.[a-z]+)`", cell)}
    assert events == {short(event)[0] for fact in story() for event in told(fact)}
    assert f"release {cd_events.RELEASE}" in TEXT


def test_the_answers_that_end_all_tries_are_named() -> None:
    assert f"answers {', '.join(map(str, sorted(REFUSALS)[:-1]))} or {max(REFUSALS)}" in TEXT


def test_the_python_of_the_page_knows_a_genuine_body_from_another() -> None:
    names: dict[str, object] = {}
    exec(code("python"), names)
    is_genuine = cast(Callable[[str, bytes, str], bool], names["is_genuine"])
    body = "{“ü”}".encode()
    assert is_genuine(SECRET, body, sign(SECRET, body))
    assert not is_genuine(SECRET, body + b" ", sign(SECRET, body))
    assert not is_genuine(SECRET + "x", body, sign(SECRET, body))


def test_the_shell_of_the_page_prints_the_signature(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes("{“ü”}".encode())
    done = subprocess.run(
        ["sh", "-c", code("sh")], cwd=tmp_path, env={"SECRET": SECRET, "PATH": "/usr/bin:/bin"}, capture_output=True
    )
    assert done.stdout.decode().strip() == sign(SECRET, "{“ü”}".encode())
