"""A Jenkins whose answers overtake each other: that a build runs is said after it is known to have ended."""

from __future__ import annotations

from bot.core.model.effects import Look
from bot.core.model.events import BuildHinted
from bot.core.model.pipeline import Job
from bot.jenkins import builds
from tests.workers.workshop import Workshop
from workers import reconcile

LOOK = "GET job/N/api/json"


def test_an_answer_that_comes_after_the_end_of_its_build_is_known_moves_and_stops_nothing(shop: Workshop) -> None:
    shop.start()
    shop.merge("S1", "a")
    reconcile.builds(shop.runtime, shop.context)
    shop.work()
    effect = Look(Job("cdp", "shop/build"), 1)
    shop.ask(effect)
    claim = shop.claim(effect)
    assert claim is not None
    slow = builds.look_at_build(
        shop.runtime, shop.context, claim, effect
    )  # it runs, Jenkins says; and that is long on its way
    shop.release("build")
    reconcile.builds(shop.runtime, shop.context)
    shop.work()
    assert shop.run("S1a").step.stage == "acceptance"
    shop.context.outbox.finish(claim, slow.event)
    assert [event.kind for event in shop.heard()] == ["build-seen"]
    shop.work()
    assert (shop.facts("build-duplicated"), shop.facts("unmanaged-build-seen"), shop.board.unmanaged) == ([], [], {})
    assert not any(route.endswith("/stop") for route in shop.control.requests())


def test_the_last_callback_of_a_build_asks_nothing_more(shop: Workshop) -> None:
    shop.start()
    shop.merge("S1", "a")
    reconcile.builds(shop.runtime, shop.context)
    shop.work()
    shop.release("build")
    shop.tell(BuildHinted("cdp", "shop/build", 1, over=True))  # COMPLETED
    assert shop.run("S1a").step.stage == "acceptance"
    asked = shop.control.requests()[LOOK]
    shop.tell(BuildHinted("cdp", "shop/build", 1, over=True))  # FINALIZED
    assert shop.control.requests()[LOOK] == asked
