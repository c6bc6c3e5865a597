"""The consequences of a request, found on a copy of the board: each kind in a story."""

from __future__ import annotations

from dataclasses import fields, replace

from bot.core.model.events import (
    CancelAsked,
    Event,
    FastLaneAsked,
    FreezesPlanned,
    LetThroughAsked,
    LockAsked,
    ModeAsked,
    MoveAsked,
    PullMoved,
    RetryAsked,
    UnlockAsked,
    WatchAsked,
)
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Job, Mode, Step, Verify
from bot.core.model.run import End
from bot.core.rules.consequences import Consequences, foresee
from bot.reporting.consequences import clauses, sentence
from tests.core.foreseen import untouched
from tests.core.town import Town
from tests.core.world import indexes_of, records_of, shop
from tests.texts import text_of

PRE = "pre-production"


def foreseen(town: Town, event: Event) -> str:
    """What is foreseen, in words; the board stays as it is, and the town as well."""
    return sentence(untouched(town.board, event, town.now, town.limits))


def broken(*waiting: str) -> Town:
    """S1a has failed in pre-production, and these wait behind its lock."""
    town = Town(shop(acceptance=None))
    town.break_stage("S1", "a")
    for name in waiting:
        town.merge_up_to(name[:2], name[2:], PRE)
    return town


def test_unlocking_lets_in_whoever_waits() -> None:
    town = broken("S2a", "S3a")
    assert foreseen(town, UnlockAsked(PRE, "ann", "fine")) == (
        "opens the lock of pre-production; S2.1 enters pre-production; S1.1 ends as failed"
    )


def test_unlocking_all_opens_each_and_takes_the_fix_off_its_lane() -> None:
    town = broken("S2a")
    town.lock(PRE)
    town.lock(PRE, "ben")
    fix = town.merge("S1", "b")
    assert fix in town.on_fast_lane()
    assert foreseen(town, UnlockAsked(PRE, "ann", "fine", every=True)) == (
        "opens 3 locks of pre-production; S1.2 loses its lane; S2.1 enters pre-production; S1.1 ends as failed"
    )


def test_unlocking_one_of_several_leaves_the_stage_locked() -> None:
    town = broken("S2a")
    town.lock(PRE)
    town.lock("production")
    assert foreseen(town, UnlockAsked(PRE, "ann", "fine", "pre-production/1")) == (
        "opens the lock of pre-production; pre-production stays locked by S1.1"
    )


def test_only_locks_of_a_stage_that_is_touched_are_said_to_stay() -> None:
    town = broken()
    town.lock(PRE)
    town.lock("production")
    opened = UnlockAsked(PRE, "ann", "fine", "pre-production/1")
    found = untouched(town.board, opened, town.now, town.limits)
    assert [lock.key for lock in found.stays_locked] == ["pre-production/S1.1"]


def test_a_lock_calls_back_whose_build_has_not_started() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    assert foreseen(town, LockAsked(PRE, "ann", "fair", let_fixes_in=True, until=3_600.0)) == (
        "locks pre-production until 1970-01-01 01:00 UTC, fixes may enter; S1.1 is called back from pre-production"
    )


def test_a_retry_enters_the_stage_that_it_locked() -> None:
    assert foreseen(broken(), RetryAsked("S1.1", "ann", "flaky")) == "S1.1 enters pre-production"


def test_a_retry_that_may_not_enter_yet_waits() -> None:
    town = broken()
    town.mode(Mode.PAUSE)
    assert foreseen(town, RetryAsked("S1.1", "ann", "flaky")) == "S1.1 waits for pre-production"


def test_a_fix_that_waits_for_a_job_of_its_lane_queues_elsewhere_when_that_is_taken() -> None:
    town = broken()
    town.mode(Mode.PAUSE)
    fix = town.merge("S1", "b")
    town.mode(Mode.RUN)
    town.start_build(fix)
    town.mode(Mode.PAUSE)
    town.pass_build(fix)
    assert town.at(fix) == "fast acceptance"
    assert foreseen(town, UnlockAsked(PRE, "ann", "fine")) == (
        "opens the lock of pre-production; S1.2 loses its lane; S1.2 waits for acceptance; S1.1 ends as failed"
    )


