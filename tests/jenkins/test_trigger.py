"""Triggering: an attempt is posted at most once, whatever is lost on the way, and a refusal is told as one."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bot.core.model.events import BuildSeen, TriggerAccepted, TriggerRefused
from bot.core.model.pipeline import Job
from bot.effect_outcomes import RetryPolicy
from bot.jenkins import triggers
from bot.runtime import PipelineContext
from bot.store import outbox
from tests.workers.conftest import Open
from tests.workers.workshop import PARAMETERS, Workshop, sha, twice
from workers.performer import perform

POST = "POST job/buildWithParameters"


def refusal(shop: Workshop, **how: str) -> str:
    """Do a trigger that is refused; returns why."""
    (event,) = shop.do(shop.trigger(**how))
    assert isinstance(event, TriggerRefused), event
    assert (event.run, event.attempt) == ("S1.1", 1)
    assert shop.dead() == []
    return event.why


def test_a_trigger_carries_everything_and_tells_its_queue_item(shop: Workshop) -> None:
    (event,) = shop.do(shop.trigger())
    (build,) = shop.builds()
    assert event == TriggerAccepted("S1.1", 1, build["queue_id"])
    assert build["params"] == dict(
        zip(PARAMETERS, ["S1.1", "1", "acceptance", "main", "S1", "shop/s1", sha("S1.1"), "S1-1"], strict=True)
    )


def test_an_equal_item_in_the_queue_is_taken_for_ours(shop: Workshop) -> None:
    shop.control.quiet_down()
    first = shop.do(shop.trigger())
    shop.context.redis.delete(shop.context.keys.posted("S1.1", 1))
    shop.ask(shop.trigger())
    assert shop.see_through(shop.trigger()) == first
    assert shop.posts() == 2  # the second was answered 303, with the item of the first


def test_a_job_that_is_not_there_is_a_refusal(shop: Workshop) -> None:
    assert "does not exist" in refusal(shop, stage="gone")


def test_a_disabled_job_is_a_refusal(shop: Workshop) -> None:
    shop.control.change_job("shop/acceptance", {"disabled": True})
    assert "409" in refusal(shop)


def test_a_job_without_parameters_is_a_refusal(shop: Workshop) -> None:
    """Interlock posts nothing: Jenkins would merge two triggers, and their build would belong to no known run."""
    shop.control.change_job("shop/acceptance", {"parameters": PARAMETERS[1:]})
    assert "does not declare INTERLOCK_RUN, so" in refusal(shop)
    assert shop.builds() == []
    shop.control.change_job("shop/acceptance", {"parameters": PARAMETERS})
    (event,) = shop.do(shop.trigger(attempt=2))
    assert isinstance(event, TriggerAccepted)


def test_a_job_is_not_asked_every_time_what_it_declares(shop: Workshop) -> None:
    for attempt in (1, 2, 3):
        shop.do(shop.trigger(attempt=attempt))
    assert shop.control.requests()["GET job/api/json"] == 1


def test_a_job_that_lost_its_parameters_meanwhile_is_a_refusal(shop: Workshop) -> None:
    shop.do(shop.trigger("S1.2"))
    shop.context.redis.delete(shop.context.keys.inbox)
    shop.control.change_job("shop/acceptance", {"parameters": []})
    assert "400" in refusal(shop)


def test_missing_permission_is_a_refusal(workshop: Open) -> None:
    user = {"tokens": ["token"], "permissions": ["Overall/Read", "Item/Read"]}
    assert "403" in refusal(workshop(jenkins={"users": {"interlock": user}}))


@pytest.mark.parametrize("tokens", [["another"], []])
def test_a_wrong_token_is_a_refusal(workshop: Open, tokens: list[str]) -> None:
    """The crumb that goes before the trigger is refused already: it is certain that nothing was started."""
    shop = workshop(jenkins={"users": {"interlock": {"tokens": tokens}}})
    assert refusal(shop)


def test_a_controller_that_does_not_listen_is_a_refusal(shop: Workshop) -> None:
    shop.jenkins.stop()
    assert "cannot be reached" in refusal(shop)
    shop.jenkins.start()
    assert shop.builds() == []


def test_a_controller_that_is_no_longer_configured_is_a_refusal(shop: Workshop) -> None:
    trigger = shop.trigger()
    object.__setattr__(trigger, "job", Job("gone", "shop/acceptance"))
    (event,) = shop.do(trigger)
    assert event == TriggerRefused("S1.1", 1, "controller 'gone' is not configured")


def test_a_missing_token_is_a_refusal(shop: Workshop) -> None:
    shop.settings = shop.settings.model_copy(update={"jenkins_tokens": {}})
    shop.reload(shop.configuration)
    assert "INTERLOCK_JENKINS_TOKEN_CDP" in refusal(shop)


def test_a_token_that_is_gone_is_a_refusal_for_a_job_that_is_known_to_be_fit_as_well(shop: Workshop) -> None:
    shop.do(shop.trigger("S1.0"))
    shop.settings = shop.settings.model_copy(update={"jenkins_tokens": {}})
    shop.reload(shop.configuration)
    assert "INTERLOCK_JENKINS_TOKEN_CDP" in refusal(shop)


# -- the claim notes the intent ---------------------------------------------------------------------------------


def test_the_first_try_is_noted_together_with_its_claim_once_the_job_is_known(shop: Workshop) -> None:
    shop.ask(shop.trigger())
    first = shop.claim(shop.trigger())
    assert first is not None
    assert first.noted is None, "the job must be asked what it declares"
    assert triggers.posted_job(shop.context, "S1.1", 1) is None
    perform(shop.runtime, shop.context, first)
    shop.ask(shop.trigger("S1.2"))
    second = shop.claim(shop.trigger("S1.2"))
    assert second is not None
    assert second.noted == outbox.NotedPost(follows=False)
    assert triggers.posted_job(shop.context, "S1.2", 1) == Job("cdp", "shop/acceptance")
    perform(shop.runtime, shop.context, second)
    assert shop.posts() == len(shop.builds()) == 2


def test_whoever_claims_after_a_crash_looks_and_does_not_post(shop: Workshop) -> None:
    shop.do(shop.trigger())
    shop.ask(shop.trigger("S1.2"))
    crashed = shop.claim(shop.trigger("S1.2"))
    assert crashed is not None
    assert crashed.noted is not None
    shop.context.redis.delete(shop.context.keys.claimed("jenkins"))
    shop.all_due("jenkins")
    again = shop.claim(shop.trigger("S1.2"))
    assert again is not None
    assert (again.tries, again.noted) == (1, None)
    perform(shop.runtime, shop.context, again)
    assert shop.posts() == 1, "it may have gone out before the crash, and may still arrive"


def test_whoever_was_held_up_after_the_claim_proves_first_that_it_is_still_theirs(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.do(shop.trigger())
    shop.ask(shop.trigger("S1.2"))
    slow = shop.claim(shop.trigger("S1.2"))
    assert slow is not None
    assert slow.noted is not None
    shop.context.redis.delete(shop.context.keys.claimed("jenkins"))  # another may have it now
    shop.limit_jenkins(claim_note=0.0)
    perform(shop.runtime, shop.context, slow)
    assert shop.posts() == 1


# -- in doubt --------------------------------------------------------------------------------------------------


def test_a_lost_reply_is_found_in_the_queue(shop: Workshop) -> None:
    shop.control.quiet_down()
    shop.control.fault("drop_reply", route=POST, count=1)
    (event,) = shop.do(shop.trigger())
    (item,) = shop.control.queue()
    assert event == TriggerAccepted("S1.1", 1, item["id"])
    assert shop.posts() == 1


@pytest.mark.parametrize("fault", [{"kind": "drop_reply"}, {"kind": "status_after", "status": 502}])
def test_a_lost_reply_is_found_as_a_build(shop: Workshop, fault: dict[str, object]) -> None:
    shop.control.fault(route=POST, count=1, **fault)
    (event,) = shop.do(shop.trigger())
    assert isinstance(event, BuildSeen)
    assert (event.number, event.result, event.run, event.attempt, event.version) == (1, None, "S1.1", 1, "S1-1")
    assert len(shop.builds()) == shop.posts() == 1


def test_a_build_of_an_older_installation_is_not_taken_for_ours(shop: Workshop) -> None:
    """Redis was lost, and runs are numbered from one again: the old build of that name passed another commit."""
    old = dict(zip(PARAMETERS, ["S1.1", "1", "acceptance", "main", "S1", "shop/s1", "e" * 40, "S1-0"], strict=True))
    shop.start_by_hand("acceptance", **old)
    shop.release("acceptance")
    shop.control.fault("drop_request", route=POST, count=1)
    (event,) = shop.do(shop.trigger())
    assert isinstance(event, TriggerRefused)
    assert "left no build" in event.why


def test_a_lost_reply_of_a_build_that_has_ended_tells_how_it_ended(shop: Workshop) -> None:
    shop.control.rule("shop/acceptance", result="FAILURE", duration=0.0, tests=["shop.CartTest.adds"])
    shop.control.fault("drop_reply", route=POST, count=1)
    (event,) = shop.do(shop.trigger())
    assert isinstance(event, BuildSeen)
    assert (event.result, event.failed_tests) == ("FAILURE", ("CartTest.adds",))


def test_a_question_under_which_the_connection_breaks_is_asked_again_at_once(shop: Workshop) -> None:
    shop.control.fault("status_after", route=POST, count=1, status=502)
    shop.control.fault("drop_request", route="GET job/api/json", count=1)
    shop.ask(shop.trigger())
    assert shop.try_once(shop.trigger()) == []
    shop.put_off(shop.trigger(), later=0)
    (event,) = shop.try_once(shop.trigger())
    assert isinstance(event, BuildSeen)


def test_a_trigger_under_which_the_connection_breaks_is_not_posted_again(shop: Workshop) -> None:
    shop.control.fault("drop_request", route=POST)
    shop.ask(shop.trigger())
    assert shop.try_once(shop.trigger()) == []
    assert shop.posts() == 1


def test_a_trigger_in_doubt_is_looked_for_within_seconds_however_often_that_was_in_vain(workshop: Open) -> None:
    """The run holds a slot meanwhile, and with it perhaps a whole stage."""
    shop = workshop(retry_policy=RetryPolicy())
    shop.control.fault("status", status=503)
    shop.ask(shop.trigger(look_first=True))
    slot, context = shop.trigger().slot, shop.context
    context.redis.hset(context.keys.tries, slot, 20)
    before = time.time()
    assert shop.try_once(shop.trigger()) == []
    due = context.redis.zscore(context.keys.due("jenkins"), slot) / 1000
    assert before + 1.9 < due < time.time() + 4.1


@pytest.mark.slow
def test_a_reply_that_comes_too_late_is_found_as_a_build(workshop: Open) -> None:
    shop = workshop(timeout=1.0)
    shop.control.fault("delay", route=POST, count=1, seconds=1.1)
    (event,) = shop.do(shop.trigger())
    assert isinstance(event, BuildSeen)
    assert len(shop.builds()) == shop.posts() == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [{"kind": "drop_request"}, {"kind": "status", "status": 503}, {"kind": "status", "status": 500}]
)
def test_a_trigger_that_never_arrived_is_refused_when_the_doubt_has_passed(
    workshop: Open, fault: dict[str, object]
) -> None:
    shop = workshop(timeout=0.5)
    shop.control.fault(route=POST, count=1, **fault)
    shop.ask(shop.trigger())
    began = time.monotonic()
    (event,) = shop.see_through(shop.trigger())
    assert isinstance(event, TriggerRefused)
    cdp = shop.configuration.controllers["cdp"]
    assert time.monotonic() - began >= cdp.timeout + cdp.limits.late_request - 0.05
    assert (shop.posts(), shop.builds()) == (1, [])


def test_while_jenkins_is_down_the_doubt_stays(workshop: Open) -> None:
    """Only Jenkins can say that the trigger did not arrive."""
    shop = workshop(timeout=0.3)
    shop.control.fault("drop_reply", route=POST, count=1)
    shop.ask(shop.trigger())
    assert shop.try_once(shop.trigger()) == []
    shop.jenkins.stop()
    deadline = time.monotonic() + 0.7
    while time.monotonic() < deadline:
        claim = shop.claim(shop.trigger())
        if claim is not None:
            perform(shop.runtime, shop.context, claim)
        time.sleep(0.02)
    assert shop.heard() == []
    shop.jenkins.start()
    (event,) = shop.see_through(shop.trigger())
    assert isinstance(event, BuildSeen)
    assert len(shop.builds()) == 1


def test_losing_permission_while_in_doubt_gives_nothing_up(workshop: Open) -> None:
    """Otherwise the run would keep its slot for ever: Interlock never gives up an effect that moves a run."""
    users = {"interlock": {"tokens": ["token"]}}
    shop = workshop(jenkins={"users": users})
    shop.control.fault("drop_reply", route=POST, count=1)
    shop.ask(shop.trigger())
    shop.try_once(shop.trigger())
    shop.control.fault("status", route="GET ", status=403, count=2)
    (event,) = shop.see_through(shop.trigger())
    assert isinstance(event, BuildSeen)
    assert shop.dead() == []


def short_lived(shop: Workshop) -> PipelineContext:
    """A worker that holds an effect for half a second, not for half a minute, when it renews its claim as well."""
    return replace(shop.context, outbox=outbox.Outbox(shop.context.redis, shop.context.keys, claim_ms=500))


def test_an_attempt_that_was_cut_off_by_a_crash_after_its_post_is_not_posted_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.ask(shop.trigger())
    claim = shop.claim_for(shop.trigger(), 30)
    triggers.trigger(shop.runtime, short_lived(shop), claim, shop.trigger())  # and dies before it can say so
    time.sleep(0.05)
    (event,) = shop.see_through(shop.trigger())
    assert isinstance(event, BuildSeen)
    assert len(shop.builds()) == shop.posts() == 1


def test_an_attempt_that_was_cut_off_is_looked_for_however_long_the_worker_was_down(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.ask(shop.trigger())
    claim = shop.claim_for(shop.trigger(), 30)
    triggers.trigger(shop.runtime, short_lived(shop), claim, shop.trigger())
    time.sleep(0.05)
    shop.context.redis.delete(shop.context.keys.posted("S1.1", 1))  # as time does with the note of a post
    (event,) = shop.see_through(shop.trigger())
    assert isinstance(event, BuildSeen)
    assert twice(shop.builds()) == []


def test_a_post_is_remembered_over_a_weekend(shop: Workshop) -> None:
    shop.do(shop.trigger())
    assert shop.context.redis.ttl(shop.context.keys.posted("S1.1", 1)) > 4 * 86_400


def test_a_performer_whose_hold_has_ended_posts_nothing(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.ask(shop.trigger())
    stalled = shop.claim_for(shop.trigger(), 20)
    time.sleep(0.04)
    other = shop.claim(shop.trigger())
    assert other is not None
    perform(shop.runtime, shop.context, stalled)
    assert shop.posts() == 0
    perform(shop.runtime, shop.context, other)
    shop.see_through(shop.trigger())
    assert shop.posts() == 1


def test_asked_to_look_first_a_build_that_is_there_is_found(shop: Workshop) -> None:
    shop.do(shop.trigger())
    shop.context.redis.delete(shop.context.keys.posted("S1.1", 1))
    shop.work()
    (event,) = shop.do(shop.trigger(look_first=True))
    assert isinstance(event, BuildSeen)
    assert len(shop.builds()) == 1


def test_redis_out_of_reach_in_the_middle_gives_nothing_up(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.ask(shop.trigger())
    claim = shop.claim_for(shop.trigger(), 50)

    def away(*_: object, **__: object) -> None:
        raise RedisConnectionError("the server is being restarted")

    with monkeypatch.context() as outage:
        outage.setattr(type(shop.context.outbox), "intend", away)
        with pytest.raises(RedisConnectionError):
            perform(shop.runtime, shop.context, claim)
    time.sleep(0.06)
    (event,) = shop.see_through(shop.trigger())
    assert isinstance(event, TriggerAccepted)
    assert shop.dead() == []


def test_a_new_attempt_is_a_new_build(shop: Workshop) -> None:
    shop.do(shop.trigger(attempt=1))
    shop.do(shop.trigger(attempt=2))
    assert [row["params"]["INTERLOCK_ATTEMPT"] for row in shop.builds()] == ["1", "2"]


def test_faults_at_random_never_build_an_attempt_twice(workshop: Open) -> None:
    shop = workshop(timeout=0.3)
    shop.control.seed(7)
    for kind, more in (("drop_reply", {}), ("drop_request", {}), ("status_after", {"status": 504})):
        shop.control.fault(kind, route=POST, rate=0.3, **more)
    for number in range(12):
        trigger = shop.trigger(run=f"S1.{number}")
        shop.ask(trigger)
    deadline = time.monotonic() + 15
    while shop.context.outbox.size():
        assert time.monotonic() < deadline
        claim = shop.claim(shop.trigger())
        if claim is None:
            time.sleep(0.01)
        else:
            perform(shop.runtime, shop.context, claim)
    events = shop.heard()
    refused = {e.run for e in events if isinstance(e, TriggerRefused)}
    built = {row["params"]["INTERLOCK_RUN"] for row in shop.builds()}
    assert twice(shop.builds()) == []
    assert refused.isdisjoint(built)
    assert len(refused) + len(built) == 12
    assert shop.posts() == 12
