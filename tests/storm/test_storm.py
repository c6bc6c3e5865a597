"""Hundreds of runs through trouble of every kind: nothing is lost, doubled, stuck or let in too many.

`STORM_RUNS` and `STORM_SEED` choose another storm; the numbers are in the summary at the end.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos.world import World
from tests.storm.storm import PATIENCE, PATIENCE_PER_RUN, Storm
from tests.storm.table import table, written
from tests.storm.verdict import judge, listed

RUNS = int(os.environ.get("STORM_RUNS", "80"))
SEED = int(os.environ.get("STORM_SEED", "1"))


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE + PATIENCE_PER_RUN * RUNS + 120)
def test_every_run_comes_through_the_storm_once(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    with World(tmp_path, SEED) as world:
        after = Storm(world, tmp_path, RUNS, SEED).rage()
        builds = world.builds()
        developers = after.developers
        verdict = judge(builds, after.board, after.ended, after.told, developers.merged, developers.fates)
        written(tmp_path, after.told, builds)
        record_property(f"numbers: the storm, seed {SEED}", table(world, builds, after, verdict))
    assert not any(verdict.faults.values()), "\n".join(listed(*row) for row in verdict.faults.items() if row[1])
    assert (after.outbox, after.dead, after.parked) == (0, [], [])
    assert after.lost_items, "the crash found nothing to lose"
