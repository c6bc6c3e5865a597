"""What the doctor found, as people read it: by system, the bad first, what jobs have in common told once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bot.cli.out import say

if TYPE_CHECKING:
    from bot.doctor import Finding

#: In the order in which they are told: verdict, mark, colour.
_KINDS = (("bad", "BAD", "red"), ("unsure", "unsure", "yellow"), ("good", "ok", "green"))
#: How many jobs with the same finding are named; and up to how many good ones have a line each.
_NAMED, _LINES = 4, 10


def tell(findings: Sequence[Finding], urls: Mapping[str, str]) -> None:
    """Print everything; `urls` is where the systems are."""
    for system in dict.fromkeys(finding.system for finding in findings):
        say(f"{system}  {urls.get(system, '')}".rstrip(), bold=True)
        for verdict, mark, colour in _KINDS:
            mine = [f for f in findings if f.system == system and f.verdict == verdict]
            for who, finding in _told_once(mine):
                say(f"  {mark:<7} {who}{finding.found}", fg=colour)
                if finding.mend:
                    say(f"          → {finding.mend}")
    say(_sum([str(finding.verdict) for finding in findings]))


def as_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The same for programs: one object for each finding."""
    return [asdict(finding) for finding in findings]


def _told_once(findings: Sequence[Finding]) -> Iterator[tuple[str, Finding]]:
    """Whom a finding is about, in words, and the finding; those about the system itself first."""
    for finding in findings:
        if finding.subject is None:
            yield "", finding
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.subject is not None:
            alike.setdefault((finding.found, finding.mend), []).append(finding)
    for group in alike.values():
        if group[0].verdict == "good" and len(group) <= _LINES:
            yield from ((f"{_named(finding)}: ", finding) for finding in group)
        else:
            yield f"{_whom(group)}: ", group[0]


def _whom(group: Sequence[Finding]) -> str:
    if len(group) == 1:
        return _named(group[0])
    kind = str(group[0].subject).partition(" ")[0]
    kinds = "repositories" if kind == "repository" else f"{kind}s"
    if group[0].verdict == "good":
        return f"{len(group)} {kinds}"
    names = ", ".join(_named(finding).partition(" ")[2] for finding in group[:_NAMED])
    more = f" and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
    return f"{kinds} {names}{more}"


def _named(finding: Finding) -> str:
    return f"{finding.subject} ({finding.stage})" if finding.stage is not None else str(finding.subject)


def _sum(verdicts: Sequence[str]) -> str:
    bad, unsure = verdicts.count("bad"), verdicts.count("unsure")
    look = f"{unsure} to look at." if unsure else ""
    if bad:
        return f"{bad} to mend before runs get through. {look}".rstrip()
    return f"Runs get through. {look}" if look else "All is well."
