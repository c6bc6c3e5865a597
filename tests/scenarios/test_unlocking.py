"""A stage with several locks is opened by the name of a lock: opening another one may cost a fix its fast lane."""

from __future__ import annotations

from tests.core.test_command_rules import Talk
from tests.core.town import Town
from tests.texts import text_of

PRE = "pre-production"
BOTH = (
    "pre-production has 2 locks: pre-production/S1.1 (S1 S1a failed in pre-production, by S1.1), "
    "pre-production/1 (maintenance, by ann). Name the one to open by its key, or ask for all"
)


def locked_twice() -> Town:
    """S1a has broken the stage, and a person has locked it as well."""
    town = Town()
    town.break_stage("S1", "a")
    town.lock(PRE)
    town.merge("S1", "e")
    return town


def test_the_only_lock_is_opened_without_being_named() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.unlock(PRE)
    assert town.locks() == []


def test_several_locks_are_named_and_none_is_opened_unasked() -> None:
    town = locked_twice()
    town.unlock(PRE)
    assert town.refused() == BOTH
    assert town.locks() == ["S1a", "ann"]
    assert town.on_fast_lane() == ["S1e"], "the fix keeps its lane"


def test_one_of_them_is_opened_by_its_key() -> None:
    town = locked_twice()
    town.unlock(PRE, lock=f"{PRE}/1")
    assert town.locks() == ["S1a"]
    assert town.on_fast_lane() == ["S1e"]


def test_all_are_opened_if_that_is_asked_for() -> None:
    town = locked_twice()
    town.unlock(PRE, every=True)
    assert town.locks() == []


def test_a_key_that_is_none_is_told_which_there_are() -> None:
    town = locked_twice()
    town.unlock(PRE, lock=f"{PRE}/9")
    assert town.refused().startswith(
        "pre-production is not closed by lock pre-production/9; it has pre-production/S1.1 ("
    )


def test_many_locks_and_long_reasons_are_cut_short() -> None:
    town = Town()
    for number in range(20):
        town.lock(PRE, by="x" * 20 + str(number))
    town.unlock(PRE)
    assert "and 15 more" in town.refused()
    assert len(town.refused()) < 600


def test_in_a_comment_the_key_stands_in_place_of_the_stage_or_all_are_asked_for() -> None:
    town = locked_twice()
    dana = Talk(town, "dana")
    answer = dana.may(f"unlock {PRE} the test data are back")
    assert answer is not None
    assert answer.reaction == "-1"
    assert "pre-production/S1.1" in answer.text.replace("\\", "")
    dana.may(f"unlock {PRE}/1 the test data are back")
    assert town.locks() == ["S1a"]
    town.lock(PRE)
    dana.may(f"unlock {PRE} --all everything is fine")
    assert town.locks() == []
    assert text_of(town.facts[-1].why) == "pre-production is open: unlocked by github:dana: everything is fine"
