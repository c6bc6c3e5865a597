"""An outbound webhook is told every fact that it wants, in their order, at least once, signed; whoever fails waits."""

from __future__ import annotations

import threading
import time

import pytest

from bot.core.model.events import TakenOut
from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import StepPassed, Verbatim, Who
from bot.core.model.pipeline import Step
from bot.outbound.follower import WebhookFollower
from launch import free_port
from tests.outbound.conftest import Desk, Open
from tests.outbound.receiver import SECRET, Receiver, Taken, signature_by_openssl
from tests.texts import retried

SHA = "b22c32c" + "0" * 33


def test_a_fact_arrives_with_its_data_words_and_links(desk: Desk, receiver: Receiver) -> None:
    who = Who("S1", SHA)
    step = Step("pre-production")
    (entry,) = desk.commit(
        Fact(FactKind.BUILD_PASSED, StepPassed(step, who), run="S1.4", service="S1", sha=SHA, step=step, build=17)
    )
    desk.deliver()
    (request,) = receiver.requests
    name = desk.pipeline.name
    body = request.body
    assert abs(time.time() * 1000 - int(entry.partition("-")[0])) < 60_000
    assert body.pop("time").endswith("Z")
    page = f"https://interlock.shop.test/p/{name}"
    assert body == {
        "id": f"{name}/{entry}",
        "kind": "build-passed",
        "pipeline": name,
        "words": "S1 b22c32c has passed pre-production",
        "run": "S1.4",
        "service": "S1",
        "sha": SHA,
        "stage": "pre-production",
        "track": "real",
        "build": 17,
        "by": None,
        "via": None,
        "data": {
            "kind": "StepPassed",
            "step": {"stage": "pre-production"},
            "who": {"service": "S1", "sha": SHA},
        },
        "links": {
            "pipeline": page,
            "run": f"{page}/runs/S1.4",
            "build": "http://127.0.0.1:1/jenkins/job/shop/job/pre-production/17/",
            "repository": "https://github.com/shop/s1",
            "commit": f"https://github.com/shop/s1/commit/{SHA}",
        },
    }


def test_the_signature_is_the_hmac_of_the_body_as_sent(desk: Desk, receiver: Receiver) -> None:
    desk.tell("ü “…” €")
    desk.deliver()
    (request,) = receiver.requests
    assert request.headers["x-interlock-signature-256"] == signature_by_openssl(SECRET, request.raw)
    assert request.headers["x-interlock-event"] == "run-failed"
    assert request.delivery == request.body["id"]
    assert request.headers["content-type"] == "application/json"


def test_the_facts_arrive_in_their_order_and_each_once(desk: Desk, receiver: Receiver) -> None:
    texts = [f"text {number}" for number in range(30)]
    desk.tell(*texts[:17])
    desk.deliver()
    desk.tell(*texts[17:])
    desk.deliver()
    assert [each.body["words"] for each in receiver.requests] == texts


def test_one_connection_serves_them_all(desk: Desk, receiver: Receiver) -> None:
    desk.tell(*(f"text {number}" for number in range(10)))
    desk.deliver()
    assert (len(receiver.requests), receiver.connections) == (10, 1)


def test_only_the_kinds_that_are_wanted_arrive(open_desk: Open, receiver: Receiver) -> None:
    desk = open_desk(facts=(FactKind.STAGE_LOCKED,))
    desk.tell("a", "b")
    desk.commit(Fact(FactKind.STAGE_LOCKED, Verbatim("locked"), step=Step("production")))
    entries = desk.tell("c")
    desk.deliver()
    assert [each.body["kind"] for each in receiver.requests] == ["stage-locked"]
    assert desk.context.webhooks.state("audit").cursor == entries[-1], "what does not concern it is not read twice"


def test_a_new_webhook_begins_with_the_last_ten_minutes(desk: Desk, receiver: Receiver) -> None:
    keys, redis = desk.context.keys, desk.runtime.redis
    entries = desk.tell("old", "new")
    old = redis.xrange(keys.facts, entries[0], entries[0])[0][1]
    new = redis.xrange(keys.facts, entries[1], entries[1])[0][1]
    redis.delete(keys.facts)
    now = int(time.time() * 1000)
    redis.xadd(keys.facts, old, id=f"{now - 660_000}-0")
    redis.xadd(keys.facts, new, id=f"{now - 540_000}-0")
    desk.deliver()
    assert [each.body["words"] for each in receiver.requests] == ["new"]


