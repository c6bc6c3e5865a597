"""A trigger that hangs in Jenkins and arrives late: where builds roll out, no two attempts of a run ever roll out.

Jenkins hangs by its own clock, which the tests move forward; the builds ask the real web application before they work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from werkzeug.serving import make_server

from bot.core.model.events import TimePassed
from bot.core.model.facts import FactKind
from bot.core.model.run import Run, Status
from bot.jenkins import triggers
from bot.reporting.explain import why
from bot.web.app import create_app
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop
from workers import reconcile
from workers.performer import perform, perform_due
from workers.turn import take_turns

POST = "POST job/buildWithParameters"
HANGS = 30.0
JOB = "shop/pre-production"
#: The attempts of S1a in pre-production, after one in build and one in acceptance.
LATE, NEXT = 3, 4


@contextmanager
def web(shop: Workshop) -> Iterator[str]:
    """The web application over the same store; yields its address."""
    secrets = {"github_webhook_secrets": (SecretStr("g" * 20),), "jenkins_webhook_secret": (SecretStr("j" * 20),)}
    app = create_app(shop.settings.model_copy(update=secrets), shop.configuration, lambda _: None)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    """S1a is about to enter pre-production, where Jenkins will hang at the next trigger."""
    shop = workshop(timeout=0.3, late_triggers=1.0)
    shop.start()
    shop.merge("S1", "a")
    for stage in ("build", "acceptance"):
        if stage == "acceptance":
            shop.control.fault("delay", route=POST, count=1, seconds=HANGS)
        shop.release(stage)
        reconcile.builds(shop.runtime, shop.context)
        if stage == "build":
            shop.work()
    return shop


def asks(shop: Workshop, address: str) -> None:
    """The job asks before it rolls out, as the printed ones do."""
    path = f"api/v1/pipelines/{shop.pipeline.name}/attempts/$INTERLOCK_RUN/pre-production/$INTERLOCK_ATTEMPT"
    url = f"{address}/{path}?version=$INTERLOCK_VERSION&build=$BUILD_NUMBER"
    shop.control.change_job(JOB, {"asks": {"url": url}})


def step(shop: Workshop) -> None:
    """One turn, and a try at all that is due for Jenkins."""
    shop.context.inbox.tick(TimePassed())
    take_turns(shop.context)
    perform_due(shop.runtime, shop.context, "jenkins", lambda *_: None)
    time.sleep(0.005)


def waits_for(shop: Workshop, ready: Any, seconds: float = 12.0) -> Run:
    """Work as a worker does, with polling, until `ready(run)`; returns the run."""
    deadline = time.monotonic() + seconds
    while not ready(run := shop.run("S1a")):
        assert time.monotonic() < deadline, (run.status, run.attempt.number, shop.builds("pre-production"))
        step(shop)
        reconcile.builds(shop.runtime, shop.context)
    return run


def attempts(shop: Workshop, **wanted: Any) -> list[str]:
    """The attempts of the builds in pre-production whose row has these values, in the order of their starts."""
    rows = shop.builds("pre-production")
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return [row["params"]["INTERLOCK_ATTEMPT"] for row in found]


def wakes(shop: Workshop) -> None:
    """Jenkins' 30 seconds are over: what hung arrives."""
    shop.control.advance(HANGS)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_an_attempt_that_arrives_after_it_was_given_up_does_not_roll_out(shop: Workshop) -> None:
    with web(shop) as address:
        asks(shop, address)
        waits_for(shop, lambda run: run.attempt.number == NEXT and run.status is Status.RUNNING)
        wakes(shop)
        (late,) = shop.control.wait_builds(JOB, state="done", match={"INTERLOCK_ATTEMPT": str(LATE)})
        assert (late["result"], late["turned_away"]) == ("NOT_BUILT", True)
        run = waits_for(shop, lambda run: not shop.board.unmanaged)
        assert (run.attempt.number, run.status) == (NEXT, Status.RUNNING)
        assert attempts(shop, turned_away=False) == [str(NEXT)]
        assert shop.board.locks_of("pre-production") == []


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_an_attempt_that_arrives_while_it_is_waited_for_is_the_one(shop: Workshop) -> None:
    run = waits_for(shop, lambda run: run.attempt.unanswered and run.attempt.number == LATE)
    assert (run.status, run.attempt.number) == (Status.STARTING, LATE)
    wakes(shop)
    run = waits_for(shop, lambda run: run.status is Status.RUNNING)
    assert (run.attempt.number, attempts(shop)) == (LATE, [str(LATE)])


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_stage_says_that_it_waits_and_why(shop: Workshop) -> None:
    waits_for(shop, lambda run: run.attempt.unanswered and run.attempt.number == LATE)
    (said,) = shop.facts(FactKind.TRIGGER_UNANSWERED)
    assert said.endswith("Interlock asks for no other build until Jenkins has answered for 1 s, or has restarted")
    sentence = why(shop.board, shop.run("S1a"), time.time()).sentence
    assert "got no answer (attempt 3) and may still arrive" in sentence


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_restart_of_jenkins_ends_the_wait_for_nothing_of_before_can_arrive(workshop: Open) -> None:
    shop = workshop(timeout=0.3, late_triggers=3600.0)
    trigger = shop.trigger(stage="pre-production")
    shop.control.fault("delay", route=POST, count=1, seconds=HANGS)
    shop.ask(trigger)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        claim = shop.claim(trigger)
        if claim is None:
            time.sleep(0.02)
        else:
            perform(shop.runtime, shop.context, claim)
    assert [event.kind for event in shop.heard()] == ["trigger-unanswered"]
    shop.control.restart(seconds=0.05)
    events = shop.see_through(trigger)
    assert [event.kind for event in events] == ["trigger-unanswered", "trigger-refused"]


