"""The report of a lock: cause, fix, duration, cost and timeline.

It is made from the facts of the log and from the account of the lock in the statistics, which is made from facts as
well. Times are in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import RunEnding, StartsFast, StepPassed, Superseded
from bot.core.model.stage_messages import StageLocked, StageUnlocked
from bot.reporting.estimates import cost_sentence
from bot.reporting.markdown import plain
from bot.reporting.messages import words
from bot.reporting.sentences import moment
from bot.statistics.parts import HELD_KEPT, LockAccount

#: The most lines of a timeline, and the most waiting runs that are named.
LINES, NAMED = 200, 20

#: The kinds of facts that are reported about the failed run, the fixes and the run that opened the lock. Other facts in
#: the log are about other runs.
_TOLD = frozenset(
    {
        FactKind.MERGE_ACCEPTED,
        FactKind.BUILD_STARTED,
        FactKind.BUILD_PASSED,
        FactKind.BUILD_FAILED,
        FactKind.BUILD_REPEATED,
        FactKind.BUILD_TIMED_OUT,
        FactKind.RUN_QUEUED,
        FactKind.RUN_RETRIED,
        FactKind.RUN_PROMOTED,
        FactKind.RUN_SUPERSEDED,
        FactKind.RUN_LEAVING,
        FactKind.RUN_CANCELLED,
        FactKind.FIX_FAILED,
    }
)


#: The facts that record that a run is removed, or is about to be, because another one contains it.
_REMOVED = frozenset({FactKind.RUN_SUPERSEDED, FactKind.RUN_LEAVING})


class LeftOut(StrEnum):
    """The parts that a report leaves out because they would be too much."""

    RUNS = "runs"
    FACTS = "facts"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One line of a timeline: time, text, and the run it is about."""

    at: float
    what: str
    run: str = ""


@dataclass(frozen=True, slots=True)
class LockReport:
    """The content of a report as plain values; `opened`: None while the lock stands."""

    key: str
    stage: str
    since: float
    opened: float | None
    #: The reason for the lock; the failed run, its service and its build, if a run was the cause.
    cause: str
    by: str
    run: str = ""
    service: str = ""
    build: int | None = None
    #: The reason for opening the lock, the run or person that opened it, and the run that mended the stage.
    end: str = ""
    opened_by: str = ""
    fix: str = ""
    #: The cost in run-seconds, and the runs that waited for the stage while it was locked.
    cost: float = 0.0
    held: tuple[str, ...] = ()
    timeline: tuple[ReportLine, ...] = ()
    #: The parts left out because they would be too much: other runs that waited, later facts, further lines.
    left_out: tuple[LeftOut, ...] = ()


def report(
    key: str, facts: Iterable[tuple[float, Fact]], account: LockAccount | None = None, most: int | None = None
) -> LockReport | None:
    """Return the report of a lock, from the facts since it was locked, each with its time; None if they lack the lock.

    A retry that fails again records the same lock once more; the first fact counts. `most`: the limit of facts that
    were read; later facts are not in the report.
    """
    known = list(facts)
    locked = next(((at, fact) for at, fact in known if _is(fact, FactKind.STAGE_LOCKED, key)), None)
    if locked is None:
        return None
    since, first = locked
    opened = next(((at, fact) for at, fact in known if _is(fact, FactKind.STAGE_UNLOCKED, key)), None)
    end = opened[0] if opened is not None else None
    reason = first.why.reason if isinstance(first.why, StageLocked) else first.why
    failed = next(
        (f for at, f in known if f.kind is FactKind.BUILD_FAILED and f.run == first.run and at <= since), None
    )
    lines = list(islice(_timeline(key, first, opened[1] if opened else None, known, since, end), LINES + 1))
    held = tuple(account.held) if account is not None else ()
    missing = {
        LeftOut.RUNS: len(held) >= HELD_KEPT,
        LeftOut.FACTS: opened is None and most is not None and len(known) >= most,
        LeftOut.LINES: len(lines) > LINES,
    }
    made = LockReport(
        key=key,
        stage=first.step.stage if first.step is not None else "",
        since=since,
        opened=end,
        cause=words(reason),
        by=first.by or "",
        run=first.run or "",
        service=first.service or "",
        build=failed.build if failed is not None else None,
        cost=account.cost if account is not None else 0.0,
        held=held,
        timeline=tuple(lines[:LINES]),
        left_out=tuple(each for each, is_missing in missing.items() if is_missing),
    )
    return made if opened is None else _ended(made, opened[1])


def _is(fact: Fact, kind: FactKind, key: str) -> bool:
    return fact.kind is kind and fact.lock == key


