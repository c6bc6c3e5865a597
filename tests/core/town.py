"""A town to tell stories in: merges, builds and people's wishes as verbs, and what the board then shows.

Runs are called by their commit: `S1a` is commit a of service S1. `queue` and `runs_in` read as the pictures do,
from the tail on the left to the head on the right. Jenkins and GitHub answer only when the story says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bot.core.model.board import Board, build_board
from bot.core.model.board_records import Header
from bot.core.model.effects import Comment, Effect
from bot.core.model.events import (
    AbortTaken,
    BuildLost,
    BuildSeen,
    CancelAsked,
    Configured,
    ContainmentKnown,
    Event,
    FastLaneAsked,
    HeadSeen,
    LockAsked,
    Merged,
    ModeAsked,
    MoveAsked,
    RetryAsked,
    TimePassed,
    TriggerAccepted,
    TriggerRefused,
    UnlockAsked,
    Withdrawn,
)
from bot.core.model.facts import Fact, FactKind
from bot.core.model.pipeline import Lane, Mode, Outcome, Pipeline, Step, Track
from bot.core.model.run import Ending, Run, Status
from bot.core.rules.decide import decide
from bot.core.rules.decision import LIMITS, Decision, DecisionLimits, Ended
from bot.reporting import run_report
from bot.reporting.explain import why
from bot.reporting.run_report import Button
from bot.reporting.view import View, view
from tests.core.world import Asked, GitHub, Jenkins, receive, shop
from tests.texts import text_of


class Written(NamedTuple):
    """A comment as it is written, at once, on a pull request; `text` is Markdown."""

    pull: int
    run: str
    text: str


class Town:
    """One board, and everybody around it."""

    def __init__(self, pipeline: Pipeline | None = None, limits: DecisionLimits = LIMITS) -> None:
        self.limits = limits
        self.board = build_board(Header(pipeline or shop()), [])
        self.github = GitHub()
        self.jenkins = Jenkins()
        self.now = 1_000.0
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []
        self.ended: dict[str, tuple[str, Ending]] = {}
        self.comments: list[Written] = []
        self._past: dict[str, Ended] = {}
        self._pushes = 0

    # -- what happens --------------------------------------------------------------------------------------------

    def send(self, event: Event) -> Decision:
        """One event, one second later."""
        self.now += 1
        decision = decide(self.board, event, self.now, self.limits)
        self.board.take_changes()
        self.facts += decision.facts
        self.effects += decision.effects
        for ended in decision.ended:
            self.ended[ended.run.key] = (ended.run.position.sha, ended.ending)
            self._past[ended.run.key] = ended
        self._write_comments(decision.effects)
        receive(decision.effects, self.jenkins, self.github)
        return decision

    def merge(self, service: str, letter: str, **details: Any) -> str:
        """A merge lands on main and its push is delivered."""
        return self.deliver(self.push(service, letter, **details))

    def push(self, service: str, letter: str, **details: Any) -> Merged:
        """A merge lands on main; its push is not delivered yet."""
        return self.merged(service, *self.github.commit(service, f"{service}{letter}"), **details)

    def merged(self, service: str, before: str | None, after: str, **details: Any) -> Merged:
        """The event of a push."""
        self._pushes += 1
        return Merged(service, after, before, push_id=f"{before}..{after}@{self._pushes}", **details)

    def force_push(self, service: str, letter: str, *, onto: str | None) -> str:
        """Main is moved by force to a commit made on `onto` (or to one that is known already)."""
        before, after = self.github.commit(service, f"{service}{letter}", onto=onto or "")
        return self.deliver(self.merged(service, before, after, forced=True))

    def pull(self, service: str, letter: str, number: int = 7) -> str:
        """The pull request of a merge is delivered, whether or not its push was."""
        sha = f"{service}{letter}"
        if sha not in self.github.parents:
            self.github.commit(service, sha)
        return self.deliver(Merged(service, sha, pull=number, title=f"PR {number}", author="ann"))

    def deliver(self, merged: Merged) -> str:
        """A merge is delivered."""
        self.send(merged)
        return merged.sha

    def looks_at_main(self, service: str, letter: str | None = None) -> None:
        """GitHub is asked for the head of main; with a letter: a commit that nobody told us of."""
        if letter is not None:
            self.github.commit(service, f"{service}{letter}")
        self.send(HeadSeen(service, self.github.heads[service], self.board.service(service).moves))

    def accepts(self, *shas: str) -> None:
        """Jenkins takes the triggers into its queue."""
        for sha in shas:
            asked = self.attempt(sha)
            self.send(TriggerAccepted(asked.trigger.run, asked.trigger.attempt, self.jenkins.queue(asked)))

    def refuses(self, sha: str, why: str = "the job is disabled") -> None:
        """Jenkins certainly did not take the trigger."""
        asked = self.attempt(sha)
        asked.state = "over"
        self.send(TriggerRefused(asked.trigger.run, asked.trigger.attempt, why))

    def starts(self, *shas: str) -> None:
        """The builds start."""
        for sha in shas:
            self.send(self.jenkins.start(self.attempt(sha)))

    def passes(self, *shas: str) -> None:
        """The builds start, if they have not, and succeed."""
        for sha in shas:
            self.ends(sha, Outcome.SUCCESS)

    def fails(self, sha: str, tests: tuple[str, ...] = ()) -> None:
        """The build starts, if it has not, and fails."""
        self.ends(sha, Outcome.FAILURE, tests)

    def ends(self, sha: str, result: Outcome, tests: tuple[str, ...] = ()) -> None:
        """The build starts, if it has not, and ends."""
        asked = self.attempt(sha)
        if asked.number is None:
            self.send(self.jenkins.start(asked))
        self.send(self.jenkins.end(asked, result, tests))

    def loses(self, sha: str) -> None:
        """The build is gone from Jenkins."""
        asked = self.attempt(sha)
        asked.state = "over"
        self.send(BuildLost(asked.trigger.run, asked.trigger.attempt, "it was deleted"))

    def gives_back(self, sha: str, why: str = "") -> None:
        """Jenkins confirms that the attempt has no build; with `why`, nobody of ours had asked."""
        asked = self.attempt(sha)
        asked.state = "over"
        self.send(Withdrawn(asked.trigger.run, asked.trigger.attempt, why))

    def aborts(self, sha: str) -> None:
        """The running build ends as aborted."""
        self.ends(sha, Outcome.ABORTED)

    def takes_aborts(self) -> None:
        """Jenkins takes every request to end a build, in this very second."""
        while self.jenkins.aborts:
            job, number, level = self.jenkins.aborts.pop(0)
            self.now -= 1
            self.send(AbortTaken(job.controller, job.name, number, level))

    def unmanaged(self, job: str, result: Outcome | None = None, number: int = 900) -> None:
        """A build that somebody started by hand is seen."""
        self.send(BuildSeen("cdp", job, number, result))

    def answers(self) -> int:
        """GitHub answers, truthfully, all that it is asked; how many questions there were."""
        answered = 0
        while self.github.questions:
            q = self.github.questions.pop(0)
            self.send(ContainmentKnown(q.service, q.base, q.head, self.github.contains(q.head, q.base)))
            answered += 1
        return answered

    def waits(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds - 1
        self.send(TimePassed())

    # -- what people ask for -------------------------------------------------------------------------------------

    def lock(self, stage: str, by: str = "ann", *, let_fixes_in: bool = False, until: float | None = None) -> None:
        """A person locks a stage."""
        self.send(LockAsked(stage, by, "maintenance", let_fixes_in, until))

    def unlock(self, stage: str, by: str = "ann", lock: str | None = None, *, every: bool = False) -> None:
        """A person opens the lock of a stage, one of several, or every one."""
        self.send(UnlockAsked(stage, by, "it is fine", lock, every))

    def retry(self, sha: str) -> None:
        """A person wants the failed build repeated."""
        self.send(RetryAsked(self.key(sha), "ann", "flaky"))

    def cancel(self, sha: str) -> None:
        """A person takes a run out."""
        self.send(CancelAsked(self.key(sha), "ann", "not wanted"))

    def move(self, sha: str) -> None:
        """A person moves a waiting run to the front of its queue."""
        self.send(MoveAsked(self.key(sha), "ann", "the fair is tomorrow"))

    def fast_lane(self, service: str, stage: str | None = None) -> None:
        """A person sends the head of main on the fast lane."""
        self.send(FastLaneAsked(service, "ann", "urgent", stage))

    def mode(self, mode: Mode) -> None:
        """A person pauses, resumes, or has the pipeline observe."""
        self.send(ModeAsked(mode, "ann", "because"))

    def configure(self, pipeline: Pipeline) -> None:
        """The configuration changes."""
        self.send(Configured(pipeline))

    # -- longer ways, in one sentence ----------------------------------------------------------------------------

    def arrives(self, service: str, letter: str, before: str) -> str:
        """A merge that has passed every stage up to `before`, whose queue it joins (or passes, if it may)."""
        sha = self.merge(service, letter)
        while self.run(sha).step.stage != before:
            self.passes(sha)
        return sha

    def breaks(self, service: str, letter: str, stage: str = "pre-production") -> str:
        """A merge that gets to `stage` and fails there."""
        sha = self.arrives(service, letter, stage)
        self.fails(sha)
        return sha

    def fix_passes(self, sha: str, stage: str = "pre-production") -> None:
        """A fast run passes one job after the other, up to and with the real `stage`."""
        while Step(stage) not in self.run(sha).passed:
            self.passes(sha)
            if sha not in self.live():
                return

    # -- what there is to see ------------------------------------------------------------------------------------

    def run(self, sha: str) -> Run:
        """The live run of a commit; the latest, if there are several."""
        found = [run for run in self.board.runs.values() if run.position.sha == sha]
        assert found, f"{sha} is not on the board: {self.left(sha)}"
        return max(found, key=lambda run: run.queue_number)

    def key(self, sha: str) -> str:
        """The key of a commit's run, whether or not it is live."""
        live = [run.key for run in self.board.runs.values() if run.position.sha == sha]
        return live[-1] if live else next(key for key, (name, _) in self.ended.items() if name == sha)

    def attempt(self, sha: str) -> Asked:
        """The present attempt of a run, as Jenkins knows it."""
        run = self.run(sha)
        assert run.holds_slot, f"{sha} has no build: it is {run.status} in {run.step}"
        return self.jenkins.attempts[run.key, run.attempt.number]

    def live(self) -> list[str]:
        """All live runs, in the order of their commits' names."""
        return sorted(run.position.sha for run in self.board.runs.values())

    def queue(self, step: str) -> list[str]:
        """Who waits to enter a step: tail .. head."""
        return [run.position.sha for run in self.board.queue(_step(step))][::-1]

    def runs_in(self, step: str) -> list[str]:
        """Who holds a slot of a step: last in .. first in."""
        return [run.position.sha for run in self.board.inside(_step(step))][::-1]

    def status(self, sha: str) -> Status:
        """Where a run stands."""
        return self.run(sha).status

    def at(self, sha: str) -> str:
        """The step that a run is in or waits for."""
        return str(self.run(sha).step)

    def on_fast_lane(self) -> list[str]:
        """The runs on the fast lane."""
        return sorted(run.position.sha for run in self.board.runs.values() if run.lane is Lane.FAST)

    def says(self, sha: str) -> str:
        """Why a run stands where it stands, in words."""
        return why(self.board, self.run(sha), self.now).sentence

    def left(self, sha: str) -> tuple[str, str | None] | None:
        """How a run of the commit ended, and by which commit; None if none has."""
        for name, ending in reversed(self.ended.values()):
            if name == sha:
                by = self.ended.get(ending.by or "", (None,))[0]
                live = self.board.runs.get(ending.by or "")
                return str(ending.end), live.position.sha if live else by
        return None

    def locks(self, stage: str = "pre-production") -> list[str]:
        """Who holds the locks of a stage: commits, or people."""
        return [lock.position.sha if lock.position else lock.by for lock in self.board.locks_of(stage)]

    def quiet(self) -> None:
        """Forget what was told and done so far: `did` and `told` speak of what comes now."""
        self.facts.clear()
        self.effects.clear()

    def did(self, kind: type[Effect], of: str | None = None, **fields: Any) -> list[Any]:
        """The effects of a kind, about a commit's run, with these fields, since the last `quiet`."""
        wanted = {**fields, "run": self.key(of)} if of else fields
        return [
            effect
            for effect in self.effects
            if isinstance(effect, kind) and all(getattr(effect, name) == value for name, value in wanted.items())
        ]

    def told(self, kind: FactKind) -> list[str | None]:
        """The commits that the facts of a kind are about, since the last `quiet`."""
        return [fact.sha for fact in self.facts if fact.kind is kind]

    def refused(self) -> str:
        """The last refusal."""
        return next(text_of(fact.why) for fact in reversed(self.facts) if fact.kind is FactKind.REQUEST_REFUSED)

    def summary(self, sha: str) -> str:
        """What the check runs of a commit's run say now, in Markdown."""
        return run_report.summary(*self._reported(self.key(sha)))

    def buttons(self, sha: str) -> tuple[Button, ...]:
        """The buttons on the check runs of a commit's run."""
        board, run, _ = self._reported(self.key(sha))
        return run_report.buttons(board, run)

    def _write_comments(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Comment) and (effect.run in self.board.runs or effect.run in self._past):
                text = run_report.comment(*self._reported(effect.run))
                self.comments.append(Written(effect.pull, effect.run, text))

    def _reported(self, key: str) -> tuple[Board, Run, float]:
        """The run as whoever reports on it finds it: on the board, or in the history."""
        run = self.board.runs.get(key)
        if run is not None:
            return self.board, run, self.now
        return self.board, self._past[key].run, self._past[key].at

    def view(self) -> View:
        """What the page shows."""
        return view(self.board, 1, self.now)


def _step(name: str) -> Step:
    return Step(name.removeprefix("fast "), Track.FAST) if name.startswith("fast ") else Step(name)
