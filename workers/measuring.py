"""What a worker does for the statistics now and then: fold the log into them, and forget what counts no more."""

from __future__ import annotations

import time

from bot.core.model.pipeline import Mode
from bot.runtime import PipelineContext
from bot.statistics.fold import set_paused
from bot.statistics.statistics import Statistics


def measure(context: PipelineContext) -> None:
    """Bring the stored statistics of a pipeline up to date. Safe to run twice, and at once with others."""
    with context.look() as replica:
        acts = replica.board.header.mode is Mode.RUN

    def also(statistics: Statistics) -> None:
        now = time.time()
        set_paused(statistics, now, paused=not acts)
        statistics.forget_old(now)

    context.statistics.advance(also)
