"""The consequences of a person's request: its immediate results, decided by the rules on a copy of the board.

Nothing is stored or sent; `bot.reporting.consequences` puts the result into words. Results that depend on an answer of
Jenkins or GitHub are not included, except what `stops` and `locks_next` show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bot.core.model.board import Board
from bot.core.model.effects import Withdraw
from bot.core.model.events import Event, TimePassed
from bot.core.model.facts import FactKind
from bot.core.model.messages import Message, Who
from bot.core.model.pipeline import Lane, Mode, Outcome, Policy, Step
from bot.core.model.replaced import replace
from bot.core.model.run import Buildable, Ending, Run, Status, Verification
from bot.core.model.stage_state import Lock
from bot.core.rules.decide import decide
from bot.core.rules.decision import LIMITS, Decision, DecisionLimits

#: How many decisions may follow that of the request: a clean-up under way continues in the next ones.
FOLLOWING = 20
#: The kinds of records that have a build.
_BUILDABLE = (Run, Verification)


@dataclass(frozen=True, slots=True)
class AffectedRun:
    """A run or a verification that the request affects, and its step."""

    run: str
    who: Who
    step: Step
    #: Its build, if it has one.
    build: int | None = None
    #: How it ends or will end.
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Consequences:
    """The consequences of a request. With a `refusal` there are no others; all empty: nothing changes."""

    #: The reason for refusing the request.
    refusal: Message | None = None
    #: The new mode of the pipeline.
    mode: Mode | None = None
    opens: tuple[Lock, ...] = ()
    #: The locks that keep a stage closed at which another lock opens.
    stays_locked: tuple[Lock, ...] = ()
    #: The new locks.
    locks: tuple[Lock, ...] = ()
    #: The stages that get a watcher.
    watches: tuple[str, ...] = ()
    #: The new runs and verifications.
    starts: tuple[AffectedRun, ...] = ()
    gains_lane: tuple[AffectedRun, ...] = ()
    loses_lane: tuple[AffectedRun, ...] = ()
    #: The runs that get a permit for a locked stage; `step` is the step of that stage.
    permits: tuple[AffectedRun, ...] = ()
    #: The runs that a person now lets through freezes.
    let_through: tuple[AffectedRun, ...] = ()
    #: The runs that move to the front of their queue.
    moves: tuple[AffectedRun, ...] = ()
    #: The runs that join a queue and do not enter yet.
    queues: tuple[AffectedRun, ...] = ()
    #: The runs and verifications that enter a step: their builds are asked for.
    enters: tuple[AffectedRun, ...] = ()
    #: The runs and verifications that are called back before their build starts.
    called_back: tuple[AffectedRun, ...] = ()
    #: The runs and verifications whose running build is asked to stop.
    stops: tuple[AffectedRun, ...] = ()
    #: The runs and verifications that leave once Jenkins has confirmed the end of their build.
    leaves: tuple[AffectedRun, ...] = ()
    #: The runs that leave the board.
    ends: tuple[AffectedRun, ...] = ()
    #: The stages that lock when a stopped build ends as aborted (L5).
    locks_next: tuple[str, ...] = ()


def foresee(
    board: Board, event: Event, now: float, limits: DecisionLimits = LIMITS, following: Iterable[Event] = ()
) -> Consequences:
    """Return the consequences of `event` and of the events `following` it, decided at `now` (epoch seconds).

    `board` stays unchanged.
    """
    tried = board.copy()
    decisions = [decide(tried, each, now, limits) for each in (event, *following)]
    refusals = [fact.why for fact in decisions[0].facts if fact.kind is FactKind.REQUEST_REFUSED]
    if refusals:
        return Consequences(refusal=refusals[0])
    while tried.clean_ups and len(decisions) <= FOLLOWING:
        decisions.append(decide(tried, TimePassed(), now, limits))
    return _compare(board, tried, decisions)


def _compare(board: Board, tried: Board, decisions: list[Decision]) -> Consequences:
    """Return the differences between `board` and `tried`, and the endings that the decisions list."""
    opens = _locks_gone(board, tried)
    stages = {lock.stage for lock in opens}
    new, changed = _new(board, tried), list(_changed(board, tried))
    stops = tuple(_stops(board, decisions))
    return Consequences(
        mode=tried.header.mode if tried.header.mode is not board.header.mode else None,
        opens=opens,
        stays_locked=tuple(lock for lock in _in_order(tried) if lock.stage in stages and lock.key in board.locks),
        locks=tuple(lock for lock in _in_order(tried) if lock.key not in board.locks),
        watches=tuple(
            fact.step.stage
            for decision in decisions
            for fact in decision.facts
            if fact.kind is FactKind.WATCH_ASKED and fact.step is not None
        ),
        starts=tuple(_affected(run) for run in new),
        gains_lane=_which(changed, lambda was, now: was.lane is Lane.MAIN and now.lane is Lane.FAST),
        loses_lane=_which(changed, lambda was, now: was.lane is Lane.FAST and now.lane is Lane.MAIN),
        permits=tuple(_permits(board, tried, [run for _, run in changed] + new)),
        let_through=_which(changed, _is_let_through),
        moves=_which(changed, _is_moved),
        queues=_which(changed, _joins_queue),
        enters=_which(changed, _enters) + tuple(_affected(run) for run in new if run.holds_slot),
        called_back=_which(changed, lambda was, now: now.status is Status.RECALLED is not was.status),
        stops=stops,
        leaves=_which(changed, _leaves),
        ends=tuple(_affected(ended.run, ended.ending) for decision in decisions for ended in decision.ended),
        locks_next=tuple(dict.fromkeys(each.step.stage for each in stops if _locks_when_aborted(tried, each))),
    )


def _affected(built: Buildable, ending: Ending | None = None) -> AffectedRun:
    return AffectedRun(built.key, built.who, built.step, built.attempt.build, ending)


def _in_order(board: Board) -> list[Lock]:
    return sorted(board.locks.values(), key=lambda lock: (lock.since, lock.key))


def _locks_gone(board: Board, tried: Board) -> tuple[Lock, ...]:
    return tuple(lock for lock in _in_order(board) if lock.key not in tried.locks)


# -- the runs and verifications that differ ------------------------------------------------------------------------


def _new(board: Board, tried: Board) -> list[Buildable]:
    """Return the runs and verifications that are new on `tried`."""
    found = (tried.built(key) for kind, key in tried.journal if kind in _BUILDABLE and board.built(key) is None)
    return [built for built in found if built is not None]


def _changed(board: Board, tried: Board) -> Iterator[tuple[Buildable, Buildable]]:
    """Yield the runs and verifications that are on both boards and differ, in the order of the changes."""
    for kind, key in tried.journal:
        if kind in _BUILDABLE:
            was, is_now = board.built(key), tried.built(key)
            if was is not None and is_now is not None and was != is_now:
                yield was, is_now


def _which(
    changed: list[tuple[Buildable, Buildable]], happens: Callable[[Buildable, Buildable], bool]
) -> tuple[AffectedRun, ...]:
    return tuple(
        _affected(is_now, is_now.ending if isinstance(is_now.ending, Ending) else None)
        for was, is_now in changed
        if happens(was, is_now)
    )


def _permits(board: Board, tried: Board, differ: list[Buildable]) -> Iterator[AffectedRun]:
    """Yield the differing runs, once for each stage for which they have a new permit."""
    for key in dict.fromkeys(built.key for built in differ if built.key in tried.runs):
        run, was = tried.runs[key], board.runs.get(key)
        for stage in run.permits:
            if was is None or stage not in was.permits:
                yield replace(_affected(run), step=Step(stage))


def _is_let_through(was: Buildable, is_now: Buildable) -> bool:
    """Return whether a person lets it through freezes now, and none did before."""
    if was.verifies is not None or is_now.verifies is not None:
        return False
    return was.let_through is None is not is_now.let_through


def _enters(was: Buildable, is_now: Buildable) -> bool:
    """Return whether it has got a slot for its next attempt."""
    return is_now.status is Status.STARTING and is_now.attempt.number != was.attempt.number


def _joins_queue(was: Buildable, is_now: Buildable) -> bool:
    return is_now.status is Status.WAITING and (was.status is not Status.WAITING or was.step != is_now.step)


def _leaves(was: Buildable, is_now: Buildable) -> bool:
    """Return whether it has begun to leave, with a build that must end first."""
    ending = is_now.status is Status.ENDING is not was.status
    return ending or (is_now.attempt.cancelled_by is not None and was.attempt.cancelled_by is None)


def _is_moved(was: Buildable, is_now: Buildable) -> bool:
    return is_now.front_rank < was.front_rank and is_now.status is Status.WAITING


# -- the builds that are asked to stop -----------------------------------------------------------------------------


def _stops(board: Board, decisions: list[Decision]) -> Iterator[AffectedRun]:
    for decision in decisions:
        for effect in decision.effects:
            if isinstance(effect, Withdraw) and effect.abort and effect.build is not None:
                built = board.built(effect.run)
                if built is not None:
                    yield _affected(built)


def _locks_when_aborted(board: Board, stopped: AffectedRun) -> bool:
    """Return whether the stage locks if the build ends as aborted. An ending run locks nothing."""
    run, stage = board.runs.get(stopped.run), board.pipeline.stage(stopped.step.stage)
    if run is None or run.status is Status.ENDING or stage is None:
        return False
    return stage.policy(Outcome.ABORTED) is Policy.LOCK
