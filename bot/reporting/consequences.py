"""The consequences of a request in words: `opens 3 locks of pre-production; S1.5 loses its lane; S2.3 enters ...`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from bot.core.model.pipeline import Mode, Step
from bot.core.model.stage_state import Lock
from bot.core.rules.consequences import AffectedRun, Consequences
from bot.reporting.messages import words
from bot.reporting.sentences import moment

#: The most runs or locks that a clause names; after that it gives the number of the rest.
NAMED = 3
NOTHING = "nothing changes"

_MODES = {
    Mode.RUN: "the pipeline runs",
    Mode.PAUSE: "the pipeline is paused: nothing is triggered",
    Mode.OBSERVE: "the pipeline only observes: nothing is sent outside",
}


def sentence(of: Consequences) -> str:
    """Return all consequences in one sentence, without a capital or a full stop."""
    return "; ".join(clauses(of))


def clauses(of: Consequences) -> list[str]:
    """Return the consequences, most important first.

    It is one clause if nothing happens, or if the request would be refused.
    """
    if of.refusal is not None:
        return [f"refused: {words(of.refusal)}"]
    return list(_clauses(of)) or [NOTHING]


def _clauses(of: Consequences) -> Iterator[str]:
    if of.mode is not None:
        yield _MODES[of.mode]
    yield from _locks(of)
    yield from (f"you get one notice, when {stage} opens" for stage in of.watches)
    if of.starts:
        yield f"{_named(of.starts)} {_verb(of.starts, 'starts', 'start')}"
    if of.gains_lane:
        yield f"{_named(of.gains_lane)} {_verb(of.gains_lane, 'changes', 'change')} to the fast lane"
    if of.loses_lane:
        yield f"{_named(of.loses_lane)} {_verb(of.loses_lane, 'loses its lane', 'lose their lane')}"
    yield from _where(of.permits, lambda step: ("may", "may", f"enter {step} past any lock"))
    if of.let_through:
        yield f"{_named(of.let_through)} {_verb(of.let_through, 'is', 'are')} let through freezes"
    yield from _where(of.moves, lambda step: ("goes", "go", f"to the front of the queue for {step}"))
    yield from _where(of.enters, lambda step: ("enters", "enter", str(step)))
    yield from _where(of.queues, lambda step: ("waits", "wait", f"for {step}"))
    yield from _where(of.called_back, lambda step: ("is", "are", f"called back from {step}"))
    yield from _builds(of)
    yield from _ends(of)


def _locks(of: Consequences) -> Iterator[str]:
    for stage, opened in _by_stage(of.opens):
        left = [lock for lock in of.stays_locked if lock.stage == stage]
        what = f"the lock of {stage}" if len(opened) == 1 else f"{len(opened)} locks of {stage}"
        yield f"opens {what}"
        if left:
            yield f"{stage} stays locked by {_some([lock.by for lock in left])}"
    for lock in of.locks:
        until = "" if lock.until is None else f" until {moment(lock.until)}"
        yield f"locks {lock.stage}{until}{', fixes may enter' if lock.let_fixes_in else ''}"


def _builds(of: Consequences) -> Iterator[str]:
    for step, some in _by_step(of.stops):
        builds = _some([f"#{each.build} of {each.run}" for each in some])
        yield f"{_verb(some, 'build', 'builds')} {builds} in {step} {_verb(some, 'is', 'are')} asked to stop"
    for stage in of.locks_next:
        yield f"{stage} locks when that has ended as aborted"


def _ends(of: Consequences) -> Iterator[str]:
    if of.leaves:
        yield f"{_named(of.leaves)} {_verb(of.leaves, 'leaves', 'leave')} when Jenkins has confirmed it"
    kinds = groupby(sorted(of.ends, key=_kind), key=_kind)
    for kind, found in kinds:
        some = list(found)
        yield f"{_named(some)} {_verb(some, 'ends', 'end')} as {kind}"


def _kind(run: AffectedRun) -> str:
    return str(run.ending.end) if run.ending is not None else ""


# -- groups of runs and locks ------------------------------------------------------------------------------------------


def _where(runs: Sequence[AffectedRun], says: Callable[[Step], tuple[str, str, str]]) -> Iterator[str]:
    """Yield one clause for each step: `S1.5 and S2.3 enter pre-production`."""
    for step, some in _by_step(runs):
        one, several, rest = says(step)
        yield f"{_named(some)} {_verb(some, one, several)} {rest}"


def _by_step(runs: Sequence[AffectedRun]) -> Iterator[tuple[Step, list[AffectedRun]]]:
    for step in dict.fromkeys(run.step for run in runs):
        yield step, [run for run in runs if run.step == step]


def _by_stage(locks: Sequence[Lock]) -> Iterator[tuple[str, list[Lock]]]:
    for stage in dict.fromkeys(lock.stage for lock in locks):
        yield stage, [lock for lock in locks if lock.stage == stage]


def _verb(runs: Sequence[object], one: str, several: str) -> str:
    return one if len(runs) == 1 else several


def _named(runs: Sequence[AffectedRun]) -> str:
    return _some([run.run for run in runs])


def _some(names: Sequence[str]) -> str:
    """Return names in a list such as `S1.5`, `S1.5 and S2.3`, or `S1.5, S1.6, S2.3 and 4 more`."""
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])
