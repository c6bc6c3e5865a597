"""decide(board, event, now): the only entry to the rules. Deterministic; without clock, network or storage.

`decide` changes the board in place; the journal of the board has the changes and can undo them (`Board.undo`). The
returned decision has the facts, the effects and the runs that ended.

The steps after every event check first whether the board has a record of their kind, because most events concern no
freeze, no clean-up, no abort and no lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bot.core.model import events
from bot.core.model.board import Board
from bot.core.model.effects import AuthorizeCommand, Compare, Effect, Look, Survey, Withdraw
from bot.core.model.events import Event
from bot.core.model.facts import FactKind
from bot.core.model.messages import Phrase, Phrased, RanTooLong
from bot.core.model.pipeline import Mode
from bot.core.model.stage_messages import LockExpired, StoreRestored
from bot.core.model.standing import Standing
from bot.core.rules import (
    builds,
    cleanup,
    commands,
    configuration,
    freezes,
    merges,
    notices,
    requests,
    stage_locks,
    stage_notices,
    state_lost,
    traces,
    unmanaged_builds,
    verifications,
)
from bot.core.rules.decision import LIMITS, Decision, DecisionLimits
from bot.core.rules.queue import admit_waiting

Kind = TypeVar("Kind")
Handler = Callable[[Decision, Any], None]


def decide(board: Board, event: Event, now: float, limits: DecisionLimits = LIMITS) -> Decision:
    """Apply the rules to one event that was accepted at `now` (seconds since the epoch)."""
    decision = Decision(board, now, limits)
    observed = board.header.mode is Mode.OBSERVE
    cleaning = sorted(board.clean_ups) if board.clean_ups else ()
    standing = notices.standing(board) if board.locks else None
    apply(decision, event)
    _clock(decision)
    if cleaning:
        stage_locks.go_on_cleaning(decision, cleaning)
    admit_waiting(decision)
    if board.verifications:
        verifications.admit_verifications(decision)
    if decision.news:
        notices.tell_pull_requests(decision)
    if decision.has_stage_news() or board.follow_ups or (board.locks and board.pipeline.notices.has_times):
        stage_notices.tell_people(decision)
    if board.locks or standing is not None:
        notices.tell_what_stands(decision, event, standing or Standing(board.pipeline))
    if board.header.mode is Mode.OBSERVE:
        decision.effects = [e for e in decision.effects if _only_asks(e) or (not observed and _takes_back(e))]
    if decision.notifies:
        stage_notices.number_notices(decision)
    return decision


def apply(decision: Decision, event: Event) -> None:
    """Call the handlers of the event, in the order of `HANDLERS`."""
    for handle in HANDLERS[type(event)]:
        handle(decision, event)


def _obey_command(decision: Decision, event: events.CommandAllowed) -> None:
    commands.obey_command(decision, event, apply)


def _tell_store_changed(decision: Decision, event: events.StoreChanged) -> None:
    told = Phrased(Phrase.STORE_CHANGED) if event.backup is None else StoreRestored(event.backup)
    decision.tell(FactKind.STORE_CHANGED, told)


def _on(event: type[Kind], *handlers: Callable[[Decision, Kind], None]) -> tuple[type, tuple[Handler, ...]]:
    """Return a row of `HANDLERS`: an event and handlers of its type."""
    return event, handlers


#: The handlers of each event. The steps that follow every event are in `decide`.
HANDLERS: Mapping[type, tuple[Handler, ...]] = dict[type, tuple[Handler, ...]](
    [
        # GitHub
        _on(events.Merged, merges.accept_merge, stage_locks.reconsider_if_forced),
        _on(events.PullFound, merges.find_pull),
        _on(events.PullLabelled, freezes.label_pull),
        _on(events.HeadSeen, merges.see_head, stage_locks.reconsider),
        _on(events.HeadSurveyed, traces.survey_head),
        _on(events.ContainmentKnown, merges.learn_containment, stage_locks.reconsider),
        _on(events.DefaultBranchChanged, merges.tell_default_branch),
        _on(events.PullMoved, verifications.move_pull_request),
        _on(events.PullClosed, verifications.close_pull_request),
        _on(events.GroupFormed, verifications.form_merge_group),
        # Jenkins
        _on(events.BuildHinted, unmanaged_builds.look_at_hinted_build),
        _on(events.BuildSeen, builds.see_build),
        _on(events.BuildLost, builds.lose_build),
        _on(events.TriggerAccepted, builds.accept_trigger),
        _on(events.TriggerUnanswered, builds.keep_unanswered_trigger),
        _on(events.TriggerRefused, builds.refuse_trigger),
        _on(events.Withdrawn, builds.confirm_withdrawal),
        _on(events.AbortTaken, cleanup.take_abort),
        _on(events.BannerOverwritten, notices.put_back_banner),
        # people
        _on(events.LockAsked, requests.lock),
        _on(events.UnlockAsked, requests.unlock),
        _on(events.RetryAsked, requests.retry),
        _on(events.CancelAsked, requests.cancel),
        _on(events.MoveAsked, requests.move),
        _on(events.WatchAsked, stage_notices.watch),
        _on(events.FastLaneAsked, requests.send_head_fast),
        _on(events.LetThroughAsked, freezes.let_through),
        _on(events.ModeAsked, requests.change_mode),
        _on(events.TakenOut, requests.note_taken_out),
        _on(events.VerifyAsked, verifications.verify_on_request),
        _on(events.CommandSaid, commands.hear_command),
        _on(events.CommandAllowed, _obey_command),
        _on(events.CommandRefused, commands.refuse_command),
        # the configuration, the store, the clock
        _on(events.Configured, configuration.configure),
        _on(events.FreezesPlanned, freezes.plan_freezes),
        _on(events.StateLost, state_lost.recover_lost_state),
        _on(events.FirstStart, state_lost.begin),
        _on(events.StoreChanged, _tell_store_changed),
        _on(events.WeekEnded, notices.report_week),
        _on(events.TimePassed),  # `_clock` does what is due after every event
    ]
)


def _clock(decision: Decision) -> None:
    """Do what is due at the time of the event: end timed locks, keep freezes, time out builds, abort more firmly."""
    board, now = decision.board, decision.now
    for lock in board.every_lock() if board.locks else ():
        if lock.until is not None and lock.until <= now and not lock.freeze:
            stage_locks.open_lock(decision, lock, LockExpired(lock.by), by=lock.by)
    if board.header.freezes or any(lock.freeze for lock in board.locks.values()):
        freezes.keep_freezes(decision)
    for run in board.overdue(now) if board.layout.timeouts else ():
        late = decision.update_attempt(run, timed_out=True)
        decision.tell(FactKind.BUILD_TIMED_OUT, RanTooLong(run.attempt.build, run.who, run.step), late)
        cleanup.withdraw(decision, late, abort=True)
    if board.aborts():
        cleanup.abort_more_firmly(decision)


def _only_asks(effect: Effect) -> bool:
    """Return whether an effect only asks a question. A pipeline that observes performs no other effects."""
    return isinstance(effect, (Look, Compare, Survey, AuthorizeCommand))


def _takes_back(effect: Effect) -> bool:
    """Return whether an effect takes back a trigger that may not have been sent.

    A pipeline still performs such effects at the moment when it begins to observe.
    """
    return isinstance(effect, Withdraw) and not effect.abort
