"""Estimates as plain values with words, for page, API and command line. Times are in seconds since the epoch.

`add_estimates` and `add_to_tiles` put them into what `bot.reporting.view` makes of a board.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bot.core.model.board import Board
from bot.core.model.run import Run
from bot.core.model.stage_state import Lock
from bot.forecast.forecast import Forecast, LockForecast, RunForecast, Unforeseen
from bot.forecast.spread import Estimate
from bot.reporting.sentences import short
from bot.statistics.parts import FailingTest
from bot.statistics.statistics import TEST_PERIOD, Statistics, cost_so_far

Shape = dict[str, Any]

#: The most locks that a sentence names.
NAMED = 2

_UNFORESEEN = {
    Unforeseen.PAUSED: "not before the pipeline runs again",
    Unforeseen.PERSON: "not before a person opens the lock",
    Unforeseen.NO_FIX: "not known before a fix is merged",
    Unforeseen.NO_BUILDS: "not known yet: no build has passed here",
    Unforeseen.LEAVING: "",
}


def add_estimates(view: Shape, board: Board, statistics: Statistics, now: float) -> Shape:
    """Return the view of a board with `eta` in each tile, and `eta`, `cost` and `flaky` in each lock.

    Only what is shown gets them. The view is that of `bot.reporting.view`; it is changed in place.
    """
    forecast = Forecast(board, statistics, now)
    for stage in view["stages"]:
        for step in filter(None, (stage, stage["fast"])):
            shown = [*step["queue"]["runs"], *step["queue"]["tail"], *step["inside"]["runs"], *step["failed"]]
            _add_to_tiles(shown, board, forecast, statistics, now)
        for lock in stage["locks"]:
            lock.update(_about_lock(board.locks[lock["key"]], board, statistics, forecast, now))
    return view


def add_to_tiles(tiles: list[Shape], board: Board, statistics: Statistics, now: float) -> list[Shape]:
    """Return tiles of live runs with their `eta`."""
    _add_to_tiles(tiles, board, Forecast(board, statistics, now), statistics, now)
    return tiles


def _add_to_tiles(tiles: list[Shape], board: Board, forecast: Forecast, statistics: Statistics, now: float) -> None:
    for tile in tiles:
        run = board.runs[tile["run"]]
        tile["eta"] = run_estimate(forecast.of(run))
        tile["flaky"] = list(flaky_tests(run, statistics, now))


def _about_lock(lock: Lock, board: Board, statistics: Statistics, forecast: Forecast, now: float) -> Shape:
    """Return the estimated opening of a standing lock, its cost so far, and the flaky tests behind it."""
    seconds, holder = cost_of(lock, statistics, now), board.runs.get(lock.run or "")
    return {
        "eta": lock_estimate(forecast.of_lock(lock)),
        "cost": {"run_seconds": seconds, "words": cost_sentence(seconds)},
        "flaky": [] if holder is None else list(flaky_tests(holder, statistics, now)),
    }


def run_estimate(forecast: RunForecast) -> Shape:
    """Return the estimated times at which a run enters and passes its step, and clauses for people.

    A clause is empty if it does not apply.
    """
    removed = forecast.removed_by
    return {
        "enters": _times(forecast.enters),
        "passes": _times(forecast.passes),
        "behind": _behind(forecast.locks),
        "removed": "" if removed is None else _removed(removed),
        "unforeseen": _why_not(forecast.unforeseen),
    }


def said_at(forecast: RunForecast, run: Run, now: float) -> str:
    """Return the estimated entry of a waiting run, for a text that is not updated.

    So it names the time at which the estimate was made, and clock times. Empty without an estimate.
    """
    found = forecast.enters
    if found is None:
        return ""
    about = f"about {_clock(found.at, now)} UTC ({_clock(found.low, now)} to {_clock(found.high, now)})"
    return f"At {_clock(now, now)} UTC it was expected to enter {run.step} {about}."


def expected_then(forecast: RunForecast, now: float) -> str:
    """Return the estimated entry of a waiting run as a clause, or the reason why there is no estimate.

    The text around the clause must say when it was written.
    """
    found = forecast.enters
    if forecast.removed_by is not None:
        return _removed(forecast.removed_by)
    if found is None:
        return _why_not(forecast.unforeseen) or "not known"
    times = f"about {_clock(found.at, now)} UTC ({_clock(found.low, now)} to {_clock(found.high, now)})"
    behind = _behind(forecast.locks)
    return f"{times}, {behind}" if behind else times


def _clock(at: float, now: float) -> str:
    """Return a clock time such as `10:40`, with the date unless it is that of `now`."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC).date()
    return f"{moment:%H:%M}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"


