"""A search through races: duplicates, reordering, crashes and two workers, without a lost or doubled decision."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from redis import Redis

from bot.store.connection import connect
from tests.workers.racing import Racing

STEPS_PER_LIFE = 60


def race(redis_url: str, steps: int) -> int:
    """Let races be run until they have taken so many steps; how many they took."""
    client: Redis = connect(redis_url)

    class OnServer(Racing):
        redis = client

    how = settings(
        max_examples=20, stateful_step_count=STEPS_PER_LIFE, deadline=None, suppress_health_check=list(HealthCheck)
    )
    while OnServer.steps < steps:
        run_state_machine_as_test(OnServer, settings=how)
    client.close()
    return OnServer.steps


def test_a_few_races_end_with_balanced_books(redis_url: str) -> None:
    assert race(redis_url, steps=40) >= 40


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_races_end_with_balanced_books(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = int(os.environ.get("MACHINE_STEPS") or 1_000)
    steps = race(redis_url, steps=wanted)
    with capsys.disabled():
        print(f"\n{steps} steps of the race")  # noqa: T201
    assert steps >= wanted
