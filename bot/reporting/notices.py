"""The words of notices to people, each a subject and a text for mail or chat; and the comment that mentions people.

A notice says what happened, what state the stage is in now, and what to do, with the commands and the links.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.core.model import stage_messages as m
from bot.core.model.github_messages import DefaultBranchMoved
from bot.core.model.messages import BuildStuck, Message, WeekNotice
from bot.core.model.notice_plan import NoticePlan
from bot.core.model.stage_state import Lock
from bot.reporting.markdown import plain
from bot.reporting.sentences import moment, named, words
from bot.reporting.sentences import name_of as name
from bot.reporting.statistics import week_report, weekly_moment


@dataclass(frozen=True, slots=True)
class NoticeDetails:
    """Details that a notice may include, beside its message; empty if not known.

    `logs` and `pages`: by run, the log of its failing build and its page. `facts`: by the key of a lock, clauses about
    its cost, its estimated opening or flaky tests. `reports`: the pages of the reports of locks that opened. `week`:
    the figures of the week that a report is about (`bot.statistics.report.week_figures`). `flag`: the option of the
    commands that selects the pipeline, such as ` -p shop`.
    """

    page: str = ""
    flag: str = ""
    logs: Mapping[str, str] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reports: Mapping[str, str] = field(default_factory=dict)
    week: Mapping[str, Any] | None = None


NOTHING_KNOWN = NoticeDetails()


def notice(about: Message, details: NoticeDetails = NOTHING_KNOWN) -> tuple[str, str]:
    """Return subject and text of a notice to people."""
    match about:
        case m.StageNotice():
            return _subject(about), _text(about, details)
        case m.WatchNotice():
            return f"{about.stage} is open", f"You asked for this notice: {about.stage} is open: {words(about.why)}.\n"
        case WeekNotice():
            return week_report(about, details.week, details.page)
        case m.LossNotice():
            return f"{about.pipeline}: state was lost", "\n".join(_loss(about)) + "\n"
        case BuildStuck():
            return f"{about.step}: build #{about.build} does not end", f"{words(about)}\n"
        case DefaultBranchMoved():
            return f"{about.repository}: its default branch is now {about.now}", f"{words(about)}\n"
        case m.WrittenNotice():
            return about.subject, about.text
    raise TypeError(f"{type(about).__name__} is no notice")


def mention(about: Message, people: Iterable[str], details: NoticeDetails = NOTHING_KNOWN) -> str:
    """Return the Markdown comment that mentions people by their logins on a pull request."""
    subject, text = notice(about, details)
    called = " ".join(f"@{login}" for login in people)
    body = "\n\n".join(_paragraph(part) for part in text.strip().split("\n\n"))
    return f"{called} **{plain(subject)}**\n\n{body}".strip()


def _paragraph(text: str) -> str:
    """Return lines of a notice in Markdown: quoted text is escaped; a line that is a command or an address stays."""
    return "\n".join(_line(line) for line in text.splitlines())


def _line(line: str) -> str:
    indented = line.startswith("  ")
    return f"- {line.strip() if '://' in line else f'`{line.strip()}`'}" if indented else plain(line) + "  "


# -- the notice plan as text, for checking a configuration -------------------------------------------------------------


def told_of_what(plan: NoticePlan) -> Iterator[str]:
    """Yield one line for each notice of a pipeline with its recipients."""
    topics = dict.fromkeys(topic for route in plan.routes for topic in route.topics if topic in _TOPICS)
    for topic in topics:
        places: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
        for route in plan.routes:
            if topic in route.topics:
                places.setdefault((route.stages, route.services), []).extend(route.to)
        yield f"{topic}: {'; '.join(_route(', '.join(dict.fromkeys(to)), *where) for where, to in places.items())}"
    for level in plan.escalation:
        who = _route(", ".join(level.to), level.stages, ())
        yield f"still locked by a failure after {duration(level.after)}: {who}"
    if plan.reminder is not None:
        first, every = duration(plan.reminder.after), duration(plan.reminder.every)
        yield f"lock of a person without an end after {first}, then every {every}: {', '.join(plan.reminder.to)}"
    if plan.weekly is not None:
        yield f"report of the week, {weekly_moment(plan.weekly)}: {', '.join(plan.weekly.to)}"


#: The topics of `bot.core.model.effects.Notify` that have routes; the others go out with the health.
_TOPICS = ("locked", "unlocked", "fix-failed", "failed", "freeze", "stuck")


def _route(who: str, stages: tuple[str, ...], services: tuple[str, ...]) -> str:
    where = f" in {' and '.join(stages)}" if stages else ""
    whose = f" of {' and '.join(services)}" if services else ""
    return f"{who}{where}{whose}"


def duration(seconds: float) -> str:
    """Return a whole number of minutes, hours or days in the file's notation: `90m`, `8h`, `1d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


