"""A real beat sends each fact to an outbound webhook, even if killed in between; a hanging address delays no run."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from bot.store.records import Records
from tests.end_to_end.world import World, until, world
from tests.outbound.receiver import SECRET, Receiver, Taken, signature_by_openssl

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def hanging() -> Iterator[Receiver]:
    """Take every request, and answer none within the time that it has."""
    made = Receiver()
    made.silent.set()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, hanging: Receiver) -> Iterator[World]:
    webhooks = [
        {"name": "audit", "url": receiver.url, "timeout": "2s"},
        {"name": "hanging", "url": hanging.url, "timeout": "2s"},
    ]
    secrets = {f"INTERLOCK_WEBHOOK_SECRET_{name}": SECRET for name in ("AUDIT", "HANGING")}
    with world(tmp_path_factory.mktemp("town"), keys={"webhooks": webhooks}, **secrets) as made:
        yield made


def logged(running: World) -> list[str]:
    """Every fact, as the webhook names it."""
    rows = Records(running.redis, running.keys).facts_after("0-0", 5_000)
    return [f"{running.keys.pipeline}/{identity}" for identity, _ in rows]


def test_nothing_is_lost_and_doubles_have_one_id_when_beat_is_killed(
    running: World, receiver: Receiver, hanging: Receiver
) -> None:
    killed: list[int] = []

    def answer(taken: Taken) -> tuple[int, dict[str, str]]:
        """Beat dies while it waits for this answer: the fact counts as taken here, and as not taken there."""
        if len(receiver.requests) in (8, 25) and len(killed) < 2:
            killed.append(running.pid("beat"))
            running.send("beat", signal.SIGKILL)
            time.sleep(0.3)  # so that the answer comes to a process that is gone
        return 200, {}

    receiver.answer = answer
    shas = [running.push(service) for service in ("S1", "S2", "S3")]
    for sha in shas:
        until("it is rolled out", lambda sha=sha: running.builds("production", sha) >= 1 and not running.run_of(sha))
    facts = logged(running)
    until("every fact has arrived", lambda: set(logged(running)) <= set(receiver.deliveries()))
    told = list(dict.fromkeys(receiver.deliveries()))
    assert told[: len(facts)] == facts, "in the order of the log, each for the first time"
    assert len(killed) == 2
    doubles = [each for each in told if receiver.deliveries().count(each) > 1]
    assert len(doubles) == 2, "what beat had not noted when it died, and nothing else"
    for name in doubles:
        bodies = {each.raw for each in receiver.requests if each.delivery == name}
        assert len(bodies) == 1, "a double says the same"
    for request in receiver.requests:
        assert request.headers["x-interlock-signature-256"] == signature_by_openssl(SECRET, request.raw)
    assert len(set(hanging.deliveries())) == 1, "whoever hangs is told no second fact, and delayed none of this"
    assert "webhook/audit" not in running.causes()


def test_when_redis_is_emptied_the_webhook_is_told_so_and_all_that_follows(running: World, receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, {})
    before = len(receiver.requests)
    running.redis.flushall()
    until("the loss was told", lambda: "state-lost" in {each.body["kind"] for each in receiver.requests[before:]})
    until("every fact of the new log has arrived", lambda: set(logged(running)) <= set(receiver.deliveries()))
    told = list(dict.fromkeys(each.delivery for each in receiver.requests[before:]))
    assert told == logged(running)[: len(told)]
