"""After a loss GitHub is asked how far the head of main had come: by statuses, check runs and deployments of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.effects import Deploy, SetStatus, Survey
from bot.core.model.events import Configured, HeadSurveyed
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job
from tests.github.openapi import assert_valid
from tests.github.test_check_runs import as_app
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop

REPO = "shop/s1"
ENVIRONMENTS = (("pre-production", "pre prod"), ("production", "prod"))


def surveyed(shop: Workshop) -> HeadSurveyed:
    """What is found, as a worker that knows nothing asks for it."""
    found = shop.do(Survey("S1", REPO, "main", "production", ENVIRONMENTS))
    (event,) = [each for each in found if isinstance(each, HeadSurveyed)]
    return event


def says(shop: Workshop, state: Any, stage: str = "production") -> None:
    sha = shop.github.control.head(REPO)
    shop.do(SetStatus(REPO, sha, stage, state, Verbatim(f"{stage} {state}"), "S1.1"))


def rolls_out(shop: Workshop, sha: str, stage: str, environment: str, state: Any, run: str) -> None:
    job = Job("cdp", f"shop/{stage}")
    shop.do(Deploy(REPO, sha, stage, environment, stage == "production", state, Verbatim(state), run, job, 7))


@pytest.fixture(params=["statuses", "checks"])
def shop(request: pytest.FixtureRequest, workshop: Open) -> Workshop:
    opened = workshop() if request.param == "statuses" else as_app(workshop())
    opened.tell(Configured(opened.pipeline))
    return opened


@pytest.mark.parametrize("state", ["pending", "success", "failure"])
def test_the_report_of_the_last_stage_tells_it(shop: Workshop, state: Any) -> None:
    shop.github.control.record()
    says(shop, "success", "build")
    says(shop, "pending")
    says(shop, state)
    assert surveyed(shop) == HeadSurveyed("S1", shop.github.control.head(REPO), state)
    assert_valid(shop.github.control.recorded())


def test_what_others_report_and_what_is_on_other_commits_tells_nothing(shop: Workshop) -> None:
    says(shop, "success")
    sha = shop.github.control.push(REPO)
    says(shop, "success", "build")
    assert surveyed(shop) == HeadSurveyed("S1", sha, "")


def test_the_newest_deployment_that_succeeded_is_what_is_in_an_environment(shop: Workshop) -> None:
    old = shop.github.control.head(REPO)
    rolls_out(shop, old, "production", "prod", "success", "S1.1")
    new = shop.github.control.push(REPO)
    rolls_out(shop, new, "production", "prod", "failure", "S1.2")
    rolls_out(shop, new, "pre-production", "pre prod", "success", "S1.2")
    found = surveyed(shop)
    assert {(each.stage, each.sha) for each in found.deployed} == {("production", old), ("pre-production", new)}
    assert all(each.at > 1.7e9 for each in found.deployed)


def test_a_github_that_does_not_answer_is_asked_again(workshop: Open) -> None:
    shop = workshop()
    shop.tell(Configured(shop.pipeline))
    says(shop, "pending")
    shop.github.control.fault("status", status=502, count=3)
    assert surveyed(shop).state == "pending"


def test_without_a_token_nobody_is_asked(workshop: Open) -> None:
    shop = workshop()
    shop.settings = shop.settings.model_copy(update={"github_token": None})
    shop.reload(replace(shop.configuration))
    assert not [each for each in shop.do(Survey("S1", REPO, "main", "production")) if isinstance(each, HeadSurveyed)]
