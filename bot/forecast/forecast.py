"""Estimate when each run enters and passes its step, and when each lock opens. Computed on request, never stored.

The slots of a step are played forward with the usual durations of its builds, in the order of the queue. A locked stage
opens when the fix has passed its remaining steps, or without a fix, when locks of the stage usually open. The range
gets wider with the distance: each run ahead adds the spread of its build and the risk of a lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.model.board import Board
from bot.core.model.pipeline import Lane, Mode, Step, Track
from bot.core.model.run import Run, Status
from bot.core.model.stage_state import Lock
from bot.core.rules import fast_lane, freeze_windows
from bot.forecast.past import Past
from bot.forecast.schedule import NO_VISIT, StepSchedule, Visit
from bot.forecast.spread import Estimate, Moment, estimate
from bot.statistics.statistics import Statistics

#: The most fixes of one service that are considered: the newest ones on their way.
FIXES_SEEN = 3


class Unforeseen(StrEnum):
    """The reason why there is no estimate."""

    PAUSED = "paused"  # the mode is not run
    PERSON = "person"  # a person holds a lock that has no end
    NO_FIX = "no-fix"  # no fix was merged yet, and too few locks have opened to estimate how long that takes
    NO_BUILDS = "no-builds"  # no build of the step has passed yet
    LEAVING = "leaving"  # the run is ending, recalled, or failed


@dataclass(frozen=True, slots=True)
class LockForecast:
    """The estimate when a lock opens. `fix`: the run expected to open it; `usual`: made of the usual time of locks."""

    lock: Lock
    opens: Estimate | None
    fix: Run | None = None
    usual: bool = False
    unforeseen: Unforeseen | None = None


@dataclass(frozen=True, slots=True)
class RunForecast:
    """The estimates when a run enters its step (if it waits) and passes it. `locks`: those that keep it out."""

    enters: Estimate | None
    passes: Estimate | None
    locks: tuple[LockForecast, ...] = ()
    unforeseen: Unforeseen | None = None
    #: The fix that contains the run: when it has passed, the run is removed instead of entering.
    removed_by: Run | None = None


@dataclass(frozen=True, slots=True)
class _Opening:
    """An intermediate result: when a lock opens."""

    at: Moment | None
    fix: Run | None = None
    usual: bool = False
    unforeseen: Unforeseen | None = None


class Forecast:
    """The forecast for one board as of `now`. It must not be used after the board has changed."""

    def __init__(self, board: Board, statistics: Statistics, now: float) -> None:
        self._board, self._now = board, now
        self._present = Moment(now)
        #: The locks of each stage, oldest first; cached because they are needed for each run of a long queue.
        self._locks: dict[str, list[Lock]] = {}
        self._past = Past(statistics, board.pipeline)
        self._schedules: dict[Step, StepSchedule] = {}
        self._openings: dict[str, _Opening] = {}
        self._under_way: set[str] = set()

    def of(self, run: Run) -> RunForecast:
        """Return the forecast for one live run."""
        if run.status in (Status.FAILED, Status.ENDING, Status.RECALLED) or run.taken_out:
            return RunForecast(None, None, unforeseen=Unforeseen.LEAVING)
        if run.status is not Status.WAITING:
            visit = self._visit(run)
            why = None if visit.passes is not None else Unforeseen.NO_BUILDS
            return RunForecast(None, self._estimate(visit.passes, run.step), unforeseen=why)
        if self._board.header.mode is not Mode.RUN:
            return RunForecast(None, None, unforeseen=Unforeseen.PAUSED)
        locks = self._locks_before(run)
        fix = self._containing_fix(run)
        if fix is not None:
            return RunForecast(None, None, locks, removed_by=fix)
        visit = self._visit(run)
        enters, passes = (self._estimate(moment, run.step) for moment in (visit.enters, visit.passes))
        return RunForecast(enters, passes, locks, self._why_not(visit, locks))

    def opens(self, stage: str) -> Estimate | None:
        """Return when the last lock of a stage opens; None if that cannot be estimated."""
        gate = self._gate_of(stage)
        return self._estimate(gate, Step(stage))

    def of_lock(self, lock: Lock) -> LockForecast:
        """Return the forecast for one lock."""
        found = self._opening(lock)
        return LockForecast(lock, self._estimate(found.at, Step(lock.stage)), found.fix, found.usual, found.unforeseen)

    def _estimate(self, moment: Moment | None, step: Step) -> Estimate | None:
        return None if moment is None else estimate(moment, self._now, self._past.lock(step.stage))

    # -- runs ----------------------------------------------------------------------------------------------------

    def _visit(self, run: Run) -> Visit:
        if self._board.capacity(run.step) == 0:
            return NO_VISIT
        return self._schedule(run.step).visit(run)

    def _schedule(self, step: Step) -> StepSchedule:
        if step not in self._schedules:
            self._schedules[step] = StepSchedule(self._board, self._past, step, self._now, self._gate)
        return self._schedules[step]

    def _gate(self, run: Run) -> Moment | None:
        """Return when a run may enter its step, apart from free slots; None if it never does, such as one that a fix
        will remove, or if that cannot be estimated."""
        if run.lane is Lane.MAIN and not self._locks_of(run.step.stage):
            return self._present
        if self._containing_fix(run) is not None:
            return None
        ahead = fast_lane.fix_ahead(self._board, run)
        if ahead is not None:
            held = self._board.locks_held_by(run.service)
            return self._passes(ahead, Step(held[0].stage)) if held else None
        if not self._kept_out(run):
            return self._present
        return self._gate_of(run.step.stage, run)

    def _kept_out(self, run: Run) -> bool:
        if run.step.track is not Track.REAL or not self._locks_of(run.step.stage):
            return False
        return fast_lane.kept_out(self._board, run.step.stage, run)

    def _locks_of(self, stage: str) -> list[Lock]:
        if stage not in self._locks:
            self._locks[stage] = self._board.locks_of(stage)
        return self._locks[stage]

    def _locks_before(self, run: Run) -> tuple[LockForecast, ...]:
        if not self._kept_out(run):
            return ()
        return tuple(self.of_lock(lock) for lock in fast_lane.counting(self._board, run.step.stage, run))

    def _containing_fix(self, run: Run) -> Run | None:
        """Return the fix that contains a run kept out by the lock: the run is removed when the fix has passed (F8)."""
        if run.lane is not Lane.MAIN or run.retrying or not self._kept_out(run):
            return None  # it may enter before the fix has passed
        history = self._board.service(run.service).history
        for fix in self._fixes(run.service):
            if fix.key != run.key and fix.lane is Lane.FAST and history.contains(fix.position, run.position):
                return fix
        return None

    def _why_not(self, visit: Visit, locks: tuple[LockForecast, ...]) -> Unforeseen | None:
        if visit.enters is not None:
            return None
        return next((lock.unforeseen for lock in locks if lock.unforeseen is not None), Unforeseen.NO_BUILDS)

    # -- locks ---------------------------------------------------------------------------------------------------

    def _gate_of(self, stage: str, run: Run | None = None) -> Moment | None:
        """Return when the last lock of a stage opens; with `run`, of the locks that apply to it."""
        locks = self._locks_of(stage)
        if run is not None and self._board.header.freezes:
            locks = fast_lane.counting(self._board, stage, run)
        found = [self._opening(lock).at for lock in locks]
        moments = [moment for moment in found if moment is not None]
        if not moments or len(moments) < len(found):
            return None if found else Moment(self._now)
        return max(moments, key=lambda moment: moment.at)

    def _opening(self, lock: Lock) -> _Opening:
        if lock.key not in self._openings:
            if lock.key in self._under_way:  # the fix waits for the lock that it is to open: a person must act
                return _Opening(None, unforeseen=Unforeseen.PERSON)
            self._under_way.add(lock.key)
            self._openings[lock.key] = self._predict(lock)
            self._under_way.discard(lock.key)
        return self._openings[lock.key]

    def _predict(self, lock: Lock) -> _Opening:
        if not lock.automatic or lock.service is None:
            if lock.until is None:
                return _Opening(None, unforeseen=Unforeseen.PERSON)
            return _Opening(Moment(max(self._now, lock.until)))
        if self._board.header.mode is not Mode.RUN:
            return _Opening(None, unforeseen=Unforeseen.PAUSED)
        ways = [(fix, self._passes(fix, Step(lock.stage))) for fix in self._fixes(lock.service)]
        told = [(fix, at) for fix, at in ways if at is not None]
        if told:
            fix, at = min(told, key=lambda way: way[1].at)
            return _Opening(at, fix)
        if ways:
            return _Opening(None, ways[-1][0], unforeseen=Unforeseen.NO_BUILDS)
        left = self._past.lock_left(lock.stage, max(0.0, self._now - lock.since))
        if left is None:
            return _Opening(None, unforeseen=Unforeseen.NO_FIX)
        return _Opening(Moment(self._now).after(left), usual=True)

    def _fixes(self, service: str) -> list[Run]:
        return [run for run in fast_lane.fixes(self._board, service)[-FIXES_SEEN:] if not run.taken_out]

    def _passes(self, fix: Run, last: Step) -> Moment | None:
        """Return when a fix has passed the step `last`, after its present step and the others in between; None if that
        cannot be estimated."""
        way = fast_lane.route(self._board.pipeline, fix.lane)
        if last not in way:
            return None
        at = self._visit(fix).passes
        if at is not None:  # if the fix fails, another one is needed, which takes about as long as a lock
            at = at._replace(breaks=self._past.failing(fix.step))
        for step in way[: way.index(last) + 1]:
            if at is None:
                return None
            if step == fix.step or fast_lane.has_passed(self._board.pipeline, fix.passed, step):
                continue
            schedule = self._schedule(step)
            enters, build = schedule.free(at), schedule.build(fix.service)
            if enters is None or build is None:
                return None
            enters = enters.not_before(freeze_windows.open_from(self._board, step, fix, enters.at))
            at = enters.after(build, self._past.failing(step))
        return at
