"""A town whose facts are folded into statistics as they are decided."""

from __future__ import annotations

from typing import Any

from bot.core.model.events import Event
from bot.core.model.pipeline import Pipeline
from bot.core.rules.decision import Decision
from bot.statistics.fold import fold
from bot.statistics.statistics import Statistics
from tests.core.town import Town


class MeasuredTown(Town):
    """See the module's text."""

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        super().__init__(pipeline)
        self.statistics = Statistics()

    def send(self, event: Event) -> Decision:
        decision = super().send(event)
        for fact in decision.facts:
            fold(self.statistics, self.now, fact)
        return decision

    def pause(self, seconds: float) -> None:
        """Nothing happens for so long."""
        self.now += seconds

    def week(self, service: str) -> Any:
        """The one week of a service."""
        return next(part for _, name, part in self.statistics.weeks() if name == service)
