"""Stages as check runs: one for each stage and commit, kept up to date, with the reason and buttons."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.model.effects import SetStatus
from bot.core.model.messages import Verbatim
from bot.reporting import run_report
from config.model import ReportKind
from tests.github.app_key import pem
from tests.github.test_github_effects import POST_COMMENT, comment
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop

REPO = "shop/s1"
POST, PATCH = "POST /repos/*/*/check-runs", "PATCH /repos/*/*/check-runs/*"


def as_app(opened: Workshop, report: ReportKind = ReportKind.CHECKS) -> Workshop:
    app = {"github_app_id": "1", "github_app_private_key": SecretStr(pem())}
    opened.settings = opened.settings.model_copy(update=app)
    opened.reload(replace(opened.configuration, github=replace(opened.configuration.github, report=report)))
    return opened


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    return as_app(workshop())


def stage(shop: Workshop, state: Any = "pending", text: str = "in build", **more: Any) -> SetStatus:
    return SetStatus(REPO, shop.github.control.head(REPO), "build", state, Verbatim(text), "S1.1", **more)


def runs(shop: Workshop) -> list[dict[str, Any]]:
    return list(shop.github.control.check_runs(REPO, shop.github.control.head(REPO)))


def asked(shop: Workshop) -> dict[str, int]:
    return {route: n for route, n in shop.github.control.requests().items() if "check-runs" in route}


def test_a_stage_is_one_check_run_from_its_beginning_to_its_end(shop: Workshop) -> None:
    shop.do(stage(shop, summary="**S1 is in build.**"))
    (begun,) = runs(shop)
    assert (begun["name"], begun["status"], begun["conclusion"]) == ("interlock/build", "in_progress", None)
    assert begun["output"]["title"] == "in build"
    assert "**S1 is in build.**" in begun["output"]["summary"]
    assert begun["details_url"].endswith(f"/p/{shop.pipeline.name}/runs/S1.1")
    assert run_report.run_of(begun["external_id"]) == (shop.pipeline.name, "S1.1")
    shop.do(stage(shop, "success", "passed build"))
    (ended,) = runs(shop)
    assert (ended["id"], ended["conclusion"]) == (begun["id"], "success")
    assert asked(shop) == {POST: 1, PATCH: 1}


@pytest.mark.parametrize(
    ("state", "conclusion", "shown"),
    [
        ("failure", "", "failure"),
        ("failure", "action_required", "action_required"),
        ("error", "", "neutral"),
        ("error", "cancelled", "cancelled"),
        ("success", "", "success"),
    ],
)
def test_how_a_stage_ended_is_its_conclusion(shop: Workshop, state: Any, conclusion: str, shown: str) -> None:
    shop.do(stage(shop, state, "over", conclusion=conclusion))
    assert [row["conclusion"] for row in runs(shop)] == [shown]


def test_a_repeated_build_begins_the_same_check_run_anew_and_takes_its_buttons_away(shop: Workshop) -> None:
    shop.do(stage(shop, "failure", "failed", buttons=("retry", "fast-lane")))
    assert [each["identifier"] for each in runs(shop)[0]["actions"]] == ["retry", "fast-lane"]
    shop.do(stage(shop))
    (row,) = runs(shop)
    assert (row["status"], row["conclusion"], row["actions"]) == ("in_progress", None, [])


def test_what_stands_there_is_not_sent_again(shop: Workshop) -> None:
    for text in ("in build", "in build", "in build, until about noon", "in build, until about noon"):
        shop.do(stage(shop, text=text))
    assert asked(shop) == {POST: 1, PATCH: 1}


@pytest.mark.parametrize("fault", [{"kind": "drop_reply"}, {"kind": "status_after", "status": 502}])
@pytest.mark.parametrize("then", ["pending", "success"])
def test_a_check_run_whose_reply_was_lost_is_found_again(shop: Workshop, fault: dict[str, Any], then: Any) -> None:
    shop.github.control.fault(route="POST /repos/.*/check-runs", count=1, **fault)
    shop.ask(stage(shop))
    shop.try_once(stage(shop))
    shop.do(stage(shop, then))
    (row,) = runs(shop)
    assert row["status"] == ("in_progress" if then == "pending" else "completed")
    assert asked(shop)[POST] == 1


def test_a_change_whose_reply_was_lost_is_sent_again_and_the_last_one_stands(shop: Workshop) -> None:
    shop.do(stage(shop))
    shop.github.control.fault("drop_reply", route="PATCH /repos/.*", count=1)
    shop.ask(stage(shop, "success", "passed"))
    shop.try_once(stage(shop))
    shop.do(stage(shop))
    assert [row["status"] for row in runs(shop)] == ["in_progress"]


def test_a_check_run_that_is_gone_is_made_anew(shop: Workshop) -> None:
    shop.do(stage(shop))
    repo = shop.github.world.repos[REPO]
    for suite in repo.check_suites.values():
        suite.runs.clear()
    repo.check_runs.clear()
    shop.do(stage(shop, "success", "passed"))
    assert [row["conclusion"] for row in runs(shop)] == ["success"]


def test_the_words_are_cut_to_what_github_takes(shop: Workshop) -> None:
    shop.do(stage(shop, "failure", "ü" * 500, summary="line\n" * 20_000, buttons=tuple(run_report.BUTTONS)))
    (row,) = runs(shop)
    assert len(row["output"]["title"]) == 140
    assert 60_000 < len(row["output"]["summary"]) <= 65_535
    assert shop.dead() == []


def test_the_buttons_fit_into_what_github_takes() -> None:
    assert len(run_report.BUTTONS) <= 3
    for button in run_report.BUTTONS.values():
        assert (len(button.label) <= 20, len(button.identifier) <= 20, len(button.description) <= 40) == (True,) * 3


def test_with_a_token_alone_statuses_are_set_whatever_is_wished(workshop: Open) -> None:
    opened = workshop()
    github = replace(opened.configuration.github, report=ReportKind.CHECKS)
    opened.reload(replace(opened.configuration, github=github))
    opened.do(stage(opened))
    assert len(opened.github.control.statuses(REPO)) == 1


def test_an_app_sets_statuses_unless_check_runs_are_wished(workshop: Open) -> None:
    opened = as_app(workshop(), ReportKind.STATUSES)
    opened.do(stage(opened))
    assert (len(opened.github.control.statuses(REPO)), runs(opened)) == (1, [])


def test_the_comment_of_an_app_is_known_as_its_own_after_a_lost_reply(shop: Workshop) -> None:
    pull = int(shop.github.control.open_pull(REPO, title="Change"))
    shop.github.control.comment(REPO, pull, f"<!-- interlock {shop.pipeline.name} -->\nmine", user="interlock")
    shop.github.control.fault("drop_reply", route=POST_COMMENT, count=1)
    shop.do(replace(comment(pull), began=time.time()))
    users = [row["user"] for row in shop.github.control.comments(REPO, pull)]
    assert users == ["interlock", "interlock[bot]"]
