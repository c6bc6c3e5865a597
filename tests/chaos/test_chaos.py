"""Two short plays of chaos: no promise is broken by faults of every group at once, nor by a store that is emptied.

`make chaos` plays longer ones, and all others. `CHAOS_SEED` plays another seed here.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos.plan import KINDS, Plan, draw
from chaos.play import PATIENCE, START, play
from chaos.report import into_page, summary
from chaos.world import SERVICES

SECONDS, MERGES = 8.0, 12
#: Seeds whose plans have faults of every group, nine or ten of them: of the first one a worker that is stopped past its
#: lease; of the second one the death of all processes, and a store that is emptied, after which there is no history.
OURS, EMPTIED = 346, 371
KEPT = int(os.environ.get("CHAOS_SEED") or OURS)


def plan_of(seed: int) -> Plan:
    return draw(seed, list(SERVICES), seconds=SECONDS, merges=MERGES, store="one")


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + START + PATIENCE + 90)
@pytest.mark.parametrize("seed", [KEPT, EMPTIED])
def test_no_promise_is_broken(seed: int, tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    played = play(plan_of(seed), tmp_path)
    record_property(f"numbers: chaos, seed {seed}", summary(played))
    assert played.violations == [], summary(played)
    assert "<!-- chaos -->" in into_page("<!-- chaos -->\n<!-- end -->\n", [played])


@pytest.mark.parametrize("seed", [OURS, EMPTIED])
def test_their_plans_have_faults_of_every_group(seed: int) -> None:
    groups = {KINDS[fault.kind].group for fault in plan_of(seed).faults}
    assert groups == {spec.group for spec in KINDS.values()} - {"releases"}


def test_only_one_of_them_empties_the_store() -> None:
    emptied = [seed for seed in (OURS, EMPTIED) if any(f.kind == "Redis emptied" for f in plan_of(seed).faults)]
    assert emptied == [EMPTIED]
