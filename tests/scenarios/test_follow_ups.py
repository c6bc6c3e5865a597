"""Notices while a stage stays locked: the people and times, each once, and the notice of the opening."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.board import build_board
from bot.core.model.effects import Mention, Notify
from bot.core.model.events import DefaultBranchChanged, Merged, TimePassed
from bot.core.model.notice_plan import AUTHORS, EscalationLevel, NoticePlan, ReminderPlan, Route
from bot.core.model.pipeline import Mode
from bot.core.model.run import AUTHORS_KEPT, Merge, PullAuthor
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import body_of, subject_of

PRE = "pre-production"
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
PLAN = NoticePlan(
    (Route(("chat",), ("locked", "unlocked")), Route((AUTHORS,), ("locked", "fix-failed", "failed", "unlocked"))),
    (
        EscalationLevel(10 * MINUTE, ("team",)),
        EscalationLevel(45 * MINUTE, ("on-call",), (PRE,)),
        EscalationLevel(2 * HOUR, ("boss",)),
    ),
    ReminderPlan(8 * HOUR, DAY, ("ops",)),
)


def planned(plan: NoticePlan = PLAN, **how: object) -> Town:
    return Town(replace(shop(**how), notices=plan))  # type: ignore[arg-type]


def told(town: Town) -> list[tuple[str, tuple[str, ...]]]:
    """What was told since the last look: the topics and to whom, in the order of telling."""
    found = [(" ".join((mail.topic, *mail.also)), mail.to) for mail in town.did(Notify)]
    town.quiet()
    return found


def broken(plan: NoticePlan = PLAN) -> Town:
    """S1a has broken the stage; the immediate notices are sent."""
    town = planned(plan)
    town.break_stage("S1", "a")
    town.quiet()
    return town


def wait(town: Town, seconds: float) -> None:
    """The clock looks whenever something is due, as the worker's does, for so long."""
    end, looks = town.now + seconds, 0
    while (due := town.board.next_due(town.now)) is not None and due <= end:
        town.now, looks = max(town.now, due), looks + 1
        assert looks < 1000, f"what is due at {due} stays undone"
        town.send(TimePassed())
    town.now = end
    town.send(TimePassed())


def test_each_level_is_told_once_when_its_time_has_come() -> None:
    town = broken()
    wait(town, 9 * MINUTE)
    assert told(town) == []
    wait(town, 2 * MINUTE)
    assert told(town) == [("escalation", ("team",))]
    wait(town, 5 * HOUR)
    assert told(town) == [("escalation", ("on-call",)), ("escalation", ("boss",))]
    wait(town, 10 * DAY)
    assert told(town) == [], "the lock is not a person's: nobody is reminded of it"


def test_what_is_due_together_is_one_notice() -> None:
    town = broken()
    town.now += DAY
    town.send(TimePassed())
    (mail,) = town.did(Notify)
    assert mail.to == ("team", "on-call", "boss")
    assert subject_of(mail) == f"{PRE} is still locked: S1 S1a failed in {PRE}"
    assert f"{PRE} has been locked since 1970-01-01 00:16 UTC" in body_of(mail)


def test_a_level_is_told_at_the_very_second_at_which_it_is_due() -> None:
    town = broken()
    due = town.board.next_due(town.now)
    assert due is not None
    town.now = due - 1
    town.send(TimePassed())
    assert told(town) == [("escalation", ("team",))]


def test_a_failure_after_the_last_one_was_mended_escalates_from_the_beginning_though_a_person_locks_on() -> None:
    town = broken()
    town.lock(PRE, until=town.now + 5 * DAY)
    wait(town, 11 * MINUTE)
    assert town.board.follow_up(PRE).level == 1
    town.unlock(PRE, lock=f"{PRE}/S1.1")
    assert (len(town.locks(PRE)), town.board.follow_up(PRE).level) == (1, 0)


def test_nobody_is_told_of_a_lock_that_has_opened() -> None:
    town = broken()
    town.merge("S1", "e")
    town.pass_fix("S1e")
    told(town)
    wait(town, DAY)
    assert told(town) == []
    assert town.board.follow_ups == {}


def test_whoever_was_told_of_an_escalation_hears_that_the_stage_is_open() -> None:
    town = broken()
    wait(town, HOUR)
    told(town)
    town.unlock(PRE)
    assert told(town) == [("unlocked", ("chat", "team", "on-call"))]
    assert town.board.follow_ups == {}


@pytest.mark.parametrize(
    ("plan", "topic"),
    [(replace(PLAN, reminder=None), "escalation"), (replace(PLAN, escalation=()), "reminder"), (NoticePlan(), "")],
)
def test_what_a_new_configuration_plans_is_told_of_a_stage_that_was_locked_before(plan: NoticePlan, topic: str) -> None:
    town = planned(NoticePlan())
    if topic == "reminder":
        town.lock(PRE)
    else:
        town.break_stage("S1", "a")
    town.configure(replace(town.board.pipeline, notices=plan))
    town.quiet()
    wait(town, 8 * HOUR + MINUTE)
    assert {said for said, _ in told(town)} == ({topic} if topic else set())


