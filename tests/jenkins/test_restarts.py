"""A Jenkins that has restarted is noticed by whoever asks it next, once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bot.core.model.effects import Look
from bot.core.model.pipeline import Job
from bot.jenkins import client
from tests.workers.workshop import Workshop, forget_clients

LOOK = Look(Job("cdp", "shop/acceptance"), 1)


@pytest.fixture
def noticed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    found: list[str] = []
    monkeypatch.setattr(client, "_listeners", [lambda: found.append("restarted")])
    monkeypatch.setattr(client, "_sessions", {})
    yield found


def test_a_restart_is_noticed_with_the_next_answer_and_once(shop: Workshop, noticed: list[str]) -> None:
    shop.do(shop.trigger())
    shop.do(LOOK)
    assert noticed == []
    shop.control.restart(seconds=0.05)
    shop.until_jenkins_answers()
    shop.do(LOOK)
    shop.do(LOOK)
    assert noticed == ["restarted"]


def test_only_a_worker_that_runs_listens_for_restarts() -> None:
    code = "import workers.tasks; from bot.jenkins import client; assert not client._listeners"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_with_a_token_no_crumb_is_asked_for_and_with_a_password_one_for_many(shop: Workshop) -> None:
    users = {"interlock": {"password": "token", "permissions": ["*"]}}
    shop.do(shop.trigger())
    assert "GET crumbIssuer/api/json" not in shop.control.requests()
    shop.control.set({"users": users, "crumbs": True})
    forget_clients()
    shop.do(shop.trigger("S1.2"))
    shop.do(shop.trigger("S1.3"))
    asked = [count for route, count in shop.control.requests().items() if route.startswith("GET crumbIssuer")]
    assert asked == [1]
    assert len(shop.builds("acceptance")) == 3


def test_a_crumb_that_a_restart_made_worthless_is_fetched_anew(shop: Workshop) -> None:
    shop.control.set({"users": {"interlock": {"password": "token", "permissions": ["*"]}}, "crumbs": True})
    forget_clients()
    shop.do(shop.trigger())
    shop.control.restart(seconds=0.01)
    time.sleep(0.1)
    shop.do(shop.trigger("S1.2"))
    assert len(shop.builds("acceptance")) == 2
