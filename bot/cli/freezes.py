"""Freeze windows for people: what `check` prints of the file, and `freezes` of a running pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any

from bot.reporting.sentences import local_moment

if TYPE_CHECKING:
    from bot.core.model.freezes import FreezeWindow
    from config.configuration import Configuration

#: How many windows of each freeze `check` prints.
PRINTED = 3
#: How many windows of each are looked at for overlaps.
COMPARED = 60


def freeze_lines(configuration: Configuration, pipeline: str, now: float) -> Iterator[str]:
    """The next windows of each freeze of a pipeline, whom it lets through, and where two overlap."""
    from config.freeze_times import windows

    configured = configuration.freezes.get(pipeline, ())
    coming = [(each.freeze, list(islice(windows(each.times, now), COMPARED))) for each in configured]
    for freeze, found in coming:
        exceptions = _exceptions(freeze.labels, freeze.services, freeze.role)
        yield f"freeze {freeze.name} of {', '.join(freeze.stages)}{exceptions}"
        for window in found[:PRINTED]:
            in_force = " (now in force)" if window.covers(now) else ""
            yield f"  {span(window, freeze.time_zone)}{in_force}"
        if not found:
            yield "  is over: nothing comes any more"
    for (freeze, mine), (other, theirs) in combinations(coming, 2):
        stages = [stage for stage in freeze.stages if stage in other.stages]
        overlap = next((pair for one in mine for pair in _overlaps(one, theirs)), None) if stages else None
        if overlap is not None:
            both = f"{freeze.name} and {other.name} overlap, {span(overlap, freeze.time_zone)}"
            yield f"freezes {both}: {', '.join(stages)} opens when both are over"


def span(window: FreezeWindow, time_zone: str) -> str:
    """A window by the clocks of its zone."""
    return f"{local_moment(window.begins, time_zone)} to {local_moment(window.ends, time_zone)}"


def _overlaps(window: FreezeWindow, others: Iterable[FreezeWindow]) -> Iterator[FreezeWindow]:
    for other in others:
        begins, ends = max(window.begins, other.begins), min(window.ends, other.ends)
        if begins < ends:
            yield type(window)(begins, ends)


def _exceptions(labels: Iterable[str], services: Iterable[str], role: str | None) -> str:
    """Whom it lets through: `, but label hotfix, S9, whom the role operator lets through`."""
    found = [f"label {label}" for label in labels] + list(services)
    found += [f"whom the role {role} lets through"] if role else []
    return f", but {', '.join(found)}" if found else ""


def listed(freezes: list[dict[str, Any]]) -> Iterator[str]:
    """The freezes of a running pipeline, as the API tells of them."""
    if not freezes:
        yield "no freezes: the pipeline file has none (docs/freezes.md)"
    for each in freezes:
        exceptions = _exceptions(each["labels"], each["services"], each["role"])
        yield f"{each['name']} closes {', '.join(each['stages'])}{exceptions}"
        for number, window in enumerate(each["windows"]):
            yield f"  {'in force: ' if each['in_force'] and not number else ''}{window['words']}"
        yield from (f"  lifted in {lift['stage']} by {lift['by']}" for lift in each["lifted"])
        if not each["windows"]:
            yield "  is over: nothing comes any more"