def test_the_next_failure_escalates_from_the_beginning() -> None:
    town = broken()
    wait(town, HOUR)
    town.unlock(PRE)
    town.break_stage("S2", "b")
    told(town)
    wait(town, 11 * MINUTE)
    assert told(town) == [("escalation", ("team",))]


def test_it_counts_from_the_beginning_also_if_a_person_keeps_the_stage_closed_in_between() -> None:
    town = broken()
    town.lock(PRE, let_fixes_in=True)
    wait(town, HOUR)
    town.unlock(PRE, lock=f"{PRE}/S1.1")
    told(town)
    wait(town, HOUR)
    assert told(town) == []
    assert town.board.follow_up(PRE).told == ("team", "on-call"), "they hear when the stage is open"


def test_a_lock_of_a_person_without_an_end_is_remembered_and_again_every_day() -> None:
    town = planned()
    town.lock(PRE)
    told(town)
    wait(town, 8 * HOUR - MINUTE)
    assert told(town) == []
    wait(town, 2 * MINUTE)
    (mail,) = town.did(Notify)
    assert (mail.topic, mail.to) == ("reminder", ("ops",))
    assert subject_of(mail) == f"{PRE} is still locked by ann: maintenance"
    town.quiet()
    wait(town, 3 * DAY)
    assert told(town) == [("reminder", ("ops",))] * 3
    town.unlock(PRE)
    assert told(town) == [("unlocked", ("chat", "ops"))]


def test_a_reminder_is_told_at_the_very_second_at_which_it_is_due() -> None:
    town = planned()
    town.now = 1_700_000_000.0
    town.lock(PRE)
    told(town)
    for _ in range(3):
        due = town.board.next_due(town.now)
        assert due is not None
        town.now = due - 1
        town.send(TimePassed())
        assert told(town) == [("reminder", ("ops",))]
        assert town.board.next_due(town.now) == due + DAY
        town.send(TimePassed())
        assert told(town) == [], "once each day"


def test_a_clock_that_stood_still_for_days_reminds_once() -> None:
    town = planned()
    town.lock(PRE)
    told(town)
    town.now += 5 * DAY
    town.send(TimePassed())
    town.send(TimePassed())
    assert told(town) == [("reminder", ("ops",))]


def test_a_reminder_names_only_the_locks_that_may_be_forgotten() -> None:
    town = planned()
    town.lock(PRE, by="ann")
    town.lock(PRE, by="bob", until=town.now + 3 * DAY)
    wait(town, 7 * HOUR)
    town.lock(PRE, by="kim")
    town.quiet()
    wait(town, 1 * HOUR + MINUTE)
    (mail,) = town.did(Notify)
    assert [lock.by for lock in mail.about.forgotten] == ["ann"]


def test_nobody_is_reminded_of_a_lock_that_ends_by_itself() -> None:
    town = planned()
    town.lock(PRE, until=town.now + 3 * DAY)
    told(town)
    wait(town, 2 * DAY)
    assert told(town) == []


def test_after_a_restart_everything_goes_on_where_it_stood() -> None:
    town = broken()
    wait(town, 11 * MINUTE)
    told(town)
    town.board = build_board(town.board.header, list(town.board.records()))
    wait(town, 30 * MINUTE)
    assert told(town) == [], "the first level was told before"
    wait(town, 10 * MINUTE)
    assert told(town) == [("escalation", ("on-call",))]


def test_while_the_pipeline_observes_nothing_counts_as_told() -> None:
    town = broken()
    town.mode(Mode.OBSERVE)
    wait(town, HOUR)
    assert told(town) == []
    town.mode(Mode.RUN)
    assert told(town) == [("escalation", ("team", "on-call"))]


def test_a_stage_that_no_level_names_is_left_out() -> None:
    town = planned(replace(PLAN, escalation=PLAN.escalation[1:2]), production_locks=True)
    town.break_stage("S1", "a", "production")
    told(town)
    wait(town, DAY)
    assert told(town) == []


def test_the_authors_of_what_failed_are_named_on_its_pull_request() -> None:
    town = planned()
    town.merge_up_to("S1", "a", PRE)
    town.pull("S1", "a", 7)
    town.fail_build("S1a")
    (named,) = town.did(Mention)
    assert (named.repository, named.pull, named.people) == ("shop/S1", 7, ("ann",))
    assert subject_of(named) == f"{PRE} is locked: S1 S1a failed in {PRE}"
    town.quiet()
    town.unlock(PRE)
    (named,) = town.did(Mention)
    assert subject_of(named) == f"{PRE} is open"


