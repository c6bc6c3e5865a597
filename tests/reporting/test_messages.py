"""Every message has words: a snapshot of each, compared exactly; `pytest --snapshots` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.core.model import github_messages, messages, refusals, stage_messages
from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Message, Verbatim
from bot.reporting.messages import words
from bot.reporting.notices import notice
from bot.store.codec import RecordedFact, dump_recorded_fact, load_recorded_fact
from tests.reporting.examples import MESSAGES, NOTICES, WHOLE
from tests.state.stored import DATA

SNAPSHOTS = Path(__file__).with_name("snapshots")


def compared(request: pytest.FixtureRequest, name: str, found: str) -> None:
    """The text is that of the snapshot."""
    snapshot = SNAPSHOTS / name
    if request.config.getoption("--snapshots"):
        snapshot.write_text(found, "utf-8")
    assert found == snapshot.read_text("utf-8")


def test_each_message_reads_as_its_snapshot(request: pytest.FixtureRequest) -> None:
    compared(request, "messages.txt", "".join(f"{type(each).__name__}: {words(each)}\n" for each in MESSAGES))


def test_each_notice_reads_as_its_snapshot(request: pytest.FixtureRequest) -> None:
    said = [notice(each) for each in NOTICES]
    compared(request, "notices.txt", "\n".join(f"Subject: {subject}\n\n{text}" for subject, text in said))


def test_each_kind_of_message_has_an_example() -> None:
    kinds = {
        each
        for module in (messages, stage_messages, github_messages, refusals)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Message)
    }
    assert {type(each) for each in (*MESSAGES, *WHOLE)} == kinds - {Message}
    assert {type(each) for each in NOTICES} >= {type(each) for each in WHOLE if type(each).__name__.endswith("Notice")}


@pytest.mark.parametrize("message", WHOLE, ids=lambda each: type(each).__name__)
def test_what_is_told_as_a_whole_has_no_clause(message: Message) -> None:
    with pytest.raises(TypeError, match=f"{type(message).__name__} has no words"):
        words(message)


@pytest.mark.parametrize("message", [*MESSAGES, *WHOLE, *NOTICES], ids=lambda each: type(each).__name__)
def test_what_is_stored_of_a_message_is_the_message(message: Message) -> None:
    told = RecordedFact(1.0, "1-0", Fact(FactKind.CONFIGURED, message))
    assert load_recorded_fact(dump_recorded_fact(told)) == told


def test_what_schema_3_stored_as_text_is_told_as_it_is() -> None:
    told = load_recorded_fact(
        '{"at": 1.0, "entry": "1-0", "fact": {"kind": "run-queued", "why": "S1 b22c32c queues for build"}}'
    )
    assert told.fact.why == Verbatim("S1 b22c32c queues for build")
    assert words(told.fact.why) == "S1 b22c32c queues for build"


def test_what_schema_4_stored_is_told_as_it_was(request: pytest.FixtureRequest) -> None:
    rows = json.loads((DATA / "schema_4_facts.json").read_text("utf-8"))
    told = [load_recorded_fact(json.dumps(row)).fact.why for row in rows]
    compared(request, "messages_of_schema_4.txt", "".join(f"{words(each)}\n" for each in told))


@pytest.mark.parametrize("why", ['{"kind": "Unheard"}', '{"step": {}}', '{"kind": "IsIn"}', "[]", "7"])
def test_what_is_no_message_is_refused(why: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        load_recorded_fact(f'{{"at": 1.0, "entry": "1-0", "fact": {{"kind": "run-queued", "why": {why}}}}}')
