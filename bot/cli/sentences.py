"""Sentences for the terminal about runs, facts, freezes, findings and pipelines, from the API's data.

The API shows a run as a tile (`bot.reporting.view`): its place, its status, and the reason for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any

from bot.cli.common import clock, count, duration
from bot.health.judgement import sentence
from bot.reporting.sentences import local_moment

if TYPE_CHECKING:
    from bot.core.model.freezes import FreezeWindow
    from config.configuration import Configuration


View = dict[str, Any]

_NOTHING = "Nothing to do"

#: What to do next, by the reason's name in the API (bot.core.model.facts.Why).
NEXT_STEPS = {
    "paused": "`interlock resume --reason ...` lets the pipeline run again",
    "backoff": "Look at the job in Jenkins; Interlock goes on trying to trigger it",
    "full": _NOTHING,
    "behind": _NOTHING,
    "locked": "It keeps its place until the lock opens, or a fix that contains it passes",
    "fix-ahead": _NOTHING,
    "proof": _NOTHING,
    "one-at-a-time": _NOTHING,
    "clean-up": _NOTHING,
    "recalled": "Nothing to do: it keeps its place in the queue",
    "starting": _NOTHING,
    "running": _NOTHING,
    "ending": _NOTHING,
    "holds-lock": "Merge the fix to main of {service}; if the environment was at fault: "
    "`interlock retry {run} --reason ...`",
    "fix-failed": "Merge another fix to main of {service}, or `interlock retry {run} --reason ...`",
    "next": _NOTHING,
}

#: What to do next, by the ending of a run (bot.core.model.run.End).
NEXT_STEPS_AFTER_END = {
    "delivered": _NOTHING,
    "failed": "Merge a fix: it starts a new run",
    "superseded": "Nothing to do: {by} contains its change",
    "cancelled": "Merge again to start a new run",
    "dropped": "If that was not intended, bring it back to main, or its service and stage back into the pipeline file",
}


# -- runs --------------------------------------------------------------------------------------------------------


def tiles(view: View) -> Iterator[View]:
    """Yield every run of the view once, by stage: queue, runs inside, failed runs; then those of its fast lane."""
    seen: set[str] = set()
    for stage in view["stages"]:
        for step in filter(None, (stage, stage.get("fast"))):
            for tile in (*step["queue"]["runs"], *step["inside"]["runs"], *step["failed"]):
                if tile["run"] not in seen:
                    seen.add(tile["run"])
                    yield tile


def step_name(tile: View) -> str:
    """Return the step of a run: `pre-production`, `fast pre-production`."""
    return f"fast {tile['stage']}" if tile["track"] == "fast" else str(tile["stage"])


def run_name(tile: View) -> str:
    """Return the name of a run: service, short sha."""
    return f"{tile['service']} {tile['short']}"


def whereabouts(tile: View) -> str:
    """Return the place of a run as the end of a sentence: `waits for production`, `runs in build`."""
    status = str(tile["status"])
    words = {"waiting": "waits for", "running": "runs in", "starting": "starts in"}
    return f"{words.get(status, f'is {status} in')} {step_name(tile)}"


def on_the_way(view: View, lock: View) -> list[View]:
    """Return the runs that may open an automatic lock: the service's fast runs, and its holder while it is retried."""
    return [
        tile
        for tile in tiles(view)
        if tile["service"] == lock["service"]
        and tile["status"] != "failed"
        and (tile["lane"] == "fast" or tile["run"] == lock["run"])
    ]


def about(estimate: View, now: float) -> str:
    """Return an estimate in words: `about 10:40 (10:32 to 11:15)`."""
    low, high = clock(estimate["low"], now), clock(estimate["high"], now)
    return f"about {clock(estimate['at'], now)}" + (f" ({low} to {high})" if low != high else "")


def estimate_sentence(tile: View, now: float) -> str:
    """Return the estimate of a run's entry or passing, or its removal and flaky tests; empty if none is known."""
    eta = tile.get("eta") or {}
    if eta.get("enters"):
        behind = f", {eta['behind']}" if eta["behind"] else ""
        return f"It enters {step_name(tile)} {about(eta['enters'], now)}{behind}."
    if eta.get("passes"):
        return f"It passes {step_name(tile)} {about(eta['passes'], now)}."
    said = [str(eta.get("removed", "")), *tile.get("flaky", ())]
    return " ".join(f"{each[:1].upper()}{each[1:]}." for each in said if each)


