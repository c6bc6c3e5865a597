"""A long-lasting problem is logged once, and once more at its end; not at each poll and try."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from bot.core.model.effects import Look
from bot.core.model.pipeline import Job
from config.logs import Once
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop
from workers import reconcile


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    opened = workshop()
    opened.start()
    return opened


def test_a_controller_that_refuses_every_poll_is_logged_once_and_when_it_answers_again(shop: Workshop) -> None:
    shop.merge("S1", "a")
    shop.control.fault("status", status=401)
    with capture_logs() as logs:
        for _ in range(20):
            reconcile.builds(shop.runtime, shop.context)
        shop.control.clear_faults()
        for _ in range(3):
            reconcile.builds(shop.runtime, shop.context)
    told = [(row["event"], row["controller"]) for row in logs if row["event"].startswith("reconcile")]
    assert told == [("reconcile-later", "cdp"), ("reconcile-resumed", "cdp")]
    assert logs[0]["jobs"] > 1
    assert "401" in logs[0]["why"]


def test_a_github_that_refuses_every_poll_is_logged_once_for_each_repository(shop: Workshop) -> None:
    shop.github.control.fault("status", route="GET .*git/ref", status=404, body='{"message": "Not Found"}')
    with capture_logs() as logs:
        for _ in range(20):
            reconcile.heads(shop.runtime, shop.context)
    told = [row["repository"] for row in logs if row["event"] == "reconcile-later"]
    assert told == ["shop/s1", "shop/s2", "shop/s3"]


def test_an_action_that_is_tried_again_and_again_is_logged_once_for_each_reason(shop: Workshop) -> None:
    shop.control.fault("status", status=503)
    with capture_logs() as logs:
        look = Look(Job("cdp", "shop/build"), 1)
        shop.ask(look)
        for _ in range(10):
            shop.all_due("jenkins")
            shop.try_once(look)
        shop.control.clear_faults()
        shop.start_by_hand("build")
        shop.all_due("jenkins")
        shop.see_through(look)
    told = [row["event"] for row in logs if row["event"].startswith("effect-")]
    assert told == ["effect-later", "effect-done"]


def test_of_too_many_matters_the_oldest_is_said_again() -> None:
    once = Once(most=2)
    asked = [once.is_new(matter, "x") for matter in ("a", "b", "a", "c", "a", "b")]
    assert asked == [True, True, False, True, False, True]
    assert once.is_new("a", "y")
    assert once.is_over("a")
    assert not once.is_over("a")
