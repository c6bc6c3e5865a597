"""What the facts of a run tell of its attempts, and by which rule each was decided; played by the rules themselves."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bot.core.model.events import Event, FreezesPlanned
from bot.core.model.facts import Fact, FactKind, Why
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Step
from bot.core.rules.decision import Decision
from bot.reporting.attempts import PastAttempt, attempts, numbered
from bot.reporting.rules import address, rule_of, rule_of_reason, rules_of
from tests.core.town import Town

ROOT = Path(__file__).parents[2]


class RecordedTown(Town):
    """A town that keeps when each fact was decided."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[tuple[float, Fact]] = []

    def send(self, event: Event) -> Decision:
        decision = super().send(event)
        self.recorded += [(self.now, fact) for fact in decision.facts]
        return decision

    def of(self, run: str) -> list[tuple[float, Fact]]:
        """The facts of one run, oldest first, as the store keeps them."""
        return [(at, fact) for at, fact in self.recorded if fact.run == run]

    def attempts(self, run: str) -> list[PastAttempt]:
        return attempts(self.of(run))

    def decided(self, run: str) -> list[str]:
        """Each decision about a run, with its rule."""
        facts = [fact for _, fact in self.of(run)]
        return [f"{rule or '-'} {fact.kind}" for rule, fact in zip(rules_of(facts), facts, strict=True)]


def brief(found: list[PastAttempt]) -> list[tuple[str, str, int | None]]:
    return [(str(each.step), each.outcome, each.build) for each in found]


def test_each_build_is_an_attempt_with_its_begin_its_end_and_what_broke() -> None:
    town = RecordedTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    began = town.now
    town.now += 300
    town.fail_build(s1a, ("CheckoutTest.pays",))
    *_, last = town.attempts("S1.1")
    assert (str(last.step), last.outcome, last.failed, last.goes_on) == ("pre-production", "failure", True, False)
    assert (last.started, last.seconds, last.tests) == (began, town.now - began, ("CheckoutTest.pays",))
    assert last.asked is not None and last.asked < began
    assert [each.outcome for each in town.attempts("S1.1")] == ["passed", "passed", "failure"]
    assert [number for number, _ in numbered(town.attempts("S1.1"), 3)] == [1, 2, 3]


def test_a_retry_is_an_attempt_of_its_own_and_follows_l4() -> None:
    town = RecordedTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.fail_build(s1a)
    town.retry(s1a)
    town.start_build(s1a)
    found = town.attempts("S1.1")
    assert [each.outcome for each in found][-2:] == ["failure", "running"]
    town.pass_build(s1a)
    assert [each.outcome for each in town.attempts("S1.1")][-2:] == ["passed", "starting"]
    assert town.decided("S1.1")[-9:] == [
        "- build-failed", "L1 stage-locked", "L4 run-retried", "L4 run-admitted", "- build-started", "- build-passed",
        "- run-queued", "L4 stage-unlocked", "- run-admitted",
    ]  # fmt: skip


def test_what_was_called_back_or_refused_was_no_failure() -> None:
    town = RecordedTown()
    s1a = town.merge_up_to("S1", "a", "acceptance")
    town.refuse_trigger(s1a, "the job is disabled")
    assert brief(town.attempts("S1.1"))[-1][:2] == ("acceptance", "refused")
    assert not town.attempts("S1.1")[-1].failed
    assert town.decided("S1.1")[-2:] == ["L6 trigger-refused", "L6 run-returned"]
    town = RecordedTown()
    s2a = town.merge_up_to("S2", "a", "pre-production")
    town.lock("pre-production")
    assert town.attempts("S2.1")[-1].outcome == "recalled"
    town.confirm_withdrawal(s2a)
    assert brief(town.attempts("S2.1"))[-1] == ("pre-production", "called-back", None)
    assert town.decided("S2.1")[-2:] == ["L3 run-recalled", "L3 run-returned"]


def test_the_story_of_a_fix_names_the_rules_of_the_fast_lane() -> None:
    town = RecordedTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.merge("S1", "b")
    town.fail_build(s1a)
    town.pass_fix(town.merge("S1", "c"))
    assert town.decided("S1.1")[-3:] == ["L1 stage-locked", "F8 run-superseded", "F9 stage-unlocked"]
    assert town.decided("S1.2")[-1] == "F8 run-leaving"  # its build ends first
    assert town.attempts("S1.2")[-1].outcome == "ending"
    fix = town.decided("S1.3")
    assert fix[:2] == ["F2 run-queued", "F4 run-admitted"]
    assert "F3 run-queued" in fix
    assert fix.count("F5 run-admitted") == 1  # into the locked stage
    assert [each.outcome for each in town.attempts("S1.3")][:3] == ["passed", "passed", "passed"]


