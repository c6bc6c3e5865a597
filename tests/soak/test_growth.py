"""What counts as growth: a steady rise that is more than the tolerance, and nothing else."""

from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from soak import processes
from soak.growth import Sample, judge, slope
from soak.leak import plant
from soak.soak import SHORT, Watch

ROOT = Path(__file__).resolve().parents[2]


def series(value: float, rise: float, noise: float, count: int = 120, seed: int = 1) -> list[Sample]:
    """So many samples, one a second."""
    chance = random.Random(seed)
    return [(float(n), value + rise * n + chance.gauss(0, noise)) for n in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_growth_whatever_it_looks_like(seed: int) -> None:
    assert not judge(series(100, 0, 3, seed=seed), tolerance=3).grows


@pytest.mark.parametrize("seed", range(20))
def test_a_small_rise_in_much_noise_is_found(seed: int) -> None:
    found = judge(series(100, 0.2, 3, seed=seed), tolerance=3)
    assert found.grows
    assert found.grown == pytest.approx(0.2 * 60, rel=0.5)


def test_the_warm_up_does_not_count() -> None:
    samples = [(at, min(value, 150.0)) for at, value in series(100, 2, 0)]
    assert not judge(samples, tolerance=1).grows


def test_what_came_before_everything_was_full_does_not_count() -> None:
    samples = [(at, min(value, 190.0)) for at, value in series(100, 1, 0)]
    assert judge(samples, tolerance=1).grows
    assert not judge(samples, tolerance=1, since=90).grows


def test_single_peaks_do_not_count() -> None:
    samples = [(at, value + (500 if at % 7 == 0 else 0)) for at, value in series(100, 0, 1)]
    assert not judge(samples, tolerance=3).grows


def test_a_step_in_the_second_half_is_growth_if_it_is_more_than_may_be() -> None:
    samples = [(at, value + (50 if at > 90 else 0)) for at, value in series(100, 0, 1)]
    assert judge(samples, tolerance=20).grows


def test_growth_within_the_tolerance_is_none_and_shrinking_never_is() -> None:
    assert not judge(series(100, 0.01, 0), tolerance=1).grows
    assert not judge(series(1000, -5, 1), tolerance=0).grows


def test_many_samples_are_judged_as_a_few() -> None:
    assert slope(series(5, 0.5, 0.1, count=3_000)).middle == pytest.approx(0.5, rel=0.01)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="three samples"):
        slope([(0, 1), (1, 2)])


# -- a process that leaks ------------------------------------------------------------------------------------------

STEADY = "import time; time.sleep(60)"
#: Two MiB, eight handles and two threads more each tenth of a second.
LEAKING = """
import os, threading, time
kept = []
for n in range(600):
    kept += [b"x" * (2 << 20), [os.dup(0) for _ in range(8)]]
    for _ in range(2):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    time.sleep(0.1)
"""


@contextmanager
def process(program: str) -> Iterator[int]:
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL)
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait(10)


@pytest.mark.slow
def test_a_process_that_leaks_memory_handles_and_threads_fails_and_one_that_does_not_passes() -> None:
    watch = Watch()
    with process(LEAKING) as leaking, process(STEADY) as steady:
        began = time.monotonic()
        while (at := time.monotonic() - began) < 8:
            for name, usage in processes.usages({"leaking": leaking, "steady": steady, "away": None}).items():
                watch.note(name, at, asdict(usage))
            time.sleep(0.1)
    judged = watch.judged(SHORT - 1)
    assert {what for (where, what), growth in judged.items() if growth.grows and where == "leaking"} == {
        "memory",
        "handles",
        "threads",
    }
    assert not any(growth.grows for (where, _), growth in judged.items() if where == "steady")
    assert len(judged) == 6


def test_the_processes_below_one_are_known() -> None:
    with process(STEADY) as child:
        assert child in processes.below(os.getpid())
        assert processes.below(child) == processes.below(None) == set()


#: One thread after the other does a large piece of work, and a little of it stays.
LARGE_WORK = """
import sys, threading
from bot.runtime import share_memory_pools
if sys.argv[1] == "shared":
    share_memory_pools()
kept, over = [], threading.Event()
def work():
    done.append([bytes(1000) for _ in range(20_000)])
    kept.append(done.pop()[-1])
    turn.set()
    over.wait(60)
done = []
for _ in range(12):
    turn = threading.Event()
    threading.Thread(target=work, daemon=True).start()
    turn.wait(60)
print("ready", flush=True)
over.wait(60)
"""


def memory_after_large_work(how: str) -> float:
    """MiB of a process after twelve of its threads have taken 20 MiB each, one after the other."""
    command = [sys.executable, "-c", LARGE_WORK, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        try:
            return processes.usage(child.pid).memory / (1 << 20)
        finally:
            child.kill()


#: Prints by how many MiB it grows while it waits.
WAITS = """
import os, time
from soak import processes
before = processes.usage(os.getpid()).memory
time.sleep(0.5)
print((processes.usage(os.getpid()).memory - before) / (1 << 20))
"""


def test_a_leak_can_be_planted_in_a_worker_and_in_nothing_else(tmp_path: Path) -> None:
    env = {**os.environ, **plant(tmp_path, 40_960)}

    def grown(role: str) -> float:
        """By how many MiB it grows while it waits for half a second."""
        command = [sys.executable, "-c", WAITS, role]
        found = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
        return float(found.stdout)

    assert grown("worker") > 4
    assert grown("beat") < 4


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc makes a pool of memory for each thread")
def test_the_threads_of_a_process_share_their_memory_instead_of_keeping_what_each_ever_needed() -> None:
    assert memory_after_large_work("shared") < memory_after_large_work("by default") - 100
