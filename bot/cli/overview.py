"""All pipelines as lines for the terminal, the locked ones first, as the API has them."""

from __future__ import annotations

from collections.abc import Iterator

from bot.cli.common import clock, count, duration
from bot.cli.sentences import View, health_sentences

_MODES = {"run": "open", "pause": "PAUSED", "observe": "OBSERVING"}


def overview_lines(found: View) -> Iterator[str]:
    """A line for each pipeline, one more for each of its locks, and how to see one of them whole."""
    now = found["at"]
    yield from health_sentences(found.get("health"), now)
    width = max((len(each["name"]) for each in found["pipelines"]), default=0)
    for each in found["pipelines"]:
        yield f"{each['name']:<{width}}  {_state(each):<9}  {_runs(each)}"
        for lock in each["locks"]:
            since = f"{clock(lock['since'], now)} ({duration(now - lock['since'])})"
            fix = f"; the fix {lock['fix']} is on its way" if lock["fix"] else ""
            closed = "frozen" if lock.get("freeze") else "locked"
            yield f"{'':<{width}}  {lock['stage']} is {closed} since {since}: {lock['reason']}{fix}"
        if each["more_locks"]:
            yield f"{'':<{width}}  and {count(each['more_locks'], 'lock')} more"
    if found["pipelines"]:
        yield "`interlock status -p NAME` draws one of them."
    else:
        yield "No pipeline is configured."


def _state(each: View) -> str:
    mode = _MODES.get(each["mode"], str(each["mode"]))
    if not each["locks"]:
        return mode
    closed = "FROZEN" if len(each.get("frozen", ())) == len(each["locked"]) else "LOCKED"
    return closed if each["mode"] == "run" else f"{closed}, {mode}"


def _runs(each: View) -> str:
    waiting = f", {each['waiting']} waiting" if each["waiting"] else ""
    failed = f", {each['failed']} failed" if each["failed"] else ""
    return f"{count(each['live'], 'run')}{waiting}{failed}"
