"""A store that fails over again and again loses what it had acknowledged; no merge is lost, doubled or left standing.

`FAILOVERS` chooses how many, `FAILOVER_SERVERS` among how many servers; the numbers are in the summary at the end.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.failover.flow import PATIENCE, PER_FAILOVER, Flow

FAILOVERS = int(os.environ.get("FAILOVERS", "2"))
SERVERS = int(os.environ.get("FAILOVER_SERVERS", "2"))


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE + PER_FAILOVER * FAILOVERS + 120)
def test_no_merge_is_lost_doubled_or_stuck_by_failovers(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    outcome = Flow(tmp_path, FAILOVERS, servers=SERVERS).run()
    record_property(f"numbers: {FAILOVERS} fail-overs of the store", outcome.table())
    assert not any(outcome.faults.values()), {name: found for name, found in outcome.faults.items() if found}
    assert sum(outcome.rolled_back) > 0, "nothing was lost, so nothing was shown"
