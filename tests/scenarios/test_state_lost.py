"""State lost: every stage that locks is closed until a person unlocks it; remembered changes are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.board import build_board
from bot.core.model.board_records import Header
from bot.core.model.effects import Banner, Notify, Trigger
from bot.core.model.events import (
    Configured,
    FirstStart,
    HeadSeen,
    Merged,
    ModeAsked,
    StateLost,
    TimePassed,
    UnlockAsked,
)
from bot.core.model.facts import FactKind
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Lane, Mode, Pipeline, Policy
from bot.core.model.stage_messages import ClosedAfterLoss
from bot.core.rules.decide import decide
from bot.core.rules.state_lost import LISTED, SHOWN, lock_key, loss, remembered
from bot.reporting.view import loss_sentence
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import body_of, subject_of, text_of

#: Why a stage is closed after a loss.
REASON = text_of(ClosedAfterLoss())


@pytest.fixture
def before() -> Town:
    """S1a has broken pre-production; S1b and S2a wait there, S1c is in acceptance, S3a has been delivered."""
    pipeline = shop()
    *early, production = pipeline.stages
    town = Town(replace(pipeline, stages=(*early, replace(production, on_failure=Policy.LOCK))))
    town.merge_up_to("S3", "a", before="production")
    town.pass_build("S3a")
    for service, letter in ("S1", "a"), ("S2", "a"), ("S1", "b"):
        town.merge_up_to(service, letter, before="pre-production")
    town.merge_up_to("S1", "c", before="acceptance")
    town.fail_build("S1a", tests=("CheckoutTest",))
    return town


def emptied(town: Town, event: StateLost | None = None) -> Town:
    """The same pipeline on an empty store, and what its first turn decides."""
    after = Town()
    after.board = build_board(Header(Pipeline(town.board.pipeline.name, (), ())), [])
    after.now = max(after.now, town.now)
    after.quiet()
    after.send(Configured(town.board.pipeline))
    after.send(event or remembered(town.board, "the store was emptied while Interlock ran"))
    return after


def closed(town: Town) -> dict[str, list[str]]:
    stages = (stage.name for stage in town.board.pipeline.stages)
    return {
        name: [text_of(k.reason) for k in town.board.locks_of(name)] for name in stages if town.board.locks_of(name)
    }


def test_every_stage_that_locks_is_closed_and_a_lock_that_is_remembered_stands_again(before: Town) -> None:
    (was,) = before.board.locks_of("pre-production")
    after = emptied(before)
    assert closed(after) == {
        "pre-production": ["S1 S1a failed in pre-production (CheckoutTest)", REASON],
        "production": [REASON],
    }
    lock = after.board.locks[was.key]
    assert (lock.since, lock.run, lock.service, lock.build) == (was.since, was.run, "S1", was.build)
    assert after.run("S1a").status == "failed" and after.run("S1a").key == was.run


def test_a_lock_of_a_person_stands_again_with_its_end_unless_that_has_come(before: Town) -> None:
    before.lock("production", until=before.now + 500)
    before.lock("acceptance", until=before.now + 1)
    after = emptied(before)
    assert closed(after)["production"] == ["maintenance", REASON]
    after.now += 600
    after.send(TimePassed())
    assert closed(after)["production"] == [REASON]


def test_what_locked_a_stage_and_cannot_be_put_back_is_told(before: Town) -> None:
    told = (("pre-production", Verbatim("audit")), ("production", Verbatim("the fair")))
    after = emptied(before, StateLost("x", told))
    assert closed(after) == {
        "pre-production": [f"{REASON} (it was locked: audit)"],
        "production": [f"{REASON} (it was locked: the fair)"],
    }


def test_of_services_and_stages_that_are_not_configured_any_more_nothing_is_put_back(before: Town) -> None:
    memory = remembered(before.board, "x")
    assert {"S3/production", "S1/build"} <= {version.key for version in memory.versions}
    after = emptied(Town(shop(services=("S1", "S2"), without=("build",))), memory)
    assert "S1/acceptance" in after.board.versions
    assert not [key for key in after.board.versions if key.startswith("S3/") or key.endswith("/build")]
    assert "S3" not in after.board.services


def test_a_fix_that_was_on_the_fast_lane_starts_again_there(before: Town) -> None:
    before.merge("S1", "e")
    after = emptied(before)
    assert {run.sha: run.lane for run in after.board.runs.values() if run.status == "starting"} == {
        "S1e": Lane.FAST,
        "S2a": Lane.MAIN,
    }


def test_nothing_is_known_and_still_they_are_closed(before: Town) -> None:
    after = emptied(before, StateLost("Jenkins shows what the store does not"))
    assert closed(after) == {"pre-production": [REASON], "production": [REASON]}
    assert not after.did(Trigger)


def test_people_are_told_once_with_what_was_on_its_way(before: Town) -> None:
    after = emptied(before)
    (notice,) = [n for n in after.did(Notify) if n.topic == "stuck"]
    assert subject_of(notice).endswith(": state was lost")
    for part in (
        "pre-production: S1 S1a failed in pre-production (CheckoutTest)",
        "S2 S2a, in pre-production (waiting)",
        "Started again from the first stage: S2 S2a, S1 S1c.",
        "interlock unlock STAGE",
    ):
        assert part in body_of(notice)
    assert body_of(notice).count("pre-production: S1 S1a failed in pre-production") == 1, "it is locked again"
    assert notice.about.locked == (), "what is locked again is not listed as lost"
    assert len([f for f in after.facts if f.kind is FactKind.STATE_LOST]) == 1
    assert {banner.stage for banner in after.did(Banner)} == {"pre-production", "production"}


@pytest.mark.parametrize(("count", "more"), [(0, None), (LISTED, None), (LISTED + 1, 1), (LISTED + 5, 5)])
def test_a_notice_lists_so_many_runs_and_says_how_many_more_there_are(count: int, more: int | None) -> None:
    town = Town()
    town.merge("S1", "a")
    run = town.run("S1a")
    after = emptied(town, StateLost("x", runs=tuple(replace(run, key=f"S1.{number}") for number in range(count))))
    (notice,) = [n for n in after.did(Notify) if n.topic == "stuck"]
    assert body_of(notice).count("S1 S1a, in build") == min(count, LISTED)
    assert ("Runs that were on their way" in body_of(notice)) is (count > 0)
    assert (f"and {more} more" in body_of(notice)) is (more is not None)
    assert "more\n" not in body_of(notice) or more is not None
    assert "Nothing has started again" in body_of(notice)


@pytest.mark.parametrize("locks", [True, False])
def test_a_notice_says_what_is_closed_if_anything_is(*, locks: bool) -> None:
    town = Town() if locks else Town(shop(without=("pre-production",)))
    (notice,) = [n for n in emptied(town).did(Notify) if n.topic == "stuck"]
    assert ("Closed until a person has looked: pre-production." in body_of(notice)) is locks
    assert ("Closed" in body_of(notice)) is locks


def test_for_each_service_the_newest_commit_that_was_on_its_way_starts_again(before: Town) -> None:
    after = emptied(before)
    started = [run for run in after.board.runs.values() if run.status != "failed"]
    assert sorted((run.service, run.sha, str(run.step)) for run in started) == [
        ("S1", "S1c", "build"),
        ("S2", "S2a", "build"),
    ]
    numbers = {run.key for run in started} & {run.key for run in before.board.runs.values()}
    assert not numbers, "a run has the key of one that Jenkins may still build"


def test_where_main_stood_is_remembered_so_that_a_merge_nobody_was_told_of_is_found(before: Town) -> None:
    after = emptied(before)
    after.quiet()
    moves = after.board.service("S3").moves
    after.send(HeadSeen("S3", "S3a", moves=moves))
    assert not after.board.of_service("S3")
    after.send(HeadSeen("S3", "S3b", moves=moves))
    assert [run.sha for run in after.board.of_service("S3")] == ["S3b"]


def test_without_memory_the_heads_are_the_baseline(before: Town) -> None:
    after = emptied(before, StateLost("Jenkins shows what the store does not"))
    after.send(HeadSeen("S3", "S3b"))
    assert not after.board.runs


def test_what_was_accepted_after_the_loss_is_decided(before: Town) -> None:
    after = emptied(before)
    after.send(Merged("S1", "S1d", "S1c"))
    assert "S1d" in {run.sha for run in after.board.runs.values()}


def test_a_run_waits_until_a_person_has_unlocked(before: Town) -> None:
    after = emptied(before)
    for _ in range(2):
        after.pass_build("S2a")
    after.send(UnlockAsked("pre-production", "alex", "looked", lock=lock_key("pre-production")))
    assert after.says("S2a").startswith("pre-production is locked: S1 S1a failed in pre-production (CheckoutTest)")
    after.send(UnlockAsked("pre-production", "alex", "looked"))
    assert after.runs_in("pre-production") == ["S2a"]


def test_the_mode_that_a_person_set_is_kept(before: Town) -> None:
    before.send(ModeAsked(Mode.PAUSE, "alex", "upgrade"))
    after = emptied(before)
    header = after.board.header
    assert (header.mode, header.mode_by, header.mode_why) == (Mode.PAUSE, "alex", "upgrade")
    assert not after.did(Trigger)


def test_a_loss_is_told_once(before: Town) -> None:
    after = emptied(before)
    after.send(UnlockAsked("pre-production", "alex", "looked", every=True))
    after.send(StateLost("another worker remembers as well"))
    assert list(closed(after)) == ["production"]


def test_it_is_known_then_that_something_was_lost_and_it_is_told_to_those_of_the_first_stage(before: Town) -> None:
    after = emptied(before)
    assert not after.board.header.unproven
    assert [n.stage for n in after.did(Notify) if n.topic == "stuck"] == ["build"]


def test_a_second_loss_does_not_tell_of_the_locks_that_the_first_has_put_up(before: Town) -> None:
    after = emptied(before)
    after.lock("acceptance")
    assert {stage for stage, _ in remembered(after.board, "again").locked} == {"pre-production", "acceptance"}
    assert {lock.stage for lock in remembered(after.board, "again").locks} == {"pre-production", "acceptance"}


def test_what_a_person_has_taken_out_does_not_start_again(before: Town) -> None:
    before.start_build("S1c")
    before.cancel("S1c")
    before.cancel("S2a")
    assert {run.sha for run in emptied(before).board.runs.values() if run.status != "failed"} == {"S1b"}


def test_nor_does_one_whose_roll_out_a_person_has_cancelled() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "pre-production")
    town.start_build("S1a")
    town.cancel("S1a")
    assert remembered(town.board, "x").runs == ()


def test_what_is_remembered_does_not_depend_on_the_order_in_which_a_board_was_read(before: Town) -> None:
    records = [record for record in before.board.records() if record is not before.board.header]
    backwards = build_board(before.board.header, records[::-1])
    assert remembered(backwards, "x") == remembered(before.board, "x")


def test_what_github_was_asked_before_is_asked_again(before: Town) -> None:
    before.look_at_main("S1", "z")
    assert before.board.service("S1").asked
    assert not any(state.asked for state in remembered(before.board, "x").services)


def test_a_commit_starts_again_only_if_it_is_known_where_it_stood_and_has_not_started_yet(before: Town) -> None:
    event = remembered(before.board, "x")
    assert not emptied(before, replace(event, services=())).live()
    after = Town()
    after.board = build_board(Header(Pipeline("shop", (), ())), [])
    after.send(Configured(before.board.pipeline))
    after.send(Merged("S1", "S1c", "S1b"))
    after.send(event)
    assert sorted(run.sha for run in after.board.runs.values() if run.status != "failed") == ["S1c", "S2a"]


def test_a_run_that_starts_again_says_so_in_its_story(before: Town) -> None:
    after = emptied(before)
    assert any("starts again" in text_of(each.what) for each in after.run("S2a").story)


def test_it_is_shown_as_long_as_one_of_its_locks_stands_and_for_a_day(before: Town) -> None:
    after = emptied(before)
    later = after.now + 2 * SHOWN
    found = loss(after.board, later)
    assert found is not None
    assert loss_sentence(found) == (
        "state was lost: the store was emptied while Interlock ran; look, then unlock pre-production, production"
    )
    for stage in ("pre-production", "production"):
        after.send(UnlockAsked(stage, "alex", "looked", lock=lock_key(stage)))
    found_at = after.board.header.lost
    assert found_at is not None
    assert loss(after.board, found_at + SHOWN - 1) is not None
    assert loss(after.board, found_at + SHOWN) is None
    assert loss(after.board, later) is None


def test_a_first_start_locks_nothing(before: Town) -> None:
    town = Town()
    town.board = build_board(Header(Pipeline(before.board.pipeline.name, (), ())), [])
    town.send(Configured(before.board.pipeline))
    assert town.board.header.unproven
    town.send(FirstStart())
    assert not town.board.header.unproven
    assert not town.board.locks
    assert loss(town.board, town.now) is None


def test_a_service_that_is_not_configured_any_more_is_not_remembered(before: Town) -> None:
    event = remembered(before.board, "x")
    fewer = replace(before.board.pipeline, services=tuple(s for s in before.board.pipeline.services if s.name != "S2"))
    board = build_board(Header(Pipeline(fewer.name, (), ())), [])
    decide(board, Configured(fewer), 1.0)
    decide(board, event, 2.0)
    assert "S2" not in board.services
    assert {run.service for run in board.runs.values()} == {"S1"}