def test_who_leaves_says_how() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    found = untouched(town.board, CancelAsked("S1.1", "ann", "no"), town.now, town.limits)
    assert [each.ending.end for each in found.leaves if each.ending is not None] == [End.CANCELLED]
    assert found.locks_next == ()


def test_a_run_that_begins_while_nothing_enters_does_not_enter() -> None:
    town = Town()
    town.github.commit("S1", "S1-")
    town.look_at_main("S1")
    town.mode(Mode.PAUSE)
    found = untouched(town.board, FastLaneAsked("S1", "ann", "urgent", PRE), town.now, town.limits)
    assert ([each.run for each in found.starts], found.enters) == (["S1.1"], ())


def test_who_is_moved_again_goes_to_the_front_again() -> None:
    town = broken("S2a", "S3a")
    town.move("S3a")
    town.move("S2a")
    assert foreseen(town, MoveAsked("S3.1", "ann", "fair")) == "S3.1 goes to the front of the queue for pre-production"


def test_a_cancelled_build_in_a_stage_that_locks_will_lock_it() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    number = town.run("S1a").attempt.build
    assert foreseen(town, CancelAsked("S1.1", "ann", "no")) == (
        f"build #{number} of S1.1 in pre-production is asked to stop; "
        "pre-production locks when that has ended as aborted; S1.1 leaves when Jenkins has confirmed it"
    )


def test_a_cancelled_build_of_the_fast_lane_locks_nothing() -> None:
    town = broken()
    fix = town.merge("S1", "b")
    while town.at(fix) != "fast pre-production":
        town.pass_build(fix)
    town.start_build(fix)
    number = town.run(fix).attempt.build
    assert foreseen(town, CancelAsked(town.key(fix), "ann", "no")) == (
        f"build #{number} of S1.2 in fast pre-production is asked to stop; S1.2 leaves when Jenkins has confirmed it"
    )


def test_who_only_waits_ends_at_once_when_it_is_cancelled() -> None:
    assert foreseen(broken("S2a"), CancelAsked("S2.1", "ann", "no")) == "S2.1 ends as cancelled"


def test_the_head_of_main_changes_lane_and_replaces_nothing_else() -> None:
    town = Town(shop(acceptance=1))
    town.merge_up_to("S1", "a", "acceptance")
    town.merge_up_to("S2", "a", "acceptance")
    assert foreseen(town, FastLaneAsked("S2", "ann", "urgent", PRE)) == (
        "S2.1 changes to the fast lane; S2.1 may enter pre-production past any lock; S2.1 enters fast acceptance"
    )


def test_a_head_without_a_run_starts_one() -> None:
    town = Town()
    town.github.commit("S1", "S1-")
    town.look_at_main("S1")
    assert foreseen(town, FastLaneAsked("S1", "ann", "urgent", PRE)) == (
        "S1.1 starts; S1.1 may enter pre-production past any lock; S1.1 enters build"
    )


def test_a_move_changes_the_order_alone() -> None:
    town = broken("S2a", "S3a")
    assert foreseen(town, MoveAsked("S3.1", "ann", "fair")) == "S3.1 goes to the front of the queue for pre-production"


def test_a_pause_calls_back_and_a_resume_lets_in() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    assert foreseen(town, ModeAsked(Mode.PAUSE, "ann", "why")) == (
        "the pipeline is paused: nothing is triggered; S1.1 is called back from acceptance"
    )
    town.mode(Mode.PAUSE)
    town.confirm_withdrawal("S1a")
    assert foreseen(town, ModeAsked(Mode.RUN, "ann", "why")) == "the pipeline runs; S1.1 enters acceptance"


def test_whoever_asks_to_be_told_is_told_of_that_stage_and_nobody_else_is() -> None:
    town = broken("S2a")
    found = untouched(town.board, WatchAsked(PRE, "ann", "shop/S1", 7), town.now, town.limits)
    assert found == Consequences(watches=(PRE,))
    assert untouched(town.board, UnlockAsked(PRE, "ann", "fine"), town.now, town.limits).watches == ()


