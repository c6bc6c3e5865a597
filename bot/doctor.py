"""`interlock doctor`: one finding about Jenkins or GitHub: what was looked at, what was found, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    UNSURE = "unsure"  # works, or may work, but somebody should look
    BAD = "bad"  # runs will not get through


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """About a system (`controller cdp`, `GitHub`), or about one subject there (`job shop/build`, `repository shop/s1`).

    `stage`: the one that a job is. `found` and `mend` name no subject: many may have the same, and are printed
    together. An empty `found` says that everything is as it should be.
    """

    verdict: Verdict
    system: str
    subject: str | None
    stage: str | None
    found: str
    mend: str = ""

    @property
    def what(self) -> str:
        """What it is about, in words."""
        return self.system if self.subject is None else f"{self.subject} on {self.system.removeprefix('controller ')}"


@dataclass(frozen=True, slots=True)
class Subject:
    """Makes findings about one system, or about one subject there."""

    system: str
    subject: str | None = None
    stage: str | None = None

    @classmethod
    def controller(cls, name: str) -> Subject:
        """About a Jenkins controller."""
        return cls(f"controller {name}")

    @classmethod
    def job(cls, controller: str, name: str, stage: str) -> Subject:
        """About a job on one."""
        return cls(f"controller {controller}", f"job {name}", stage)

    @classmethod
    def github(cls, subject: str | None = None) -> Subject:
        """About GitHub, or about one subject there (`repository shop/s1`, `token`, `webhook of shop/s1`)."""
        return cls("GitHub", subject)

    def good(self, found: str = "") -> DoctorFinding:
        """All is well with it."""
        return DoctorFinding(Verdict.GOOD, self.system, self.subject, self.stage, found)

    def unsure(self, found: str, mend: str = "") -> DoctorFinding:
        """Somebody should look at it."""
        return DoctorFinding(Verdict.UNSURE, self.system, self.subject, self.stage, found, mend)

    def bad(self, found: str, mend: str) -> DoctorFinding:
        """It must be mended."""
        return DoctorFinding(Verdict.BAD, self.system, self.subject, self.stage, found, mend)