# -- what fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 503, 429, 404, 401, 301])
def test_what_was_not_taken_is_tried_again_under_the_same_id_before_the_next(
    desk: Desk, receiver: Receiver, status: int
) -> None:
    receiver.answer = lambda _: (status if len(receiver.requests) < 4 else 200, {})
    desk.tell("first", "second")
    desk.deliver()
    words = [each.body["words"] for each in receiver.requests]
    assert words == ["first"] * 4 + ["second"]
    assert len({each.delivery for each in receiver.requests[:4]}) == 1
    state = desk.context.webhooks.state("audit")
    assert (state.delivered, state.failed, state.error, state.is_failing) == (2, 3, "", False)


def test_a_redirect_is_not_followed(desk: Desk, receiver: Receiver) -> None:
    elsewhere = Receiver()
    receiver.answer = lambda _: (307, {"Location": elsewhere.url})
    desk.tell("secret")
    desk.follower.advance()
    assert elsewhere.requests == []
    elsewhere.close()
    error = desk.context.webhooks.state("audit").error
    assert error == "it redirects to 127.0.0.1 (HTTP 307): write its final address into the pipeline file"


def test_a_receiver_that_says_when_is_asked_then(open_desk: Open, receiver: Receiver) -> None:
    desk = open_desk()
    desk.policy = type(desk.policy)(first=0.02, longest=0.02)
    desk.start()
    receiver.answer = lambda _: (429, {"Retry-After": "120"})
    desk.tell("a")
    desk.follower.advance()
    pause = desk.follower.advance()
    assert pause is not None
    assert 110 < pause <= 120


def test_without_its_secret_nothing_is_sent_and_the_variable_is_named(desk: Desk, receiver: Receiver) -> None:
    desk.settings = desk.settings.model_copy(update={"webhook_secrets": {}})
    desk.start()
    desk.tell("a")
    desk.follower.advance()
    assert receiver.requests == []
    assert "INTERLOCK_WEBHOOK_SECRET_AUDIT" in desk.context.webhooks.state("audit").error


def test_a_receiver_that_does_not_answer_in_time_fails(desk: Desk, receiver: Receiver) -> None:
    receiver.silent.set()
    desk.tell("a")
    desk.follower.advance()
    assert desk.context.webhooks.state("audit").error == "no answer within 1 s"


# -- what is given up ------------------------------------------------------------------------------------------


