"""The run that a comment or a check run is about, as it is when that is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bot.core.model.board import Board
from bot.core.model.run import Run
from bot.runtime import PipelineContext


@contextmanager
def reported_run(context: PipelineContext, key: str) -> Iterator[tuple[Board, Run, float] | None]:
    """The board, the run, live or ended, and when that is true, in seconds since the epoch: now, or when it ended.

    None if neither the board nor the history knows the run any more. The board stays as it is until the block ends.
    """
    with context.look() as replica:
        run = replica.board.runs.get(key)
        ended = context.records.ended_run(key) if run is None else None
        if run is not None:
            yield replica.board, run, time.time()
        else:
            yield None if ended is None else (replica.board, ended.run, ended.at)
