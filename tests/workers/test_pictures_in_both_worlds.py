"""Stories that are told once: to the rules alone, and to a worker with Redis, Jenkins and GitHub.

All of Interlock's processes play the same four pictures in the demo, and while each of them is killed
(`tests/end_to_end/test_demo.py`, `tests/end_to_end/test_processes.py`).
"""

from __future__ import annotations

import pytest

from demo import pictures
from demo.verbs import BuildingWorld
from tests.core.town import Town


@pytest.fixture(params=["pure", "real"])
def world(request: pytest.FixtureRequest) -> BuildingWorld:
    """The rules alone, or a worker's turns and effects."""
    if request.param == "pure":
        return Town()
    shop: BuildingWorld = request.getfixturevalue("shop")
    return shop


def test_the_four_pictures_are_the_same_for_the_rules_and_for_a_worker(world: BuildingWorld) -> None:
    world.start()
    pictures.tell(world)
    assert [world.left(name) for name in ("S1a", "S1b", "S1c", "S1d")] == [("superseded", "S1e")] * 4
    pictures.everybody_else_passes(world)
    assert world.live() == []
    assert all(world.is_delivered(name) for name in ("S1e", "S2a", "S3a", "S2b"))


def test_people_ask_for_the_same_in_both_worlds(world: BuildingWorld) -> None:
    world.start()
    world.lock("acceptance", by="ann")
    world.merge("S1", "a")
    world.pass_build("S1a")
    world.merge("S2", "a")
    world.pass_build("S2a")
    assert (world.locks("acceptance"), world.queue("acceptance")) == (["ann"], ["S2a", "S1a"])
    assert world.waits_in("S1a") == "acceptance"
    world.move("S2a")
    assert world.queue("acceptance") == ["S1a", "S2a"]
    world.unlock("acceptance")
    assert not world.is_locked("acceptance")
    assert (sorted(world.runs_in("acceptance")), world.waits_in("S1a")) == (["S1a", "S2a"], None)
    world.cancel("S2a")
    world.end_withdrawn()
    assert (world.live(), world.left("S2a")) == (["S1a"], ("cancelled", None))
