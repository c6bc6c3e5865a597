"""The notices to people about a stage: one for each stage and decision, however many locks it opened or closed.

A decision only notes what happened (`Decision.locked`, `unlocked`, `failed_fixes`); the notice says what is
true at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bot.core import sentences
from bot.core.model.effects import Effect, Notify, Topic
from bot.core.model.run import Run
from bot.core.model.stage_state import Lock
from bot.core.rules.decision import Decision


def notices(decision: Decision) -> Iterator[Notify]:
    """The notices of a decision, stage by stage in the order in which something happened in them."""
    stages = [lock.stage for lock in decision.locked]
    stages += [run.step.stage for run, _ in decision.failed_fixes]
    stages += [lock.stage for lock, _ in decision.unlocked]
    for stage in dict.fromkeys(stages):
        notice = _of_stage(decision, stage)
        if notice is not None:
            yield notice


def in_order(decision: Decision) -> None:
    """Number the notices of a decision: those that are due at the same moment go out in the order of their keys."""
    decision.effects = [_numbered(decision, effect) for effect in decision.effects]


def _numbered(decision: Decision, effect: Effect) -> Effect:
    if not isinstance(effect, Notify):
        return effect
    return replace(effect, key=f"{decision.board.queue_number():012d}/{effect.key}")


def _of_stage(decision: Decision, stage: str) -> Notify | None:
    left = decision.board.locks_of(stage)
    locked = [lock for lock in decision.locked if lock in left]
    failed = [(run, why) for run, why in decision.failed_fixes if run.step.stage == stage]
    opened = [(lock, why) for lock, why in decision.unlocked if lock.stage == stage and lock not in decision.locked]
    topics: list[Topic] = []
    topics += ["fix-failed"] if failed else []
    topics += ["locked"] if locked else []
    topics += ["unlocked"] if opened else []
    if not topics:
        return None
    subject, text = _words(stage, left, locked, failed, [why for _, why in opened])
    return Notify(topics[0], stage, subject, text, f"{stage}/{topics[0]}/{decision.now:.3f}", tuple(topics[1:]))


def _words(
    stage: str, left: list[Lock], locked: list[Lock], failed: list[tuple[Run, str]], opened: list[str]
) -> tuple[str, str]:
    """Subject and text: what happened, then how the stage stands now and what to do."""
    open_now = f"{'; '.join(dict.fromkeys(opened))}"
    if failed:
        run, why = failed[-1]
        own = any(lock.run == run.key for lock in locked)
        subject, text = f"fix failed: {why}", sentences.fix_failed(run, why, left if own else [])
    elif locked:
        subject, text = sentences.locked_subject(locked[-1]), "\n".join(sentences.locked_mail(lock) for lock in locked)
    elif left:
        return sentences.stays_locked(stage, left, len(left) + len(opened)), sentences.one_less(stage, left, open_now)
    else:
        return f"{stage} is open", f"{stage} is open: {open_now}\n"
    return subject, text + (f"Another lock is open: {open_now}.\n" if opened else "")
