"""The report of a lock says what the facts say: cause, fix, duration, cost, and what happened in between."""

from __future__ import annotations

import pytest

from bot.core.model.events import Event
from bot.core.model.facts import Fact, FactKind
from bot.core.rules.decision import Decision
from bot.reporting.lock_report import LeftOut, LockReport, cost_of, markdown, report, span
from bot.reporting.messages import words
from bot.statistics.parts import HELD_KEPT, LockAccount
from tests.statistics.measured import MeasuredTown

PRE = "pre-production"
HOLDER = f"{PRE}/S1.1"


class RecordedTown(MeasuredTown):
    """A town whose facts are kept with when they were decided."""

    log: list[tuple[float, Fact]]

    def send(self, event: Event) -> Decision:
        decision = super().send(event)
        if not hasattr(self, "log"):
            self.log = []
        self.log += [(self.now, fact) for fact in decision.facts]
        return decision

    def report(self, key: str) -> LockReport:
        account = self.statistics.parts.get(f"account/{key}")
        assert account is None or isinstance(account, LockAccount)
        found = report(key, self.log, account)
        assert found is not None
        return found

    def fact(self, kind: FactKind, run: str | None = None) -> tuple[float, Fact]:
        return next((at, fact) for at, fact in self.log if fact.kind is kind and run in (None, fact.run))


def four_pictures() -> RecordedTown:
    """S1a breaks pre-production; S2a, S1b and later S3a wait for it; S1e is the fix, ten minutes later."""
    town = RecordedTown()
    town.merge_up_to("S1", "a", PRE)
    for service, letter in (("S2", "a"), ("S1", "b")):
        town.merge_up_to(service, letter, PRE)
    town.start_build("S1a")
    town.pause(60)
    town.fail_build("S1a", tests=("CheckoutTest.paysWithCard",))
    town.pause(300)
    town.merge_up_to("S3", "a", PRE)
    town.pause(300)
    town.merge("S1", "e")
    town.answer_questions()
    town.pass_fix("S1e")
    return town


def test_cause_fix_duration_and_cost_of_the_four_pictures_are_those_of_the_facts() -> None:
    town = four_pictures()
    found = town.report(HOLDER)
    failed_at, failed = town.fact(FactKind.BUILD_FAILED)
    locked_at, locked = town.fact(FactKind.STAGE_LOCKED)
    opened_at, opened = town.fact(FactKind.STAGE_UNLOCKED)
    fix = town.key("S1e")
    assert (found.cause, found.run, found.build) == (words(failed.why), failed.run, failed.build)
    assert (found.since, found.opened) == (failed_at, opened_at) == (locked_at, opened_at)
    assert (found.fix, found.opened_by, found.end) == (fix, fix, f"S1 S1e has passed {PRE}")
    assert found.end in words(opened.why)
    assert locked.run == found.run
    # S2a and S1b waited from the first second on, S3a from its arrival; each until its end or the opening.
    arrived = next(
        at for at, fact in town.log if fact.kind is FactKind.RUN_QUEUED and fact.run == "S3.1" and str(fact.step) == PRE
    )
    assert set(found.held) == {"S2.1", "S1.2", "S3.1"}
    left = next(at for at, fact in town.log if fact.kind is FactKind.RUN_SUPERSEDED and fact.run == "S1.2")
    assert found.cost == pytest.approx((opened_at - locked_at) + (left - locked_at) + (opened_at - arrived))


def test_its_timeline_tells_of_the_failure_the_fix_and_what_that_removed_and_of_nothing_else() -> None:
    town = four_pictures()
    found = town.report(HOLDER)
    told = [line.what for line in found.timeline]
    assert told[0] == f"S1 S1a failed in {PRE} (CheckoutTest.paysWithCard)"
    assert told[1].startswith(f"{PRE} is locked: ")
    assert any("S1 S1e" in line for line in told)
    assert told[-1] == f"{PRE} is open: S1 S1e has passed {PRE}" or any("is open" in line for line in told[-3:])
    assert not any("S2" in line or "S3" in line for line in told)
    removed = [line for line in found.timeline if line.run == "S1.2"]
    assert [line.what for line in removed] == [words(town.fact(FactKind.RUN_SUPERSEDED, "S1.2")[1].why)]
    assert found.left_out == ()
    times = [line.at for line in found.timeline]
    assert times == sorted(times)
    facts = {(at, words(fact.why)) for at, fact in town.log}
    assert all((line.at, line.what) in facts for line in found.timeline), "every line is a fact"


