"""Deployments at GitHub: made once, never lost, the last state the true one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.effects import Deploy
from bot.core.model.events import TimePassed
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job
from tests.github.test_github_effects import status
from tests.workers.workshop import Workshop

REPO = "shop/s1"
MAKE, SET = "POST /repos/*/*/deployments", "POST /repos/*/*/deployments/*/statuses"


def roll_out(shop: Workshop, state: Any = "in_progress", build: int | None = 7, run: str = "S1.1") -> Deploy:
    where = (REPO, shop.github.control.head(REPO), "production", "prod eu", True)
    return Deploy(*where, state, Verbatim(f"build #{build}"), run, Job("cdp", "shop/production"), build)


def deployments(shop: Workshop) -> list[dict[str, Any]]:
    return list(shop.github.control.deployments(REPO))


def asked(shop: Workshop) -> dict[str, int]:
    return dict(shop.github.control.requests())


def test_a_roll_out_is_one_deployment_that_has_a_state_when_it_ends_and_when_it_goes_on(shop: Workshop) -> None:
    for state in ("in_progress", "in_progress", "failure", "in_progress", "success", "success"):
        shop.do(roll_out(shop, state))
    (row,) = deployments(shop)
    assert (row["environment"], row["states"]) == ("prod eu", ["failure", "in_progress", "success"])
    assert row["sha"] == shop.github.control.head(REPO)
    assert row["payload"] == {"interlock": f"{shop.pipeline.name}/S1.1/production"}
    assert asked(shop) == {MAKE: 1, SET: 3}
    made = shop.github.world.repos[REPO].deployments[row["id"]]
    assert made.production


def test_a_roll_out_that_ended_before_its_beginning_went_out_is_made_and_has_one_state(shop: Workshop) -> None:
    shop.ask(roll_out(shop, "in_progress"))
    shop.do(roll_out(shop, "success"))
    assert [row["states"] for row in deployments(shop)] == [["success"]]
    assert asked(shop) == {MAKE: 1, SET: 1}


def test_nothing_is_made_only_to_be_ended(shop: Workshop) -> None:
    shop.do(roll_out(shop, "inactive"))
    assert (deployments(shop), asked(shop)) == ([], {})


def test_a_status_of_ours_that_is_not_green_does_not_keep_a_deployment_from_being_made(shop: Workshop) -> None:
    shop.do(status(shop, "pending"))
    shop.do(roll_out(shop))
    assert len(deployments(shop)) == 1


@pytest.mark.parametrize("route", ["POST /repos/.*/deployments", "POST /repos/.*/deployments/.*/statuses"])
@pytest.mark.parametrize("fault", [{"kind": "drop_reply"}, {"kind": "status_after", "status": 504}])
@pytest.mark.parametrize("then", ["in_progress", "failure"])
def test_a_lost_reply_makes_nothing_twice(shop: Workshop, route: str, fault: dict[str, Any], then: Any) -> None:
    shop.github.control.fault(route=f"{route}$", count=1, **fault)
    began = roll_out(shop, "error")
    shop.ask(began)
    shop.try_once(began)
    shop.do(roll_out(shop, then))
    (row,) = deployments(shop)
    assert row["states"] in ([], ["error", then], [then])  # a new one has none until its build ends
    assert row["states"] or then == "in_progress"


def test_a_request_that_did_not_arrive_is_sent_again(shop: Workshop) -> None:
    shop.github.control.fault("drop_request", route="POST /repos/.*/deployments.*", count=3)
    shop.do(roll_out(shop, "success"))
    assert [row["states"] for row in deployments(shop)] == [["success"]]


def test_the_same_commit_in_the_same_environment_by_another_run_is_another_deployment(shop: Workshop) -> None:
    shop.do(roll_out(shop, run="S1.1"))
    shop.github.control.fault("drop_reply", route="POST /repos/.*/deployments$", count=1)
    shop.do(roll_out(shop, run="S1.2"))
    assert len(deployments(shop)) == 2


def test_a_deployment_that_somebody_deleted_is_made_anew(shop: Workshop) -> None:
    shop.do(roll_out(shop))
    shop.github.world.repos[REPO].deployments.clear()
    shop.do(roll_out(shop, "success"))
    assert [row["states"] for row in deployments(shop)] == [["success"]]


def test_the_log_is_the_build_where_jenkins_is_reached_safely_and_else_our_page(shop: Workshop) -> None:
    def log_url() -> str:
        (one,) = shop.github.world.repos[REPO].deployments.values()
        return str(one.statuses[-1].log_url)

    shop.do(roll_out(shop, "failure"))
    assert log_url().endswith(f"/p/{shop.pipeline.name}/runs/S1.1")
    safe = replace(shop.configuration.controllers["cdp"], url="https://ci.example/jenkins")
    shop.reload(replace(shop.configuration, controllers={"cdp": safe}))
    shop.do(roll_out(shop, "success"))
    assert log_url() == "https://ci.example/jenkins/job/shop/job/production/7/"


@pytest.mark.slow
def test_what_waits_for_its_turn_between_making_and_its_state_is_made_once(shop: Workshop) -> None:
    shop.reload(replace(shop.configuration, github=replace(shop.configuration.github, write_spacing=1.3)))
    shop.ask(roll_out(shop, "success"))
    began = time.monotonic()
    shop.see_through(roll_out(shop, "success"))
    assert [row["states"] for row in deployments(shop)] == [["success"]]
    assert asked(shop) == {MAKE: 1, SET: 1}
    assert time.monotonic() - began > 1


def test_what_the_store_has_forgotten_in_a_fail_over_is_found_and_not_made_twice(shop: Workshop) -> None:
    shop.context.inbox.tick(TimePassed())  # it knows the history of its store
    shop.do(roll_out(shop, "in_progress"))
    shop.context.redis.delete(shop.context.keys.wrote(roll_out(shop).slot))
    shop.context.redis.hset(shop.context.keys.meta, "history", "0" * 40)  # as if that was another server's
    shop.do(roll_out(shop, "success"))
    assert [row["states"] for row in deployments(shop)] == [["success"]]
    assert asked(shop)[MAKE] == 1


def test_a_run_that_starts_again_after_a_loss_goes_on_with_the_deployment_of_its_commit(shop: Workshop) -> None:
    """Its name may be another now; a deployment of another pipeline or stage is left alone."""
    shop.context.inbox.tick(TimePassed())
    shop.do(roll_out(shop, "in_progress", run="S1.1"))
    shop.do(replace(roll_out(shop, "in_progress", run="S1.1"), stage="another", environment="prod eu"))
    shop.context.redis.hset(shop.context.keys.meta, "history", "0" * 40)
    shop.do(roll_out(shop, "success", run="S1.3"))
    assert [(row["payload"]["interlock"].rpartition("/")[2], row["states"]) for row in deployments(shop)] == [
        ("production", ["success"]),
        ("another", []),
    ]


def test_without_a_loss_another_run_of_the_same_commit_makes_a_deployment_of_its_own(shop: Workshop) -> None:
    for run in ("S1.1", "S1.3"):
        shop.do(roll_out(shop, "success", run=run))
    assert len(deployments(shop)) == 2


def test_after_a_fail_over_github_is_asked_once_for_what_is_made_then(shop: Workshop) -> None:
    shop.context.inbox.tick(TimePassed())
    shop.context.redis.hset(shop.context.keys.meta, "history", "0" * 40)
    shop.do(roll_out(shop, "in_progress"))
    shop.do(roll_out(shop, "success"))
    assert [row["states"] for row in deployments(shop)] == [["success"]]
    assert asked(shop) == {"GET /repos/*/*/deployments": 1, MAKE: 1, SET: 1}
