"""Reports the plays: a few lines for each, and a table of faults and violations for all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from chaos.plan import KINDS
from chaos.play import Played


def summary(played: Played) -> str:
    """Describe one play in a few lines."""
    counted = ", ".join(f"{number} {end}" for end, number in Counter(played.ends).most_common())
    lines = [
        f"seed {played.seed}: {played.seconds:.0f} s, {sum(played.times.values())} faults, {played.merges} merges, "
        f"{played.builds} builds; runs: {counted}; all over {played.calm_after:.0f} s after the last fault; "
        f"{len(played.violations)} violations, {len(played.tracebacks)} tracebacks"
    ]
    lines += [f"  VIOLATION of {each.promise!r}: {each.what}" for each in played.violations]
    lines += [f"  {line}" for line in played.tracebacks[:5]]
    return "\n".join(lines)


def table(played: Sequence[Played]) -> str:
    """Return faults and violations of all plays, as Markdown."""
    times: Counter[str] = Counter()
    plays: Counter[str] = Counter()
    violations: Counter[str] = Counter()
    for each in played:
        times.update(each.times)
        plays.update(each.times.keys())
        violations.update({kind: len(each.violations) for kind in each.times})
    rows = ["| fault | times | plays with it | violations in these |", "| --- | ---: | ---: | ---: |"]
    rows += [f"| {kind} | {times[kind]} | {plays[kind]} | {violations[kind]} |" for kind in KINDS if times[kind]]
    rows += [f"| {kind} | skipped: libfaketime is not here | | |" for kind in sorted({*_skipped(played)})]
    total = sum(len(each.violations) for each in played)
    rows.append(f"| **all** | **{sum(times.values())}** | **{len(played)}** | **{total}** |")
    merges, builds = sum(each.merges for each in played), sum(each.builds for each in played)
    seconds = max((each.calm_after for each in played), default=0.0)
    text = f"{merges:,} merges, {builds:,} builds. All had ended {seconds:.0f} s after the last fault at the latest."
    return "\n".join([*rows, "", text])


def _skipped(played: Sequence[Played]) -> Iterator[str]:
    for each in played:
        yield from each.skipped


def into_page(text: str, played: Sequence[Played]) -> str:
    """Put the table between `<!-- chaos -->` and `<!-- end -->` of a page. Raise ValueError without such a place."""
    place = re.compile(r"(<!-- chaos -->\n).*?(<!-- end -->)", re.DOTALL)
    found, count = place.subn(lambda match: f"{match[1]}\n{table(played)}\n\n{match[2]}", text)
    if count != 1:
        raise ValueError(f"there are {count} places for the table of chaos in the text, expected one")
    return found
