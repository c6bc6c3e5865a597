"""A configuration at start, changed, or without a service or stage of live runs: each run gets a place or ends."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from bot.core.model.events import CancelAsked, LockAsked, Merged, ModeAsked
from bot.core.model.pipeline import Job, Mode
from bot.core.model.run import Status
from bot.store.scripts import SCHEMA, NewerSchema
from config.configuration import Controller
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop, sha
from workers import beginning, reconcile
from workers.turn import take_turns


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    opened = workshop()
    opened.start()
    return opened


def restart(shop: Workshop, **changes: object) -> list[str]:
    """Start a worker with a changed configuration."""
    pipeline = replace(shop.pipeline, **changes)
    configuration = replace(shop.configuration, pipelines=(pipeline,), digest=uuid.uuid4().hex)
    shop.reload(configuration)
    asked = beginning.configure_boards(shop.runtime)
    shop.work()
    return asked


def without(shop: Workshop, stage: str) -> tuple[object, ...]:
    return tuple(s for s in shop.pipeline.stages if s.name != stage)


def test_the_first_start_configures_the_board_once(workshop: Open) -> None:
    shop = workshop()
    assert beginning.configure_boards(shop.runtime) == [shop.pipeline.name]
    assert beginning.configure_boards(shop.runtime) == [shop.pipeline.name]  # another worker, before the turn was taken
    shop.work()
    assert shop.board.pipeline == shop.pipeline
    assert len(shop.facts("configured")) == 1
    assert beginning.configure_boards(shop.runtime) == []


def test_a_mode_that_is_new_in_the_file_takes_effect(workshop: Open) -> None:
    shop = workshop()
    for mode in (Mode.PAUSE, Mode.RUN, Mode.OBSERVE):
        shop.reload(replace(shop.configuration, modes={shop.pipeline.name: mode}))
        beginning.configure_boards(shop.runtime)
        shop.work()
        assert shop.board.header.mode is mode


def test_a_restart_does_not_undo_what_a_person_set(workshop: Open) -> None:
    shop = workshop()
    beginning.configure_boards(shop.runtime)
    shop.work()
    shop.tell(ModeAsked(Mode.PAUSE, "alex", "upgrade"))
    assert beginning.configure_boards(shop.runtime) == []
    restart(shop, retry_most=99.0)
    assert shop.board.header.mode is Mode.PAUSE


def test_a_worker_refuses_what_a_newer_version_stored(shop: Workshop) -> None:
    shop.context.redis.hset(shop.context.keys.meta, "schema", SCHEMA + 1)
    with pytest.raises(NewerSchema):
        beginning.check_store(shop.runtime)


def test_what_the_environment_lacks_is_said_at_the_start(shop: Workshop) -> None:
    shop.settings = shop.settings.model_copy(update={"jenkins_tokens": {}})
    shop.reload(shop.configuration)
    with capture_logs() as logs:
        beginning.check_store(shop.runtime)
    assert any("INTERLOCK_JENKINS_TOKEN_CDP" in row["what"] for row in logs)


def test_a_change_while_runs_are_live_moves_nobody_who_has_a_place(shop: Workshop) -> None:
    shop.merge("S1", "a")
    reconcile.builds(shop.runtime, shop.context)
    shop.work()
    before = shop.run("S1a")
    restart(shop, retry_most=77.0)
    assert shop.run("S1a") == before
    assert len(shop.builds()) == 1


def test_a_service_that_is_removed_ends_its_waiting_runs_and_takes_back_its_builds(shop: Workshop) -> None:
    shop.merge("S1", "a")
    shop.merge("S2", "a")
    shop.poll()
    restart(shop, services=tuple(s for s in shop.pipeline.services if s.name != "S1"))
    ended(shop)
    assert shop.live() == ["S2a"]
    (row,) = [r for r in shop.builds() if r["params"]["INTERLOCK_SERVICE"] == "S1"]
    assert row["result"] == "ABORTED"


def test_a_service_that_held_a_lock_and_is_removed_opens_it(shop: Workshop) -> None:
    brought_to(shop, "S1", "pre-production")
    shop.release("pre-production", "FAILURE")
    shop.poll()
    assert len(shop.board.locks) == 1
    restart(shop, services=tuple(s for s in shop.pipeline.services if s.name != "S1"))
    assert (shop.live(), shop.board.locks) == ([], {})
    assert "Interlock" not in str(shop.control.description("shop/pre-production"))


def test_runs_that_wait_before_a_removed_stage_go_on_to_the_next(shop: Workshop) -> None:
    shop.tell(LockAsked("acceptance", "kim", "to look"))
    shop.merge("S1", "a")
    shop.poll()
    shop.release("build")
    shop.poll()
    assert shop.run("S1a").step.stage == "acceptance"
    restart(shop, stages=without(shop, "acceptance"))
    assert shop.run("S1a").step.stage == "pre-production"
    assert shop.board.locks == {}


def test_a_run_whose_build_runs_in_a_removed_stage_goes_on_when_it_has_ended(shop: Workshop) -> None:
    brought_to(shop, "S1", "acceptance")
    restart(shop, stages=without(shop, "acceptance"))
    assert shop.run("S1a").status is Status.RUNNING
    shop.release("acceptance")
    shop.poll()
    assert shop.run("S1a").step.stage == "pre-production"


def test_a_trigger_that_was_asked_of_a_controller_that_is_gone_is_tried_at_the_new_one(shop: Workshop) -> None:
    shop.jenkins.stop()
    shop.context.inbox.add(Merged("S1", sha("S1a"), None, title="S1a"), "a")
    take_turns(shop.context)
    stages = tuple(replace(s, job=Job("new", s.job.name), fast_job=None) for s in shop.pipeline.stages)
    shop.jenkins.start()
    renamed = {"new": Controller("new", shop.jenkins.url, "interlock")}
    tokens = {"NEW": next(iter(shop.settings.jenkins_tokens.values()))}
    shop.settings = shop.settings.model_copy(update={"jenkins_tokens": tokens})
    shop.configuration = replace(shop.configuration, controllers=renamed)
    restart(shop, stages=stages)
    shop.later()
    assert len(shop.builds("build")) == 1
    assert [why for why in shop.dead() if "GitHub" not in why] == []  # which knows none of these commits


@pytest.mark.parametrize("result", ["SUCCESS", "FAILURE"])
def test_a_build_that_runs_in_a_job_which_has_a_new_name_in_the_file_is_not_taken_for_lost(
    shop: Workshop, result: str
) -> None:
    brought_to(shop, "S1", "pre-production")
    shop.control.create_job("shop/new-name")
    renamed = (replace(s, job=Job("cdp", "shop/new-name")) for s in shop.pipeline.stages if s.name == "pre-production")
    stages = {s.name: s for s in (*shop.pipeline.stages, *renamed)}
    restart(shop, stages=tuple(stages.values()))
    shop.poll()
    assert (shop.run("S1a").status, shop.run("S1a").attempt.build) == (Status.RUNNING, 1)
    shop.release("pre-production", result)
    shop.poll()
    assert (shop.run("S1a").step.stage == "production") is (result == "SUCCESS")
    assert len(shop.board.locks) == (result == "FAILURE")


def test_a_run_that_is_taken_out_is_aborted_in_the_job_where_its_build_runs(shop: Workshop) -> None:
    brought_to(shop, "S1", "acceptance")
    shop.control.create_job("shop/new-name")
    stages = tuple(
        replace(s, job=Job("cdp", "shop/new-name")) if s.name == "acceptance" else s for s in shop.pipeline.stages
    )
    restart(shop, stages=stages)
    shop.tell(CancelAsked("S1.1", "kim", "not needed"))
    ended(shop)
    assert shop.builds("acceptance")[0]["result"] == "ABORTED"
    assert shop.live() == []


def ended(shop: Workshop) -> None:
    """Wait for the builds that were asked to stop, and ask."""
    threading.Event().wait(0.3)
    shop.poll()


def brought_to(shop: Workshop, service: str, stage: str) -> None:
    shop.merge(service, "a")
    for before in ("build", "acceptance", "pre-production"):
        shop.poll()
        if before == stage:
            return
        shop.release(before)
        shop.poll()
