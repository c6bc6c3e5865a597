"""The log, filtered: who decided what, why, and from where. A request looks through a bounded part of it."""

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

#: How many pages of the log one request looks through; what lies further back is asked for by `next`.
LOOKED_THROUGH = 10


@dataclass(frozen=True, slots=True)
class FactFilter(ListFilter):
    """What is asked for; what is empty does not matter. `by`: a person, or `anybody` for all that people did."""

    kind: str = one_of([str(kind) for kind in FactKind], "Decisions of this kind.")
    by: str = text("What this person did; `anybody`: all that people did.")
    service: str = text("Decisions about this service.")
    stage: str = text("Decisions about this stage.")
    run: str = text("Decisions about this run.")
    via: str = text("Where the wish came from has this in it, such as `#12`.")

    def check(self) -> None:
        """Raise Problem (400) for a kind of fact that there is not."""
        kinds = [str(kind) for kind in FactKind]
        if self.kind and self.kind not in kinds:
            raise unknown_value("kind", self.kind, kinds)

    def fits(self, fact: Fact) -> bool:
        """Whether a fact is one that is asked for."""
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
    """Whether a run is named as what caused a fact: the holder of a lock, or what has replaced another run."""
    service, _, number = (fact.by or "").rpartition(".")
    return service == fact.service and number.isdigit()


def list_facts(
    context: PipelineContext, wanted: FactFilter, before: str | None, limit: int, after: str = "0-0"
) -> Shape:
    """A page of the facts that are wanted, newest first, told after the one called `after`.

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