def lock_estimate_sentence(lock: View, now: float) -> str:
    """Return the estimated opening of a lock and its cost; empty if both are unknown."""
    eta, cost = lock.get("eta"), lock.get("cost")
    if eta is None or cost is None:
        return ""
    because = f" ({eta['because']})" if eta["because"] else ""
    said = [f"opens {about(eta['opens'], now)}{because}"] if eta["opens"] and lock["automatic"] else []
    said += [f"has cost {cost['words']} so far"] if cost["run_seconds"] >= 60 else []
    return "; ".join(said)


def run_sentence(tile: View, health: View | None = None, now: float | None = None) -> str:
    """Return the sentence for a run on the board: its place, the reason, what to do next.

    If Interlock itself is unhealthy and that holds runs up, the next step is to mend that.
    """
    place = f", place {tile['position']}" if tile.get("position") else ""
    where = f" waits for {step_name(tile)}{place}" if tile["status"] == "waiting" else ""
    then = _next_step(tile)
    if then.startswith(_NOTHING) and health is not None and any(each["holds_up"] for each in health["findings"]):
        then = f"Interlock is {health['status']}: mend the cause named above, then the run continues"
    who = "" if run_name(tile) in tile["reason"] and not where else f" ({run_name(tile)})"
    when = "" if now is None else estimate_sentence(tile, now)
    return f"{tile['run']}{who}{where}: {tile['reason']}. {f'{when} ' if when else ''}{then}."


def _next_step(tile: View) -> str:
    """Return what to do about a run, consistent with its reason: if a fix is on its way, no other is asked for."""
    if tile.get("stuck"):
        return f"End build #{tile['build']} in Jenkins by hand: its slot is free then"
    if tile.get("fix"):
        return f"Nothing to do while {tile['fix']} is on its way"
    return NEXT_STEPS.get(tile["why"], _NOTHING).format(service=tile["service"], run=tile["run"])


def ended_run_sentence(row: View, now: float) -> str:
    """Return the sentence for a run that has left the board; `now` in seconds since the epoch."""
    then = NEXT_STEPS_AFTER_END.get(row["end"], _NOTHING).format(by=row.get("by") or "a newer run")
    if row["end"] == "failed" and row.get("newer"):
        then = f"Nothing to do for this one: {row['newer']} came after it"
    ago = duration(now - row["at"])
    return f"{row['run']} ({run_name(row)}) {row['end']} {ago} ago in {step_name(row)}: {row['reason']}. {then}."


def verification_sentence(row: View) -> str:
    """Return the sentence for the verification of a pull request: its place and the reason."""
    return f"{row['run']} ({row['service']} #{row['pull']} {row['short']}): {row['reason']}. {_NOTHING}."


def evidence_lines(record: View, now: float) -> Iterator[str]:
    """Yield the attempts of a run with the logs of failed builds, its waiting times, and the runs it carries."""
    if record["attempts"]:
        yield "Attempts:"
    for each in record["attempts"]:
        yield f"  {each['number']}  {_attempt(each, now)}"
        if each["failed"] and each["log_link"]:
            yield f"     {each['log_link']}"
    waits = record["waits"]
    if waits is not None:
        causes = sorted((each for each in waits["causes"] if each["seconds"] >= 1), key=lambda each: -each["seconds"])
        split = ", ".join(f"{each['cause']} {duration(each['seconds'])}" for each in causes)
        yield f"Waited {duration(waits['waited'])}{f' ({split})' if split else ''}, built {duration(waits['built'])}."
    others = [each["run"] for each in (record["carries"] or {"merges": []})["merges"][1:]]
    if others:
        yield f"It also carries what {', '.join(others)} brought."


def _attempt(each: View, now: float) -> str:
    """Return an attempt: `pre-production: failure, build #106, 2 min (CheckoutTest; step Roll out)`."""
    build = f", build #{each['build']}" if each["build"] else ""
    began = each["started"] or each["asked"]
    if each["seconds"] is not None:
        when = f", {duration(each['seconds'])}"
    else:
        when = f", since {clock(began, now)}" if each["goes_on"] and began else ""
    what = "; ".join([*each["tests"][:3], *([f"step {each['failed_step']}"] if each["failed_step"] else [])])
    return f"{step_name(each)}: {each['outcome'].replace('-', ' ')}{build}{when}{f' ({what})' if what else ''}"


# -- facts and health --------------------------------------------------------------------------------------------


def fact_sentence(fact: View) -> str:
    """Return the sentence for a fact of the log, with its run and the person who asked for it."""
    text = str(fact.get("why") or fact.get("kind"))
    service, short = fact.get("service"), str(fact.get("sha") or "")[:7]
    if service and fact.get("run") and short not in text:
        text = f"{service} {short}: {text}"
    by = fact.get("by")
    return f"{text} (by {by})" if by and str(by) not in text else text


