"""The questions to GitHub about containment: each once, a limited number, and none without use."""

from __future__ import annotations

from dataclasses import replace

from bot.core.model.effects import Compare
from bot.core.model.facts import FactKind
from bot.core.rules import containment
from bot.core.rules.decision import Decision
from tests.core.town import Town
from tests.core.world import shop

PRE, ACC = "pre-production", "acceptance"


def asked(decision: Decision) -> list[tuple[str, str]]:
    return [(effect.base, effect.head) for effect in decision.effects if isinstance(effect, Compare)]


def about_main(town: Town, sha: str) -> list[tuple[str, str]]:
    """What is asked to say whether a commit is on main."""
    position = town.board.service("S1").history.find(sha)
    assert position is not None
    decision = Decision(town.board, town.now)
    containment.ask_about_main(decision, "S1", position)
    town.board.undo()
    return asked(decision)


def test_so_many_questions_are_open_at_once_and_each_is_on_record() -> None:
    town = Town()
    decision = Decision(town.board, town.now)
    for number in range(2 * containment.QUESTIONS):
        containment.ask_containment(decision, "S1", base=f"c{number}", head="h")
        containment.ask_containment(decision, "S1", base="c0", head="h")
    assert asked(decision) == [(f"c{number}", "h") for number in range(containment.QUESTIONS)]
    assert [fact.kind for fact in decision.facts] == [FactKind.CONTAINMENT_ASKED] * containment.QUESTIONS


def test_of_a_commit_from_before_a_force_push_it_is_asked_whether_the_forced_head_has_it() -> None:
    town = Town()
    town.merge("S1", "a")
    town.force_push("S1", "y", onto="S1-")
    town.pull("S1", "z")
    town.board.put(replace(town.board.service("S1"), asked=()))  # nothing has been asked yet
    assert about_main(town, "S1a") == [("S1a", "S1y")], "of the head nothing has to be known yet"


def test_of_what_was_merged_after_a_force_push_nothing_is_asked() -> None:
    town = Town()
    town.merge("S1", "a")
    town.force_push("S1", "y", onto="S1-")
    town.merge("S1", "w")
    town.pull("S1", "z")
    assert about_main(town, "S1w") == []
    assert about_main(town, "S1z") == []


def test_whether_what_is_in_a_stage_is_still_on_main_is_asked_when_somebody_stands_before_it() -> None:
    """S1x has overtaken S1a and is delivered; then main is forced to S1y, made on S1a: does that have S1x?"""
    town = Town(shop(acceptance=None))
    town.merge_up_to("S1", "a", ACC)
    town.merge("S1", "x")
    while "S1x" in town.live():
        town.pass_build("S1x")
    town.force_push("S1", "y", onto="S1a")
    town.answer_questions()
    town.quiet()
    town.pass_build("S1a")
    assert [(q.base, q.head) for q in town.did(Compare)] == [("S1x", "S1y")]
    town.answer_questions()
    assert town.left("S1a") == ("superseded", "S1y")
