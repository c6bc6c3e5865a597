"""Rules that set the outcome of future builds by job and parameter values. All matching rules apply, newest last."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from standins.jenkins.model import RESULTS, Job, Outcome, Values


@dataclass
class Rule:
    """A rule for builds of `job` (`*`: any) whose parameters have all values of `match`; `count` limits its use."""

    job: str = "*"
    match: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    count: int | None = None


class Outcomes:
    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        check_result(rule.changes.get("result"))
        self.rules.append(rule)

    def clear(self, job: str | None = None) -> None:
        self.rules = [rule for rule in self.rules if job is not None and rule.job != job]

    def of(self, job: Job, values: Values) -> Outcome:
        """Return the outcome of a build that starts now: the job's, changed by each matching rule, oldest first."""
        outcome = replace(job.outcome, held=job.held)
        for rule in self.rules:
            if rule.job in ("*", job.full_name) and matches(values, rule.match) and rule.count != 0:
                if rule.count is not None:
                    rule.count -= 1
                outcome = replace(outcome, **rule.changes)
        return outcome


def matches(values: Values, match: dict[str, Any]) -> bool:
    """Return whether the values have each pair of `match`; compared as text: 5 equals "5", True equals "true"."""
    have = {value.name: as_text(value.value) for value in values}
    return all(have.get(name) == as_text(wanted) for name, wanted in match.items())


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_result(result: str | None) -> None:
    if result is not None and result not in RESULTS:
        raise ValueError(f"a result is one of {', '.join(RESULTS)}, not {result!r}")