def test_two_failed_runs_of_one_pull_request_are_one_comment_there() -> None:
    town = planned()
    for letter in "ab":
        town.merge("S1", letter)
        town.pull("S1", letter, 7)
        while town.at(f"S1{letter}") != PRE:
            town.pass_build(f"S1{letter}")
        town.fail_build(f"S1{letter}")
    assert len(town.locks(PRE)) == 2
    town.quiet()
    town.unlock(PRE, every=True)
    assert [(each.pull, each.people) for each in town.did(Mention)] == [(7, ("ann",))]


def test_of_a_run_that_carries_several_changes_each_author_is_named_once() -> None:
    town = planned()
    before, b = town.github.commit("S1", "S1b")
    _, c = town.github.commit("S1", "S1c")
    town.deliver(Merged("S1", b, pull=8, title="two", author="bob"))
    town.deliver(Merged("S1", c, pull=9, title="three", author="cleo"))
    push = town.merged("S1", before, c, commits=(b,), author="cleo", authors=("cleo", "dan", "bob"))
    town.deliver(push)
    run = town.run(c)
    assert run.merge.pulls == (9, 8)
    assert PullAuthor(0, "cleo") not in run.merge.authors, "kept with the pull request already"
    while run.step.stage != PRE:
        town.pass_build(c)
        run = town.run(c)
    town.quiet()
    town.fail_build(c)
    assert [(each.pull, each.people) for each in town.did(Mention)] == [(9, ("cleo", "dan")), (8, ("bob",))]


def test_whoever_pushed_is_named_on_the_first_pull_request_of_a_push_that_has_none_of_its_own() -> None:
    town = planned()
    before, b = town.github.commit("S1", "S1b")
    _, c = town.github.commit("S1", "S1c")
    town.deliver(Merged("S1", b, pull=8, title="two", author="bob"))
    town.deliver(town.merged("S1", before, c, commits=(b,), author="cleo"))
    assert (town.run(c).merge.pull, list(town.run(c).merge.authors_of(8))) == (8, ["bob", "cleo"])


def test_nobody_is_named_on_two_pull_requests_of_one_notice_whatever_the_case() -> None:
    merge = Merge(7, (7, 8), "", "Ann").with_authors(PullAuthor(8, "ann"), PullAuthor(0, "Ann"), PullAuthor(8, ""))
    assert merge.authors == (PullAuthor(8, "ann"), PullAuthor(0, "Ann"))
    town = planned()
    town.merge_up_to("S1", "a", PRE)
    town.board.put(replace(town.run("S1a"), merge=merge))
    town.fail_build("S1a")
    assert [(each.pull, each.people) for each in town.did(Mention)] == [(7, ("Ann",)), (8, ())]


def test_of_many_authors_a_bounded_number_is_kept() -> None:
    found = Merge(7, (7,), "", "ann").with_authors(*(PullAuthor(0, f"u{n}") for n in range(99)))
    assert len(found.authors) == AUTHORS_KEPT
    assert list(found.authors_of(7))[:2] == ["ann", "u0"] and list(found.authors_of(8)) == []


def test_a_run_that_fails_and_locks_nothing_is_told_to_whoever_wants_to_know() -> None:
    town = planned(NoticePlan((Route((AUTHORS,), ("failed",)), Route(("s2",), ("failed",), services=("S2",)))))
    town.merge_up_to("S1", "a", "acceptance")
    town.pull("S1", "a", 7)
    town.fail_build("S1a")
    assert [named.pull for named in town.did(Mention)] == [7]
    assert told(town) == []
    town.merge_up_to("S2", "a", "acceptance")
    town.fail_build("S2a")
    assert told(town) == [("failed", ("s2",))]


def test_a_route_may_be_for_one_stage() -> None:
    plan = NoticePlan((Route(("pre",), ("locked",), (PRE,)), Route(("prod",), ("locked",), ("production",))))
    town = planned(plan, production_locks=True)
    town.break_stage("S1", "a")
    assert told(town)[-1] == ("locked", ("pre",))


def test_a_route_for_services_leads_what_a_lock_of_theirs_closes_and_nothing_else() -> None:
    routes = tuple(Route((f"{service}-team",), ("locked",), services=(service,)) for service in ("S1", "S2"))
    town = planned(NoticePlan(routes))
    town.break_stage("S1", "a")
    assert told(town)[-1] == ("locked", ("S1-team",))
    town.lock("acceptance")
    assert told(town) == [("locked", ())]


def test_what_concerns_no_lock_is_told_to_the_channels_of_its_topic_and_to_no_authors() -> None:
    town = planned(NoticePlan((Route(("chat", AUTHORS), ("stuck",)),)))
    town.send(DefaultBranchChanged("S1", before="main", now="trunk"))
    assert told(town) == [("stuck", ("chat",))]
