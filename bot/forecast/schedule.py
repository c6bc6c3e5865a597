"""Estimate when the runs of one step enter and pass it: play its slots forward in the order of its queue."""

from __future__ import annotations

import sys
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from bot.core.model.board import Board
from bot.core.model.pipeline import Step
from bot.core.model.run import Buildable, Run, Status
from bot.core.rules.freeze_windows import open_from
from bot.core.rules.stage_versions import rolls_out
from bot.forecast.past import Past
from bot.forecast.spread import LEAST_SPREAD, Moment, Spread


class Visit(NamedTuple):
    """The times at which a run enters a step and has passed it; None: cannot be estimated."""

    enters: Moment | None
    passes: Moment | None


#: The number of runs of a queue that are played one by one; for those behind them the estimate uses their number.
PLAYED = 100
#: A visit without estimates.
NO_VISIT = Visit(None, None)
#: Returns when a waiting run may enter at the earliest, apart from free slots; None if that cannot be estimated.
Gate = Callable[[Run], Moment | None]


class StepSchedule:
    """The schedule of one step. It is computed once, and only up to the last run that was asked for."""

    def __init__(self, board: Board, past: Past, step: Step, now: float, gate: Gate) -> None:
        self._board, self._past, self._step, self._now, self._gate = board, past, step, now, gate
        self._inside: dict[str, Visit] = {}
        #: When each waiting run enters. Nothing else is stored, because a queue may be long and few runs are asked for.
        self._enters: dict[str, Moment | None] = {}
        #: A heap of the slots by when they become free, each with the service of the build in it until then.
        self._slots: list[tuple[float, int, Moment, str]] = []
        self._numbers = count()
        self._is_predictable = True
        #: Until when a run of a service is in the step, if only one of each service may be at a time (F11).
        self._busy: dict[str, Moment] = {}
        self._alone = rolls_out(board.pipeline, step)
        self._capacity = board.capacity(step)
        self._earliest = self._when_asked_again()
        self._risk = past.risk(step)
        #: How long a build takes, by service; cached because it is needed for each run of a long queue.
        self._builds: dict[str, Spread | None] = {}
        self._fill()
        self._in_line = board.queue(step)

    def visit(self, run: Run) -> Visit:
        """Return the visit of a run that is in this step or waits for it."""
        if run.holds_slot and run.key not in self._inside:
            self._inside[run.key] = Visit(None, self._end(run))
        if run.key in self._inside:
            return self._inside[run.key]
        if run.key not in self._enters:
            self._play(run.key)
        enters = self._enters[run.key] if run.key in self._enters else self._far_ahead(run)
        return NO_VISIT if enters is None else Visit(enters, self._passes(enters, run.service))

    def free(self, at: Moment) -> Moment | None:
        """Return when a fix that arrives `at` gets a slot: no run that waits for a locked stage enters before it."""
        if self._capacity is None or not self._slots:
            return at if self._is_predictable else None
        return at.not_before(self._slots[0][0]) if self._is_predictable else None

    def build(self, service: str) -> Spread | None:
        """Return how long a build takes from its admission to its end; None if none has passed."""
        if service not in self._builds:
            found = self._past.build(self._step, service)
            self._builds[service] = found and self._past.lag(self._step, service).then(found)
        return self._builds[service]

    # -- the runs in the step ----------------------------------------------------------------------------------

    def _fill(self) -> None:
        board, step, capacity = self._board, self._step, self._capacity
        if capacity is None and not self._alone:
            return  # no run waits for another: each is estimated when it is asked for
        for built in board.holding(step):
            end = self._end(built)
            self._inside[built.key] = Visit(None, end)
            if self._alone and end is not None:
                self._busy[built.service] = end
            self._occupy(end, built.service)
        for unmanaged in board.unmanaged_builds(step):
            left = self._past.left(step, "", self._now - unmanaged.since)
            self._occupy(None if left is None else Moment(self._now).after(left), "")
        if capacity is None:
            return
        for _ in range(capacity - board.occupied(step)):
            self._occupy(Moment(self._earliest), "")
        while len(self._slots) > max(capacity, 0):
            heappop(self._slots)  # the capacity was lowered: these must leave before another run enters
        self._is_predictable = self._is_predictable and bool(self._slots)

    def _when_asked_again(self) -> float:
        """Return when Jenkins is asked again if it refused a build, else now."""
        backoff = self._board.backoffs.get(str(self._step))
        return max(self._now, backoff.retry_at) if backoff is not None else self._now

    def _occupy(self, until: Moment | None, service: str) -> None:
        if until is None:
            self._is_predictable = False  # the end of a build that holds a slot is unknown
            return
        heappush(self._slots, (until.at, next(self._numbers), until, service))

    def _end(self, built: Buildable) -> Moment | None:
        """Return when a run that holds a slot leaves it; None if that cannot be estimated."""
        now, step, elapsed = Moment(self._now), self._step, max(0.0, self._now - built.since)
        risk = self._risk
        if built.status is Status.RUNNING:
            left = self._past.left(step, built.service, elapsed) or self._expected(built)
            return None if left is None else now.after(left, risk)
        if built.status is Status.STARTING:
            build = self._past.build(step, built.service)
            lag = self._past.lag(step, built.service)
            if build is None:
                return None
            return Moment(max(self._now, built.since + lag.middle), lag.shorter**2, lag.longer**2).after(build, risk)
        # Recalled or ending: Jenkins confirms that within moments; an aborted build ends soon.
        build = self._past.build(step, built.service)
        return now.after(Spread(5.0, 5.0, 5.0) if built.attempt.build is None or build is None else build)

    def _expected(self, built: Buildable) -> Spread | None:
        """Return the remaining time by Jenkins' own estimate, for a step of which no build has passed yet."""
        if built.attempt.expected is None:
            return None
        left = max(LEAST_SPREAD * 600, built.attempt.expected - self._now)
        return Spread(left, left / 2, left / 2)

    # -- the runs that wait --------------------------------------------------------------------------------------

    def _play(self, last: str) -> None:
        """Let the waiting runs enter one after the other, in their order, up to `last`."""
        most = PLAYED if self._capacity is not None else sys.maxsize
        while self._is_predictable and len(self._enters) < most and (run := next(self._in_line, None)) is not None:
            gate = self._gate(run)
            self._enters[run.key] = self._enter(run, gate) if gate is not None else None
            if run.key == last:
                return

    def _far_ahead(self, run: Run) -> Moment | None:
        """Return when a run enters that has more than `PLAYED` runs ahead: these are assumed to share the slots evenly.

        None if that cannot be estimated.
        """
        gate, capacity, build = self._gate(run), self._capacity, self._mixed_build()
        if gate is None or build is None or not capacity or not self._slots or not self._is_predictable:
            return None
        turns = (self._board.ahead_of(run) - len(self._enters)) / capacity
        free = [until for _, _, until, _ in self._slots]
        at, earlier, later, breaks = (sum(values) / len(free) for values in zip(*free, strict=True))
        # The slots become free one after the other: the first one half a build before their mean.
        first = at - build.middle * (capacity - 1) / (2 * capacity)
        return Moment(
            max(gate.at, self._slots[0][0], first + turns * build.middle),
            earlier + turns * build.shorter**2,
            later + turns * build.longer**2,
            breaks + turns * self._risk,
        )

    def _mixed_build(self) -> Spread | None:
        """Return the mean duration of the builds of the waiting runs; None if it is not known for all services."""
        found = [(self.build(service), runs) for service, runs in self._board.waiting_by_service(self._step).items()]
        builds = [(build, runs) for build, runs in found if build is not None]
        if not builds or len(builds) < len(found):
            return None
        count = sum(runs for _, runs in builds)
        return Spread(*(sum(getattr(b, name) * runs for b, runs in builds) / count for name in Spread.__match_args__))

    def _enter(self, run: Run, gate: Moment) -> Moment:
        service = run.service
        enters = gate.not_before(self._earliest)
        if self._capacity is not None:
            slot = self._slot(service)
            enters = slot if slot.at >= enters.at else enters
        elif service in self._busy and self._busy[service].at > enters.at:
            enters = self._busy[service]
        if self._board.header.freezes:
            enters = enters.not_before(open_from(self._board, self._step, run, enters.at))
        passes = self._passes(enters, service)
        if self._capacity is not None:
            self._occupy(passes, service)
        if self._alone and passes is not None:
            self._busy[service] = passes
        return enters

    def _passes(self, enters: Moment, service: str) -> Moment | None:
        build = self.build(service)
        return None if build is None else enters.after(build, self._risk)

    def _slot(self, service: str) -> Moment:
        """Take the slot that is free first; a run that must wait for another one of its service takes that one's slot
        (F11)."""
        busy = self._busy.get(service) if self._busy else None
        if busy is not None and busy.at > self._slots[0][0]:
            for place, (_, _, until, other) in enumerate(self._slots):
                if other == service and until == busy:
                    del self._slots[place]
                    heapify(self._slots)
                    return busy
        return heappop(self._slots)[2]
