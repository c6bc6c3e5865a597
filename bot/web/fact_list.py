"""The log with filters: decisions, the people behind them, reasons and sources.

A request scans a bounded part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.facts import Fact, FactKind
from bot.runtime import PipelineContext
from bot.store.codec import RecordedFact
from bot.store.records import PAGE
from bot.web import shapes
from bot.web.api_operation import ListFilter, one_of, text
from bot.web.problems import unknown_value
from bot.web.shapes import Shape

#: The most pages of the log that one request scans; older ones are reached by `next`.
LOOKED_THROUGH = 10


@dataclass(frozen=True, slots=True)
class FactFilter(ListFilter):
    """A filter of the log; an empty field matches everything. `by`: a person, or `anybody` for all that people did."""

    kind: str = one_of([str(kind) for kind in FactKind], "Decisions of this kind.")
    by: str = text("Decisions that this person asked for; `anybody`: any person.")
    service: str = text("Decisions about this service.")
    stage: str = text("Decisions about this stage.")
    run: str = text("Decisions about this run.")
    via: str = text("Decisions whose source contains this, such as `#12`.")

    def check(self) -> None:
        """Raise Problem (400) if the fact kind is unknown."""
        kinds = [str(kind) for kind in FactKind]
        if self.kind and self.kind not in kinds:
            raise unknown_value("kind", self.kind, kinds)

    def fits(self, fact: Fact) -> bool:
        """Return whether a fact matches the filter."""
        by, via = (fact.by or "").casefold(), (fact.via or "").casefold()
        is_person = bool(by) and not _is_run(fact)
        return (
            (not self.kind or fact.kind == self.kind)
            and (not self.by or by == self.by.casefold() or (self.by == "anybody" and is_person))
            and (not self.service or (fact.service or "").casefold() == self.service.casefold())
            and (not self.stage or (fact.step is not None and fact.step.stage == self.stage))
            and (not self.run or (fact.run or "").casefold() == self.run.casefold())
            and (not self.via or self.via.casefold() in via)
        )


def _is_run(fact: Fact) -> bool:
    """Return whether the cause of a fact is a run: the holder of a lock, or the run that replaced another one."""
    service, _, number = (fact.by or "").rpartition(".")
    return service == fact.service and number.isdigit()


def list_facts(
    context: PipelineContext, wanted: FactFilter, before: str | None, limit: int, after: str = "0-0"
) -> Shape:
    """Return a page of the matching facts, newest first, down to the one after the fact called `after`.

    `next` may follow a page that is not full, or empty.
    """
    end = _order(after)
    found: list[tuple[str, RecordedFact]] = []
    for _ in range(LOOKED_THROUGH):
        page = context.records.facts(before, PAGE if wanted.query else limit)
        for identity, recorded in page.facts:
            if _order(identity) <= end:
                return _shape(found, None)
            if wanted.fits(recorded.fact):
                found.append((identity, recorded))
            if len(found) == limit:
                return _shape(found, identity)
        before = page.next
        if before is None:
            break
    return _shape(found, before)


def _order(identity: str) -> tuple[int, int]:
    milliseconds, _, number = identity.partition("-")
    return int(milliseconds), int(number)


def _shape(found: list[tuple[str, RecordedFact]], following: str | None) -> Shape:
    return {"facts": [shapes.fact(*row) for row in found], "next": following}
