"""Adds estimates, the cost of locks and flaky tests to the view of a board, for the shown part only."""

from __future__ import annotations

from typing import Any

from bot.core.model.board import Board
from bot.core.model.stage_state import Lock
from bot.forecast.forecast import Forecast
from bot.reporting.estimates import cost_of, cost_sentence, flaky_tests, lock_estimate, run_estimate
from bot.statistics.statistics import Statistics

Shape = dict[str, Any]


def add_estimates(view: Shape, board: Board, statistics: Statistics, now: float) -> Shape:
    """Return the view of a board with `eta` in each tile, and `eta`, `cost` and `flaky` in each lock.

    The view is that of `bot.reporting.view`; it is changed in place.
    """
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
    """Return tiles of live runs with their `eta`."""
    _add_to_tiles(tiles, board, Forecast(board, statistics, now), statistics, now)
    return tiles


def lock_shape(lock: Lock, board: Board, statistics: Statistics, forecast: Forecast, now: float) -> Shape:
    """Return the estimated opening of a standing lock, its cost so far, and the flaky tests behind it."""
    seconds, holder = cost_of(lock, statistics, now), board.runs.get(lock.run or "")
    return {
        "eta": lock_estimate(forecast.of_lock(lock)),
        "cost": {"run_seconds": seconds, "words": cost_sentence(seconds)},
        "flaky": [] if holder is None else list(flaky_tests(holder, statistics, now)),
    }


def _add_to_tiles(tiles: list[Shape], board: Board, forecast: Forecast, statistics: Statistics, now: float) -> None:
    for tile in tiles:
        run = board.runs[tile["run"]]
        tile["eta"] = run_estimate(forecast.of(run))
        tile["flaky"] = list(flaky_tests(run, statistics, now))
