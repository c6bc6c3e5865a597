"""The plan of chaos: a pure function of the seed, that can be saved and played again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from chaos.faults import all_kinds
from chaos.plan import KINDS, Plan, draw
from chaos.start import faketime

SERVICES = ("S1", "S2", "S3")


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    assert draw(7, SERVICES) == draw(7, SERVICES)
    assert draw(7, SERVICES) != draw(8, SERVICES)


def test_a_saved_plan_is_read_as_it_was(tmp_path: Path) -> None:
    plan = draw(7, SERVICES, releases=True)
    (tmp_path / "plan.json").write_text(plan.to_json())
    assert Plan.read(tmp_path / "plan.json") == plan
    assert any(merge.fate for merge in plan.merges)


@pytest.mark.parametrize("seed", range(20))
def test_faults_of_one_group_do_not_overlap(seed: int) -> None:
    plan = draw(seed, SERVICES, releases=True)
    for group in {spec.group for spec in KINDS.values()}:
        mine = [fault for fault in plan.faults if KINDS[fault.kind].group == group]
        assert all(one.at + one.seconds < next_one.at for one, next_one in pairwise(mine))


def test_fifty_seeds_have_every_kind_of_fault() -> None:
    drawn = {fault.kind for seed in range(50) for fault in draw(seed, SERVICES, releases=True).faults}
    assert drawn == set(KINDS)


def test_every_kind_can_be_made() -> None:
    assert all_kinds() == set(KINDS)


def test_only_the_named_kinds_come() -> None:
    plan = draw(7, SERVICES, kinds=["killed"], store="one")
    assert {fault.kind for fault in plan.faults} <= {"process killed", "all processes killed", "Redis killed"}


def test_another_release_takes_part_only_if_there_is_one() -> None:
    assert not any(fault.kind == "release changed" for seed in range(20) for fault in draw(seed, SERVICES).faults)


def test_the_store_decides_which_faults_it_has() -> None:
    one = {fault.kind for seed in range(30) for fault in draw(seed, SERVICES, store="one").faults}
    assert "Redis killed" in one
    assert "Redis failed over" not in one


def test_the_library_that_moves_clocks_is_found_where_it_is() -> None:
    found = faketime()
    assert found is None or found.is_file()
