"""The notebook of one decision: what was changed, told, asked for and ended, while one event is decided."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from bot.core import sentences
from bot.core.board import Board
from bot.core.effects import Comment, Effect, SetStatus
from bot.core.facts import Fact, FactKind
from bot.core.run import Built, End, Ending, Run, Status, Step, Verification

AnyBuilt = TypeVar("AnyBuilt", bound=Built)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that left the board, as the history keeps it."""

    run: Run
    ending: Ending
    at: float


_END_FACTS = {
    End.DELIVERED: FactKind.RUN_DELIVERED,
    End.FAILED: FactKind.RUN_FAILED,
    End.SUPERSEDED: FactKind.RUN_SUPERSEDED,
    End.CANCELLED: FactKind.RUN_CANCELLED,
    End.DROPPED: FactKind.RUN_DROPPED,
}


@dataclass(slots=True)
class Decision:
    """What an event led to. `now` is the event's time, in seconds since the epoch."""

    board: Board
    now: float
    facts: list[Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)

    def tell(
        self, kind: FactKind, why: str, run: Built | None = None, *, holder: str | None = None, **details: Any
    ) -> None:
        """Note a fact; what concerns a run (or a verification) names it, its service, commit, step and build.

        `holder` names the run that holds a lock, which may have left the board.
        """
        details = {"run": holder, **details}
        if run is not None:
            details = {
                "service": run.service,
                "sha": run.sha,
                "step": run.step,
                "build": run.build,
                **details,
                "run": run.key,
            }
        self.facts.append(Fact(kind, why, **details))

    def do(self, effect: Effect) -> None:
        """Ask for something to be done outside."""
        self.effects.append(effect)

    def update(self, run: AnyBuilt, **changes: Any) -> AnyBuilt:
        """Change a run or a verification; its `since` follows its status."""
        status = changes.get("status", run.status)
        if status is not run.status and "since" not in changes:
            changes["since"] = self.now
        changed = replace(run, **changes)
        self.board.put(changed)
        return changed

    def end(self, run: Run, ending: Ending) -> None:
        """Take a run off the board and say what became of it, here and on its commit and pull request."""
        self.board.drop(run)
        self.ended.append(Ended(replace(run, ending=ending), ending, self.now))
        self.tell(_END_FACTS[ending.end], ending.why, run)
        if ending.end in (End.SUPERSEDED, End.CANCELLED, End.DROPPED):
            self.status(run, run.step, "error", ending.why)
        if ending.end is not End.DELIVERED:
            self.comment(run, f"{ending.end}", sentences.ended(self.board.pipeline, run, ending))

    def status(self, run: Built, step: Step, state: Any, text: str) -> None:
        """Set the commit status of a stage, both jobs of which share one; or that of a pull request."""
        service = self.board.pipeline.service(run.service)
        if service is None:
            return
        if isinstance(run, Verification):
            self.do(SetStatus(service.repository, run.sha, step.stage, state, text, None, run.job, run.build))
        elif self.board.pipeline.stage(step.stage) is not None:
            self.do(SetStatus(service.repository, run.sha, step.stage, state, text, run.key))

    def comment(self, run: Run, topic: str, text: str) -> None:
        """Say something on the pull requests of a run, as far as they are known; once per topic."""
        service = self.board.pipeline.service(run.service)
        if service is not None:
            for pull in run.carries:
                self.do(Comment(service.repository, pull, run.key, topic, text))

    def waits(self, run: Run, step: Step, **changes: Any) -> Run:
        """Put a run into the queue of `step`, at its tail unless `seat` says otherwise."""
        seat = changes.pop("seat", None)
        queued = self.now if seat is None else run.queued or self.now
        seat = seat or self.board.seat()
        return self.update(
            run,
            **{
                "status": Status.WAITING,
                "step": step,
                "seat": seat,
                "queue_item": None,
                "build": None,
                "timed_out": False,
                "abort": None,
                "expected": None,
                "cancelled_by": None,
                "queued": queued,
                "since": queued,
                **changes,
            },
        )
