"""Fold facts into the statistics, one after the other: each fact changes only a few parts, however many are kept.

The facts come from the log in the order in which they were decided; `at` is that time, in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Message, RetriedAutomatically, RunFailed, StartsFast
from bot.core.model.pipeline import Mode, Track
from bot.core.model.run import End
from bot.core.model.stage_messages import (
    Frozen,
    LetThrough,
    ModeChanged,
    PipelineConfigured,
    StageLocked,
    StageUnlocked,
)
from bot.statistics import periods
from bot.statistics.parts import (
    DURATIONS_KEPT,
    ERRORS_KEPT,
    FAILURES_KEPT,
    LOCKS_KEPT,
    WEEK_KEPT,
    EstimateErrors,
    FailingTest,
    Foretold,
    LockAccount,
    MeasuredRun,
    PastLock,
    PastLocks,
    ProofClock,
    SaidEstimate,
    ServiceWeek,
    StandingLock,
    StatisticsTotals,
    StepClock,
    StepDurations,
    StepOutcomes,
    keep,
)
from bot.statistics.statistics import Statistics, advance, cost_so_far, week_of
from bot.statistics.waiting import clock_of, note_waiting, settle, wait


def fold(statistics: Statistics, at: float, fact: Fact) -> None:
    """Fold one fact into the statistics."""
    handler = _HANDLERS.get(fact.kind)
    verifies = fact.step is not None and fact.step.track is Track.VERIFY
    if handler is not None and not verifies:
        handler(statistics, at, fact)


# -- runs ------------------------------------------------------------------------------------------------------


def _queued(statistics: Statistics, at: float, fact: Fact) -> None:
    run = _run(statistics, at, fact)
    if run is None:
        return
    settle(statistics, at, run)
    if isinstance(fact.why, StartsFast):
        run.fast = True
    if str(fact.step) != run.step:
        run.failed_tests = []
    wait(statistics, at, fact.run, run, str(fact.step))


def _admitted(statistics: Statistics, at: float, fact: Fact) -> None:
    run = _run(statistics, at, fact)
    if run is None:
        return
    settle(statistics, at, run)
    _compare(statistics, at, run.said.pop(Foretold.ENTERS, None), Foretold.ENTERS)
    run.step, run.admitted = str(fact.step), at


def _recalled(statistics: Statistics, at: float, fact: Fact) -> None:
    run = _run(statistics, at, fact)
    if run is not None:
        settle(statistics, at, run)
        run.admitted = at


def _excepted(statistics: Statistics, at: float, fact: Fact) -> None:
    """Record an exception from a freeze: by a person, who lets the run through from now on, or by a standing rule."""
    run = _run(statistics, at, fact)
    if run is None or run.queued is None:
        return
    if isinstance(fact.why, LetThrough):
        settle(statistics, at, run)
        wait(statistics, at, fact.run, run, run.step)
    run.excepted = True


def _promoted(statistics: Statistics, at: float, fact: Fact) -> None:
    _change_lane(statistics, at, fact, fast=True)


def _rejoined(statistics: Statistics, at: float, fact: Fact) -> None:
    _change_lane(statistics, at, fact, fast=False)


def _change_lane(statistics: Statistics, at: float, fact: Fact, *, fast: bool) -> None:
    run = _run(statistics, at, fact)
    if run is None:
        return
    waits = run.queued is not None
    settle(statistics, at, run)
    run.fast = fast
    if waits:
        wait(statistics, at, fact.run, run, run.step)


def _started(statistics: Statistics, at: float, fact: Fact) -> None:
    run = _run(statistics, at, fact)
    if run is None:
        return
    if run.admitted is not None:
        keep(_durations(statistics, fact).lags, max(0.0, at - run.admitted), DURATIONS_KEPT)
    settle(statistics, at, run)
    run.step, run.started = str(fact.step), at
    _set_backoff(statistics, at, str(fact.step), backoff=False)


def _refused(statistics: Statistics, at: float, fact: Fact) -> None:
    if fact.step is not None:
        _set_backoff(statistics, at, str(fact.step), backoff=True)


def _passed(statistics: Statistics, at: float, fact: Fact) -> None:
    run = _run(statistics, at, fact)
    if run is None or fact.step is None:
        return
    if run.started is not None:
        _keep_duration(statistics, fact, max(0.0, at - run.started), passed=True)
    settle(statistics, at, run)
    _compare(statistics, at, run.said.pop(Foretold.PASSES, None), Foretold.PASSES)
    statistics.change(f"outcomes/{fact.step}", StepOutcomes()).passed += 1
    if fact.step.track is Track.REAL:
        _add(_week(statistics, at, run.service).passed, fact.step.stage, 1)
    for name in run.failed_tests:
        test = statistics.change(f"test/{run.service}/{name}", FailingTest())
        keep(test.passed, at, FAILURES_KEPT)
    run.failed_tests = []


def _failed(statistics: Statistics, at: float, fact: Fact) -> None:
    run = _run(statistics, at, fact)
    if run is None or fact.step is None:
        return
    if run.started is not None:
        _keep_duration(statistics, fact, max(0.0, at - run.started), passed=False)
    settle(statistics, at, run)
    run.said.pop(Foretold.PASSES, None)  # it did not pass, so there is nothing to compare
    statistics.change(f"outcomes/{fact.step}", StepOutcomes()).failed += 1
    if fact.step.track is Track.REAL:
        _add(_week(statistics, at, run.service).failed, fact.step.stage, 1)
    run.failed_tests = list(_tests(fact.why))
    for name in run.failed_tests:
        keep(statistics.change(f"test/{run.service}/{name}", FailingTest()).failed, at, FAILURES_KEPT)
    if fact.kind is FactKind.BUILD_REPEATED:
        wait(statistics, at, fact.run, run, str(fact.step))
    else:
        run.failed = at


def _tests(why: Message) -> tuple[str, ...]:
    if isinstance(why, RetriedAutomatically):
        return _tests(why.failed)
    return why.tests if isinstance(why, RunFailed) else ()


def _ended(end: End) -> Callable[[Statistics, float, Fact], None]:
    def handle(statistics: Statistics, at: float, fact: Fact) -> None:
        run = _run(statistics, at, fact)
        if run is None or fact.run is None:
            return
        aborted = run.started is not None and end not in (End.DELIVERED, End.FAILED)
        settle(statistics, at, run)
        week = _week(statistics, at, run.service)
        _add(week.ends, str(end), 1)
        for cause, seconds in run.waits.items():
            week.waits[cause] = week.waits.get(cause, 0.0) + seconds
        week.built += run.built
        week.aborted += aborted
        if end is End.DELIVERED:
            keep(week.leads, at - run.began, WEEK_KEPT)
        periods.end_run(statistics, at, run, end, aborted=aborted)
        _add(statistics.change("totals/all", StatisticsTotals()).ends, str(end), 1)
        run.ended, run.said = at, {}

    return handle


def _run(statistics: Statistics, at: float, fact: Fact) -> MeasuredRun | None:
    """Return the run of a fact, to be changed; an unknown run begins with this fact."""
    if fact.run is None or fact.service is None:
        return None
    known = statistics.run(fact.run)
    if known is not None and known.ended:
        statistics.drop(f"run/{fact.run}")  # another run of this name, from an older installation or before a fail-over
    return statistics.change(f"run/{fact.run}", MeasuredRun(fact.service, at))


# -- stages, Jenkins, GitHub -----------------------------------------------------------------------------------


def _locked(statistics: Statistics, at: float, fact: Fact) -> None:
    if fact.step is None:
        return
    clock = advance(clock_of(statistics, at, str(fact.step)), at)
    if fact.run is not None and any(lock.holder == fact.run for lock in clock.locks):
        return  # a retry has failed: the lock exists since the first failure
    freeze = isinstance(fact.why, StageLocked) and isinstance(fact.why.reason, Frozen)
    tests = list(_tests(fact.why.reason)) if isinstance(fact.why, StageLocked) else []
    lock = StandingLock(fact.run, fact.service, at, clock.share_sum, key=fact.lock or "", freeze=freeze, tests=tests)
    for key, run in list(statistics.of("run")):
        if isinstance(run, MeasuredRun) and run.queued is not None and not run.fast and run.step == str(fact.step):
            note_waiting(lock, key, at)
    clock.locks.append(lock)


def _unlocked(statistics: Statistics, at: float, fact: Fact) -> None:
    if fact.step is None:
        return
    clock = advance(clock_of(statistics, at, str(fact.step)), at)
    same = (lock for lock in clock.locks if fact.lock and lock.key == fact.lock)
    found = next(same, None) or next((lock for lock in clock.locks if lock.holder == fact.run), None)
    if found is not None:
        _close_account(statistics, at, fact.step.stage, clock, found)
        clock.locks.remove(found)
    if isinstance(fact.why, StageUnlocked) and fact.why.left == 0:
        clock.locks.clear()  # the log began after one of them was set


def _close_account(statistics: Statistics, at: float, stage: str, clock: StepClock, lock: StandingLock) -> None:
    seconds, cost = max(0.0, at - lock.since), cost_so_far(clock, lock, at)
    service = lock.service or ""
    week = _week(statistics, at, service)
    week.locked[stage] = week.locked.get(stage, 0.0) + seconds
    week.cost[stage] = week.cost.get(stage, 0.0) + cost
    _add(week.locks, stage, 1)
    week.held += len(lock.held)
    if not lock.freeze:
        periods.open_lock(statistics, at, lock.since, cost)
    totals = statistics.change("totals/all", StatisticsTotals())
    totals.locked[f"{stage} {service}"] = totals.locked.get(f"{stage} {service}", 0.0) + seconds
    if lock.service is not None:
        keep(week.restores, seconds, WEEK_KEPT)
        opened = PastLock(lock.service, at, seconds, cost)
        _keep_lock(statistics.change(f"locks/{stage}", PastLocks()).locks, opened, LOCKS_KEPT)
        for name in lock.tests:
            test = statistics.change(f"test/{lock.service}/{name}", FailingTest())
            _keep_lock(test.locks, opened, FAILURES_KEPT)
    if lock.key:
        account = LockAccount(stage, lock.since, at, cost, lock.held)
        statistics.change(f"account/{lock.key}", account)
    _compare(statistics, at, lock.said, Foretold.OPENS)


def _keep_lock(locks: list[PastLock], lock: PastLock, most: int) -> None:
    locks.append(lock)
    del locks[:-most]


def _set_backoff(statistics: Statistics, at: float, step: str, *, backoff: bool) -> None:
    known = statistics.clock(step)
    if known is not None and known.backoff is not backoff:
        advance(clock_of(statistics, at, step), at).backoff = backoff


def _asked(statistics: Statistics, at: float, fact: Fact) -> None:
    proof = statistics.change(f"proof/{fact.service}", ProofClock())
    if not proof.asked:
        proof.since = at
    proof.asked += 1


def _answered(statistics: Statistics, at: float, fact: Fact) -> None:
    proof = statistics.change(f"proof/{fact.service}", ProofClock())
    proof.asked = max(0, proof.asked - 1)
    if not proof.asked and proof.since:
        proof.sum += max(0.0, at - proof.since)
        proof.since = 0.0


def _mode_changed(statistics: Statistics, at: float, fact: Fact) -> None:
    if isinstance(fact.why, ModeChanged):
        set_paused(statistics, at, paused=fact.why.now is not Mode.RUN)


def set_paused(statistics: Statistics, at: float, *, paused: bool) -> None:
    """Record whether the pipeline is paused (or observes)."""
    totals = statistics.change("totals/all", StatisticsTotals())
    if totals.paused is paused:
        return
    totals.paused = paused
    for rest, _ in list(statistics.of("clock")):
        advance(clock_of(statistics, at, rest), at).paused = paused


def _configured(statistics: Statistics, at: float, fact: Fact) -> None:
    if isinstance(fact.why, PipelineConfigured):
        periods.begin(statistics, at, fact.why, fact.by or "")


# -- helpers ---------------------------------------------------------------------------------------------------


def _week(statistics: Statistics, at: float, service: str) -> ServiceWeek:
    return statistics.change(f"week/{week_of(at)}/{service}", ServiceWeek())


def _durations(statistics: Statistics, fact: Fact) -> StepDurations:
    return statistics.change(f"durations/{fact.step}/{fact.service}", StepDurations())


def _keep_duration(statistics: Statistics, fact: Fact, seconds: float, *, passed: bool) -> None:
    """Keep a duration for the service, and for all services together, which is used where a service has too few."""
    for durations in (_durations(statistics, fact), statistics.change(f"durations/{fact.step}/", StepDurations())):
        keep(durations.passed if passed else durations.failed, seconds, DURATIONS_KEPT)


def _add(counts: dict[str, int], name: str, number: int) -> None:
    counts[name] = counts.get(name, 0) + number


def _compare(statistics: Statistics, at: float, said: SaidEstimate | None, kind: Foretold) -> None:
    """Compare an estimate with the time at which the event happened, and keep the error."""
    if said is None:
        return
    errors = statistics.change(f"errors/{kind}", EstimateErrors())
    keep(errors.errors, at - said.middle, ERRORS_KEPT)
    keep(errors.inside, 1.0 if said.low <= at <= said.high else 0.0, ERRORS_KEPT)
    keep(errors.ahead, at - said.at, ERRORS_KEPT)


#: The handlers by kind of fact; the other kinds do not change the statistics.
_HANDLERS: Mapping[FactKind, Callable[[Statistics, float, Fact], None]] = {
    FactKind.RUN_QUEUED: _queued,
    FactKind.RUN_RETURNED: _queued,
    FactKind.RUN_RETRIED: _queued,
    FactKind.RUN_PROMOTED: _promoted,
    FactKind.RUN_REJOINED: _rejoined,
    FactKind.RUN_ADMITTED: _admitted,
    FactKind.RUN_RECALLED: _recalled,
    FactKind.RUN_EXCEPTED: _excepted,
    FactKind.BUILD_STARTED: _started,
    FactKind.BUILD_PASSED: _passed,
    FactKind.BUILD_FAILED: _failed,
    FactKind.BUILD_REPEATED: _failed,
    FactKind.TRIGGER_REFUSED: _refused,
    FactKind.RUN_DELIVERED: _ended(End.DELIVERED),
    FactKind.RUN_FAILED: _ended(End.FAILED),
    FactKind.RUN_SUPERSEDED: _ended(End.SUPERSEDED),
    FactKind.RUN_CANCELLED: _ended(End.CANCELLED),
    FactKind.RUN_DROPPED: _ended(End.DROPPED),
    FactKind.STAGE_LOCKED: _locked,
    FactKind.STAGE_UNLOCKED: _unlocked,
    FactKind.CONTAINMENT_ASKED: _asked,
    FactKind.CONTAINMENT_KNOWN: _answered,
    FactKind.MODE_CHANGED: _mode_changed,
    FactKind.CONFIGURED: _configured,
}
