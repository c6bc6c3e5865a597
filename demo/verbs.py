"""The verbs of every world that can play a story: the rules alone, a worker, or all processes as in the demo.

A story that uses only these verbs runs in each of these worlds (`demo/pictures.py` tells the four pictures). Commits
are named by service and letter: `S1a` is commit a of service S1, and the name of its run. `queue` and `runs_in` give
the order of the pictures, from the tail on the left to the head on the right.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from bot.core.model.board import Board
from bot.core.model.events import (
    CancelAsked,
    Configured,
    Event,
    FastLaneAsked,
    LockAsked,
    ModeAsked,
    MoveAsked,
    RetryAsked,
    UnlockAsked,
)
from bot.core.model.pipeline import Lane, Mode, Pipeline, Step, Track
from bot.core.model.run import Run, Status

Found = TypeVar("Found")


class Spoiled(AssertionError):
    """A story that did not go as expected; the message gives the difference."""


class StoryWorld(ABC):
    """A pipeline and its surroundings. A verb returns after its events are decided."""

    # -- different in each world ---------------------------------------------------------------------

    @abstractmethod
    def board_now(self) -> Board:
        """Return the current board."""

    @abstractmethod
    def start(self) -> None:
        """Start the pipeline with the current heads of main, before any other verb."""

    @abstractmethod
    def tell(self, *events: Event) -> object:
        """Send events one after the other, with all that follows from them."""

    @abstractmethod
    def merge(self, service: str, letter: str) -> Any:
        """Merge a commit to main and deliver its push."""

    @abstractmethod
    def sha_of(self, name: str) -> str:
        """Return the sha of a commit."""

    @abstractmethod
    def name_of(self, sha: str) -> str:
        """Return the name of a commit."""

    def wait_until(self, what: str, so: Callable[[], Found]) -> Found:
        """Return the truthy result of `so`; a world of processes waits for it. Raise Spoiled with `what` otherwise."""
        found = so()
        if not found:
            raise Spoiled(f"it is not so that {what}")
        return found

    # -- requests of people -------------------------------------------------------------------------------------

    def lock(self, stage: str, by: str = "ann", *, let_fixes_in: bool = False, until: float | None = None) -> None:
        """Lock a stage as a person."""
        self.tell(LockAsked(stage, by, "maintenance", let_fixes_in, until))

    def unlock(self, stage: str, by: str = "ann", lock: str | None = None, *, every: bool = False) -> None:
        """Open the lock of a stage as a person, one of several (`lock`), or all (`every`)."""
        self.tell(UnlockAsked(stage, by, "it is fine", lock, every))

    def retry(self, name: str) -> None:
        """Retry the failed build as a person."""
        self.tell(RetryAsked(self.key(name), "ann", "flaky"))

    def cancel(self, name: str) -> None:
        """Cancel a run as a person."""
        self.tell(CancelAsked(self.key(name), "ann", "not wanted"))

    def move(self, name: str) -> None:
        """Move a waiting run to the front of its queue as a person."""
        self.tell(MoveAsked(self.key(name), "ann", "the fair is tomorrow"))

    def fast_lane(self, service: str, stage: str | None = None) -> None:
        """Send the head of main on the fast lane as a person."""
        self.tell(FastLaneAsked(service, "ann", "urgent", stage))

    def mode(self, mode: Mode) -> None:
        """Set the mode as a person: run, pause or observe."""
        self.tell(ModeAsked(mode, "ann", "because"))

    def configure(self, pipeline: Pipeline) -> None:
        """Change the configuration."""
        self.tell(Configured(pipeline))

    # -- reading ------------------------------------------------------------------------------------

    def run(self, name: str) -> Run:
        """Return the live run of a commit; the latest if there are several."""
        sha = self.sha_of(name)
        found = [run for run in self.board_now().runs.values() if run.position.sha == sha]
        assert found, f"{name} is not on the board"
        return max(found, key=lambda run: run.queue_number)

    def key(self, name: str) -> str:
        """Return the key of a commit's run."""
        return self.run(name).key

    def live(self) -> list[str]:
        """Return all live runs, sorted by name."""
        return sorted(self._names(self.board_now().runs.values()))

    def queue(self, step: str) -> list[str]:
        """Return the runs that wait to enter a step: tail .. head."""
        return self._names(self.board_now().queue(step_of(step)))[::-1]

    def runs_in(self, step: str) -> list[str]:
        """Return the runs that hold a slot of a step: last in .. first in."""
        return self._names(self.board_now().inside(step_of(step)))[::-1]

    def status(self, name: str) -> Status:
        """Return the status of a run."""
        return self.run(name).status

    def at(self, name: str) -> str:
        """Return the step that a run is in or waits for."""
        return str(self.run(name).step)

    def on_fast_lane(self) -> list[str]:
        """Return the runs on the fast lane, sorted by name."""
        return sorted(self._names(run for run in self.board_now().runs.values() if run.lane is Lane.FAST))

    def locks(self, stage: str = "pre-production") -> list[str]:
        """Return the holders of the locks of a stage: names of commits, or people."""
        found = self.board_now().locks_of(stage)
        return [self.name_of(lock.position.sha) if lock.position else lock.by for lock in found]

    def is_locked(self, stage: str) -> bool:
        """Return whether a stage has a lock."""
        return bool(self.board_now().locks_of(stage))

    def waits_in(self, name: str) -> str | None:
        """Return the step whose queue a run is in; None if it does not wait."""
        run = self.run(name)
        return str(run.step) if run in self.board_now().queue(run.step) else None

    def _names(self, runs: Any) -> list[str]:
        return [self.name_of(run.position.sha) for run in runs]


class BuildingWorld(StoryWorld):
    """A world in which the story ends the builds."""

    @abstractmethod
    def pass_build(self, *names: str) -> None:
        """Start the builds if they have not started, and let them succeed."""

    @abstractmethod
    def fail_build(self, name: str, tests: tuple[str, ...] = ()) -> None:
        """Start the build if it has not started, and let it fail."""

    @abstractmethod
    def end_withdrawn(self) -> None:
        """Let Jenkins end all builds that Interlock has aborted, and report it."""

    @abstractmethod
    def left(self, name: str) -> tuple[str, str | None] | None:
        """Return the ending of a run of the commit, and the commit that caused it; None if none has ended."""

    def is_delivered(self, name: str) -> bool:
        """Return whether the run of the commit has passed the last stage."""
        return self.left(name) == ("delivered", None)

    def merge_up_to(self, service: str, letter: str, before: str) -> str:
        """Merge a commit and pass every stage before `before`, whose queue it joins (and may pass at once)."""
        name = f"{service}{letter}"
        self.merge(service, letter)
        while self.run(name).step.stage != before:
            self.pass_build(name)
        return name

    def break_stage(self, service: str, letter: str, stage: str = "pre-production") -> str:
        """Merge a commit, bring it to `stage` and let it fail there."""
        name = self.merge_up_to(service, letter, stage)
        self.fail_build(name)
        return name

    def pass_fix(self, name: str, stage: str = "pre-production") -> None:
        """Pass one job of a fast run after the other, up to and with the real `stage`."""
        while Step(stage) not in self.run(name).passed:
            self.pass_build(name)
            if name not in self.live():
                return


def step_of(name: str) -> Step:
    """Read a step: `fast acceptance` is the job of the fast lane, `acceptance` the real stage."""
    stage = name.removeprefix("fast ")
    return Step(stage, Track.FAST if stage != name else Track.REAL)
