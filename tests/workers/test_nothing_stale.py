"""The texts on the pull request of a waiting run stay true when a stage locks and opens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.model.events import LockAsked, Merged, UnlockAsked
from config.model import ReportKind
from tests.github.app_key import pem
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop

pytestmark = pytest.mark.slow

PRE = "pre-production"


def merge(shop: Workshop, service: str) -> str:
    """A pull request of a service is merged; returns its commit."""
    repository = f"shop/{service.lower()}"
    number = shop.github.control.open_pull(repository, title=f"Change of {service}", quiet=True)
    commit = str(shop.github.control.pull(repository, number)["head"]["sha"])
    head = shop.board.service(service).history.head
    shop.tell(Merged(service, commit, head.sha if head else None, pull=number, title="Change"))
    return commit


def go_on(shop: Workshop, *stages: str) -> None:
    for stage in stages:
        shop.poll()
        shop.release(stage)
    shop.poll()
    shop.poll()


def texts(shop: Workshop, service: str, commit: str) -> list[str]:
    """All that stands on the pull requests and at the commit: comments, statuses, check runs."""
    repository = f"shop/{service.lower()}"
    rows: list[dict[str, Any]] = shop.github.control.comments(repository)
    found = [str(row["body"]) for row in rows]
    last = {row["context"]: str(row["description"]) for row in shop.github.control.statuses(repository, commit)}
    checks = shop.github.control.check_runs(repository, commit)
    return [*found, *last.values(), *(f"{row['output']['title']} {row['output']['summary']}" for row in checks)]


def with_checks(shop: Workshop) -> None:
    """Go on as a GitHub App that writes check runs."""
    app = {"github_app_id": "1", "github_app_private_key": SecretStr(pem())}
    shop.settings = shop.settings.model_copy(update=app)
    github = replace(shop.configuration.github, report=ReportKind.CHECKS)
    shop.reload(replace(shop.configuration, github=github))


@pytest.mark.parametrize("report", list(ReportKind))
def test_a_lock_leaves_no_text_that_says_locked_once_it_is_open(workshop: Open, report: ReportKind) -> None:
    shop = workshop()
    if report is ReportKind.CHECKS:
        with_checks(shop)
    shop.start()
    merge(shop, "S1")
    go_on(shop, "build", "acceptance")
    commit = merge(shop, "S2")
    shop.tell(LockAsked(PRE, "ann", "the database moves"))
    go_on(shop, "build", "acceptance")
    (waiting,) = [run for run in shop.board.runs.values() if run.service == "S2"]
    assert (str(waiting.step), str(waiting.status)) == (PRE, "waiting")
    meanwhile = texts(shop, "S2", commit)
    assert any(f"waits for {PRE}" in text for text in meanwhile)
    assert [text for text in meanwhile if "locked" in text or "database" in text] == []
    shop.tell(UnlockAsked(PRE, "ann", "done"))
    shop.poll()
    assert (waiting.key in shop.board.runs, shop.board.locks) == (True, {})
    afterwards = texts(shop, "S2", commit)
    assert [text for text in afterwards if "locked" in text or "database" in text] == []
    assert any(f"waits for {PRE}" in text for text in afterwards), "it waits still: S1 is there"
