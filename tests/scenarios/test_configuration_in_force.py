"""The configuration that a board decides with: the latest one, its author, and its preview before it is in force."""

from __future__ import annotations

from dataclasses import replace

from bot.core.model.events import Configured, FreezesPlanned
from bot.core.model.facts import FactKind
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import ConfigurationChange, Pipeline, Revision
from bot.core.rules.configuration import CHANGES_LISTED
from bot.reporting.consequences import clauses
from tests.core.foreseen import untouched
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

ACC, PRE = "acceptance", "pre-production"
EARLIER, LATER = Revision("a" * 64, 1_000.0), Revision("b" * 64, 2_000.0)


def foreseen(town: Town, pipeline: Pipeline) -> list[str]:
    """What a configuration would do to the live runs."""
    return clauses(untouched(town.board, Configured(pipeline, revision=LATER), town.now, town.limits))


def test_a_process_with_an_earlier_configuration_does_not_put_it_back() -> None:
    town = Town()
    town.send(Configured(shop(acceptance=2), revision=LATER))
    told = len(town.told(FactKind.CONFIGURED))
    for earlier in (Configured(shop(acceptance=1), revision=EARLIER), Configured(shop(acceptance=1))):
        town.send(earlier)
        assert town.board.pipeline == shop(acceptance=2)
        assert town.board.header.revision == LATER
    assert len(town.told(FactKind.CONFIGURED)) == told


def test_the_freezes_of_an_earlier_configuration_are_not_taken() -> None:
    town = Town()
    town.send(Configured(shop(), revision=LATER))
    freeze = Freeze("fair", (PRE,), (FreezeWindow(0.0, 9_000_000_000.0),))
    town.send(FreezesPlanned((freeze,), EARLIER))
    assert town.board.header.freezes == ()
    town.send(FreezesPlanned((freeze,), LATER))
    assert town.board.header.freezes == (freeze,)


def test_a_configuration_that_is_put_in_force_again_moves_nobody() -> None:
    town = Town(shop())
    town.break_stage("S1", "a")
    town.merge_up_to("S2", "a", PRE)
    before = (dict(town.board.runs), dict(town.board.locks))
    town.send(Configured(shop(), revision=EARLIER))
    town.send(Configured(shop(), revision=LATER))
    assert (dict(town.board.runs), dict(town.board.locks)) == before


def test_the_log_says_who_put_a_configuration_in_force_and_what_it_changes() -> None:
    town = Town()
    change = ConfigurationChange("pipelines.shop.stages.acceptance.capacity", "3", "")
    town.send(Configured(shop(acceptance=None), None, LATER, "alex", (change,)))
    (fact,) = [fact for fact in town.facts if fact.kind is FactKind.CONFIGURED][-1:]
    assert fact.by == "alex"
    assert "configuration bbbbbbbb; changed: pipelines.shop.stages.acceptance.capacity: 3 → (none)" in text_of(fact.why)


def test_a_fact_lists_a_bounded_number_of_changes() -> None:
    town = Town()
    many = tuple(ConfigurationChange(f"key{n}", "", "1") for n in range(CHANGES_LISTED + 1))
    town.send(Configured(shop(acceptance=None), None, LATER, "alex", many))
    assert f"key{CHANGES_LISTED}" not in text_of(town.facts[-1].why)


def test_a_raised_capacity_is_foreseen_to_let_in_whoever_waits() -> None:
    town = Town(shop(acceptance=1))
    town.merge_up_to("S1", "a", ACC)
    town.merge_up_to("S2", "a", ACC)
    assert foreseen(town, shop(acceptance=2)) == ["S2.1 enters acceptance"]
    assert foreseen(town, shop(acceptance=1)) == ["nothing changes"]


def test_it_is_foreseen_who_ends_and_which_locks_open() -> None:
    town = Town(shop())
    town.break_stage("S1", "a")
    town.merge_up_to("S2", "a", PRE)
    without = replace(shop(), services=tuple(each for each in shop().services if each.name != "S1"))
    assert foreseen(town, without) == [
        "opens the lock of pre-production",
        "S2.1 enters pre-production",
        "S1.1 ends as dropped",
    ]
    assert foreseen(town, shop(without=(PRE,)))[0] == "opens the lock of pre-production"