def health_sentences(health: View | None, now: float) -> Iterator[str]:
    """Yield a sentence for each finding about Interlock's own health; none if it is `ok`."""
    if health is None or health["status"] == "ok":
        return
    yield f"Interlock is {health['status']}:"
    for finding in health["findings"]:
        yield f"- {finding_sentence(finding, now)}"


def finding_sentence(finding: View, now: float) -> str:
    """Return the sentence for a finding: the problem, its beginning, what to do."""
    return sentence(finding, lambda at: clock(at, now))


# -- freezes: printed by `check` from the file, and by `freezes` from a running pipeline -------------------------------

#: The number of windows of each freeze that `check` prints.
PRINTED = 3
#: The number of windows of each freeze that are compared for overlaps.
COMPARED = 60


def freeze_lines(configuration: Configuration, pipeline: str, now: float) -> Iterator[str]:
    """Yield the next windows of each freeze of a pipeline, its exceptions, and where two overlap."""
    from config.freezes import windows

    configured = configuration.freezes.get(pipeline, ())
    coming = [(each.freeze, list(islice(windows(each.times, now), COMPARED))) for each in configured]
    for freeze, found in coming:
        exceptions = _exceptions(freeze.labels, freeze.services, freeze.role)
        yield f"freeze {freeze.name} of {', '.join(freeze.stages)}{exceptions}"
        for window in found[:PRINTED]:
            in_force = " (now in force)" if window.covers(now) else ""
            yield f"  {span(window, freeze.time_zone)}{in_force}"
        if not found:
            yield "  is over: it has no further window"
    for (freeze, mine), (other, theirs) in combinations(coming, 2):
        stages = [stage for stage in freeze.stages if stage in other.stages]
        overlap = next((pair for one in mine for pair in _overlaps(one, theirs)), None) if stages else None
        if overlap is not None:
            both = f"{freeze.name} and {other.name} overlap, {span(overlap, freeze.time_zone)}"
            yield f"freezes {both}: {', '.join(stages)} opens when both are over"


def span(window: FreezeWindow, time_zone: str) -> str:
    """Return a window in the time zone of its freeze."""
    return f"{local_moment(window.begins, time_zone)} to {local_moment(window.ends, time_zone)}"


def _overlaps(window: FreezeWindow, others: Iterable[FreezeWindow]) -> Iterator[FreezeWindow]:
    for other in others:
        begins, ends = max(window.begins, other.begins), min(window.ends, other.ends)
        if begins < ends:
            yield type(window)(begins, ends)


def _exceptions(labels: Iterable[str], services: Iterable[str], role: str | None) -> str:
    """Return the exceptions of a freeze: `, but label hotfix, S9, whom the role operator lets through`."""
    found = [f"label {label}" for label in labels] + list(services)
    found += [f"whom the role {role} lets through"] if role else []
    return f", but {', '.join(found)}" if found else ""


def listed(freezes: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines about the freezes of a running pipeline, from the API's data."""
    if not freezes:
        yield "no freezes: the pipeline file has none (docs/freezes.md)"
    for each in freezes:
        exceptions = _exceptions(each["labels"], each["services"], each["role"])
        yield f"{each['name']} closes {', '.join(each['stages'])}{exceptions}"
        for number, window in enumerate(each["windows"]):
            yield f"  {'in force: ' if each['in_force'] and not number else ''}{window['words']}"
        yield from (f"  lifted in {lift['stage']} by {lift['by']}" for lift in each["lifted"])
        if not each["windows"]:
            yield "  is over: it has no further window"


# -- all pipelines as lines, from the API's data -----------------------------------------------------------------------

_MODE_IN_LIST = {"run": "open", "pause": "PAUSED", "observe": "OBSERVING"}


def overview_lines(found: View) -> Iterator[str]:
    """Yield a line for each pipeline, one for each of its locks, and a hint how to see one whole."""
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
    mode = _MODE_IN_LIST.get(each["mode"], str(each["mode"]))
    if not each["locks"]:
        return mode
    closed = "FROZEN" if len(each.get("frozen", ())) == len(each["locked"]) else "LOCKED"
    return closed if each["mode"] == "run" else f"{closed}, {mode}"


def _runs(each: View) -> str:
    waiting = f", {each['waiting']} waiting" if each["waiting"] else ""
    failed = f", {each['failed']} failed" if each["failed"] else ""
    return f"{count(each['live'], 'run')}{waiting}{failed}"
