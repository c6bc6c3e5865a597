"""A town that checks every decision: decided twice with an undo between, delivered twice, and replayed at the end."""

from __future__ import annotations

from bot.core.model.board import build_board
from bot.core.model.board_records import Header
from bot.core.model.effects import LockNotice
from bot.core.model.events import (
    BuildLost,
    BuildSeen,
    CommandAllowed,
    CommandRefused,
    CommandSaid,
    Configured,
    ContainmentKnown,
    Event,
    HeadSeen,
    Merged,
    PullClosed,
    PullMoved,
    TimePassed,
    TriggerAccepted,
    TriggerRefused,
    Withdrawn,
)
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Pipeline
from bot.core.rules.decide import decide
from bot.core.rules.decision import LIMITS, Decision, DecisionLimits
from tests.core.checks import Memory, before, check
from tests.core.foreseen import REQUESTS, came_true, untouched
from tests.core.town import Town
from tests.core.world import indexes_of, receive, records_of

#: What the outside may deliver twice; what a person asks is made unique at the door.
REPEATABLE = (
    Merged,
    HeadSeen,
    ContainmentKnown,
    PullMoved,
    PullClosed,
    BuildSeen,
    TriggerAccepted,
    TriggerRefused,
    Withdrawn,
    BuildLost,
    Configured,
    CommandSaid,
    CommandAllowed,
    CommandRefused,
)
#: What a repeated delivery may still say, without changing anything.
SAYS_ONLY = {FactKind.MERGE_KNOWN, FactKind.FORCE_PUSH_UNPLACED, FactKind.CONTAINMENT_KNOWN, FactKind.REQUEST_REFUSED}


class CheckedTown(Town):
    """A town that checks every decision, and keeps all events for a replay."""

    def __init__(self, pipeline: Pipeline, limits: DecisionLimits = LIMITS) -> None:
        super().__init__(pipeline, limits)
        self.first = pipeline
        self.memory = Memory()
        self.log: list[tuple[Event, float]] = []
        self.step = 1.0

    def send(self, event: Event) -> Decision:
        """Decide twice, with an undo in between; check; deliver the same once more."""
        self.now += self.step
        was, records, indexes = before(self.board), records_of(self.board), indexes_of(self.board)
        asked = isinstance(event, REQUESTS)
        foreseen = untouched(self.board, event, self.now, self.limits) if asked else None
        rehearsal = decide(self.board, event, self.now, self.limits)
        self.board.undo()
        assert (records_of(self.board), indexes_of(self.board)) == (records, indexes), "undo left something behind"
        decision = decide(self.board, event, self.now, self.limits)
        assert (decision.facts, decision.effects) == (rehearsal.facts, rehearsal.effects), "decided differently"
        self.board.take_changes()
        self.log.append((event, self.now))
        self.facts += decision.facts
        receive(decision.effects, self.jenkins, self.github)
        if foreseen is not None:
            came_true(foreseen, decision, self.board, was)
        check(self.board, decision, was, self.memory, self.now, self.github.contains)
        if self.board.clean_ups:  # it goes on at once, whatever happens next
            return decision
        self._nothing_new(TimePassed(), set())
        if isinstance(event, REPEATABLE):
            self._nothing_new(event, SAYS_ONLY)
        return decision

    def _nothing_new(self, event: Event, may_say: set[FactKind]) -> None:
        """Invariant 6: a repeated delivery changes nothing."""
        decision = decide(self.board, event, self.now, self.limits)
        changes = self.board.take_changes()
        assert not changes, f"{event} once more changed {changes}"
        # A status that stands already is not written: such notices may be repeated.
        again = [effect for effect in decision.effects if not isinstance(effect, LockNotice)]
        assert not again, f"{event} once more did {again}"
        assert {fact.kind for fact in decision.facts} <= may_say, f"{event} once more said {decision.facts}"

    def replay(self) -> None:
        """Invariant 9: the same events in the same order give the same facts and the same board."""
        board = build_board(Header(self.first), [])
        facts = [fact for event, now in self.log for fact in decide(board, event, now, self.limits).facts]
        assert facts == self.facts
        assert records_of(board) == records_of(self.board)
