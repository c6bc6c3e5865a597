"""What is bounded by something else than its own file: notes of what is over, tokens that ended, queues of wake-ups."""

from __future__ import annotations

import json
import uuid

import pytest
from celery import Celery
from kombu.transport import redis as transport
from redis import Redis
from redis.exceptions import ResponseError

from bot.core.access import Scope
from bot.core.model.events import TakenOut
from bot.store.connection import is_out_of_reach
from bot.store.delays import Delays, Patience
from bot.store.tokens import ENDED_LISTED, Tokens
from bot.store.webhooks import FORGOTTEN_MS, OutboundState, Undelivered, UndeliveredLetter, Webhooks
from config import broker
from config.broker import BOUNDED_EVERY, MOST_MESSAGES, TURNS
from tests.state.conftest import StoredPipeline

DAY = 86_400.0


def test_notes_of_what_is_over_are_forgotten_when_a_worker_keeps_house(pipeline: StoredPipeline) -> None:
    redis, keys = pipeline.redis, pipeline.keys
    patience, delays = Patience(redis, keys), Delays(redis, keys)
    redis.hset(keys.outbox, "still/to-be-done", "1\n{}")
    for slot in ("still/to-be-done", "withdrawn"):
        patience.since(slot, "1", 7.0)
        delays.note(slot, "a status", "GitHub is down", 7.0, 1)
    patience.forget_gone()
    delays.forget_gone()
    assert set(redis.hkeys(keys.failing)) == set(redis.hkeys(keys.delays)) == {b"still/to-be-done"}
    assert patience.since("still/to-be-done", "1", 9.0) == 7.0


def test_tokens_that_ended_long_ago_are_forgotten_when_one_is_made(redis: Redis) -> None:
    tokens = Tokens(redis, f"t{uuid.uuid4().hex[:8]}")
    now = 1_000 * DAY
    for name, expires in (("old", now - ENDED_LISTED - 1), ("ended", now - DAY), ("good", now + DAY), ("ever", None)):
        text, _ = tokens.create(name, Scope.READ, expires, now - 200 * DAY)
        tokens.find(text, now - 199 * DAY)
    tokens.create("new", Scope.READ, None, now)
    assert {token.name for token in tokens.all()} == {"ended", "good", "ever", "new"}
    assert redis.hlen(tokens._used) == 3


def test_a_webhook_that_nobody_serves_any_more_is_forgotten_in_the_end(pipeline: StoredPipeline) -> None:
    redis, keys = pipeline.redis, pipeline.keys
    webhooks = Webhooks(redis, keys)
    webhooks.lease("audit", "me", 60_000)
    what = Undelivered("audit", "1-0", "9-0", 3)
    letter = UndeliveredLetter(what, "refused", 1.0, 2)
    assert webhooks.store("audit", "me", 60_000, OutboundState("9-0"), letter=(letter, ""))
    assert pipeline.outbox.take_out(TakenOut("dead-letter", what.slot, True, "alex", "mended")) is not None
    assert webhooks.redeliveries("audit") == [what]
    for key in (keys.webhook("audit"), keys.redeliveries):
        assert 0 < redis.pttl(key) <= FORGOTTEN_MS


def test_a_queue_of_wake_ups_that_nobody_serves_is_cut_and_the_newest_stay(redis_url: str, redis: Redis) -> None:
    prefix = f"bounded-{uuid.uuid4().hex[:8]}:"
    app = Celery("bounded", set_as_current=False)
    settings = broker.settings(redis_url)
    options = {**settings["broker_transport_options"], "global_keyprefix": prefix}
    app.conf.update({**settings, "broker_transport_options": options}, task_ignore_result=True, broker_pool_limit=1)
    before = transport.Transport.Channel
    transport.Transport.Channel = broker.bounded(transport.Channel)
    try:
        sent = MOST_MESSAGES + 3 * BOUNDED_EVERY
        for number in range(sent):
            app.send_task("interlock.turn", (f"p{number}",), queue=TURNS)
    finally:
        transport.Transport.Channel = before
        app.close()
    messages = redis.lrange(f"{prefix}{TURNS}", 0, -1)
    assert MOST_MESSAGES <= len(messages) <= MOST_MESSAGES + BOUNDED_EVERY
    assert json.loads(messages[0])["headers"]["argsrepr"] == f"('p{sent - 1}',)"
    for key in redis.scan_iter(f"{prefix}*"):
        redis.delete(key)


@pytest.mark.parametrize("transaction", [True, False])
def test_a_full_store_is_out_of_reach_whichever_of_several_commands_it_refuses(redis: Redis, transaction: bool) -> None:
    """Not so a command that is wrong, whatever its own text says."""
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(ResponseError) as full, redis.pipeline(transaction=transaction) as pipe:
            pipe.set("a", "1").execute()
    finally:
        redis.config_set("maxmemory", "0")
    assert is_out_of_reach(full.value)
    redis.set("a", "of pipeline caused error: OOM")
    with pytest.raises(ResponseError) as wrong, redis.pipeline(transaction=transaction) as pipe:
        pipe.lpush("a", "of pipeline caused error: OOM").execute()
    redis.delete("a")
    assert not is_out_of_reach(wrong.value)
