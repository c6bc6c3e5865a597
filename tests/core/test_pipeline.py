"""Derived values of a pipeline are computed once, and are no part of its own value."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.core.model.board_records import Header
from bot.core.model.pipeline import FastLane, Job, LockStatus, Pipeline, Policy, Service, Verify
from bot.store.codec import dump_record, load_record
from tests.core.world import shop


def asked(pipeline: Pipeline) -> Pipeline:
    """The pipeline after everything has been asked of it that is worked out once."""
    assert pipeline.stage("acceptance") is pipeline.stages[1]
    assert pipeline.service("S2") is pipeline.services[1]
    assert pipeline.service_of("SHOP/s3", "main") is pipeline.services[2]
    assert pipeline.services_in("SHOP/s3") == (pipeline.services[2],)
    assert (pipeline.index("production"), pipeline.locks_at, pipeline.rejoins_at) == (3, 2, 2)
    return pipeline


def test_what_was_asked_of_a_pipeline_is_no_part_of_it() -> None:
    fresh, used = shop(), asked(shop())
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert repr(used) == repr(fresh)
    assert dump_record(Header(used)) == dump_record(Header(fresh))
    assert load_record("header", dump_record(Header(used))) == Header(fresh)
    assert asked(pickle.loads(pickle.dumps(used))) == fresh


def test_a_changed_pipeline_is_asked_anew() -> None:
    used = asked(shop())
    build, acceptance, pre_production, production = used.stages
    other = replace(used, stages=(acceptance, build, pre_production, production), services=used.services[:1])
    assert (other.index("build"), other.index("acceptance"), other.service("S2")) == (1, 0, None)
    assert other.service_of("shop/S3", "main") is None
    assert replace(used, fast_lane=FastLane(rejoins="acceptance")).rejoins_at == 1
    assert not replace(pre_production, on_failure=Policy.REPORT).locks
    assert replace(used, stages=(build, acceptance, production)).locks_at == 3


def test_the_fast_lane_may_rejoin_at_the_first_stage_already() -> None:
    assert [shop(rejoins=stage).rejoins_at for stage in ("build", "acceptance", None, "gone")] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("verifies", "told", "matters"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_an_open_pull_request_matters_where_it_is_verified_or_told_of_a_lock(
    verifies: bool, told: bool, matters: bool
) -> None:
    verify = Verify(Job("build", "verify")) if verifies else None
    pipeline = replace(shop(), verify=verify, lock_status=LockStatus.ALL if told else LockStatus.OFF)
    assert pipeline.hears_of_pulls("S1") is matters


def test_what_is_not_configured_is_not_found_and_of_two_with_one_name_the_first_counts() -> None:
    pipeline = replace(shop(), services=(Service("S1", "shop/S1"), Service("S1", "shop/other")))
    assert pipeline.service("S1") is pipeline.services[0]
    assert (pipeline.service("S9"), pipeline.stage("none"), pipeline.index("none")) == (None, None, -1)
    assert pipeline.service_of("shop/S1", "other") is None
    assert pipeline.services_in("shop/S9") == ()


class Unread(tuple[Service, ...]):
    """Services that must not be gone through any more."""

    def __iter__(self) -> Iterator[Service]:
        raise AssertionError("the services were gone through")


def test_no_look_up_goes_through_all_services_or_stages_again() -> None:
    """What finds a stage or a service is made once; after that every look-up takes the same time."""
    pipeline = asked(shop())
    stages, services = pipeline.stages, pipeline.services
    object.__setattr__(pipeline, "services", Unread(services))
    assert pipeline.service("S3") is services[2]
    assert pipeline.service("S9") is None
    assert pipeline.service_of("shop/s2", "main") is services[1]
    assert pipeline.services_in("shop/s2") == (services[1],)
    assert pipeline.verifies("S1") is False
    assert pipeline.stage("production") is stages[3]
