"""One sentence for each run: where it is, why it stands there, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from bot.cli.texts import clock, lasting
from bot.cli.tiles import View, name, step_name
from bot.health.wording import sentence

_WAIT = "Nothing to do"

#: By the reason's name in the API (bot.core.model.reasons.Why).
NEXT = {
    "paused": "`interlock resume --reason ...` lets the pipeline run again",
    "backoff": "Look at the job in Jenkins; it is asked again by itself",
    "full": _WAIT,
    "behind": _WAIT,
    "locked": "Nothing to do for this run: it keeps its place until the lock opens, or a fix with it has passed",
    "fix-ahead": _WAIT,
    "proof": _WAIT,
    "one-at-a-time": _WAIT,
    "clean-up": _WAIT,
    "recalled": "Nothing to do: it keeps its place at the head of the queue",
    "starting": _WAIT,
    "running": _WAIT,
    "ending": _WAIT,
    "holds-lock": "Merge the fix to main of {service}; if the environment was at fault: "
    "`interlock retry {run} --reason ...`",
    "fix-failed": "Merge another fix to main of {service}, or `interlock retry {run} --reason ...`",
    "next": _WAIT,
}

#: By how a run ended (bot.core.model.run.End).
AFTER = {
    "delivered": _WAIT,
    "failed": "Merge a fix: it starts a new run",
    "superseded": "Nothing to do: {by} carries it on",
    "cancelled": "Merge again to start a new run",
    "dropped": "If that was not meant, merge it again",
}


def unwell(health: View | None, now: float) -> Iterator[str]:
    """What is wrong with Interlock itself, a sentence for each cause; nothing if it is well."""
    if health is None or health["status"] == "ok":
        return
    yield f"Interlock is {health['status']}:"
    for finding in health["findings"]:
        yield f"- {told(finding, now)}"


def told(finding: View, now: float) -> str:
    """One finding: what is wrong, since when, what to do."""
    return sentence(finding, lambda at: clock(at, now))


def live(tile: View, health: View | None = None) -> str:
    """The sentence for a run on the board. While Interlock is unwell it says so: then there is something to do."""
    place = f", place {tile['position']}" if tile.get("position") else ""
    where = f" waits for {step_name(tile)}{place}" if tile["status"] == "waiting" else ""
    then = NEXT.get(tile["why"], _WAIT).format(service=tile["service"], run=tile["run"])
    if then.startswith(_WAIT) and health is not None and any(each["holds_up"] for each in health["findings"]):
        then = f"Interlock is {health['status']}: mend what is said of it above, then the run goes on by itself"
    who = "" if name(tile) in tile["reason"] and not where else f" ({name(tile)})"
    return f"{tile['run']}{who}{where}: {tile['reason']}. {then}."


def ended(row: View, now: float) -> str:
    """The sentence for a run that has left the board."""
    then = AFTER.get(row["end"], _WAIT).format(by=row.get("by") or "a newer run")
    ago = lasting(now - row["at"])
    return f"{row['run']} ({name(row)}) {row['end']} {ago} ago in {step_name(row)}: {row['reason']}. {then}."
