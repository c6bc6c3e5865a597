"""The rule behind a decision, derived from its fact.

F1 to F12 are in docs/fast-lane.md, L1 to L7 in docs/locks.md, W1 to W3 in docs/freezes.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bot.core.model import messages as m
from bot.core.model.facts import Fact, FactKind, Why
from bot.core.model.messages import Message
from bot.core.model.pipeline import Track
from bot.core.model.refusals import No, NotClosedBy, Refusal, SeveralLocks
from bot.core.model.stage_messages import CalledBack, ClosedNow, FreezeEnded, Frozen, StageLocked, StageUnlocked
from bot.core.rules.freeze_windows import is_freeze_lock

#: The page of `docs` with the rules of each letter.
PAGES = {"F": "fast-lane", "L": "locks", "W": "freezes"}


def address(rule: str) -> str:
    """Return the address at which the web process shows the rule, such as `/docs/locks#L4`; empty without a rule."""
    return f"/docs/{PAGES[rule[0]]}#{rule}" if rule else ""


def rule_of(fact: Fact) -> str:
    """Return the rule behind a fact, such as `F8`; empty if no rule covers it."""
    found = _RULES.get(fact.kind, "")
    return found if isinstance(found, str) else found(fact)


def rules_of(facts: Sequence[Fact]) -> list[str]:
    """Return the rules behind the facts of one run, oldest first: `rule_of` each, or what earlier facts imply."""
    found: list[str] = []
    back, before = "", None
    for fact in facts:
        rule = rule_of(fact)
        if fact.kind in _CALLED_BACK:
            back = rule
        elif fact.kind is FactKind.RUN_RETURNED:
            rule, back = back, ""
        elif fact.kind is FactKind.RUN_FAILED and before is FactKind.STAGE_UNLOCKED:
            rule = "L1"  # it held the lock that was opened
        before = fact.kind
        found.append(rule)
    return found


def rule_of_reason(why: Why, *, fast: bool) -> str:
    """Return the rule behind the reason for a run's state; `fast`: the run is on the fast lane."""
    if fast and why in _REASONS_OF_FIXES:
        return _REASONS_OF_FIXES[why]
    return _REASONS.get(why, "")


# -- the kinds of facts ------------------------------------------------------------------------------------------


def _queued(fact: Fact) -> str:
    """Return F1 if a person sent the run, F2 if its service holds a lock, F3 if it takes the fast jobs."""
    if isinstance(fact.why, (m.StartsFast, m.Promoted)):
        return "F1" if isinstance(fact.why.why, m.AskedBy) else "F2"
    return "F3" if fact.step is not None and fact.step.track is Track.FAST else ""


def _admitted(fact: Fact) -> str:
    """Return F5 or L4 if a lock let in a fix or its holder's retry, F4 for overtaking, otherwise nothing."""
    why = fact.why
    if not isinstance(why, m.Entered):
        return ""
    if why.locked:
        return "F5" if why.fast else "L4"
    return "F4" if why.fast or why.ahead else ""


def _recalled(fact: Fact) -> str:
    return "L3" if isinstance(fact.why, CalledBack) and isinstance(fact.why.why, ClosedNow) else ""


def _ending(fact: Fact) -> str:
    return _of_ending(fact.why.why if isinstance(fact.why, m.RunEnding) else fact.why)


def _of_ending(why: Message) -> str:
    match why:
        case m.Superseded():
            return why.rule
        case m.ContainedInFailed() | m.ContainedInForgotten() | m.DroppedFromMain():
            return "F11"
        case m.Cancelled():
            return "L5"
        case _:
            return ""


def _locked(fact: Fact) -> str:
    if isinstance(fact.why, StageLocked) and isinstance(fact.why.reason, Frozen):
        return "W1"
    return "L1" if fact.run is not None else "L2"


def _unlocked(fact: Fact) -> str:
    """Return the rule by which a lock was opened.

    F9: a run that contains the failed commit has passed; L4: the failed run itself has passed; L2: a person, or its end
    time; W1: a freeze is over; W3: a person has lifted it.
    """
    why = fact.why.why if isinstance(fact.why, StageUnlocked) else None
    if isinstance(why, m.StepPassed):
        return "L4" if fact.by == fact.run else "F9"
    if isinstance(why, FreezeEnded):
        return "W1"
    return "W3" if is_freeze_lock(fact.lock) else "L2"


def _refused(fact: Fact) -> str:
    if isinstance(fact.why, (SeveralLocks, NotClosedBy)):
        return "L2"
    no_retry = isinstance(fact.why, Refusal) and fact.why.no in (No.NOT_FAILED, No.OFF_MAIN, No.FIX_IS_THERE)
    return "L4" if no_retry else ""


_RULES: Mapping[FactKind, str | Callable[[Fact], str]] = {
    FactKind.RUN_QUEUED: _queued,
    FactKind.RUN_PROMOTED: _queued,
    FactKind.RUN_ADMITTED: _admitted,
    FactKind.RUN_RECALLED: _recalled,
    FactKind.RUN_REJOINED: "F12",
    FactKind.RUN_MOVED: "L7",
    FactKind.RUN_EXCEPTED: "W2",
    FactKind.FREEZES_PLANNED: "W1",
    FactKind.RUN_RETRIED: "L4",
    FactKind.RUN_LEAVING: _ending,
    FactKind.RUN_SUPERSEDED: _ending,
    FactKind.RUN_DROPPED: _ending,
    FactKind.RUN_CANCELLED: "L5",
    FactKind.BUILD_REPEATED: "L4",
    FactKind.TRIGGER_REFUSED: "L6",
    FactKind.TRIGGER_UNANSWERED: "L6",
    FactKind.STAGE_LOCKED: _locked,
    FactKind.STAGE_UNLOCKED: _unlocked,
    FactKind.FIX_FAILED: "F7",
    FactKind.REQUEST_REFUSED: _refused,
}

#: After one of these facts a run is at the head of its queue again, by the same rule.
_CALLED_BACK = (FactKind.RUN_RECALLED, FactKind.TRIGGER_REFUSED)

_REASONS: Mapping[Why, str] = {
    Why.BACKOFF: "L6",
    Why.LOCKED: "L3",
    Why.FIX_AHEAD: "F6",
    Why.PROOF: "F11",
    Why.ONE_AT_A_TIME: "F11",
    Why.CLEAN_UP: "F8",
    Why.HOLDS_LOCK: "L1",
    Why.FIX_FAILED: "F7",
}

_REASONS_OF_FIXES: Mapping[Why, str] = {Why.LOCKED: "F5", Why.FULL: "F4"}
