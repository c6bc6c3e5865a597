"""In which order the pytest workers take the test files (`--dist loadfile`), and how many workers `-n auto` starts.

Half of the time of the suite is spent in files whose tests wait: for real processes that start, are killed and are
found again, and for time-outs that are no test's to change. They leave the processor idle. So there are five workers
for two cores: every other one takes the files that wait, the longest first, while the others compute and then help.

No file is divided: what it sets up for all of its tests is set up once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from xdist.scheduler.loadfile import LoadFileScheduling
from xdist.workermanage import WorkerController

#: The files that take more than ten seconds, and how long each takes on two cores, in seconds. A number that is not
#: true any more costs time and nothing else; `make test ARGS=--durations=80` shows the present ones.
WAITING: Mapping[str, int] = {
    "tests/end_to_end/test_health.py": 180,
    "tests/workers/test_crash.py": 140,
    "tests/bench/test_bench.py": 130,
    "tests/failover/test_failovers.py": 130,
    "tests/end_to_end/test_killed.py": 100,
    "tests/chaos/test_chaos.py": 95,
    "tests/end_to_end/test_processes.py": 80,
    "tests/core/test_invariants.py": 75,  # with the 10,000 steps of .ci/run; by itself a fifth of that
    "tests/browser/test_acting.py": 75,
    "tests/web/test_slow_clients.py": 65,
    "tests/end_to_end/test_emptied_redis.py": 60,
    "tests/end_to_end/test_reload.py": 60,
    "tests/github/test_github_storm.py": 55,
    "tests/end_to_end/test_restored.py": 55,
    "tests/browser/test_live_page.py": 50,
    "tests/workers/test_racing_machine.py": 50,  # with these as well
    "tests/web/test_acting_pages.py": 45,
    "tests/end_to_end/test_secrets.py": 45,
    "tests/browser/test_accessible.py": 40,
    "tests/end_to_end/test_outbound.py": 40,
    "tests/browser/test_finding.py": 35,
    "tests/web/test_fact_stream.py": 30,
    "tests/web/test_api_schema.py": 30,
    "tests/cli/test_cli_up.py": 30,
    "tests/end_to_end/test_schema.py": 25,
    "tests/end_to_end/test_rolling_upgrade.py": 25,
    "tests/workers/test_race.py": 25,
    "tests/end_to_end/test_demo.py": 25,
    "tests/soak/test_soak.py": 25,
    "tests/deploy/test_proxies.py": 25,
    "tests/failover/test_cluster.py": 20,
    "tests/workers/test_emptied_store.py": 20,
    "tests/bench/test_structure.py": 20,
    "tests/github/test_example_payloads.py": 20,
    "tests/browser/test_run_page.py": 20,
    "tests/browser/test_past_on_the_page.py": 20,
    "tests/workers/test_two_beats.py": 15,
    "tests/failover/test_sentinel.py": 15,
    "tests/web/test_below_a_path.py": 15,
    "tests/workers/test_backed_up.py": 15,
    "tests/test_wheel.py": 15,
    "tests/cli/test_cli_what_if.py": 15,
    "tests/mutants/test_mutants.py": 12,
    "tests/workers/test_endless.py": 12,
    "tests/state/test_migration.py": 12,
    "tests/launch/test_stack.py": 10,
    "tests/workers/test_pull_requests.py": 10,
    "tests/simulation/test_comparison.py": 10,
    "tests/config/test_freeze_times.py": 10,
}
#: The fewest and the most workers that `-n auto` starts.
FEWEST, MOST = 4, 12


def parts(tests: Path) -> list[Path]:
    """The folders of tests and the files beside them, in the order in which pytest takes them."""
    files = sorted(tests.glob("test_*.py"))
    folders = sorted(folder for folder in tests.iterdir() if any(folder.glob("test_*.py")))
    return [*files, *folders]


def rotated(parts: Sequence[Path], first: int) -> list[Path]:
    """The same parts, from the one with this number on; those before it come last."""
    return [*parts[first:], *parts[:first]]


def in_one_order(items: list[pytest.Item], tests: Path) -> None:
    """Bring the items into the order of `parts`, wherever the collection began; within a part they keep theirs."""
    places = {part: place for place, part in enumerate(parts(tests))}
    items.sort(key=lambda item: next((places[each] for each in (item.path, *item.path.parents) if each in places), -1))


def number_of_workers() -> int:
    """Five for two cores that this process may use: four left a fifth of the processor's time unused. With six an
    earlier suite took longer, because the processor was busy."""
    return min(max(5 * len(os.sched_getaffinity(0)) // 2, FEWEST), MOST)


def choose(left: Sequence[str], last: str | None, *, waits: bool, workers: int) -> str:
    """The next file for a worker, out of those that are left (the ones with most tests first).

    `last`: the file that it has not finished yet. It must hold the next one before, so a short file follows one that
    waits, and for that the shortest are kept to the end. `waits`: whether it takes the files that wait first.
    """
    waiting = sorted((file for file in left if file in WAITING), key=lambda file: -WAITING[file])
    rest = [file for file in left if file not in WAITING]
    if not waiting or not rest:
        return left[0] if not waiting else waiting[0]
    if last in WAITING:
        return rest[-1]
    return waiting[0] if waits or len(rest) <= len(waiting) + workers else rest[0]


class WaitingFirst(LoadFileScheduling):
    """Hands out the files by `choose`; of two workers, the first one takes those that wait."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        last = next(reversed(self.assigned_work[node]), None)
        waits = self.nodes.index(node) % 2 == 0
        file = choose([*self.workqueue], last, waits=waits, workers=len(self.nodes))
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)
