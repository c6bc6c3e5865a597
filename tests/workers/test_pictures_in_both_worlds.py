"""The four pictures of the design, told once: to the rules alone, and to a worker with Redis, Jenkins and GitHub."""

from __future__ import annotations

import pytest

from tests.core.town import Town
from tests.story_world import (
    BuildingWorld,
    everybody_else_passes,
    first_picture,
    fourth_picture,
    second_picture,
    stations,
    third_picture,
)


@pytest.fixture(params=["pure", "real"])
def world(request: pytest.FixtureRequest) -> BuildingWorld:
    """The rules alone, or a worker's turns and effects."""
    if request.param == "pure":
        return Town()
    shop: BuildingWorld = request.getfixturevalue("shop")
    return shop


def test_the_four_pictures_are_the_same_for_the_rules_and_for_a_worker(world: BuildingWorld) -> None:
    world.start()
    first_picture(world)
    assert stations(world) == [(["S1d"], ["S2b", "S1c", "S3a"]), (["S1b", "S2a"], ["S1a"]), ([], [])]
    assert (world.locks(), world.on_fast_lane()) == ([], [])

    second_picture(world)
    assert stations(world) == [(["S1d"], ["S2b", "S1c", "S3a"]), (["S1b", "S2a"], []), ([], [])]
    assert (world.locks(), world.status("S1a")) == (["S1a"], "failed")

    third_picture(world)
    assert stations(world) == [(["S1d"], ["S2b", "S1c", "S3a"]), (["S1b", "S2a"], ["S1e"]), ([], [])]
    assert (world.locks(), world.on_fast_lane()) == (["S1a"], ["S1e"])

    fourth_picture(world)
    world.end_withdrawn()
    assert stations(world) == [([], ["S2b", "S3a"]), ([], ["S2a"]), ([], ["S1e"])]
    assert [world.left(name) for name in ("S1a", "S1b", "S1c", "S1d")] == [("superseded", "S1e")] * 4
    assert world.locks() == []

    everybody_else_passes(world)
    assert world.live() == []
    assert [world.left(name) for name in ("S1e", "S2a", "S3a", "S2b")] == [("delivered", None)] * 4


def test_people_ask_for_the_same_in_both_worlds(world: BuildingWorld) -> None:
    world.start()
    world.lock("acceptance", by="ann")
    world.merge("S1", "a")
    world.pass_build("S1a")
    world.merge("S2", "a")
    world.pass_build("S2a")
    assert (world.locks("acceptance"), world.queue("acceptance")) == (["ann"], ["S2a", "S1a"])
    world.move("S2a")
    assert world.queue("acceptance") == ["S1a", "S2a"]
    world.unlock("acceptance")
    assert (world.locks("acceptance"), sorted(world.runs_in("acceptance"))) == ([], ["S1a", "S2a"])
    world.cancel("S2a")
    world.end_withdrawn()
    assert (world.live(), world.left("S2a")) == (["S1a"], ("cancelled", None))
