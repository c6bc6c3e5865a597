"""How a webhook is: in the metrics, and in the health of the installation."""

from __future__ import annotations

import time
from dataclasses import replace

from prometheus_client.core import Metric

from bot.health.observing import Observer
from bot.metrics import StoredMetrics
from tests.outbound.conftest import Desk
from tests.outbound.receiver import Receiver


def measured(desk: Desk) -> dict[str, float]:
    """The metrics of the webhook."""
    families: list[Metric] = list(StoredMetrics(desk.runtime, [desk.context], shared=True).collect())
    samples = (sample for family in families for sample in family.samples if "webhook" in sample.name)
    return {
        sample.name: sample.value
        for sample in samples
        if sample.labels == {"pipeline": desk.pipeline.name, "webhook": "audit"}
    }


def test_deliveries_failures_and_what_was_given_up_are_counted(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = lambda taken: (
        {"b": 422}.get(taken.body["words"], 503 if len(receiver.requests) < 3 else 200),
        {},
    )
    desk.tell("a", "b", "c")
    desk.deliver()
    assert measured(desk) == {
        "interlock_webhook_deliveries_total": 2,
        "interlock_webhook_failures_total": 3,
        "interlock_webhook_given_up_total": 1,
        "interlock_webhook_behind_seconds": 0,
    }


def test_a_webhook_that_takes_nothing_is_behind_and_degrades_the_health(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = lambda _: (500, {})
    desk.configuration = replace(desk.configuration, health=replace(desk.configuration.health, silence=0.2))
    desk.start()
    desk.tell("a")
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        desk.follower.advance()
    assert measured(desk)["interlock_webhook_behind_seconds"] > 0.3
    health = Observer(desk.runtime.redis, desk.configuration).health()
    (found,) = (each for each in health.findings if each.cause == "webhook/audit")
    assert found.what == f"webhook audit does not accept the facts of {desk.pipeline.name}: HTTP 500"
    assert not found.holds_up
    receiver.answer = lambda _: (200, {})
    desk.deliver()
    assert measured(desk)["interlock_webhook_behind_seconds"] == 0
    causes = [each.cause for each in Observer(desk.runtime.redis, desk.configuration).health().findings]
    assert "webhook/audit" not in causes
