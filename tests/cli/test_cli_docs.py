"""docs/cli.md names every command and option, and its examples are what is really printed."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from click import shell_completion as completion

from bot.cli import act, files, find, picture, read, sentences
from bot.cli.main import cli
from bot.core.model.pipeline import Outcome
from bot.store.outbox import Outbox
from bot.web import api_reading
from tests.cli.conftest import Interlock
from tests.cli.test_cli_files import SECRETS
from tests.web.conftest import Story

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^## `interlock ([\w-]+)`\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
BLOCKS = re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SHARED = ("--url", "--pipeline", "--wait", "--reason", "--dry-run")


def test_every_command_has_a_section() -> None:
    assert list(SECTIONS) == list(cli.commands)


def test_a_command_stands_in_the_file_of_its_topic() -> None:
    """The tables at the head of the page and the files of bot/cli have the same order."""
    tables = re.findall(r"^\| command \|.*?(?=\n\n)", TEXT, re.MULTILINE | re.DOTALL)
    topics = [re.findall(r"^\| \[([\w-]+)\]", table, re.MULTILINE) for table in tables]
    files = [{cli.commands[name].callback.__module__ for name in names} for names in topics]
    assert files == [
        {"bot.cli.read", "bot.cli.find", "bot.cli.history", "bot.cli.what_if", "bot.cli.simulate"},
        {"bot.cli.act", "bot.cli.operate"},
        {"bot.cli.files", "bot.cli.operate", "bot.cli.token", "bot.cli.backup", "bot.cli.up"},
    ]
    assert [name for names in topics for name in names] == list(cli.commands)


@pytest.mark.parametrize("name", cli.commands)
def test_every_section_has_an_example_and_names_every_option(name: str) -> None:
    assert f"$ interlock {name}" in SECTIONS[name]
    options = [option for parameter in cli.commands[name].params for option in parameter.opts if option[:2] == "--"]
    beginning = TEXT.split("\n## ")[0] + SECTIONS["lock"]
    assert [o for o in options if o not in (beginning if o in SHARED else SECTIONS[name])] == []


@pytest.fixture
def told(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board that the page speaks of, twelve minutes later, and a folder of one's own."""
    story.start()
    broken = story.merge("S3", "z")
    story.pass_stages(broken)
    story.build(broken, Outcome.FAILURE, ("SearchTest", "BasketTest"))
    for service in ("S1", "S2"):
        story.pass_stages(story.merge(service, "a", title=f"Round the prices of {service}"), 2)
    story.build(story.board.runs["S1.1"], Outcome.FAILURE, ("CheckoutTest",))
    story.pass_stages(story.merge("S2", "b"), 1)
    story.build(story.board.runs["S2.2"], None)
    story.pass_stages(story.merge("S3", "a"), 2)
    outbox = Outbox(story.redis, story.keys)
    claim, _ = outbox.claim("people", limit=1)
    assert claim is not None
    outbox.give_up(claim, "could not notify team-chat (Failed to send notification: error=403)", time.time())
    later = SimpleNamespace(time=lambda: time.time() + 725, sleep=time.sleep)
    monkeypatch.setattr(api_reading, "time", later)
    monkeypatch.setattr(api_reading, "time", later)
    monkeypatch.setattr(read, "time", later)
    monkeypatch.setattr(find, "time", later)
    monkeypatch.setattr(files, "time", SimpleNamespace(time=lambda: 1795867200.0))  # a Saturday, before that Christmas
    for module in (act, find, picture, sentences):
        monkeypatch.setattr(module, "clock", lambda at, now: "14:05" if at == now else "13:53")  # no date at midnight
    monkeypatch.chdir(tmp_path)


def really(interlock: Interlock, story: Story, command: str) -> str:
    """What `command` prints, redirections included."""
    line, _, file = command.partition(" > ")
    if line.startswith("sed "):
        return subprocess.run(shlex.split(line), check=True, capture_output=True, text=True).stdout
    env = {**SECRETS, "INTERLOCK_GITHUB_TOKEN": None, "COLUMNS": "120"}
    output = interlock(*shlex.split(line)[1:], **env).output
    if file:
        Path(file).write_text(output)
        return ""
    return output.replace(story.shape.name, "shop")


def levelled(text: str) -> list[str]:
    """Lines in which times are all the same, and without the blanks at their ends."""
    text = re.sub(r"\d{4}-\d\d-\d\d(?= )", "DATE", text)
    text = re.sub(r"\b\d{4}-W\d\d\b", "2026-W48", text)
    text = re.sub(r"\b\d\d:\d\d(:\d\d)?\b", "TIME", text)
    text = text.replace(" (TIME to TIME)", "")  # the range of an estimate, if it is wider than a minute
    text = re.sub(r"\b12 min\b|\b\d s\b", "LONG", text)
    text = re.sub(r"^Waited .*", "Waited", text, flags=re.MULTILINE)
    text = re.sub(r"people\S*?\d{10}\.\d{3}|\d{10}\.\d{3}", "EPOCH", text)
    return [line.rstrip() for line in text.splitlines()]


def test_the_examples_are_what_is_printed(interlock: Interlock, story: Story, told: None) -> None:
    for block in BLOCKS:
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = example.partition("\n")
            assert levelled(shown) == levelled(really(interlock, story, command)), command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_that_the_page_promises_exists(shell: str) -> None:
    assert f"_INTERLOCK_COMPLETE={shell}_source interlock" in TEXT
    assert completion.get_completion_class(shell) is not None
    wanted = completion.ShellComplete(cli, {}, "interlock", "_INTERLOCK_COMPLETE").get_completions([], "w")
    assert [item.value for item in wanted] == ["where", "why", "watch", "what-if", "watch-lock"]
