"""decide(board, event, now): the one door to the rules. Deterministic; knows no clock, network or storage.

The board is changed in place; its journal says what changed and can take it back (`Board.undo`). What was decided
(facts), what must be done outside (effects) and which runs ended come back as values.
"""

from __future__ import annotations

from typing import assert_never

from bot.core import banners, lock_notices, people_notices, sentences
from bot.core.journey import tell
from bot.core.model.board import Board
from bot.core.model.effects import AuthorizeCommand, Compare, Effect, Look, Withdraw
from bot.core.model.events import (
    AbortTaken,
    BannerAmiss,
    BuildHinted,
    BuildLost,
    BuildSeen,
    CancelAsked,
    CommandAllowed,
    CommandRefused,
    CommandSaid,
    Configured,
    ContainmentKnown,
    DefaultBranchChanged,
    Event,
    FastLaneAsked,
    FirstStart,
    GroupFormed,
    HeadSeen,
    LockAsked,
    Merged,
    ModeAsked,
    PullClosed,
    PullFound,
    PullMoved,
    RetryAsked,
    StateLost,
    StoreChanged,
    TimePassed,
    TriggerAccepted,
    TriggerRefused,
    TriggerUnanswered,
    UnlockAsked,
    VerifyAsked,
    Withdrawn,
)
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Job, Mode
from bot.core.rules import builds, commands, configuration, merges, requests, unmanaged_builds, verifications
from bot.core.rules.cleanup import abort_more_firmly, take_abort, withdraw
from bot.core.rules.configuration import configure
from bot.core.rules.decision import Decision
from bot.core.rules.queue import admit_waiting
from bot.core.rules.stage_locks import go_on_cleaning, open_lock, reconsider


def decide(board: Board, event: Event, now: float) -> Decision:
    """Apply the rules to one event that was accepted at `now` (seconds since the epoch)."""
    decision = Decision(board, now)
    observed = board.header.mode is Mode.OBSERVE
    cleaning = sorted(board.clean_ups)
    shown, standing = banners.standing(board), lock_notices.standing(board)
    _apply(decision, event)
    _clock(decision)
    go_on_cleaning(decision, cleaning)
    admit_waiting(decision)
    verifications.admit_verifications(decision)
    tell(decision)
    decision.effects += people_notices.notices(decision)
    decision.effects += banners.changed(shown, banners.standing(board))
    decision.effects += lock_notices.changed(standing, now_stands := lock_notices.standing(board))
    decision.effects += lock_notices.late(event, now_stands)
    if board.header.mode is Mode.OBSERVE:
        decision.effects = [e for e in decision.effects if _only_asks(e) or (not observed and _takes_back(e))]
    people_notices.in_order(decision)
    return decision


def _apply(decision: Decision, event: Event) -> None:  # noqa: C901  one flat list: an event, its function
    match event:
        case Merged():
            merges.accept_merge(decision, event)
            if event.forced:
                reconsider(decision, event.service)
        case PullFound():
            merges.find_pull(decision, event)
        case HeadSeen():
            merges.see_head(decision, event)
            reconsider(decision, event.service)
        case DefaultBranchChanged():
            merges.tell_default_branch(decision, event)
        case ContainmentKnown():
            merges.learn_containment(decision, event)
            reconsider(decision, event.service)
        case PullMoved():
            verifications.move_pull_request(decision, event)
        case GroupFormed():
            verifications.form_merge_group(decision, event)
        case PullClosed():
            verifications.close_pull_request(decision, event)
        case BuildHinted():
            _look(decision, event)
        case BannerAmiss():
            banners.put_back(decision, event)
        case BuildSeen():
            builds.see_build(decision, event)
        case TriggerAccepted():
            builds.accept_trigger(decision, event)
        case TriggerUnanswered():
            builds.keep_unanswered_trigger(decision, event)
        case TriggerRefused():
            builds.refuse_trigger(decision, event)
        case Withdrawn():
            builds.confirm_withdrawal(decision, event)
        case AbortTaken():
            take_abort(decision, event)
        case BuildLost():
            builds.lose_build(decision, event)
        case LockAsked():
            requests.lock(decision, event)
        case UnlockAsked():
            requests.unlock(decision, event)
        case RetryAsked():
            requests.retry(decision, event)
        case CancelAsked():
            requests.cancel(decision, event)
        case FastLaneAsked():
            requests.send_head_fast(decision, event)
        case VerifyAsked():
            verifications.verify_on_request(decision, event)
        case CommandSaid():
            commands.hear_command(decision, event)
        case CommandAllowed():
            commands.obey_command(decision, event, _apply)
        case CommandRefused():
            commands.refuse_command(decision, event)
        case ModeAsked():
            requests.change_mode(decision, event)
        case Configured():
            configure(decision, event)
        case StateLost():
            configuration.recover_lost_state(decision, event)
        case FirstStart():
            configuration.begin(decision, event)
        case StoreChanged():
            decision.tell(FactKind.STORE_CHANGED, sentences.STORE_CHANGED)
        case TimePassed():
            pass  # what is due is looked at after every event
        case _:
            assert_never(event)


def _look(decision: Decision, event: BuildHinted) -> None:
    """Invariant 8: a callback only asks for a look; what Jenkins then says is the event.

    FINALIZED follows COMPLETED at once: by then the build is known to have ended.
    """
    job = Job(event.controller, event.job)
    if event.over and unmanaged_builds.has_ended(decision.board, event):
        return
    if unmanaged_builds.step_of(decision, job) is not None:
        decision.do(Look(job, event.number))


def _clock(decision: Decision) -> None:
    """What the time of the event makes due: locks that end, builds that run too long or do not end."""
    board = decision.board
    ended = [k for k in board.locks.values() if k.until is not None and k.until <= decision.now]
    for lock in sorted(ended, key=lambda k: (k.since, k.key)):
        open_lock(decision, lock, f"the lock of {lock.by} has reached its end time", by=lock.by)
    for run in board.overdue(decision.now):
        late = decision.update(run, timed_out=True)
        text = f"build #{run.build} of {sentences.name(run)} has run too long in {run.step}: it is aborted"
        decision.tell(FactKind.BUILD_TIMED_OUT, text, late)
        withdraw(decision, late, abort=True, why="it has run too long")
    abort_more_firmly(decision)


def _only_asks(effect: Effect) -> bool:
    """Whether an effect changes nothing outside: all that is done while a pipeline only observes."""
    return isinstance(effect, (Look, Compare, AuthorizeCommand))


def _takes_back(effect: Effect) -> bool:
    """Whether an effect takes back what may not have been posted yet: the last that is sent before observing."""
    return isinstance(effect, Withdraw) and not effect.abort
