"""Notices to people about stages: one for each stage and decision, and its recipients.

While a stage stays locked, the escalation notifies others after a time, and reminders of open-ended locks repeat. Their
recipients, and the watchers, get a notice when the stage opens. The locks and the record of earlier notices
(`bot.core.model.stage_state`) determine which notice is due: no notice is sent twice, and a restart loses none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core.model.board import Board
from bot.core.model.effects import Effect, Mention, Notify, Topic
from bot.core.model.events import WatchAsked
from bot.core.model.facts import FactKind
from bot.core.model.messages import Message
from bot.core.model.notice_plan import AUTHORS
from bot.core.model.pipeline import Mode, Step
from bot.core.model.refusals import No, NoSuchStage, Refusal
from bot.core.model.replaced import replace
from bot.core.model.run import Run
from bot.core.model.stage_messages import FailedFix, StageNotice, StageWatched, WatchNotice
from bot.core.model.stage_state import (
    FollowUp,
    Lock,
    Watcher,
    escalation_due,
    is_open_ended,
    locked_since,
    reminder_due,
)
from bot.core.rules.decision import Decision

# -- one notice for each stage and decision ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Due:
    """The part of a notice that is due by time: an escalation level, locks for a reminder, the recipients."""

    level: int | None = None
    forgotten: tuple[Lock, ...] = ()
    to: tuple[str, ...] = ()


NOTHING_DUE = _Due()


def tell_people(decision: Decision) -> None:
    """Notify people of each stage with news, by one notice, in the order of the events.

    While the pipeline observes, no escalation and no reminder counts as sent.
    """
    stages = [lock.stage for lock in decision.locked]
    stages += [run.step.stage for run, _ in decision.failed_fixes]
    stages += [lock.stage for lock, _ in decision.unlocked]
    stages += [run.step.stage for run, _ in decision.failed_runs]
    stages += sorted({lock.stage for lock in decision.board.locks.values()})
    for stage in dict.fromkeys(stages):
        locks, known = decision.board.locks_of(stage), decision.board.follow_up(stage)
        due = _due(decision, locks, known)
        if due.level is not None or due.forgotten or decision.has_stage_news():
            decision.notify(_of_stage(decision, stage, due))
        _note(decision, locks, known, due)
    for known in sorted(decision.board.follow_ups.values(), key=lambda known: known.key):
        if not decision.board.locks_of(known.key):
            decision.notify(_to_watchers(decision, known))
            decision.board.drop(known)


def _of_stage(decision: Decision, stage: str, due: _Due) -> Iterator[Effect]:
    left = decision.board.locks_of(stage)
    locked = [lock for lock in decision.locked if lock in left]
    fixes, reported = _in_stage(decision.failed_fixes, stage), _in_stage(decision.failed_runs, stage)
    opened = [lock for lock, _ in decision.unlocked if lock.stage == stage and lock not in decision.locked]
    topics: list[Topic] = []
    topics += ["fix-failed"] if fixes else []
    topics += ["locked"] if any(not lock.freeze for lock in locked) else []
    topics += ["unlocked"] if any(not lock.freeze for lock in opened) else []
    topics += ["freeze"] if any(lock.freeze for lock in (*locked, *opened)) else []
    topics += ["failed"] if reported else []
    topics += ["escalation"] if due.level is not None else []
    topics += ["reminder"] if due.forgotten else []
    if not topics:
        return
    about = StageNotice(
        stage,
        tuple(left),
        tuple(locked),
        _failure(*fixes[-1]) if fixes else None,
        tuple(why for lock, why in decision.unlocked if lock in opened),
        tuple(_failure(run, why) for run, why in reported),
        tuple(lock.key for lock in opened),
        locked_since(left) if due.level is not None else None,
        due.forgotten,
    )
    key = f"{stage}/{topics[0]}/{decision.now:.3f}"
    to = (*_recipients(decision, stage, topics, [*locked, *opened, *left]), *due.to)
    if opened:
        to = (*to, *decision.board.follow_up(stage).told)
    told = tuple(name for name in dict.fromkeys(to) if name != AUTHORS)
    if told or topics != ["failed"]:
        yield Notify(topics[0], stage, about, key, tuple(topics[1:]), to=told)
    if AUTHORS in to:
        failed = [run for run, _ in (*fixes, *reported)]
        yield from _to_authors(decision, about, key, [*failed, *_holders(decision, [*locked, *opened] or left)])


def _recipients(decision: Decision, stage: str, topics: Iterable[Topic], locks: Iterable[Lock]) -> tuple[str, ...]:
    services = [lock.service for lock in locks if lock.service is not None]
    services += [run.service for run, _ in _in_stage([*decision.failed_fixes, *decision.failed_runs], stage)]
    return decision.board.pipeline.notices.recipients(topics, stage, services)


def _in_stage(failed: Iterable[tuple[Run, Message]], stage: str) -> list[tuple[Run, Message]]:
    return [(run, why) for run, why in failed if run.step.stage == stage]


def _failure(run: Run, why: Message) -> FailedFix:
    return FailedFix(run.key, run.who, run.step, why, run.attempt.build)


# -- the authors of what failed ----------------------------------------------------------------------------------------


def _holders(decision: Decision, locks: Iterable[Lock]) -> list[Run]:
    """Return the failed runs that hold or held these locks: on the board, or ended by this decision."""
    ended = {each.run.key: each.run for each in decision.ended}
    found = (decision.board.runs.get(lock.run or "") or ended.get(lock.run or "") for lock in locks)
    return [run for run in found if run is not None]


def _to_authors(decision: Decision, about: Message, key: str, runs: Iterable[Run]) -> Iterator[Mention]:
    """Yield one comment for each pull request of the runs, which names its authors as far as they are known.

    The author of a commit without a pull request is named on the run's own. No person is named twice.
    """
    done: set[tuple[str, int]] = set()
    named: set[str] = set()
    for run in runs:
        service = decision.board.pipeline.service(run.service)
        if service is None:
            continue
        for pull in run.merge.pulls:
            where = (service.repository, pull)
            if where not in done:
                done.add(where)
                authors = {login.casefold(): login for login in run.merge.authors_of(pull)}
                people = tuple(login for known_as, login in authors.items() if known_as not in named)
                named |= authors.keys()
                yield Mention(*where, people, about, f"{key}/{service.repository}/{pull}")


# -- escalations and reminders -----------------------------------------------------------------------------------------


def _due(decision: Decision, locks: list[Lock], known: FollowUp) -> _Due:
    """Return the escalation and the reminder that are due at a locked stage; none while the pipeline observes."""
    board, now = decision.board, decision.now
    plan = board.pipeline.notices
    if board.header.mode is Mode.OBSERVE or not locks or not plan.has_times:
        return NOTHING_DUE
    levels = [number for at, number in escalation_due(plan, locks, known) if at <= now]
    to = tuple(name for number in levels for name in plan.escalation[number - 1].to)
    forgotten: tuple[Lock, ...] = ()
    if plan.reminder is not None:
        at = reminder_due(plan.reminder, locks, known.reminded)
        if at is not None and at <= now:
            oldest = now - plan.reminder.after
            forgotten = tuple(lock for lock in locks if is_open_ended(lock) and lock.since <= oldest)
            to += plan.reminder.to
    return _Due(max(levels, default=None), forgotten, to)


def _note(decision: Decision, locks: list[Lock], known: FollowUp, due: _Due) -> None:
    """Record what was sent. When no failure locks the stage any more, the next one escalates from the beginning."""
    level = known.level if due.level is None else due.level
    level = level if level and locked_since(locks) is not None else 0
    if locks and (level != known.level or due.forgotten or due.to):
        reminded = decision.now if due.forgotten else known.reminded
        decision.board.put(
            replace(known, level=level, reminded=reminded, told=tuple(dict.fromkeys((*known.told, *due.to))))
        )


def number_notices(decision: Decision) -> None:
    """Number the notices, so that those of the same moment are sent in the order of their keys.

    A notice without recipients goes to those of its topics.
    """
    for index, effect in enumerate(decision.effects):
        if isinstance(effect, Notify):
            decision.effects[index] = _numbered(decision, effect)


def _numbered(decision: Decision, effect: Notify) -> Notify:
    to = effect.to or decision.board.pipeline.notices.recipients((effect.topic, *effect.also), effect.stage, ())
    to = tuple(name for name in to if name != AUTHORS)
    return replace(effect, to=to, key=f"{decision.board.queue_number():012d}/{effect.key}")


# -- watchers ----------------------------------------------------------------------------------------------------------

#: How many watchers one locked stage may have.
WATCHERS = 200


def why_not_watch(board: Board, event: WatchAsked) -> Message | None:
    """Return why a person cannot watch a stage: it is open, or has no place for notices to them; None: they can."""
    stage = _watched(board, event)
    if not stage:
        locked = tuple(dict.fromkeys(lock.stage for lock in board.locks.values()))
        return Refusal(No.SEVERAL_LOCKED if locked else No.NOTHING_LOCKED, told=", ".join(locked))
    if board.pipeline.stage(stage) is None:
        return NoSuchStage(board.pipeline.name, stage, tuple(each.name for each in board.pipeline.stages))
    if not board.locks_of(stage):
        return Refusal(No.NOTHING_LOCKED, told=stage)
    if event.pull is None and board.pipeline.notices.channel_of(event.by) is None:
        return Refusal(No.NO_CHANNEL, told=event.by)
    watchers = board.follow_up(stage).watchers
    if Watcher(event.by, event.repository, event.pull) in watchers:
        return Refusal(No.WATCHES_ALREADY, told=event.by)
    return Refusal(No.TOO_MANY_WATCH, number=WATCHERS) if len(watchers) >= WATCHERS else None


def watch(decision: Decision, event: WatchAsked) -> None:
    """Add a watcher to a stage."""
    board = decision.board
    no = why_not_watch(board, event)
    if no is not None:
        decision.tell(FactKind.REQUEST_REFUSED, no, by=event.by)
        return
    stage = _watched(board, event)
    known = board.follow_up(stage)
    board.put(replace(known, watchers=(*known.watchers, Watcher(event.by, event.repository, event.pull))))
    decision.tell(FactKind.WATCH_ASKED, StageWatched(event.by, stage), step=Step(stage), by=event.by)


def _watched(board: Board, event: WatchAsked) -> str:
    """Return the stage of the request: the named one, or the only locked one; else empty."""
    locked = list(dict.fromkeys(lock.stage for lock in board.locks.values()))
    return event.stage or (locked[0] if len(locked) == 1 else "")


def _to_watchers(decision: Decision, known: FollowUp) -> Iterator[Effect]:
    """Yield the notices to the watchers, once: on the pull request where they asked, else by their channel."""
    stage, board = known.key, decision.board
    why = next((why for lock, why in reversed(decision.unlocked) if lock.stage == stage), None)
    if why is None:
        return
    about = WatchNotice(stage, why)
    pulls: dict[tuple[str, int], list[str]] = {}
    channels: list[str] = []
    for watcher in known.watchers:
        if watcher.pull is not None:
            pulls.setdefault((watcher.repository, watcher.pull), []).append(watcher.by.removeprefix("github:"))
        elif (channel := board.pipeline.notices.channel_of(watcher.by)) is not None:
            channels.append(channel)
    key = f"{stage}/watched/{decision.now:.3f}"
    if channels:
        yield Notify("unlocked", stage, about, key, to=tuple(dict.fromkeys(channels)))
    for (repository, pull), people in pulls.items():
        yield Mention(repository, pull, tuple(dict.fromkeys(people)), about, f"{key}/{repository}/{pull}")