@pytest.mark.parametrize("fault", [{"kind": "drop_request"}, {"kind": "status", "status": 503}])
def test_a_request_that_was_answered_or_whose_connection_was_closed_is_not_waited_for(
    workshop: Open, fault: dict[str, Any]
) -> None:
    shop = workshop(timeout=0.3, late_triggers=3600.0)
    shop.control.fault(route=POST, count=1, **fault)
    (event,) = shop.do(shop.trigger(stage="pre-production"))
    assert event.kind == "trigger-refused"


@pytest.mark.slow
def test_a_gateway_that_gave_up_is_no_answer(workshop: Open) -> None:
    shop = workshop(timeout=0.3, late_triggers=0.8)
    shop.control.fault("status", route=POST, count=1, status=504)
    began = time.monotonic()
    events = shop.do(shop.trigger(stage="pre-production"))
    assert [event.kind for event in events] == ["trigger-unanswered", "trigger-refused"]
    assert time.monotonic() - began > 0.8


def test_only_the_time_in_which_jenkins_answers_counts(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """But it adds up: a Jenkins that drops a reply now and then does not hold a stage up for ever."""
    clock = [1000.0]
    monkeypatch.setattr(triggers.time, "time", lambda: clock[0])
    trigger = shop.trigger(stage="pre-production")
    seconds = []
    for pause, answered in ((0, True), (2, True), (3, False), (4, True), (1, True), (60, True), (5, True)):
        clock[0] += pause
        if answered:
            seconds.append(triggers._answering_for(shop.context, trigger))
        else:
            triggers.unanswered_look(shop.context, trigger)
    assert seconds == [0, 2, 2, 3, 3, 8]


def test_where_nothing_rolls_out_a_moment_is_enough(workshop: Open) -> None:
    shop = workshop(timeout=0.3, late_triggers=3600.0)
    shop.control.fault("delay", route=POST, count=1, seconds=HANGS)
    (event,) = shop.do(shop.trigger(stage="acceptance"))
    assert event.kind == "trigger-refused"
