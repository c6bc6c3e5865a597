"""A Redis that is emptied while runs flow: every merge is delivered all the same, once, and no stage is left open.

`EMPTIED` chooses how many times, `STORM_SEED` when; the numbers are in the summary at the end.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.storm.emptied import NOTICED, PATIENCE, Emptied
from tests.storm.verdict import listed

TIMES = int(os.environ.get("EMPTIED", "2"))
SEED = int(os.environ.get("STORM_SEED", "1"))


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE + (2 * NOTICED + 15) * TIMES + 120)
def test_no_merge_is_lost_or_doubled_by_a_store_that_is_emptied(
    tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    outcome = Emptied(tmp_path, TIMES, SEED).run()
    record_property(f"numbers: a store emptied {TIMES} times, seed {SEED}", outcome.table())
    assert not any(outcome.faults.values()), "\n".join(listed(*row) for row in outcome.faults.items() if row[1])
