"""Freezes as the rules use them: windows as concrete times in seconds since the epoch, from `config.freezes`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FreezeWindow:
    """One time span: in force from `begins` until just before `ends`."""

    begins: float
    ends: float

    def covers(self, at: float) -> bool:
        """Return whether the window is in force at a moment."""
        return self.begins <= at < self.ends


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze of the configuration: the stages that it closes, its windows, and its exceptions (W1, W2)."""

    name: str
    stages: tuple[str, ...]
    #: The window in force and the next ones, in order; they do not overlap. Replaced before they run out.
    windows: tuple[FreezeWindow, ...] = ()
    #: The zone in which people read its times.
    time_zone: str = "UTC"
    #: A run is excepted if a pull request that it carries has one of these labels; compared without regard to case.
    labels: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    #: The role that may let single runs through; empty: no person may.
    role: str = ""

    def window(self, at: float) -> FreezeWindow | None:
        """Return the window that is in force at a moment; None if there is none."""
        return next((window for window in self.windows if window.covers(at)), None)

    def following(self, at: float) -> FreezeWindow | None:
        """Return the first window that begins after a moment; None if there is none."""
        return next((window for window in self.windows if window.begins > at), None)


@dataclass(frozen=True, slots=True)
class LiftedFreeze:
    """A freeze that a person lifted at a stage: until `until`, its end, the window does not close it (W3)."""

    freeze: str
    stage: str
    until: float
    by: str


@dataclass(frozen=True, slots=True)
class PullLabels:
    """The labels of a pull request, as of `at` by GitHub's clock."""

    pull: int
    names: tuple[str, ...]
    at: float = 0.0