# -- notices about a stage ---------------------------------------------------------------------------------------------


def _subject(of: m.StageNotice) -> str:
    if of.fix is not None:
        return f"fix failed: {words(of.fix.why)}"
    if of.locked:
        return f"{of.locked[-1].stage} is locked: {words(of.locked[-1].reason)}"
    if of.opened and of.left:
        return f"{of.stage} stays locked: {len(of.left)} of {len(of.left) + len(of.opened)} locks left"
    if of.opened:
        return f"{of.stage} is open"
    if of.since is not None:
        return f"{of.stage} is still locked: {words(_first(of.left).reason)}"
    if of.forgotten:
        return f"{of.stage} is still locked by {of.forgotten[0].by}: {words(of.forgotten[0].reason)}"
    return words(of.failed[-1].why)


def _first(locks: tuple[Lock, ...]) -> Lock:
    return next((lock for lock in locks if lock.automatic), locks[0])


def _text(of: m.StageNotice, details: NoticeDetails) -> str:
    """Return what happened, then the state of the stage and what to do."""
    parts = [*_happened(of, details), *(_failed(run, details) for run in of.failed)]
    if of.since is not None:
        parts.append(_escalated(of, of.since, details))
    if of.forgotten:
        parts.append(_reminder(of, details))
    return "\n".join(parts)


def _happened(of: m.StageNotice, details: NoticeDetails) -> Iterator[str]:
    opened = "; ".join(dict.fromkeys(words(why) for why in of.opened))
    if of.fix is not None:
        yield _fix_failed(of, of.fix) + _run_links(of.fix.run, details)
    elif of.locked:
        yield "\n".join(_locked(lock) + _lock_details(lock, details) for lock in of.locked)
    elif of.opened and of.left:
        yield f"A lock of {of.stage} is open: {opened}.\n{of.stage} stays locked by {named(of.left)}.\n"
    elif of.opened:
        yield f"{of.stage} is open: {opened}\n"
    if opened and (of.fix is not None or of.locked):
        yield f"Another lock is open: {opened}.\n"
    yield from (f"What happened, from the lock to its end:\n  {page}\n" for page in details.reports.values())


def _locked(lock: Lock) -> str:
    if lock.automatic:
        then = (
            f"Nobody enters {lock.stage} until it is fixed. Merge the fix to main of {lock.service}: it takes the fast "
            f"lane. If the environment was at fault, retry {lock.run}; or unlock the stage with a reason."
        )
    elif lock.freeze:
        then = (
            f"No run enters {lock.stage} until then, not even a fix, unless the freeze excepts it. Runs in it "
            f"finish. `interlock unlock {lock.stage}` lifts the rest of the window."
        )
    else:
        end = "" if lock.until is None else f", or until {moment(lock.until)}: then it opens by itself"
        then = f"Nobody enters{' but fixes on the fast lane' if lock.let_fixes_in else ''} until it is unlocked{end}."
    return f"{lock.stage} is locked: {words(lock.reason)}.\nLocked by: {lock.by}\n\n{then}\n"


def _fix_failed(of: m.StageNotice, fix: m.FailedFix) -> str:
    """Return what the failed fix means for the locks of its stage; it may now hold one of them itself."""
    own = any(lock.run == fix.run for lock in of.locked)
    others = len(of.left) - 1
    beside = "" if others < 1 else f", beside {others} other {'lock' if others == 1 else 'locks'}"
    stays = f"It holds a lock of {fix.step.stage} now{beside}." if own else "The lock stays."
    return (
        f"The fix {name(fix.who)} has failed: {words(fix.why)}.\n{stays} Merge another fix, or retry "
        f"{fix.run}; a newer fix that waited goes on at once.\n"
    )


