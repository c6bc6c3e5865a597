"""Roll-outs as deployments: they begin and end with their builds, in stages with an environment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.effects import Deploy
from bot.core.model.pipeline import Mode, Outcome, Pipeline, Policy
from tests.core.town import Town
from tests.core.world import shop

PRE = "pre-production"


def deployed_shop(**how: object) -> Pipeline:
    made = shop(**how)  # type: ignore[arg-type]
    stages = (replace(s, environment=s.name, production=s.name == "production") for s in made.stages[2:])
    return replace(made, stages=(*made.stages[:2], *stages))


def states(town: Town, sha: str = "S1a") -> list[tuple[str, str]]:
    return [(each.environment, each.state) for each in town.did(Deploy) if each.sha == sha]


def test_a_run_is_deployed_where_an_environment_is_named_and_nowhere_else() -> None:
    town = Town(deployed_shop())
    town.merge("S1", "a")
    while "S1a" in town.live():
        town.pass_build("S1a")
    assert states(town) == [
        (PRE, "in_progress"),
        (PRE, "success"),
        ("production", "in_progress"),
        ("production", "success"),
    ]
    assert [each.production for each in town.did(Deploy)] == [False, False, True, True]
    assert len({each.slot for each in town.did(Deploy)}) == 2


def test_without_an_environment_there_are_no_deployments() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "production")
    assert states(town) == []


def test_the_fast_lanes_own_jobs_deploy_nothing() -> None:
    town = Town(deployed_shop())
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_build("S1e")
    town.pass_build("S1e")
    town.start_build("S1e")
    assert (town.at("S1e"), states(town, "S1e")) == ("fast pre-production", [])


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.FAILURE, "failure"),
        (Outcome.UNSTABLE, "failure"),
        (Outcome.ABORTED, "error"),
    ],
)
def test_a_roll_out_that_failed_says_so_and_a_retry_begins_it_anew(outcome: Outcome, state: str) -> None:
    town = Town(deployed_shop())
    town.merge_up_to("S1", "a", PRE)
    town.end_build("S1a", outcome)
    assert states(town)[-1] == (PRE, state)
    town.retry("S1a")
    town.pass_build("S1a")
    assert states(town)[-2:] == [(PRE, "in_progress"), (PRE, "success")]


def test_a_build_that_is_gone_leaves_an_error() -> None:
    town = Town(deployed_shop())
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.lose_build("S1a")
    assert states(town)[-1] == (PRE, "error")


def test_a_run_that_is_taken_out_while_it_rolls_out_ends_inactive() -> None:
    town = Town(deployed_shop())
    town.merge_up_to("S1", "a", "production")
    town.start_build("S1a")
    town.cancel("S1a")
    town.abort_build("S1a")
    assert states(town)[-1] == ("production", "inactive")


def test_while_observing_nothing_is_deployed() -> None:
    town = Town(deployed_shop())
    town.merge_up_to("S1", "a", PRE)
    town.mode(Mode.OBSERVE)
    town.quiet()
    town.pass_build("S1a")
    assert states(town) == []


def test_a_cancelled_roll_out_that_the_policy_only_reports_ends_as_an_error() -> None:
    made = deployed_shop(outcomes=((Outcome.ABORTED, Policy.REPORT),))
    town = Town(made)
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.cancel("S1a")
    town.abort_build("S1a")
    assert states(town) == [(PRE, "in_progress"), (PRE, "error")]
