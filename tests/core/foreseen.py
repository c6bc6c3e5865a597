"""Checks that the consequences of a request match the facts of its real decision at that moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bot.core.model.board import Board
from bot.core.model.effects import Trigger, Withdraw
from bot.core.model.events import (
    CancelAsked,
    Event,
    FastLaneAsked,
    LetThroughAsked,
    LockAsked,
    ModeAsked,
    MoveAsked,
    RetryAsked,
    UnlockAsked,
    VerifyAsked,
)
from bot.core.model.facts import FactKind
from bot.core.rules.consequences import AffectedRun, Consequences, foresee
from bot.core.rules.decision import Decision, DecisionLimits
from bot.reporting.consequences import sentence
from tests.core.checks import Before
from tests.core.world import indexes_of, records_of

REQUESTS = (
    LockAsked,
    UnlockAsked,
    RetryAsked,
    CancelAsked,
    MoveAsked,
    FastLaneAsked,
    LetThroughAsked,
    ModeAsked,
    VerifyAsked,
)


def untouched(board: Board, event: Event, now: float, limits: DecisionLimits) -> Consequences:
    """What is foreseen; the board is as before."""
    before = (records_of(board), indexes_of(board), list(board.journal))
    found = foresee(board, event, now, limits)
    assert (records_of(board), indexes_of(board), list(board.journal)) == before, "looking ahead has changed the board"
    assert sentence(found)
    return found


def came_true(foreseen: Consequences, decision: Decision, board: Board, was: Before) -> None:
    """Each kind of consequence against the facts and effects of the decision. `was`: before, `board`: after it."""
    told = {kind: [fact for fact in decision.facts if fact.kind is kind] for kind in FactKind}
    refused = told[FactKind.REQUEST_REFUSED]
    assert [fact.why for fact in refused[:1]] == ([foreseen.refusal] if foreseen.refusal is not None else [])
    if refused:
        assert foreseen == Consequences(refusal=foreseen.refusal)
        return
    if board.clean_ups:
        return  # more was foreseen than one decision does
    assert foreseen.mode == (board.header.mode if board.header.mode is not was.mode else None)
    assert len(foreseen.opens) == len(told[FactKind.STAGE_UNLOCKED])
    assert Counter(lock.stage for lock in foreseen.opens) == _stages(told[FactKind.STAGE_UNLOCKED])
    assert Counter(lock.stage for lock in foreseen.locks) == _stages(told[FactKind.STAGE_LOCKED])
    live = {fact.run for fact in told[FactKind.RUN_PROMOTED] if was.runs[str(fact.run)].lane != "fast"}
    assert _keys(foreseen.gains_lane) == live & set(board.runs)
    assert _keys(foreseen.loses_lane) == {fact.run for fact in told[FactKind.RUN_REJOINED]} & set(board.runs)
    given = {(run.key, stage) for run in board.runs.values() for stage in run.permits}
    known = {(run.key, stage) for run in was.runs.values() for stage in run.permits}
    assert {(each.run, each.step.stage) for each in foreseen.permits} == given - known
    let_through = {run.key for run in board.runs.values() if run.let_through is not None}
    let_through -= {run.key for run in was.runs.values() if run.let_through is not None}
    assert _keys(foreseen.let_through) == let_through & set(was.runs)
    assert _keys(foreseen.moves) <= {fact.run for fact in told[FactKind.RUN_MOVED]}
    triggered = {(e.run, e.stage) for e in decision.effects if isinstance(e, Trigger)}
    assert {(each.run, each.step.stage) for each in foreseen.enters} == triggered
    assert _keys(foreseen.called_back) == {fact.run for fact in told[FactKind.RUN_RECALLED]}
    stopped = {e.run for e in decision.effects if isinstance(e, Withdraw) and e.abort and e.build is not None}
    assert _keys(foreseen.stops) == stopped
    assert [(each.run, each.ending) for each in foreseen.ends] == [(e.run.key, e.ending) for e in decision.ended]
    fresh = (board.runs.keys() - was.runs.keys()) | (board.verifications.keys() - was.verifications.keys())
    assert _keys(foreseen.starts) == fresh


def _stages(facts: Iterable[object]) -> Counter[str]:
    return Counter(fact.step.stage for fact in facts)  # type: ignore[attr-defined]


def _keys(runs: Iterable[AffectedRun]) -> set[str]:
    return {each.run for each in runs}