def _failed(run: m.FailedFix, details: NoticeDetails) -> str:
    return f"{words(run.why)}. It locks nothing: merge a fix to start a new run.\n{_run_links(run.run, details)}"


def _escalated(of: m.StageNotice, since: float, details: NoticeDetails) -> str:
    """Return the text about a stage that failures have kept locked for long."""
    lines = [f"{of.stage} has been locked since {moment(since)}.\n"]
    lines += [f"{words(lock.reason)} (locked by {lock.by}).\n{_lock_details(lock, details)}" for lock in of.left]
    return "".join(lines)


def _reminder(of: m.StageNotice, details: NoticeDetails) -> str:
    """Return the text about locks of people that may be forgotten."""
    return "".join(_forgotten(lock) + _lock_details(lock, details) for lock in of.forgotten)


def _forgotten(lock: Lock) -> str:
    since = moment(lock.since)
    return f"{lock.by} has kept {lock.stage} locked since {since}: {words(lock.reason)}. The lock has no end.\n"


# -- links and commands ------------------------------------------------------------------------------------------------


def _lock_details(lock: Lock, details: NoticeDetails) -> str:
    """Return further details of a lock, with links and commands; empty if none were looked up."""
    if details is NOTHING_KNOWN:
        return ""
    known = "".join(f"{fact}.\n" for fact in details.facts.get(lock.key, ()))
    links = _run_links(lock.run, details) if lock.run is not None else ""
    retry = f"  interlock{details.flag} retry {lock.run} --reason '...'\n" if lock.run is not None else ""
    unlock = f"  interlock{details.flag} unlock {lock.stage} --lock {lock.key} --reason '...'\n"
    comment = f"  /interlock unlock {lock.key} the reason\n"
    return f"{known}{links}\nTo open it, type, or comment on a pull request:\n{retry}{unlock}{comment}"


def _run_links(run: str, details: NoticeDetails) -> str:
    log, page = details.logs.get(run), details.pages.get(run)
    lines = [f"The log of the failing build:\n  {log}\n"] if log else []
    lines += [f"The run {run}:\n  {page}\n"] if page else []
    return "".join(lines)


# -- lost state --------------------------------------------------------------------------------------------------------


def _loss(of: m.LossNotice) -> Iterator[str]:
    yield f"The state that Interlock had stored is lost: {of.why}."
    if of.closed:
        yield f"Closed until a person has looked: {', '.join(of.closed)}."
    yield from (f"  {stage} was locked: {words(why)}" for stage, why in of.locked)
    if of.found:
        yield "Interlock has put these locks back, from the memory of a worker or from banners; confirm or open each:"
        yield from (f"  {stage}: {words(why)}" for stage, why in of.found)
    if of.runs:
        yield "Runs that were on their way:"
        yield from (f"  {name(run.who)}, in {run.step} ({run.status})" for run in of.runs)
    if of.live > len(of.runs):
        yield f"  and {of.live - len(of.runs)} more"
    if of.going:
        yield "Earlier builds that still run; the result of one counts if its commit starts again:"
        yield from (f"  {name(run.who)}, in {run.step}: {run.status}" for run in of.going)
    if of.again:
        yield f"Started again from the first stage: {', '.join(name(who) for who in of.again)}."
    else:
        yield "Nothing has started again so far. A head of main that was never built starts when GitHub names it."
    if of.surveyed:
        yield f"For {of.surveyed} services neither a worker nor Jenkins shows anything: Interlock asks GitHub."
    if of.silent:
        yield f"Jenkins did not answer about {', '.join(of.silent)}: the state of these jobs is not known."
    yield (
        "Lost for good: the order of the queues, requests of people (cancel, move, let through, watch), the builds "
        "of pull requests, the log, the statistics, and messages that were not sent yet."
    )
    yield "Look in Jenkins what is rolled out; then: interlock unlock STAGE --reason '...'"