def test_a_permit_that_a_run_has_already_is_not_new() -> None:
    town = Town(shop(acceptance=1, production_locks=True))
    town.merge_up_to("S1", "a", "acceptance")
    town.merge_up_to("S2", "a", "acceptance")
    town.send(FastLaneAsked("S2", "ann", "urgent", "production"))
    found = untouched(town.board, FastLaneAsked("S2", "ann", "urgent", PRE), town.now, town.limits)
    assert [(each.run, each.step) for each in found.permits] == [("S2.1", Step(PRE))]
    moved = untouched(town.board, ModeAsked(Mode.PAUSE, "ann", "why"), town.now, town.limits)
    assert moved.called_back and moved.permits == (), "it changes, and has had its permit before"


def test_a_verification_that_changes_has_no_permit() -> None:
    town = Town(replace(shop(), verify=Verify(Job("cdp", "shop/verify"))))
    town.send(PullMoved("S1", 7, "p" * 40))
    (verification,) = town.board.verifications
    found = untouched(town.board, ModeAsked(Mode.PAUSE, "ann", "why"), town.now, town.limits)
    assert [each.run for each in found.called_back] == [verification]
    assert found.permits == found.let_through == ()


def test_a_run_is_let_through_freezes_once() -> None:
    town = Town()
    begins = town.now + 10
    freeze = Freeze("night", (PRE,), (FreezeWindow(begins, begins + 900),), role="operator")
    town.send(FreezesPlanned((freeze,)))
    town.tick(20)
    for service in "S1", "S2":
        town.merge_up_to(service, "a", PRE)
    asked = LetThroughAsked(town.key("S1a"), "ann", "the shop is down")
    found = untouched(town.board, asked, town.now, town.limits)
    assert [each.run for each in found.let_through] == [town.key("S1a")]
    town.send(ModeAsked(Mode.PAUSE, "ann", "why"))
    town.send(asked)
    assert untouched(town.board, MoveAsked(town.key("S1a"), "ann", "first"), town.now, town.limits).let_through == ()


def test_a_run_that_begins_and_ends_in_one_decision_ends_and_nothing_else() -> None:
    """The push of an older commit comes late: the newer one is in the first stage already, which rolls out (F11)."""
    town = Town(shop(without=("build", "acceptance")))
    late = town.push("S1", "a")
    town.merge("S1", "b")
    town.pass_build("S1b")
    found = untouched(town.board, late, town.now, town.limits)
    assert ([each.run for each in found.ends], found.starts, found.enters) == (["S1.2"], (), ())


def test_nothing_changes_says_so() -> None:
    town = Town()
    assert untouched(town.board, ModeAsked(Mode.RUN, "ann", "why"), town.now, town.limits) == Consequences()
    assert foreseen(town, ModeAsked(Mode.RUN, "ann", "why")) == "nothing changes"


def test_what_would_be_refused_is_refused_with_the_same_words() -> None:
    town = broken()
    town.lock(PRE)
    found = foresee(town.board, UnlockAsked(PRE, "ann", "fine"), town.now)
    town.unlock(PRE)
    assert found.refusal is not None
    assert text_of(found.refusal) == town.refused()
    assert clauses(found) == [f"refused: {town.refused()}"]


def test_a_copy_of_a_board_is_apart_from_it() -> None:
    town = broken("S2a", "S3a")
    before = (records_of(town.board), indexes_of(town.board))
    copy = town.board.copy()
    assert (records_of(copy), indexes_of(copy)) == before
    for run in list(copy.runs.values()):
        copy.drop(run)
    for lock in list(copy.locks.values()):
        copy.drop(lock)
    assert (records_of(town.board), indexes_of(town.board)) == before
    assert not town.board.journal


def test_a_copy_of_the_indexes_shares_nothing_that_changes() -> None:
    town = broken("S2a", "S3a")
    town.start_build(town.merge_up_to("S1", "c", "acceptance"))
    ours, copy = town.board._indexes, town.board.copy()._indexes
    assert copy == ours
    for each in fields(ours):
        mine, its = getattr(ours, each.name), getattr(copy, each.name)
        assert mine is not its, each.name
        pairs = [(mine[key], its[key]) for key in mine] if isinstance(mine, dict) else []
        assert all(one is not other for one, other in pairs), each.name