def lock_estimate(forecast: LockForecast) -> Shape:
    """Return when a lock is estimated to open; `because` is the basis of the estimate."""
    because = ""
    if forecast.fix is not None:
        because = f"{'its repeated build' if forecast.fix.retrying else 'its fix'} is {_whereabouts(forecast.fix)}"
    if forecast.usual:
        because = "no fix is merged yet: estimated from earlier locks of this stage"
    return {"opens": _times(forecast.opens), "because": because, "unforeseen": _why_not(forecast.unforeseen)}


def flaky_sentence(name: str, test: FailingTest, now: float) -> str | None:
    """Return a sentence if a failing test is likely flaky, with its numbers of the last 30 days; otherwise None."""
    lately = test.since(now - TEST_PERIOD)
    if not lately.flaky:
        return None
    passed = _times_over(len(lately.passed))
    return f"{name} failed {_times_over(len(lately.failed))} in 30 days, passed on retry {passed}: likely flaky"


def flaky_tests(run: Run, statistics: Statistics, now: float) -> Iterator[str]:
    """Yield a sentence for each test that failed in the last build of a run and is likely flaky."""
    for name in run.attempt.failed_tests:
        sentence = flaky_sentence(name, statistics.failing_test(run.service, name), now)
        if sentence is not None:
            yield sentence


def cost_of(lock: Lock, statistics: Statistics, now: float) -> float:
    """Return the cost of a standing lock so far, in run-seconds; 0 if the statistics do not have it from its start."""
    clock = statistics.clock(lock.stage)
    locks = [] if clock is None else clock.locks
    found = [each for each in locks if each.holder == lock.run and (lock.run or abs(each.since - lock.since) < 1)]
    return cost_so_far(clock, found[0], now) if clock is not None and found else 0.0


def lock_clauses(board: Board, lock: Lock, statistics: Statistics, forecast: LockForecast, now: float) -> Iterator[str]:
    """Yield the clauses of a notice about a standing lock: runs held up, estimated opening, flaky tests behind it."""
    clock, seconds = statistics.clock(lock.stage), cost_of(lock, statistics, now)
    waiting = 0 if clock is None else clock.waiting
    if waiting or seconds >= 30:
        runs = f"{waiting} run{'' if waiting == 1 else 's'}"
        yield f"It holds up {runs}" + (f", {cost_sentence(seconds)} so far" if seconds >= 30 else "")
    if forecast.opens is not None and not forecast.usual:
        opens, because = forecast.opens, lock_estimate(forecast)["because"]
        about = f"about {_clock(opens.at, now)} UTC ({_clock(opens.low, now)} to {_clock(opens.high, now)})"
        yield f"It is expected to open {about}: {because}"
    holder = board.runs.get(lock.run or "")
    if holder is not None:
        yield from flaky_tests(holder, statistics, now)


def cost_sentence(seconds: float) -> str:
    """Return the cost of a lock in words: `84 run-minutes`, `6 run-hours`."""
    minutes = round(seconds / 60)
    if minutes < 180:
        return f"{minutes} run-minute{'' if minutes == 1 else 's'}"
    return f"{round(minutes / 60):,} run-hours"


def _times_over(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _times(estimate: Estimate | None) -> Shape | None:
    return None if estimate is None else {"at": estimate.at, "low": estimate.low, "high": estimate.high}


def _why_not(why: Unforeseen | None) -> str:
    return _UNFORESEEN[why] if why is not None else ""


def _removed(fix: Run) -> str:
    return f"it does not enter: {fix.service} {short(fix.sha)} contains it and replaces it when it has passed"


def _behind(locks: tuple[LockForecast, ...]) -> str:
    parts = [_lock(lock) for lock in locks[:NAMED]]
    if len(locks) > NAMED:
        parts.append(f"{len(locks) - NAMED} more")
    return f"behind {' and '.join(parts)}" if parts else ""


def _lock(forecast: LockForecast) -> str:
    lock = forecast.lock
    if lock.freeze:
        return f"the freeze {lock.freeze}"
    if lock.service is None:
        return f"the lock of {lock.by}"
    whose = f"the lock of {lock.service}"
    if forecast.fix is not None:
        return f"{whose}, {_with_fix(forecast.fix)}"
    return f"{whose}, which has no fix yet"


def _with_fix(fix: Run) -> str:
    return f"{'whose build is repeated' if fix.retrying else 'whose fix is'} {_whereabouts(fix)}"


def _whereabouts(fix: Run) -> str:
    return f"in {fix.step}" if fix.holds_slot else f"before {fix.step}"
