"""Hundreds of runs through trouble of every kind: nothing is lost, doubled, stuck or let in too many.

`STORM_RUNS` and `STORM_SEED` choose another storm; the numbers are in the summary at the end.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bot.state.codec import Told
from tests.storm.storm import PATIENCE, PATIENCE_PER_RUN, Storm
from tests.storm.table import table
from tests.storm.verdict import Build, judge, listed
from tests.storm.world import World

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


def written(folder: Path, told: list[Told], builds: list[Build]) -> None:
    """The story, for whoever must find out what went wrong: the facts and the builds beside the processes' logs."""
    facts = (f"{t.at:.3f} {t.fact.kind} {t.fact.run or '-'} {t.fact.step or '-'} {t.fact.why}\n" for t in told)
    (folder / "facts.txt").write_text("".join(facts), "utf-8")
    (folder / "builds.jsonl").write_text("".join(json.dumps(build) + "\n" for build in builds), "utf-8")
