"""The verbs of every world in which a story is told: the rules alone, a worker, or all processes, as in the demo.

A story that uses only these verbs runs in each of these worlds (`demo/pictures.py` tells the four pictures). Commits
are called by service and letter: `S1a` is commit a of service S1, and so is its run. `queue` and `runs_in` read as the
pictures do, from the tail on the left to the head on the right.
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
    """A story does not come out as it should; the message says what differs."""


class StoryWorld(ABC):
    """A pipeline and everybody around it. What is told of it is decided before a verb returns."""

    # -- what each world does in its own way ---------------------------------------------------------------------

    @abstractmethod
    def board_now(self) -> Board:
        """The board as it is decided by now."""

    @abstractmethod
    def start(self) -> None:
        """The pipeline begins, with main as it is; before anything else."""

    @abstractmethod
    def tell(self, *events: Event) -> object:
        """Events, one after the other, and everything that follows from them."""

    @abstractmethod
    def merge(self, service: str, letter: str) -> Any:
        """A merge lands on main and its push is delivered."""

    @abstractmethod
    def sha_of(self, name: str) -> str:
        """The sha of a commit."""

    @abstractmethod
    def name_of(self, sha: str) -> str:
        """The name of a commit."""

    def wait_until(self, what: str, so: Callable[[], Found]) -> Found:
        """What must be so by now, and what was found; a world that runs by itself waits. Raises Spoiled with `what`."""
        found = so()
        if not found:
            raise Spoiled(f"it is not so that {what}")
        return found

    # -- what people ask for -------------------------------------------------------------------------------------

    def lock(self, stage: str, by: str = "ann", *, let_fixes_in: bool = False, until: float | None = None) -> None:
        """A person locks a stage."""
        self.tell(LockAsked(stage, by, "maintenance", let_fixes_in, until))

    def unlock(self, stage: str, by: str = "ann", lock: str | None = None, *, every: bool = False) -> None:
        """A person opens the lock of a stage, one of several, or every one."""
        self.tell(UnlockAsked(stage, by, "it is fine", lock, every))

    def retry(self, name: str) -> None:
        """A person wants the failed build repeated."""
        self.tell(RetryAsked(self.key(name), "ann", "flaky"))

    def cancel(self, name: str) -> None:
        """A person takes a run out."""
        self.tell(CancelAsked(self.key(name), "ann", "not wanted"))

    def move(self, name: str) -> None:
        """A person moves a waiting run to the front of its queue."""
        self.tell(MoveAsked(self.key(name), "ann", "the fair is tomorrow"))

    def fast_lane(self, service: str, stage: str | None = None) -> None:
        """A person sends the head of main on the fast lane."""
        self.tell(FastLaneAsked(service, "ann", "urgent", stage))

    def mode(self, mode: Mode) -> None:
        """A person pauses, resumes, or has the pipeline observe."""
        self.tell(ModeAsked(mode, "ann", "because"))

    def configure(self, pipeline: Pipeline) -> None:
        """The configuration changes."""
        self.tell(Configured(pipeline))

    # -- what there is to see ------------------------------------------------------------------------------------

    def run(self, name: str) -> Run:
        """The live run of a commit; the latest, if there are several."""
        sha = self.sha_of(name)
        found = [run for run in self.board_now().runs.values() if run.position.sha == sha]
        assert found, f"{name} is not on the board"
        return max(found, key=lambda run: run.queue_number)

    def key(self, name: str) -> str:
        """The key of a commit's run."""
        return self.run(name).key

    def live(self) -> list[str]:
        """All live runs, in the order of their names."""
        return sorted(self._names(self.board_now().runs.values()))

    def queue(self, step: str) -> list[str]:
        """Who waits to enter a step: tail .. head."""
        return self._names(self.board_now().queue(step_of(step)))[::-1]

    def runs_in(self, step: str) -> list[str]:
        """Who holds a slot of a step: last in .. first in."""
        return self._names(self.board_now().inside(step_of(step)))[::-1]

    def status(self, name: str) -> Status:
        """Where a run stands."""
        return self.run(name).status

    def at(self, name: str) -> str:
        """The step that a run is in or waits for."""
        return str(self.run(name).step)

    def on_fast_lane(self) -> list[str]:
        """The runs on the fast lane."""
        return sorted(self._names(run for run in self.board_now().runs.values() if run.lane is Lane.FAST))

    def locks(self, stage: str = "pre-production") -> list[str]:
        """Who holds the locks of a stage: commits, or people."""
        found = self.board_now().locks_of(stage)
        return [self.name_of(lock.position.sha) if lock.position else lock.by for lock in found]

    def is_locked(self, stage: str) -> bool:
        """Whether a stage has a lock."""
        return bool(self.board_now().locks_of(stage))

    def waits_in(self, name: str) -> str | None:
        """The step in whose queue a run stands; None if it does not wait."""
        run = self.run(name)
        return str(run.step) if run in self.board_now().queue(run.step) else None

    def _names(self, runs: Any) -> list[str]:
        return [self.name_of(run.position.sha) for run in runs]


class BuildingWorld(StoryWorld):
    """A world in which builds end when the story says so."""

    @abstractmethod
    def pass_build(self, *names: str) -> None:
        """The builds start, if they have not, and succeed."""

    @abstractmethod
    def fail_build(self, name: str, tests: tuple[str, ...] = ()) -> None:
        """The build starts, if it has not, and fails."""

    @abstractmethod
    def end_withdrawn(self) -> None:
        """Jenkins has ended every build that it was asked to end, and says so."""

    @abstractmethod
    def left(self, name: str) -> tuple[str, str | None] | None:
        """How a run of the commit ended, and by which commit; None if none has."""

    def is_delivered(self, name: str) -> bool:
        """Whether the run of the commit has passed the last stage."""
        return self.left(name) == ("delivered", None)

    def merge_up_to(self, service: str, letter: str, before: str) -> str:
        """A merge that has passed every stage up to `before`, whose queue it joins (or passes, if it may)."""
        name = f"{service}{letter}"
        self.merge(service, letter)
        while self.run(name).step.stage != before:
            self.pass_build(name)
        return name

    def break_stage(self, service: str, letter: str, stage: str = "pre-production") -> str:
        """A merge that gets to `stage` and fails there."""
        name = self.merge_up_to(service, letter, stage)
        self.fail_build(name)
        return name

    def pass_fix(self, name: str, stage: str = "pre-production") -> None:
        """A fast run passes one job after the other, up to and with the real `stage`."""
        while Step(stage) not in self.run(name).passed:
            self.pass_build(name)
            if name not in self.live():
                return


def step_of(name: str) -> Step:
    """`fast acceptance` is the job of the fast lane, `acceptance` the real stage."""
    stage = name.removeprefix("fast ")
    return Step(stage, Track.FAST if stage != name else Track.REAL)
