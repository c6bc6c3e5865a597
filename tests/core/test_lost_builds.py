"""Builds that are gone: before a seen start nothing was changed; after it the effect on the stage is unknown."""

from __future__ import annotations

import pytest

from bot.core.model.pipeline import Outcome
from bot.core.model.run import Status
from tests.core.town import Town

STAGE = "pre-production"


@pytest.fixture
def town() -> Town:
    """S1a was admitted to pre-production; its build was asked for."""
    town = Town()
    town.merge_up_to("S1", "a", STAGE)
    return town


def test_lost_before_its_start_was_seen_the_run_gives_its_slot_back_and_breaks_nothing(town: Town) -> None:
    town.lose_build("S1a")
    assert (town.status("S1a"), town.runs_in(STAGE), town.queue(STAGE)) == (Status.WAITING, [], ["S1a"])
    assert town.locks(STAGE) == []
    town.tick(3600)
    assert town.runs_in(STAGE) == ["S1a"], "it is started once more"


def test_lost_after_its_start_it_counts_as_aborted_and_locks_the_stage(town: Town) -> None:
    town.start_build("S1a")
    town.lose_build("S1a")
    assert (town.status("S1a"), town.locks(STAGE)) == (Status.FAILED, ["S1a"])
    assert town.run("S1a").attempt.failure is Outcome.ABORTED
