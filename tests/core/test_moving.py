"""L7: the results of a move to the front of a queue, its limits, and its refusals."""

from __future__ import annotations

import pytest

from bot.core.model.events import MoveAsked
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Mode
from bot.core.rules.decide import decide
from bot.store.codec import dump_record, load_record
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE = "pre-production"


def waiting(*names: str, **how: int) -> Town:
    """A town in which pre-production is taken by S1a, and these wait for it, the first at the front."""
    town = Town(shop(acceptance=None, **how))
    for name in ("S1a", *names):
        town.merge_up_to(name[:2], name[2:], PRE)
    return town


def test_it_goes_before_all_who_wait_and_enters_next() -> None:
    town = waiting("S2a", "S3a", "S1b")
    town.move("S3a")
    assert town.queue(PRE) == ["S1b", "S2a", "S3a"]
    town.pass_build("S1a")
    assert town.runs_in(PRE) == ["S3a"]


def test_it_is_on_record_with_its_reason_and_told_to_its_pull_request() -> None:
    town = waiting("S2a", "S3a")
    town.move("S3a")
    (fact,) = [fact for fact in town.facts if fact.kind is FactKind.RUN_MOVED]
    assert (fact.run, fact.by, str(fact.step)) == ("S3.1", "ann", PRE)
    assert text_of(fact.why) == "ann moved S3 S3a to the front of the queue for pre-production: the fair is tomorrow"
    assert [text_of(each.what) for each in town.run("S3a").story][-1].startswith("ann moved it to the front")


def test_why_and_tile_say_who_has_moved_it_until_it_has_left_the_queue() -> None:
    town = waiting("S2a", "S3a")
    town.move("S3a")
    assert town.says("S3a").endswith("; ann moved it to the front: the fair is tomorrow")
    (tile, _) = town.view()["stages"][2]["queue"]["runs"]
    assert (tile["run"], tile["moved"]) == ("S3.1", {"by": "ann", "reason": "the fair is tomorrow"})
    town.pass_build("S1a", "S3a")
    assert town.at("S3a") == "production"
    assert town.run("S3a").moved is None


def test_who_is_moved_last_stands_first() -> None:
    town = waiting("S2a", "S3a", "S1b")
    town.move("S3a")
    town.move("S1b")
    assert town.queue(PRE) == ["S2a", "S3a", "S1b"]


def test_it_passes_no_lock() -> None:
    town = waiting("S2a", "S3a")
    town.fail_build("S1a")
    town.move("S3a")
    assert town.runs_in(PRE) == []
    assert town.says("S3a").startswith("pre-production is locked")
    town.unlock(PRE)
    assert town.runs_in(PRE) == ["S3a"]


def test_it_passes_no_fix() -> None:
    town = waiting("S2a", "S3a")
    town.fail_build("S1a")
    fix = town.merge("S1", "b")
    while town.at(fix) != "fast pre-production":
        town.pass_build(fix)
    town.mode(Mode.PAUSE)
    town.pass_build(fix)
    town.move("S3a")
    assert town.queue(PRE) == ["S2a", "S3a", fix]
    town.mode(Mode.RUN)
    assert town.runs_in(PRE) == [fix]


def test_it_enters_at_once_where_only_the_order_kept_it_out() -> None:
    town = waiting("S2a", "S3a")
    town.mode(Mode.PAUSE)
    town.pass_build("S1a")
    town.move("S3a")
    assert town.runs_in(PRE) == []
    town.mode(Mode.RUN)
    assert town.runs_in(PRE) == ["S3a"]


def test_who_is_called_back_keeps_the_front() -> None:
    town = waiting("S2a", "S3a")
    town.move("S3a")
    town.pass_build("S1a")
    town.lock(PRE)
    town.confirm_withdrawal("S3a")
    assert town.queue(PRE) == ["S2a", "S3a"]
    assert town.run("S3a").moved is not None


def test_it_counts_for_the_main_lane_alone() -> None:
    town = waiting("S2a", "S3a")
    town.move("S3a")
    town.fast_lane("S3", PRE)
    assert town.run("S3a").moved is None


