"""The decision about one event, as the rules collect it. This module has no rule and no words for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.core.model.board import Board
from bot.core.model.effects import Effect, SetStatus
from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import (
    AskedBy,
    Cancelled,
    IsIn,
    IsMerged,
    Message,
    Promoted,
    RunEnding,
    RunFailed,
    StartsFast,
    WaitsFor,
)
from bot.core.model.pipeline import Outcome, Step
from bot.core.model.replaced import quick_to_make, replace
from bot.core.model.run import STORY, Buildable, End, Ending, Happened, Run, Status
from bot.core.model.stage_state import Lock

AnyBuildable = TypeVar("AnyBuildable", bound=Buildable)


@quick_to_make
@dataclass(frozen=True, slots=True)
class Ended:
    """A run that left the board, as the history of ended runs keeps it."""

    run: Run
    ending: Ending
    at: float


END_FACTS = {
    End.DELIVERED: FactKind.RUN_DELIVERED,
    End.FAILED: FactKind.RUN_FAILED,
    End.SUPERSEDED: FactKind.RUN_SUPERSEDED,
    End.CANCELLED: FactKind.RUN_CANCELLED,
    End.DROPPED: FactKind.RUN_DROPPED,
}


#: The conclusion of a check run for a run that was removed; the commit status says `error`.
_CONCLUSIONS = {End.SUPERSEDED: "neutral", End.DROPPED: "neutral", End.CANCELLED: "cancelled"}


def run_failed(run: Buildable, outcome: Outcome) -> RunFailed:
    """Return the message about the failed build of a run or a verification."""
    by = run.attempt.cancelled_by if outcome is Outcome.ABORTED else None
    attempt = run.attempt
    return RunFailed(run.who, run.step, outcome, attempt.failed_tests, attempt.failed_step, attempt.lost, by)


#: The messages that may name a person's request as their cause.
_BY_REQUEST = (AskedBy, Cancelled, Promoted, StartsFast, RunEnding)


def _asked_by(why: Message) -> str | None:
    """Return the person whose request caused the message; None: the message names none."""
    reason = why.why if isinstance(why, (Promoted, StartsFast, RunEnding)) else why
    return reason.by if isinstance(reason, (AskedBy, Cancelled)) else None


@dataclass(frozen=True, slots=True)
class DecisionLimits:
    """How many runs one decision removes, and how long news waits for further news, in seconds."""

    #: How many runs one decision removes (F8). Without a limit a long turn would block Redis.
    removed_at_once: int = 100
    #: A run that waits for a stage for a shorter time gets no status about it.
    waiting_debounce: float = 60.0
    #: The delay of other pending statuses: the start of a build mostly follows at once.
    status_debounce: float = 5.0
    #: The delay of a comment, so that quick steps need one update. No person waits for it: its link leads to the
    #: present state.
    comment_debounce: float = 30.0
    #: How long the webhook of a merge may take to name its pull request; then GitHub is asked.
    pull_told: float = 60.0


#: The limits of production.
LIMITS = DecisionLimits()


@dataclass(slots=True)
class News:
    """The news of a run in this decision; `soon`: its pull request gets them at once."""

    what: list[Message] = field(default_factory=list)
    soon: bool = False


@dataclass(slots=True)
class Decision:
    """The outcome of one decision, collected while one event is decided: facts, effects, ended runs and news.

    `now` is the event's time, in seconds since the epoch.
    """

    board: Board
    now: float
    limits: DecisionLimits = LIMITS
    facts: list[Fact] = field(default_factory=list, init=False)
    effects: list[Effect] = field(default_factory=list, init=False)
    ended: list[Ended] = field(default_factory=list, init=False)
    #: The runs with news for their pull requests, by key; see `notices`.
    news: dict[str, News] = field(default_factory=dict, init=False)
    #: News for people: locks that closed a stage; locks that opened, and why; fixes that failed, and why; other runs
    #: that failed and locked nothing, and why.
    locked: list[Lock] = field(default_factory=list, init=False)
    unlocked: list[tuple[Lock, Message]] = field(default_factory=list, init=False)
    failed_fixes: list[tuple[Run, Message]] = field(default_factory=list, init=False)
    failed_runs: list[tuple[Run, Message]] = field(default_factory=list, init=False)
    #: Whether `effects` has notices to people, which get their numbers at the end.
    notifies: bool = field(default=False, init=False)

    def tell(
        self,
        kind: FactKind,
        why: Message,
        run: Buildable | None = None,
        *,
        holder: str | None = None,
        service: str | None = None,
        sha: str | None = None,
        step: Step | None = None,
        by: str | None = None,
        build: int | None = None,
        via: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Add a fact. With a run or a verification, it names its service, commit, step and build.

        `holder`: the run that holds a lock, which may have left the board. The person whose request `why` names is
        recorded.
        """
        if by is None and isinstance(why, _BY_REQUEST):
            by = _asked_by(why)
        if run is not None:
            holder, service, sha = run.key, run.service, run.sha
            step, build = step or run.step, run.attempt.build if build is None else build
        self.facts.append(Fact(kind, why, holder, service, sha, step, by, build, via, lock))

    def do(self, effect: Effect) -> None:
        """Add an effect."""
        self.effects.append(effect)

    def notify(self, notices: Iterable[Effect]) -> None:
        """Add notices to people, and comments that name people."""
        self.effects += notices
        self.notifies = True

    def has_stage_news(self) -> bool:
        """Return whether this decision has news about a stage for people."""
        return bool(self.locked or self.unlocked or self.failed_fixes or self.failed_runs)

    def note(self, run: Buildable, what: Message | None = None, *, soon: bool = False) -> None:
        """Add news of a run for its pull requests: its place, and `what` happened.

        A verification has no such news: its commit status shows everything.
        """
        if run.verifies is not None:
            return
        news = self.news.get(run.key)
        if news is None:
            news = self.news[run.key] = News()
        news.soon = news.soon or soon
        if what is not None:
            news.what.append(what)

    def story(self, run: Run, *what: Message) -> tuple[Happened, ...]:
        """Return the story of a run with these new events."""
        return (*run.story, *[Happened(self.now, each) for each in what])[-STORY:]

    def update(self, run: AnyBuildable, **changes: Any) -> AnyBuildable:
        """Change a run or a verification on the board, and return it; a new status sets `since`."""
        if changes.get("status", run.status) is not run.status:
            changes.setdefault("since", self.now)
        changed = replace(run, **changes)
        self.board.put(changed)
        return changed

    def update_attempt(self, run: AnyBuildable, **changes: Any) -> AnyBuildable:
        """Change the present attempt of a run or a verification if a value is new; return the record."""
        attempt = run.attempt
        for name, value in changes.items():
            if getattr(attempt, name) != value:
                return self.update(run, attempt=replace(attempt, **changes))
        return run

    def end(self, run: Run, ending: Ending) -> None:
        """Remove a run from the board, and report its ending as a fact, on its commit and on its pull request."""
        self.board.drop(run)
        self.ended.append(Ended(replace(run, ending=ending), ending, self.now))
        self.tell(END_FACTS[ending.end], ending.why, run)
        self.note(run, soon=True)
        if ending.end is End.DELIVERED:
            return
        last = self.board.pipeline.real_steps[-1]
        state, conclusion = ("failure", "") if ending.end is End.FAILED else ("error", _CONCLUSIONS[ending.end])
        self.status(run, last, state, ending.why, conclusion)
        if run.step.stage != last.stage:
            self.status(run, run.step, state, ending.why, conclusion, corrects=ending.end is not End.FAILED)

    def begins(self, run: Run) -> None:
        """Set the status of the last stage at the commit of a new run: pending until the run ends."""
        last = self.board.pipeline.real_steps[-1]
        self.status(run, last, "pending", IsMerged(last.stage))

    def is_in(self, run: Run) -> None:
        """Correct the status of the run's stage now that the run is in it: it showed a wait, or a failure."""
        step = run.step
        is_last = step.stage == self.board.pipeline.stages[-1].name
        self.status(run, step, "pending", IsMerged(step.stage) if is_last else IsIn(step), corrects=True)

    def status(
        self,
        run: Buildable,
        step: Step,
        state: Any,
        text: Message,
        conclusion: str = "",
        *,
        corrects: bool = False,
        debounce: float | None = None,
    ) -> None:
        """Set the commit status of a stage, which its real and fast job share, or of a verification.

        It is written once for each stage, when that ends; before that only to correct another status, and when the run
        waits for long, because GitHub limits the number of writes.
        """
        pipeline = self.board.pipeline
        service = pipeline.services_by_name.get(run.service)
        if service is None:
            return
        where, stage = service.repository, step.stage
        if run.verifies is not None:
            self.do(SetStatus(where, run.sha, stage, state, text, None, run.job, run.attempt.build))
        elif stage in pipeline.stages_by_name:
            if debounce is None:
                debounce = self.limits.status_debounce if state == "pending" else 0.0
            job, build = (self.board.job(step), run.attempt.build) if state == "failure" else (None, None)
            sha, key = run.position.sha, run.key
            self.do(SetStatus(where, sha, stage, state, text, key, job, build, conclusion, "", (), debounce, corrects))

    def waits(self, run: Run, step: Step, *, queue_number: int | None = None, **changes: Any) -> Run:
        """Put a run into the queue of `step` and set its status. Without `queue_number` it joins at the tail.

        At the tail an earlier move to the front does not count. The status is delayed, so it is never written if the
        run enters soon. The last attempt is over; the retries of the previous step do not count for the next.
        """
        if queue_number is None:
            queue_number, queued, changes["moved"] = self.board.queue_number(), self.now, None
        else:
            queued = run.queued or self.now
        if run.step != step:
            changes = {"retried": 0, "retrying": False, **changes}
        waiting = self.update(
            run,
            status=Status.WAITING,
            step=step,
            queue_number=queue_number,
            attempt=run.attempt.over(),
            queued=queued,
            since=queued,
            **changes,
        )
        self.status(waiting, step, "pending", WaitsFor(step), debounce=self.limits.waiting_debounce)
        return waiting
