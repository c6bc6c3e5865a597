"""The invariants of the design, in every state that many random lives of a town reach.

`MACHINE_STEPS=10000` walks so many steps (as `.ci/run` does), `HYPOTHESIS_PROFILE=ci` 10,000 as well. A step is one
rule of the machine (`machine.py`): none, one or several events, each of them checked (`checks.py`).
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.machine import EVENTS_DECIDED, AnyTown

STEPS_PER_LIFE = 50
#: How many steps the long walk takes at least.
WANTED = int(os.environ.get("MACHINE_STEPS") or (10_000 if os.environ.get("HYPOTHESIS_PROFILE") == "ci" else 2_000))


class Counted(AnyTown):
    """AnyTown, with its steps counted."""

    taken = 0

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        """Called once at the start of a life, and after every step."""
        type(self).taken += 1
        super().check_invariants(*args, **kwargs)


def walk(lives: int) -> tuple[int, int]:
    """Let so many towns live; how many steps they took, and how many events were decided and checked."""
    Counted.taken, EVENTS_DECIDED[0] = 0, 0
    how = settings(
        max_examples=lives, stateful_step_count=STEPS_PER_LIFE, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Counted, settings=how)
    return Counted.taken - lives, EVENTS_DECIDED[0]


def test_the_invariants_hold_in_a_few_lives() -> None:
    steps, events = walk(lives=6)
    assert steps >= 6 * STEPS_PER_LIFE // 2
    assert events >= steps // 4


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_invariants_hold_in_many_lives(capsys: pytest.CaptureFixture[str]) -> None:
    steps = events = 0
    while steps < WANTED:  # a life may be shorter than it could be
        more_steps, more_events = walk(lives=(WANTED - steps) * 11 // (STEPS_PER_LIFE * 10) + 2)
        assert more_steps > 0
        steps, events = steps + more_steps, events + more_events
    with capsys.disabled():
        print(f"\n{steps} steps of the machine, {events} events decided and checked")  # noqa: T201
