"""The form of one finding of `interlock doctor`: its subject, its verdict, the problem and its remedy.

The checks themselves are in `bot.github` and `bot.jenkins`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The severity of a finding."""

    GOOD = "good"
    UNSURE = "unsure"  # works, or may work, but a person should check
    BAD = "bad"  # runs will not get through


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """A finding about a system (`controller cdp`, `GitHub`) or about one subject there (`job shop/build`).

    Another subject is `repository shop/s1`. `stage`: the stage of the job, if the subject is a job. `found` and `mend`
    do not name the subject, because equal findings about several subjects are printed together. An empty `found` means
    that no problem was found.
    """

    verdict: Verdict
    system: str
    subject: str | None
    stage: str | None
    found: str
    mend: str = ""

    @property
    def what(self) -> str:
        """Return the subject and its system in words."""
        return self.system if self.subject is None else f"{self.subject} on {self.system.removeprefix('controller ')}"


@dataclass(frozen=True, slots=True)
class Subject:
    """A factory of findings about one system, or about one subject there."""

    system: str
    subject: str | None = None
    stage: str | None = None

    @classmethod
    def controller(cls, name: str) -> Subject:
        """Return a subject for a Jenkins controller."""
        return cls(f"controller {name}")

    @classmethod
    def job(cls, controller: str, name: str, stage: str) -> Subject:
        """Return a subject for a job on a controller."""
        return cls(f"controller {controller}", f"job {name}", stage)

    @classmethod
    def github(cls, subject: str | None = None) -> Subject:
        """Return a subject for GitHub, or for one thing there (`repository shop/s1`, `token`, `webhook of shop/s1`)."""
        return cls("GitHub", subject)

    def good(self, found: str = "") -> DoctorFinding:
        """Return a finding without a problem."""
        return DoctorFinding(Verdict.GOOD, self.system, self.subject, self.stage, found)

    def unsure(self, found: str, mend: str = "") -> DoctorFinding:
        """Return a finding that a person should check."""
        return DoctorFinding(Verdict.UNSURE, self.system, self.subject, self.stage, found, mend)

    def bad(self, found: str, mend: str) -> DoctorFinding:
        """Return a finding that must be mended."""
        return DoctorFinding(Verdict.BAD, self.system, self.subject, self.stage, found, mend)
