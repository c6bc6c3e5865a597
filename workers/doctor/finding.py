"""What the doctor says: one thing that was looked at, what was found, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    UNSURE = "unsure"  # works, or may work, but somebody should look
    BAD = "bad"  # runs will not get through


@dataclass(frozen=True, slots=True)
class Finding:
    """About a controller, or about one job on it and the stage that it is.

    `found` and `mend` name neither job nor stage: many may have the same, and are told together.
    """

    verdict: Verdict
    controller: str
    job: str | None
    stage: str | None
    found: str
    mend: str = ""

    @property
    def what(self) -> str:
        """What it is about, in words."""
        return f"controller {self.controller}" if self.job is None else f"job {self.job} on {self.controller}"


@dataclass(frozen=True, slots=True)
class About:
    """Makes findings about one controller, or about one job on it."""

    controller: str
    job: str | None = None
    stage: str | None = None

    def good(self, found: str) -> Finding:
        """All is well with it."""
        return Finding(Verdict.GOOD, self.controller, self.job, self.stage, found)

    def unsure(self, found: str, mend: str = "") -> Finding:
        """Somebody should look at it."""
        return Finding(Verdict.UNSURE, self.controller, self.job, self.stage, found, mend)

    def bad(self, found: str, mend: str) -> Finding:
        """It must be mended."""
        return Finding(Verdict.BAD, self.controller, self.job, self.stage, found, mend)
