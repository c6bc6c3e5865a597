"""Freeze windows for people: what `check` prints of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from typing import TYPE_CHECKING

from bot.reporting.sentences import local_moment

if TYPE_CHECKING:
    from bot.core.model.freezes import Freeze, FreezeWindow
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
        yield f"freeze {freeze.name} of {', '.join(freeze.stages)}{_exceptions(freeze)}"
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


def _exceptions(freeze: Freeze) -> str:
    """Whom it lets through, as `, but label hotfix, S9, whom an operator lets through`."""
    found = [f"label {label}" for label in freeze.labels] + list(freeze.services)
    found += [f"whom the role {freeze.role} lets through"] if freeze.role else []
    return f", but {', '.join(found)}" if found else ""
