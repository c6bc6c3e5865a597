"""Lost pushes are found by asking where main stands: once, cheaply, and without believing what lags behind."""

from __future__ import annotations

import pytest

from bot.core.events import Configured, HeadSeen, Merged
from bot.state.codec import load_event
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop
from workers import reconcile_heads, start

REPO = "shop/s1"


def heads(shop: Workshop) -> int:
    found = reconcile_heads.heads(shop.context, shop.line)
    shop.work()
    return found


@pytest.fixture
def fresh(workshop: Open) -> Workshop:
    """Configured, with no head known yet."""
    opened = workshop()
    opened.tell(Configured(opened.pipeline))
    return opened


def test_the_first_look_takes_the_baseline_and_starts_nothing(fresh: Workshop) -> None:
    assert heads(fresh) == 3
    assert len(fresh.facts("baseline-taken")) == 3
    assert (fresh.live(), fresh.builds()) == ([], [])
    assert heads(fresh) == 0


def test_the_baseline_is_taken_even_if_the_configuration_still_waits_for_its_turn(workshop: Open) -> None:
    shop = workshop()
    start.configure(shop.context)
    assert reconcile_heads.heads(shop.context, shop.line) == 3
    shop.work()
    assert len(shop.facts("baseline-taken")) == 3


def test_a_push_that_was_missed_is_found_and_starts_a_run(fresh: Workshop) -> None:
    heads(fresh)
    new = fresh.github.control.push(REPO)
    assert heads(fresh) == 1
    (run,) = fresh.board.runs.values()
    assert run.place.sha == new
    assert len(fresh.builds("build")) == 1
    assert heads(fresh) == 0


def test_a_push_that_is_found_and_then_delivered_starts_one_run(fresh: Workshop) -> None:
    before = fresh.github.control.head(REPO)
    heads(fresh)
    new = fresh.github.control.push(REPO)
    heads(fresh)
    fresh.tell(Merged("S1", new, before, push_id="late"))
    assert len(fresh.board.runs) == 1
    assert len(fresh.builds("build")) == 1


def test_one_repository_that_does_not_answer_hides_no_other(fresh: Workshop) -> None:
    heads(fresh)
    fresh.github.control.rename("shop/s1", "gone")
    fresh.github.control.fault("status", route="GET /repos/.*", count=1, status=404)
    fresh.github.control.push("shop/s3")
    assert heads(fresh) == 1


def test_a_github_that_is_away_is_asked_again_later(fresh: Workshop) -> None:
    fresh.github.stop()
    assert heads(fresh) == 0
    fresh.github.start()
    assert heads(fresh) == 3


def test_a_limit_of_github_is_not_slept_through(fresh: Workshop) -> None:
    fresh.github.control.fault("status", route="GET ", status=429, headers={"Retry-After": "60"})
    assert heads(fresh) == 0


def test_what_reconciling_says_are_plain_events_in_the_inbox(fresh: Workshop) -> None:
    reconcile_heads.heads(fresh.context, fresh.line)
    rows = fresh.line.redis.xrevrange(fresh.line.keys.inbox, count=3)
    assert {type(load_event(fields[b"b"])) for _, fields in rows} == {HeadSeen}