def test_an_admitted_run_that_changes_lane_takes_no_front_along() -> None:
    town = waiting("S2a", "S3a")
    town.move("S3a")
    town.pass_build("S1a")
    assert town.runs_in(PRE) == ["S3a"]
    town.fast_lane("S3", PRE)
    assert "S3a" in town.on_fast_lane()
    assert town.run("S3a").moved is None


def test_who_stands_behind_fixes_alone_is_at_the_front_already() -> None:
    town = waiting("S2a")
    town.fail_build("S1a")
    fix = town.merge("S1", "b")
    while town.at(fix) != "fast pre-production":
        town.pass_build(fix)
    town.mode(Mode.PAUSE)
    town.pass_build(fix)
    assert town.queue(PRE) == ["S2a", fix]
    town.move("S2a")
    assert town.refused() == "S2 S2a is at the front of the queue for pre-production already"


def test_it_stays_when_the_configuration_changes() -> None:
    town = waiting("S2a", "S3a")
    town.move("S3a")
    town.configure(shop(acceptance=2))
    assert town.queue(PRE) == ["S2a", "S3a"]
    town.configure(shop(acceptance=2, without=(PRE,)))
    assert town.run("S3a").moved is None


def test_it_is_stored_with_the_run_and_a_run_of_before_was_not_moved() -> None:
    town = waiting("S2a", "S3a")
    before = dump_record(town.run("S3a"))
    assert "moved" not in before
    assert load_record("run/S3.1", before).moved is None  # type: ignore[union-attr]
    town.move("S3a")
    assert load_record("run/S3.1", dump_record(town.run("S3a"))) == town.run("S3a")


REFUSED = [
    pytest.param("S1a", "S1 S1a does not wait: it is running in pre-production", id="it does not wait"),
    pytest.param("S2a", "S2 S2a is at the front of the queue for pre-production already", id="it is first already"),
    pytest.param(
        "S2b",
        "S2.1 (S2 S2a) is older and waits for pre-production as well, which never goes back: move that one first",
        id="an older commit of its service would never enter",
    ),
]


@pytest.mark.parametrize(("sha", "why"), REFUSED)
def test_it_is_refused(sha: str, why: str) -> None:
    town = waiting("S2a", "S3a", "S2b")
    town.start_build("S1a")
    before = town.queue(PRE)
    town.move(sha)
    assert town.refused() == why
    assert town.queue(PRE) == before


def test_an_older_commit_is_passed_where_nothing_is_rolled_out() -> None:
    town = Town(shop(acceptance=1))
    for name in ("S1a", "S2a", "S2b"):
        town.merge_up_to(name[:2], name[2:], "acceptance")
    town.move("S2b")
    assert town.queue("acceptance") == ["S2a", "S2b"]


def test_an_older_commit_that_may_be_contained_is_not_passed() -> None:
    town = waiting("S2a", "S3a")
    town.push("S2", "b")  # nobody tells of it
    after_a_gap = town.merge_up_to("S2", "c", PRE)
    town.move(after_a_gap)
    assert "is older and waits" in town.refused()


def test_a_fix_is_not_moved_and_neither_is_a_retry() -> None:
    town = waiting("S2a", "S3a")
    town.fail_build("S1a")
    town.lock(PRE)
    town.retry("S1a")
    town.move("S1a")
    assert town.refused() == "S1 S1a is a fix: it goes before the main lane already, and never past another fix"
    town.unlock(PRE, lock="pre-production/1")
    fix = town.merge("S1", "b")
    town.mode(Mode.PAUSE)
    town.pass_build(fix)
    town.move(fix)
    assert "goes before the main lane already" in town.refused()


def test_a_run_that_is_not_there_is_refused() -> None:
    town = waiting()
    decision = decide(town.board, MoveAsked("S9.9", "ann", "now"), town.now)
    assert [text_of(fact.why) for fact in decision.facts] == ["S9.9 is not on the board"]
