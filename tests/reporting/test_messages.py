"""Every message has words: a snapshot of each, compared exactly; `pytest --snapshots` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.model import messages as m
from bot.core.model.facts import Fact, FactKind
from bot.core.model.pipeline import AbortLevel, Outcome, Step, Track
from bot.reporting.messages import words
from bot.store.codec import RecordedFact, dump_recorded_fact, load_recorded_fact

SNAPSHOTS = Path(__file__).with_name("snapshots")
WHO, STEP = m.Who("S1", "b22c32c" + "0" * 33), Step("pre-production")
FAST = Step("acceptance", Track.FAST)
SHA = "f5d0a6e" + "0" * 33
FAILED = m.RunFailed(WHO, STEP, Outcome.FAILURE, ("A", "B", "C", "D", "E"), "Roll out: script returned exit code 1")

#: Each kind of message, in each of its forms.
EXAMPLES: list[m.Message] = [
    m.Verbatim("maintenance"),
    m.Joined((m.Verbatim("before, "), m.IsIn(STEP))),
    m.WaitsFor(STEP),
    m.Queued(STEP),
    m.Queued(STEP, WHO),
    m.StartsFast("its service holds a lock"),
    m.StartsFast("its service holds a lock", WHO),
    m.Promoted("ann: urgent"),
    m.Promoted("ann: urgent", who=WHO),
    m.Promoted("ann: urgent", "production", WHO),
    m.IsIn(FAST),
    m.Entered(WHO, STEP),
    m.Entered(WHO, STEP, fast=True),
    m.Entered(WHO, STEP, fast=True, ahead=True),
    m.Overtaken(WHO, "pre-production"),
    m.BackInQueue(WHO),
    m.BuildRuns(7),
    m.BuildRuns(7, STEP),
    m.BuildRuns(7, STEP, m.Who("S1", SHA, 12)),
    m.BuildPassed(7),
    m.StepPassed(STEP),
    m.StepPassed(STEP, WHO),
    FAILED,
    m.RunFailed(WHO, STEP, Outcome.ABORTED, by="ann"),
    m.RunFailed(WHO, STEP, Outcome.TIMEOUT),
    m.RunFailed(WHO, STEP, Outcome.UNSTABLE, ("Cart.pays",)),
    m.RunFailed(WHO, STEP, Outcome.NOT_BUILT),
    m.RunFailed(WHO, STEP, Outcome.ABORTED, lost="it was deleted"),
    m.VerificationEnded(7, Outcome.SUCCESS),
    m.VerificationEnded(7, Outcome.FAILURE, ("Cart.pays",), "test"),
    m.VerificationEnded(7, Outcome.ABORTED),
    m.VerificationEnded(7, Outcome.ABORTED, lost="it was deleted"),
    m.RetriedAutomatically(FAILED, 2),
    m.RunRetried("ann", STEP, "flaky"),
    m.RunRetried("ann", STEP, "flaky", WHO),
    m.RanTooLong(7, WHO, STEP),
    m.AbortedMoreFirmly(7, "S1 b22c32c", STEP, AbortLevel.STOP, AbortLevel.TERM),
    m.AbortedMoreFirmly(7, "S1 b22c32c", STEP, AbortLevel.TERM, AbortLevel.KILL),
    m.TriggerNotTaken(STEP, "the job is disabled"),
    m.UnansweredTrigger(WHO, STEP, 60.0),
    m.FixFailed(WHO, FAILED),
    m.Cancelled("ann"),
    m.RunEnding(m.Cancelled("ann"), STEP),
    m.StageLocked("pre-production", FAILED),
    m.StageUnlocked("pre-production", m.Verbatim("S1 f5d0a6e has passed pre-production"), 0),
    m.StageUnlocked("pre-production", m.Verbatim("S1 f5d0a6e has passed pre-production"), 1),
    m.StageUnlocked("pre-production", m.Verbatim("unlocked by ann: it is fine"), 2),
    m.CalledBack(STEP, m.Verbatim("pre-production is locked")),
    m.CalledBack(STEP, m.Verbatim("pre-production is locked"), WHO),
    m.OnMainLaneAgain("S1"),
    m.OnMainLaneAgain("S1", WHO),
    m.CommitOnMain(SHA, "S1"),
    m.CommitOnMain(SHA, "S1", 12),
    m.CommitOnMain(SHA, "S1", None, "force-pushed"),
    m.CommitOnMain(SHA, "S1", None, "polled"),
    m.ContainmentQuestion(SHA, WHO.sha),
    m.ContainmentAnswer(SHA, WHO.sha, contains=True),
    m.ContainmentAnswer(SHA, WHO.sha, contains=False),
]


def test_each_message_reads_as_its_snapshot(request: pytest.FixtureRequest) -> None:
    found = "".join(f"{type(each).__name__}: {words(each)}\n" for each in EXAMPLES)
    snapshot = SNAPSHOTS / "messages.txt"
    if request.config.getoption("--snapshots"):
        snapshot.write_text(found, "utf-8")
    assert found == snapshot.read_text("utf-8")


def test_each_kind_of_message_has_an_example() -> None:
    kinds = {each for each in vars(m).values() if isinstance(each, type) and issubclass(each, m.Message)}
    assert {type(each) for each in EXAMPLES} == kinds - {m.Message}


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda each: type(each).__name__)
def test_what_is_stored_of_a_message_is_the_message(message: m.Message) -> None:
    told = RecordedFact(1.0, "1-0", Fact(FactKind.CONFIGURED, message))
    assert load_recorded_fact(dump_recorded_fact(told)) == told


def test_what_schema_3_stored_as_text_is_told_as_it_is() -> None:
    told = load_recorded_fact(
        '{"at": 1.0, "entry": "1-0", "fact": {"kind": "run-queued", "why": "S1 b22c32c queues for build"}}'
    )
    assert told.fact.why == m.Verbatim("S1 b22c32c queues for build")
    assert words(told.fact.why) == "S1 b22c32c queues for build"


@pytest.mark.parametrize("why", ['{"kind": "Unheard"}', '{"step": {}}', '{"kind": "IsIn"}', "[]", "7"])
def test_what_is_no_message_is_refused(why: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        load_recorded_fact(f'{{"at": 1.0, "entry": "1-0", "fact": {{"kind": "run-queued", "why": {why}}}}}')
