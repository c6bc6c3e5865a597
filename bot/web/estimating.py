"""Puts estimates, the cost of locks and flaky tests into what is shown of a board: for what is shown, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bot.core.model.board import Board
from bot.core.model.run import Run
from bot.core.model.stage_state import Lock
from bot.forecast.forecast import Forecast
from bot.reporting.estimates import cost_sentence, flaky_sentence, lock_estimate, run_estimate
from bot.statistics.statistics import Statistics, cost_so_far

Shape = dict[str, Any]


def add_estimates(view: Shape, board: Board, statistics: Statistics, now: float) -> Shape:
    """The view of a board (`bot.reporting.view`) with `eta` in each tile; in each lock also `cost` and `flaky`."""
    forecast = Forecast(board, statistics, now)
    for stage in view["stages"]:
        for step in filter(None, (stage, stage["fast"])):
            _add_to_tiles(
                [*step["queue"]["runs"], *step["queue"]["tail"], *step["inside"]["runs"], *step["failed"]],
                board,
                forecast,
                statistics,
                now,
            )
        for lock in stage["locks"]:
            lock.update(lock_shape(board.locks[lock["key"]], board, statistics, forecast, now))
    return view


def add_to_tiles(tiles: list[Shape], board: Board, statistics: Statistics, now: float) -> list[Shape]:
    """Tiles of live runs with their `eta`."""
    _add_to_tiles(tiles, board, Forecast(board, statistics, now), statistics, now)
    return tiles


def lock_shape(lock: Lock, board: Board, statistics: Statistics, forecast: Forecast, now: float) -> Shape:
    """What is known of a standing lock: when it opens, what it has cost so far, which tests behind it are flaky."""
    seconds, holder = _cost(lock, statistics, now), board.runs.get(lock.run or "")
    return {
        "eta": lock_estimate(forecast.of_lock(lock)),
        "cost": {"run_seconds": seconds, "words": cost_sentence(seconds)},
        "flaky": [] if holder is None else list(_flaky(holder, statistics, now)),
    }


def _add_to_tiles(tiles: list[Shape], board: Board, forecast: Forecast, statistics: Statistics, now: float) -> None:
    for tile in tiles:
        run = board.runs[tile["run"]]
        tile["eta"] = run_estimate(forecast.of(run))
        tile["flaky"] = list(_flaky(run, statistics, now))


def _cost(lock: Lock, statistics: Statistics, now: float) -> float:
    """Run-seconds; 0 for a lock that the statistics do not know from its start."""
    clock = statistics.clock(lock.stage)
    locks = [] if clock is None else clock.locks
    found = [each for each in locks if each.holder == lock.run and (lock.run or abs(each.since - lock.since) < 1)]
    return cost_so_far(clock, found[0], now) if clock is not None and found else 0.0


def _flaky(run: Run, statistics: Statistics, now: float) -> Iterator[str]:
    """Which of the tests that failed in the last build of a run are likely flaky, in words."""
    for name in run.attempt.failed_tests:
        sentence = flaky_sentence(name, statistics.failing_test(run.service, name), now)
        if sentence is not None:
            yield sentence
