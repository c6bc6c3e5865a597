"""`interlock replay`: a recording decided once more, by the rules of today."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import lzma
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.model.events import Event
from bot.core.rules.replay import Player, Replayed
from bot.store import pseudonyms, recording_file
from bot.store.pseudonyms import Pseudonyms, pipelines_in
from bot.store.recording_file import RecordingHead
from bot.store.recording_line import load_line
from tests.cli.conftest import typed
from tests.replay import make

#: How many turns of the recorded lives the tests use that need just some.
SOME = 1_500
#: How many KiB the recorded lives, or the storms, may take in the repository.
MOST_KIB = 330
#: What no life of the town has.
MISSING = {"state-lost", "store-changed", "first-start", "taken-out", "default-branch-changed", "trigger-unanswered"}
MISSING |= {"head-surveyed"}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """The first lines of the recorded lives."""
    with lzma.open(make.FILE, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in itertools.islice(file, 1, SOME)]


def written(path: Path, lines: list[str]) -> Path:
    file = path / "recorded.xz"
    recording_file.write(file, RecordingHead("shop", "0.1.0", 0.0), lines)
    return file


def replayed(lines: list[str]) -> list[Replayed]:
    steps = Player("shop").play(item for item in map(load_line, lines) if item is not None)
    return [step for step in steps if isinstance(step, Replayed)]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", [make.FILE, make.STORMS], ids=["town", "storms"])
def test_what_was_recorded_is_decided_alike_by_the_rules_of_today(file: Path) -> None:
    """If a rule was changed on purpose: `make recording`, and say in the commit what is decided otherwise now."""
    done = typed("replay", str(file), "--diff")
    assert done.exit_code == 0, f"{done.output}\nIs it meant? Then: make recording"
    decided = int(done.output.split(" decisions replayed")[0].removeprefix("done: "))
    assert decided >= make.EVENTS
    assert file.stat().st_size < MOST_KIB * 1024


def test_the_recorded_lives_have_every_kind_of_event_but_those_of_a_board_that_begins() -> None:
    with lzma.open(make.FILE, "rb") as file:
        entries = [entry for line in file for entry in json.loads(line).get("entries", ())]
    kinds = {event["kind"] for entry in entries for event in entry["events"]}
    everything = {f.default for kind in typing.get_args(Event) for f in dataclasses.fields(kind) if f.name == "kind"}
    assert everything - kinds == MISSING


def test_what_is_decided_otherwise_is_shown_then_and_now_and_the_command_fails(
    lines: list[str], tmp_path: Path
) -> None:
    number = next(number for number, line in enumerate(lines) if '"stage-locked"' in line)
    changed = json.loads(lines[number])
    del changed["entries"][0]["facts"][-1]
    kept = [*lines[:number], json.dumps(changed), *lines[number + 1 : number + 3]]
    file = written(tmp_path, kept)
    done = typed("replay", str(file), "--diff")
    assert done.exit_code == 1
    assert "\n  then:\n" in done.output
    assert "\n  now:\n" in done.output
    decided = sum(not line.startswith('{"snapshot"') for line in kept)
    assert done.output.splitlines()[-1] == f"error: 1 of {decided} decisions would differ now"


def test_a_snapshot_that_shows_another_board_is_a_difference(lines: list[str], tmp_path: Path) -> None:
    number = [number for number, line in enumerate(lines) if line.startswith('{"snapshot"')][1]
    changed = json.loads(lines[number])
    changed["snapshot"]["records"]["counters/counters"]["next_queue_number"] = 4_711
    done = typed("replay", str(written(tmp_path, [*lines[:number], json.dumps(changed)])), "--diff")
    assert done.exit_code == 1
    assert "  the board is another than the snapshot shows:\n    then: Counters(next_queue_number=4711" in done.output


def test_each_decision_is_shown_with_its_rule_its_facts_and_its_effects(lines: list[str], tmp_path: Path) -> None:
    done = typed("replay", str(written(tmp_path, lines[:200])), "--run", "S1.1")
    assert done.exit_code == 0
    assert "  merged service=S1 sha=S1x1 before=S1-" in done.output
    assert "         run-queued          S1.1: S1 S1x1 queues for build\n" in done.output
    assert "      =>  trigger             trigger/S1.1/1\n" in done.output
    assert "merged service=S2" not in done.output


def test_the_board_is_shown_as_it_was(lines: list[str], tmp_path: Path) -> None:
    file = written(tmp_path, lines[:200])
    early, late = (typed("replay", str(file), "--at", f"1970-01-01T00:16:{second}+00:00") for second in (46, 59))
    assert early.exit_code == late.exit_code == 0
    assert early.output.startswith("shop  running  1 run, ")
    assert "─ pre-production " in late.output
    assert early.output != late.output
    never = typed("replay", str(file), "--at", "1969-12-01")
    assert never.exit_code == 1
    assert never.stderr.startswith("refused: the recording does not have the board as of 1969")


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b"x" + b, lambda b: lzma.compress(b"{}\n")])
def test_what_is_no_whole_recording_is_refused(
    lines: list[str], tmp_path: Path, damage: typing.Callable[[bytes], bytes]
) -> None:
    file = written(tmp_path, lines[:50])
    file.write_bytes(damage(file.read_bytes()))
    done = typed("replay", str(file))
    assert done.exit_code == 1
    assert done.stderr.startswith("refused: ")


# -- pseudonyms --------------------------------------------------------------------------------------------------


def under_pseudonyms(lines: list[str]) -> list[str]:
    found = Pseudonyms(b"secret", (each for line in lines for each in pipelines_in(line)))
    return [found.line(line) for line in lines]


def test_a_recording_under_pseudonyms_is_decided_alike_and_names_nobody(lines: list[str]) -> None:
    changed = under_pseudonyms(lines)
    steps = replayed(changed)
    assert len(steps) >= SOME * 0.9
    assert [step.differs for step in steps] == [step.differs for step in replayed(lines)]
    text = "\n".join(changed)
    assert '"S1"' not in text
    for name in ('"ann"', "a change", "shop/S1", "CheckoutTest", "cdp"):
        assert name not in text, f"{name} is still in it"


def test_the_same_name_has_the_same_pseudonym_in_each_recording_of_an_installation(lines: list[str]) -> None:
    assert under_pseudonyms(lines[:100]) == under_pseudonyms(lines[:300])[:100]


def text_fields() -> Iterator[tuple[str, str]]:
    """Every field of the model that holds text, with a class that has it; what is not recorded does not count."""
    not_recorded = {f"bot.core.model.{name}" for name in ("board", "indexes", "standing")}
    for name, module in list(sys.modules.items()):
        if name.startswith("bot.core.model") and name not in not_recorded:
            for kind in vars(module).values():
                if inspect.isclass(kind) and dataclasses.is_dataclass(kind):
                    hints = typing.get_type_hints(kind)
                    yield from ((f.name, kind.__name__) for f in dataclasses.fields(kind) if _has_text(hints[f.name]))


def _has_text(hint: object) -> bool:
    return hint is str or any(_has_text(part) for part in typing.get_args(hint))


def test_of_every_text_in_the_model_it_is_known_whether_it_names_anybody() -> None:
    """A new field belongs into one of these sets of `bot.store.pseudonyms`."""
    known = pseudonyms.PEOPLE | pseudonyms.TEXTS | pseudonyms.COMPOSED | pseudonyms.KEPT
    assert sorted({field for field in text_fields() if field[0] not in known}) == []


# -- how the recording is made -----------------------------------------------------------------------------------


def test_a_life_of_the_town_is_recorded_as_it_was_decided() -> None:
    recorded = list(make.lines(make.lives(events=1, steps=8)))
    assert recorded[0].startswith('{"snapshot"')
    steps = replayed(recorded)
    assert len(steps) > 20
    assert not [step for step in steps if step.differs]
