"""Freeze windows as the rules see them: concrete times, worked out by `config.freezes`. Seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FreezeWindow:
    """One time span: in force from `begins` on, over at `ends`."""

    begins: float
    ends: float

    def covers(self, at: float) -> bool:
        """Whether it is in force at a moment."""
        return self.begins <= at < self.ends


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze of the configuration: which stages it closes when, and whom it lets through all the same (W1, W2)."""

    name: str
    stages: tuple[str, ...]
    #: The window in force and the next ones, in order; they do not overlap. Replaced before they run out.
    windows: tuple[FreezeWindow, ...] = ()
    #: For people, who read its times by the clock of this zone.
    time_zone: str = "UTC"
    #: A run is excepted if a pull request that it carries has one of these labels; compared without regard to case.
    labels: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    #: The role that lets single runs through; empty: nobody does.
    role: str = ""

    def window(self, at: float) -> FreezeWindow | None:
        """The window that is in force at a moment."""
        return next((window for window in self.windows if window.covers(at)), None)

    def following(self, at: float) -> FreezeWindow | None:
        """The first window that begins after a moment."""
        return next((window for window in self.windows if window.begins > at), None)


@dataclass(frozen=True, slots=True)
class LiftedFreeze:
    """A person has opened the lock of a freeze: until `until`, its end, the window does not close the stage (W3)."""

    freeze: str
    stage: str
    until: float
    by: str


@dataclass(frozen=True, slots=True)
class PullLabels:
    """The labels of a pull request at GitHub, as of `at` by GitHub's clock."""

    pull: int
    names: tuple[str, ...]
    at: float = 0.0