def test_what_the_receiver_will_never_take_is_a_dead_letter_and_the_next_one_goes(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.answer = lambda taken: (422 if taken.body["words"] in ("b", "c", "e") else 200, {})
    desk.tell("a", "b", "c", "d", "e")
    desk.deliver()
    assert [each.body["words"] for each in receiver.requests] == ["a", "b", "c", "d", "e"], "each is tried once"
    letters = desk.context.outbox.dead_letters()
    assert sorted((each.effect.facts, each.error) for each in letters) == [  # type: ignore[union-attr]
        (1, "webhook audit did not accept one fact: HTTP 422"),
        (2, "webhook audit did not accept 2 facts: HTTP 422"),
    ]


def test_after_six_hours_in_vain_all_that_is_as_old_is_one_dead_letter(desk: Desk, receiver: Receiver) -> None:
    assert desk.policy.give_up["webhooks"] == 6 * 3600
    desk.give_up_after(0.3)
    receiver.answer = lambda _: (503, {})
    desk.tell(*(f"text {number}" for number in range(250)))
    desk.deliver()
    (letter,) = desk.context.outbox.dead_letters()
    assert letter.error == "webhook audit did not accept 250 facts: HTTP 503"
    tried = {each.body["words"] for each in receiver.requests}
    assert tried == {"text 0"}, "they are not tried one by one"


def test_a_dead_letter_that_is_retried_is_told_once_more_beside_what_comes_in(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = lambda taken: (422 if taken.body["words"] in "bc" else 200, {})
    desk.tell("a", "b", "c", "d")
    desk.deliver()
    (letter,) = desk.context.outbox.dead_letters()
    before = receiver.deliveries()
    receiver.answer = lambda _: (200, {})
    assert desk.context.outbox.take_out(retried(letter.slot)) is not None
    desk.tell("e")
    desk.deliver()
    assert [each.body["words"] for each in receiver.requests[4:]] == ["b", "c", "e"]
    assert receiver.deliveries()[4:6] == before[1:3], "its double has the same id"
    assert desk.context.outbox.dead_letters() == []
    assert desk.context.webhooks.redeliveries("audit") == []


def test_what_is_refused_once_more_is_a_dead_letter_again(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = lambda taken: (422 if taken.body["words"] == "b" else 200, {})
    desk.tell("a", "b")
    desk.deliver()
    (letter,) = desk.context.outbox.dead_letters()
    desk.context.outbox.take_out(retried(letter.slot))
    desk.deliver()
    (again,) = desk.context.outbox.dead_letters()
    assert again.slot == letter.slot
    assert desk.context.webhooks.redeliveries("audit") == []


def test_a_dead_letter_that_is_dropped_is_gone(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = lambda _: (422, {})
    desk.tell("a")
    desk.deliver()
    (letter,) = desk.context.outbox.dead_letters()
    assert desk.context.outbox.take_out(TakenOut("dead-letter", letter.slot, False, "ann", "not needed")) is not None
    desk.tell("b")
    desk.deliver()
    (other,) = desk.context.outbox.dead_letters()
    assert other.slot != letter.slot


def test_what_the_log_forgot_before_it_was_taken_is_said(desk: Desk, receiver: Receiver) -> None:
    keys, redis = desk.context.keys, desk.runtime.redis
    desk.tell("taken")
    desk.deliver()
    entries = desk.tell("forgotten", "kept")
    old = redis.xrange(keys.facts, entries[-1], entries[-1])[0][1]
    text = old[b"f"].replace(b'"at":', b'"at":1700000000.0,"was":')
    redis.xtrim(keys.facts, maxlen=0, approximate=False)
    redis.xadd(keys.facts, {"f": text})
    desk.deliver()
    assert [each.body["words"] for each in receiver.requests] == ["taken", "kept"]
    (letter,) = desk.context.outbox.dead_letters()
    assert letter.error.startswith(
        "Interlock deleted facts from the log (`keep: facts`) that webhook audit had not accepted"
    )
    desk.context.outbox.take_out(retried(letter.slot))
    desk.deliver()
    assert desk.context.outbox.dead_letters() == []
    assert len(receiver.requests) == 2


# -- several processes -----------------------------------------------------------------------------------------


def test_of_two_processes_one_at_a_time_tells_it(desk: Desk, receiver: Receiver) -> None:
    other = WebhookFollower(desk.runtime, desk.context, desk.webhook)
    desk.tell("a", "b")
    desk.follower.advance()
    assert other.advance() == pytest.approx(1.0)
    desk.deliver()
    assert len(receiver.requests) == 2


def test_who_comes_late_changes_nothing(desk: Desk, receiver: Receiver) -> None:
    """A process that was stopped for so long that another one has the webhook now does not turn the cursor back."""
    other = WebhookFollower(desk.runtime, desk.context, desk.webhook)
    desk.tell("a", "b", "c")

    def steal(taken: Taken) -> tuple[int, dict[str, str]]:
        if len(receiver.requests) == 1:  # while the first waits for its answer
            desk.runtime.redis.delete(desk.context.keys.webhook_lease("audit"))
            for _ in range(3):
                other.advance()
        return 200, {}

    receiver.answer = steal
    desk.follower.advance()
    assert [each.body["words"] for each in receiver.requests] == ["a", "a", "b", "c"]
    assert desk.context.webhooks.state("audit").delivered == 3


def test_it_follows_what_is_committed_and_gives_the_webhook_back_at_its_end(desk: Desk, receiver: Receiver) -> None:
    ended = threading.Event()
    thread = threading.Thread(target=desk.follower.follow, args=(ended,))
    thread.start()
    desk.tell("a")
    receiver.wait(lambda: len(receiver.requests) == 1)
    desk.tell("b")
    receiver.wait(lambda: len(receiver.requests) == 2)
    ended.set()
    thread.join(10)
    assert not thread.is_alive()
    assert desk.runtime.redis.exists(desk.context.keys.webhook_lease("audit")) == 0


def test_when_redis_was_emptied_what_comes_after_is_told(desk: Desk, receiver: Receiver) -> None:
    desk.tell("before")
    desk.deliver()
    for key in desk.runtime.redis.scan_iter(match=f"*{desk.pipeline.name}*"):
        desk.runtime.redis.delete(key)
    desk.tell("after")
    desk.deliver()
    assert [each.body["words"] for each in receiver.requests] == ["before", "after"]


def test_nobody_is_there(open_desk: Open) -> None:
    desk = open_desk(f"http://127.0.0.1:{free_port()}/")
    desk.tell("a")
    desk.follower.advance()
    assert desk.context.webhooks.state("audit").error == "it cannot be reached (ConnectionError)"
