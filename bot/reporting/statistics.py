"""Statistics in words: the sentences that page, command line and weekly report share, and the weekly report itself.

They take the shapes of `bot.statistics.report`, which the API returns as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bot.core.model.messages import WeekNotice
from bot.core.model.notice_plan import WeeklyPlan
from bot.reporting.estimates import cost_sentence
from bot.reporting.lock_report import span
from bot.reporting.sentences import moment
from bot.statistics.periods import FEW, LeadTimeVerdict

Shape = dict[str, Any]
Figures = Mapping[str, Any]

_VERDICTS = {
    LeadTimeVerdict.UNCLEAR: "no clear difference",
    LeadTimeVerdict.SHORTER: "shorter, by more than chance explains",
    LeadTimeVerdict.LONGER: "longer, by more than chance explains",
}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def effect(change: Shape) -> str:
    """Return how a change of the configuration affected the lead time, with the number of runs before and after."""
    before, after = change["before"], change["after"]
    runs = f"{times(before['delivered'], 'delivered run')} before, {after['delivered']:,} after"
    if change["verdict"] == LeadTimeVerdict.TOO_FEW:
        return f"too few runs to tell what it did: {runs} (each side takes {FEW})"
    lead = f"lead time {span(before['lead'])} before, {span(after['lead'])} after"
    return f"{lead}: {_VERDICTS[change['verdict']]} ({runs})"


def changed_by(change: Shape) -> str:
    """Return who changed the configuration."""
    return str(change["by"] or "an unknown person")


def times(number: int, thing: str) -> str:
    """Return a number with its noun: `1 lock`, `1,200 locks`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


# -- the weekly report, as a notice: deliveries, locks and their cost, and where the time went -------------------------


def weekly_moment(plan: WeeklyPlan) -> str:
    """Return when a report is sent: `on Monday at 8:00, Europe/Berlin`."""
    return f"on {_DAYS[plan.day - 1]} at {plan.hour}:00, {plan.time_zone}"


def week_report(about: WeekNotice, figures: Figures | None, page: str = "") -> tuple[str, str]:
    """Return subject and text. `figures`: see `bot.statistics.report.week_figures`; None: they were not looked up."""
    if figures is None:
        return f"{about.pipeline}: week {about.week}", ""
    numbers = figures["numbers"]
    locks = times(numbers["locks"], "lock")
    subject = f"{about.pipeline}: week {about.week}: {numbers['delivered']:,} delivered, {locks}"
    ends = (figures["begins"], figures["ends"] - 1)
    days = " to ".join(f"{datetime.fromtimestamp(at, UTC):%a %Y-%m-%d}" for at in ends)
    parts = [f"The week {about.week} of {about.pipeline}, {days} (UTC); in brackets the week before.\n"]
    parts += ["".join(f"{line}\n" for line in part) for part in _parts(figures)]
    if page:
        parts.append(f"All numbers, and what each one means:\n  {page}/statistics\n")
    return subject, "\n".join(parts)


def _parts(figures: Figures) -> Iterator[list[str]]:
    """Yield the paragraphs, each with its lines; empty ones are left out."""
    yield list(_totals(figures["numbers"], figures["before"]))
    rows = (
        ("Locks that cost most", [f"{row['service'] or 'people'}: {_lock(row)}" for row in figures["services"]]),
        ("Tests that caused locks", [_test(row) for row in figures["tests"] if row["locks"]]),
        ("Likely flaky tests", [_flaky(row) for row in figures["tests"] if row["flaky"]]),
        ("Where the time went", [_step(row) for row in figures["steps"]]),
        ("Locks that stand now", [_standing(row) for row in figures["standing"]]),
        ("Changes of the configuration", [_change(row) for row in figures["changes"]]),
    )
    for title, lines in rows:
        if lines:
            yield [f"{title}:", *(f"- {line}" for line in lines)]


def _totals(now: Figures, before: Figures) -> Iterator[str]:
    others = ", ".join(f"{number:,} {end}" for end, number in sorted(now["ended"].items()) if end != "delivered")
    yield f"Delivered: {now['delivered']:,} runs ({before['delivered']:,}){f'; {others}' if others else ''}"
    yield f"Lead time (median): {_median(now['lead'])} ({_median(before['lead'])})"
    yield f"Waiting, all runs together: {_waiting(now['waits'])} ({span(sum(before['waits'].values()))})"
    yield f"Building, all runs together: {span(now['built'])} ({span(before['built'])})"
    yield f"Builds: {now['builds']:,}, {_share(now['failure_rate'])} failed ({_share(before['failure_rate'])})"
    yield f"Locks: {_lock(now) if now['locks'] else 'none'} ({_lock(before) if before['locks'] else 'none'})"


def _median(seconds: float | None) -> str:
    return "–" if seconds is None else span(seconds)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _waiting(waits: Mapping[str, float]) -> str:
    """Return waiting time by cause: `12 h of all runs together: 60 % lock, 40 % capacity`."""
    total = sum(waits.values())
    causes = sorted((cause for cause in waits if waits[cause] > 0), key=lambda cause: -waits[cause])
    parts = ", ".join(f"{100 * waits[cause] / total:.0f} % {cause}" for cause in causes)
    return f"{span(total)}{f': {parts}' if parts else ''}"


def _lock(row: Figures) -> str:
    """Return the numbers of locks: `3 locks, 2 h, 12 runs held up, 340 run-minutes, 2 builds aborted`."""
    held, aborted = times(row["held"], "run"), times(row["aborted"], "build")
    return f"{times(row['locks'], 'lock')}, {span(row['locked'])}, {held} held up, {_cost(row)}, {aborted} aborted"


def _cost(row: Figures) -> str:
    return cost_sentence(row["cost"])


def _test(row: Figures) -> str:
    return f"{row['service']} {row['test']}: {times(row['locks'], 'lock')}, {span(row['locked'])}, {_cost(row)}"


def _flaky(row: Figures) -> str:
    return f"{row['service']} {row['test']}: failed {row['failed']} times, passed on retry {row['passed']} times"


def _step(row: Figures) -> str:
    return f"{row['step']}: built {span(row['built'])}, waited for {_waiting(row['waits'])}"


def _standing(row: Figures) -> str:
    return f"{row['stage']} ({row['service'] or 'by a person'}), since {moment(row['since'])}: {_cost(row)} so far"


def _change(row: Figures) -> str:
    keys = ", ".join(key["key"] for key in row["changes"])
    return f"{moment(row['at'])}, by {changed_by(dict(row))}, {keys}: {effect(dict(row))}"
