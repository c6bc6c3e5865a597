"""Attribute the waiting of runs: each second has one cause, computed from the clock of its step when the wait ends."""

from __future__ import annotations

from bot.statistics.parts import (
    HELD_KEPT,
    Cause,
    MeasuredRun,
    ProofClock,
    StandingLock,
    StatisticsTotals,
    StepClock,
    StepWeek,
)
from bot.statistics.statistics import Statistics, advance, week_of


def wait(statistics: Statistics, at: float, key: str | None, run: MeasuredRun, step: str) -> None:
    """Begin a wait of the run for `step`."""
    clock = advance(clock_of(statistics, at, step), at)
    clock.waiting += not run.fast
    if key and not run.fast:
        for lock in clock.locks:
            note_waiting(lock, key, at)
    run.excepted = run.excepted and run.step == step
    run.step, run.queued = step, at
    run.locked_before, run.backoff_before, run.paused_before = clock.locked_sum, clock.backoff_sum, clock.paused_sum
    run.frozen_before, run.frozen_alone_before = clock.frozen_sum, clock.frozen_alone_sum
    run.proof_before = proof_sum(statistics, at, run.service)


def note_waiting(lock: StandingLock, run: str, at: float) -> None:
    """Record that a run waits for the stage of a lock from now on."""
    if run != lock.holder and len(lock.held) < HELD_KEPT:
        lock.held.setdefault(run, at)


def settle(statistics: Statistics, at: float, run: MeasuredRun) -> None:
    """End the present state of the run, and add its waiting by cause, or the duration of its build."""
    found: dict[Cause, float] = {}
    if run.queued is not None:
        found = _waited(statistics, at, run, run.queued)
    elif run.admitted is not None:
        found = {Cause.JENKINS: max(0.0, at - run.admitted)}
    elif run.failed is not None:
        found = {Cause.PERSON: max(0.0, at - run.failed)}
    elif run.started is not None:
        built = max(0.0, at - run.started)
        run.built += built
        _step_week(statistics, at, run.step).built += built
    run.queued = run.admitted = run.failed = run.started = None
    waited = {cause: seconds for cause, seconds in found.items() if seconds > 0}
    if not waited:
        return
    totals, week = statistics.change("totals/all", StatisticsTotals()), _step_week(statistics, at, run.step)
    for cause, seconds in waited.items():
        name = f"{run.step} {cause}"
        totals.waits[name] = totals.waits.get(name, 0.0) + seconds
        for waits in (run.waits, week.waits):
            waits[cause] = waits.get(cause, 0.0) + seconds


def _step_week(statistics: Statistics, at: float, step: str) -> StepWeek:
    return statistics.change(f"step/{week_of(at)}/{step}", StepWeek())


def account_of(statistics: Statistics, at: float, run: str) -> MeasuredRun | None:
    """Return a run with its waiting and building time up to `at` or to its end; None if it is not known.

    `statistics` is not changed.
    """
    known = statistics.run(run)
    if known is None or known.ended:
        return known
    carried_on = statistics.fork()
    found = carried_on.change(f"run/{run}", MeasuredRun(known.service, known.began))
    settle(carried_on, at, found)
    return found


def _waited(statistics: Statistics, at: float, run: MeasuredRun, since: float) -> dict[Cause, float]:
    """Return the waiting by cause of a run in the queue of its step since it joined it."""
    clock = advance(clock_of(statistics, at, run.step), at)
    clock.waiting = max(0, clock.waiting - (not run.fast))
    left = max(0.0, at - since)
    locked, frozen = clock.locked_sum - run.locked_before, clock.frozen_sum - run.frozen_before
    frozen_alone = clock.frozen_alone_sum - run.frozen_alone_before
    found = {}
    for cause, seconds in (
        (Cause.PERSON, clock.paused_sum - run.paused_before),
        (Cause.JENKINS, clock.backoff_sum - run.backoff_before),
        (Cause.LOCK, 0.0 if run.fast else locked - frozen_alone),
        (Cause.FREEZE, 0.0 if run.excepted else frozen if run.fast else frozen_alone),
        (Cause.PROOF, proof_sum(statistics, at, run.service) - run.proof_before),
    ):
        found[cause] = min(left, max(0.0, seconds))
        left -= found[cause]
    return {**found, Cause.CAPACITY: left}


def proof_sum(statistics: Statistics, at: float, service: str) -> float:
    """Return for how many seconds questions to GitHub about the commits of a service were open, up to `at`."""
    proof = statistics.parts.get(f"proof/{service}")
    if not isinstance(proof, ProofClock):
        return 0.0
    return proof.sum + (max(0.0, at - proof.since) if proof.asked else 0.0)


def clock_of(statistics: Statistics, at: float, step: str) -> StepClock:
    """Return the clock of a step, to be changed; it begins at `at` if there is none."""
    return statistics.change(f"clock/{step}", StepClock(at, paused=statistics.totals().paused))