def test_a_run_that_the_fix_removes_while_it_is_built_is_told_of_too() -> None:
    town = RecordedTown()
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S1", "b", "acceptance")
    town.start_build("S1b")
    town.fail_build("S1a")
    town.merge("S1", "e")
    town.answer_questions()
    town.pass_fix("S1e")
    kinds = [fact.kind for _, fact in town.log if fact.run == "S1.2"]
    assert FactKind.RUN_LEAVING in kinds
    told = [line.what for line in town.report(HOLDER).timeline if line.run == "S1.2"]
    assert told == [words(town.fact(FactKind.RUN_LEAVING, "S1.2")[1].why)]


def test_what_is_too_much_for_a_report_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    town = four_pictures()
    account = LockAccount(PRE, 0.0, 0.0, 6_000.0, {f"S2.{n}": 0.0 for n in range(HELD_KEPT)})
    many = report(HOLDER, town.log, account)
    assert many is not None and many.left_out == (LeftOut.RUNS,)
    assert f"at least {HELD_KEPT} runs waited for it" in cost_of(many)
    assert "the first 500 are counted" in markdown(many, 0.0)
    opened = next(n for n, (_, fact) in enumerate(town.log) if fact.kind is FactKind.STAGE_UNLOCKED)
    unread = report(HOLDER, town.log[:opened], None, most=opened)
    assert unread is not None and unread.left_out == (LeftOut.FACTS,)
    assert "the log was not read to its end" in markdown(unread, 0.0)
    whole = report(HOLDER, town.log[: opened + 1], None, most=opened + 1)
    assert whole is not None and whole.left_out == (), "the lock has opened: nothing is missing"
    monkeypatch.setattr("bot.reporting.lock_report.LINES", 3)
    short = report(HOLDER, town.log)
    assert short is not None and (len(short.timeline), short.left_out) == (3, (LeftOut.LINES,))


def test_it_reads_as_markdown_with_links() -> None:
    town = four_pictures()
    found = town.report(HOLDER)
    text = markdown(found, town.now, "https://x/p/shop/runs/", "https://j/job/7/console")
    assert text.startswith(f"# {PRE} was locked for {span(found.opened - found.since)}\n")  # type: ignore[operator]
    assert (
        f"- **Cause**: S1 S1a failed in {PRE} \\(CheckoutTest.paysWithCard\\) ([S1.1](https://x/p/shop/runs/S1.1)), "
        "[log of build 7](https://j/job/7/console)\n" in text
    )
    fix = town.key("S1e")
    assert f"- **Fix**: S1 S1e has passed {PRE} ([{fix}](https://x/p/shop/runs/{fix}))\n" in text
    assert f"- **Cost**: {cost_of(found)}\n" in text


def test_a_lock_of_a_person_names_who_locked_and_who_opened() -> None:
    town = RecordedTown()
    town.lock(PRE, by="dana")
    town.pause(120)
    town.unlock(PRE, by="kim")
    found = town.report(f"{PRE}/1")
    assert (found.cause, found.by, found.end, found.fix) == ("maintenance", "dana", "unlocked by kim: it is fine", "")
    assert "- **Cause**: maintenance (locked by dana)\n- **Fix**: unlocked by kim: it is fine\n" in markdown(found, 0.0)
    assert "- **Cost**: nothing: no run waited for it" in markdown(found, 0.0)


def test_a_retry_that_fails_leaves_one_report_from_the_first_failure_on() -> None:
    town = RecordedTown()
    town.break_stage("S1", "a")
    first = town.now
    town.pause(60)
    town.retry("S1a")
    town.fail_build("S1a")
    town.pause(60)
    town.retry("S1a")
    town.pass_build("S1a")
    found = town.report(HOLDER)
    assert (found.since, found.fix) == (first, "S1.1")
    assert [line.what for line in found.timeline if "failed in" in line.what and "locked" not in line.what] == [
        f"S1 S1a failed in {PRE}",
        f"S1 S1a failed in {PRE}",
    ]
    assert found.held == (), "the run that is retried does not wait for its own lock"


def test_a_lock_that_stands_has_a_report_so_far() -> None:
    town = RecordedTown()
    town.break_stage("S1", "a")
    found = town.report(HOLDER)
    assert (found.opened, found.end) == (None, "")
    assert "- **Fix**: the lock still stands\n" in markdown(found, town.now + 60)
    assert markdown(found, town.now + 60).startswith(f"# {PRE} has been locked for ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (42, "42 s"), (723, "12 min 3 s"), (11_100, "3 h 5 min"), (7_200, "2 h"), (187_200, "2 d 4 h")],
)
def test_a_span_in_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