def test_who_opens_the_lock_of_a_freeze_lifts_it() -> None:
    town = RecordedTown()
    town.send(FreezesPlanned((Freeze("fair", ("pre-production",), (FreezeWindow(0.0, 9_000.0),)),)))
    town.lock("pre-production")
    keys = [lock.key for lock in town.board.locks_of("pre-production")]
    for key in keys:
        town.unlock("pre-production", lock=key)
    found = [(rule_of(fact), fact.lock) for _, fact in town.recorded if fact.kind is FactKind.STAGE_UNLOCKED]
    assert sorted(found) == [("L2", "pre-production/1"), ("W3", "pre-production/freeze-fair")]


def test_a_run_that_ends_because_its_lock_is_opened_follows_l1() -> None:
    town = RecordedTown()
    town.fail_build(town.merge_up_to("S1", "a", "pre-production"))
    town.unlock("pre-production")
    assert town.decided("S1.1")[-3:] == ["L1 stage-locked", "L2 stage-unlocked", "L1 run-failed"]


def test_a_run_that_is_cancelled_was_stopped_and_not_broken() -> None:
    town = RecordedTown()
    s1a = town.merge_up_to("S1", "a", "acceptance")
    town.start_build(s1a)
    town.cancel(s1a)
    assert town.attempts("S1.1")[-1].outcome == "ending"
    town.abort_build(s1a)
    assert (town.attempts("S1.1")[-1].outcome, town.attempts("S1.1")[-1].failed) == ("stopped", False)
    assert town.decided("S1.1")[-2:] == ["L5 run-leaving", "L5 run-cancelled"]


def test_a_lost_build_and_a_build_that_nobody_saw_begin_are_told_as_such() -> None:
    town = RecordedTown()
    s1a = town.merge_up_to("S1", "a", "acceptance")
    town.start_build(s1a)
    town.lose_build(s1a)
    lost = town.attempts("S1.1")[-1]
    assert (lost.outcome, lost.why, lost.failed) == ("lost", "it was deleted", True)
    ended = Fact(FactKind.BUILD_FAILED, Verbatim("S1 failed"), "S1.1", "S1", "a", Step("build"), build=7)
    (unseen,) = attempts([(5.0, ended)])
    assert (unseen.outcome, unseen.started, unseen.ended, unseen.seconds) == ("failure", None, 5.0, None)


def test_of_a_story_without_its_beginning_the_numbers_are_right() -> None:
    found = attempts([(1.0, Fact(FactKind.BUILD_PASSED, Verbatim(""), "S1.1", step=Step("build"), build=3))])
    assert [number for number, _ in numbered(found * 2, 7)] == [6, 7]


def test_where_it_waits_has_a_rule_too() -> None:
    assert (rule_of_reason(Why.LOCKED, fast=False), rule_of_reason(Why.LOCKED, fast=True)) == ("L3", "F5")
    assert (rule_of_reason(Why.BEHIND, fast=True), rule_of_reason(Why.FULL, fast=True)) == ("", "F4")


# -- the documentation ---------------------------------------------------------------------------------------------


def named() -> set[str]:
    """Every text in the code that has the form of a rule's name."""
    sources = [*(ROOT / "bot" / "core" / "rules").glob("*.py"), ROOT / "bot" / "reporting" / "rules.py"]
    return {
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[FLW]\d+", node.value)
    }


@pytest.mark.parametrize("rule", sorted(named()))
def test_each_rule_that_is_named_is_on_the_page_that_it_leads_to(rule: str) -> None:
    page = address(rule).removeprefix("/docs/").partition("#")[0]
    assert re.search(rf"^- \*\*{rule} ", (ROOT / "docs" / f"{page}.md").read_text("utf-8"), re.MULTILINE)


def test_the_rules_that_decisions_follow_are_named() -> None:
    """F10 is what no decision does: nobody restarts."""
    documented = {
        rule
        for page in ("fast-lane", "locks", "freezes")
        for rule in re.findall(r"^- \*\*([FLW]\d+) ", (ROOT / "docs" / f"{page}.md").read_text("utf-8"), re.MULTILINE)
    }
    assert documented - named() == {"F10"}