def _ended(made: LockReport, opened: Fact) -> LockReport:
    why = opened.why.why if isinstance(opened.why, StageUnlocked) else opened.why
    by = opened.by or ""
    return replace(made, end=words(why), opened_by=by, fix=by if isinstance(why, StepPassed) else "")


def _timeline(
    key: str, locked: Fact, opened: Fact | None, facts: list[tuple[float, Fact]], since: float, end: float | None
) -> Iterator[ReportLine]:
    """Yield the facts about the lock, the failed run, the fixes of its service, and the runs that these removed.

    In the order of the log.
    """
    runs = _fixes(locked.service, facts) | {locked.run, opened.by if opened is not None else None} - {None}
    for at, fact in facts:
        if since <= at <= (at if end is None else end):
            told = fact.kind in _TOLD and (fact.run in runs or _removed_by(fact) in runs)
            if fact.lock == key or told:
                yield ReportLine(at, words(fact.why), fact.run or "")


def _removed_by(fact: Fact) -> str:
    """Return the run that removes the run of a fact because it contains it (F8); empty if none does."""
    why = fact.why.why if isinstance(fact.why, RunEnding) else fact.why
    return why.by if isinstance(why, Superseded) and fact.kind in _REMOVED else ""


def _fixes(service: str | None, facts: list[tuple[float, Fact]]) -> set[str | None]:
    """Return the runs of a service that took the fast lane."""
    if service is None:
        return set()
    return {
        fact.run
        for _, fact in facts
        if fact.service == service and (fact.kind is FactKind.RUN_PROMOTED or isinstance(fact.why, StartsFast))
    }


# -- texts for people --------------------------------------------------------------------------------------------------


def span(seconds: float) -> str:
    """Return a duration in words: `42 s`, `12 min 3 s`, `3 h 5 min`, `2 d 4 h`."""
    whole = round(seconds)
    sizes = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    parts: list[tuple[int, str]] = []
    for size, unit in sizes:
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"


def duration_of(found: LockReport, now: float) -> float:
    """Return how long the lock stood, or has stood so far, in seconds."""
    return (found.opened if found.opened is not None else now) - found.since


def cost_of(found: LockReport) -> str:
    """Return the cost of the lock and the runs it held up."""
    if not found.held:
        return "nothing: no run waited for it"
    more = len(found.held) - NAMED
    names = ", ".join(found.held[:NAMED]) + (f" and {more} more" if more > 0 else "")
    count = f"at least {len(found.held)}" if LeftOut.RUNS in found.left_out else len(found.held)
    cost = cost_sentence(found.cost) if found.cost >= 60 else f"{found.cost:.0f} run-seconds"
    return f"{cost}; {count} run{'' if count == 1 else 's'} waited for it: {names}"


def markdown(found: LockReport, now: float, pages: str = "", log: str = "") -> str:
    """Return the report as Markdown.

    `pages`: the address of the pages of runs; `log`: that of the failed build's log.
    """

    def run(key: str) -> str:
        return f"[{key}]({pages}{key})" if key and pages else plain(key)

    cause = plain(found.cause) + _in_brackets(run(found.run) or f"locked by {plain(found.by)}")
    end = "the lock still stands"
    if found.opened is not None:
        end = plain(found.end) + _in_brackets(run(found.fix))
    until = f" to {moment(found.opened)}" if found.opened is not None else ", still locked"
    took = span(duration_of(found, now))
    rows = [
        f"# {plain(found.stage)} {'was' if found.opened is not None else 'has been'} locked for {took}",
        "",
        f"The lock {plain(found.key)}, from {moment(found.since)}{until}.",
        "",
        f"- **Cause**: {cause}" + (f", [log of build {found.build}]({log})" if log else ""),
        f"- **Fix**: {end}",
        f"- **Duration**: {took}",
        f"- **Cost**: {plain(cost_of(found))}",
        "",
        "| when (UTC) | what happened |",
        "|---|---|",
        *(f"| {_clock(each.at)} | {plain(each.what)}{_in_brackets(run(each.run))} |" for each in found.timeline),
        *(row for each in found.left_out for row in ("", _LEFT_OUT[each])),
    ]
    return "\n".join(rows) + "\n"


_LEFT_OUT = {
    LeftOut.RUNS: f"Of the runs that waited, the first {HELD_KEPT} are counted here; the cost is that of all.",
    LeftOut.FACTS: "So much was decided since that the log was not read to its end: what came last is missing.",
    LeftOut.LINES: f"Only the first {LINES} lines are shown.",
}


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
