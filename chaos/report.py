"""What came of the plays: a few lines for each, and the table of faults and violations for all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from chaos.plan import KINDS
from chaos.play import Played


def summary(played: Played) -> str:
    """One play, in a few lines."""
    records, plan = played.records, played.plan
    ends = Counter(str(run.get("end") or "live") for run in records.runs)
    counted = ", ".join(f"{number} {end}" for end, number in ends.most_common())
    lines = [
        f"seed {plan.seed}: {played.seconds:.0f} s, {sum(played.times.values())} faults, {len(records.merged)} merges, "
        f"{len(records.builds)} builds; runs: {counted}; all over {played.calm_after:.0f} s after the last fault; "
        f"{len(played.violations)} violations, {len(played.tracebacks)} tracebacks"
    ]
    lines += [f"  VIOLATION of {each.promise!r}: {each.what}" for each in played.violations]
    lines += [f"  {line}" for line in played.tracebacks[:5]]
    return "\n".join(lines)


def table(played: Sequence[Played]) -> str:
    """Faults and violations of all plays, as Markdown."""
    times: Counter[str] = Counter()
    plays: Counter[str] = Counter()
    violations: Counter[str] = Counter()
    for each in played:
        times.update(each.times)
        plays.update(each.times.keys())
        violations.update({kind: len(each.violations) for kind in each.times})
    skipped = set().union(*(each.skipped for each in played)) if played else set()
    rows = ["| fault | times | plays with it | violations in these |", "| --- | ---: | ---: | ---: |"]
    rows += [f"| {kind} | {times[kind]} | {plays[kind]} | {violations[kind]} |" for kind in KINDS if times[kind]]
    rows += [f"| {kind} | skipped: libfaketime is not here | | |" for kind in sorted(skipped)]
    total = sum(len(each.violations) for each in played)
    merges, builds = (sum(len(rows) for rows in found) for found in _sizes(played))
    rows.append(f"| **all** | **{sum(times.values())}** | **{len(played)}** | **{total}** |")
    seconds = max((each.calm_after for each in played), default=0.0)
    text = f"{merges} merges, {builds} builds. Everything had ended {seconds:.0f} s after the last fault at the latest."
    return "\n".join([*rows, "", text])


def _sizes(played: Sequence[Played]) -> tuple[list[list[object]], list[list[object]]]:
    return [[*each.records.merged] for each in played], [[*each.records.builds] for each in played]


def into_page(text: str, played: Sequence[Played]) -> str:
    """A page with the table between `<!-- chaos -->` and `<!-- end -->`. Raises ValueError if it has no such place."""
    place = re.compile(r"(<!-- chaos -->\n).*?(<!-- end -->)", re.DOTALL)
    found, count = place.subn(lambda match: f"{match[1]}\n{table(played)}\n\n{match[2]}", text)
    if count != 1:
        raise ValueError(f"there are {count} places for the table of chaos in the text, expected one")
    return found
