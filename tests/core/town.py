"""A town for stories: merges, builds and requests of people as verbs, and methods that read the resulting board.

Runs are named by their commit: `S1a` is commit a of service S1. `queue` and `runs_in` give the order of the pictures,
from the tail on the left to the head on the right. Jenkins and GitHub answer only when the story makes them.
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
    Event,
    HeadSeen,
    Merged,
    TimePassed,
    TriggerAccepted,
    TriggerRefused,
    Withdrawn,
)
from bot.core.model.facts import Fact, FactKind
from bot.core.model.pipeline import Outcome, Pipeline
from bot.core.model.run import Ending, Run, Status
from bot.core.rules.decide import decide
from bot.core.rules.decision import LIMITS, Decision, DecisionLimits, Ended
from bot.reporting import run_report
from bot.reporting.explain import why
from bot.reporting.run_report import Button
from bot.reporting.view import View, view
from demo.verbs import BuildingWorld
from tests.core.world import Asked, GitHub, Jenkins, receive, shop
from tests.texts import text_of


class Written(NamedTuple):
    """A comment as it is written, at once, on a pull request; `text` is Markdown."""

    pull: int
    run: str
    text: str


class Town(BuildingWorld):
    """One board, decided by the rules alone, and its surroundings; a commit's name is its sha."""

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
        """Decide one event, one second later."""
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

    def board_now(self) -> Board:
        """Return the board itself: there is no other copy."""
        return self.board

    def start(self) -> None:
        """A town has begun when it is made; no head of main is known yet."""

    def sha_of(self, name: str) -> str:
        """A commit's name is its sha."""
        return name

    def name_of(self, sha: str) -> str:
        """A commit's name is its sha."""
        return sha

    def tell(self, *events: Event) -> None:
        """Decide events, one second apart."""
        for event in events:
            self.send(event)

    def merge(self, service: str, letter: str, **details: Any) -> str:
        """Merge a commit and deliver its push."""
        return self.deliver(self.push(service, letter, **details))

    def push(self, service: str, letter: str, **details: Any) -> Merged:
        """Merge a commit without delivering its push."""
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

    def look_at_main(self, service: str, letter: str | None = None) -> None:
        """GitHub is asked for the head of main; with a letter: a commit that no webhook reported."""
        if letter is not None:
            self.github.commit(service, f"{service}{letter}")
        self.send(HeadSeen(service, self.github.heads[service], self.board.service(service).moves))

    def accept_trigger(self, *shas: str) -> None:
        """Let Jenkins take the triggers into its queue."""
        for sha in shas:
            asked = self.attempt(sha)
            self.send(TriggerAccepted(asked.trigger.run, asked.trigger.attempt, self.jenkins.queue(asked)))

    def refuse_trigger(self, sha: str, why: str = "the job is disabled") -> None:
        """Report that Jenkins certainly did not take the trigger."""
        asked = self.attempt(sha)
        asked.state = "over"
        self.send(TriggerRefused(asked.trigger.run, asked.trigger.attempt, why))

    def start_build(self, *shas: str) -> None:
        """The builds start."""
        for sha in shas:
            self.send(self.jenkins.start(self.attempt(sha)))

    def pass_build(self, *names: str) -> None:
        """The builds start, if they have not, and succeed."""
        for name in names:
            self.end_build(name, Outcome.SUCCESS)

    def fail_build(self, name: str, tests: tuple[str, ...] = ()) -> None:
        """The build starts, if it has not, and fails."""
        self.end_build(name, Outcome.FAILURE, tests)

    def end_withdrawn(self) -> None:
        """Let Jenkins end every build that Interlock has aborted, and report it."""
        for run in [run for run in self.board.runs.values() if run.status is Status.ENDING]:
            self.confirm_withdrawal(run.position.sha)

    def end_build(self, sha: str, result: Outcome, tests: tuple[str, ...] = ()) -> None:
        """The build starts, if it has not, and ends."""
        asked = self.attempt(sha)
        if asked.number is None:
            self.send(self.jenkins.start(asked))
        self.send(self.jenkins.end(asked, result, tests))

    def lose_build(self, sha: str) -> None:
        """Report that the build is gone from Jenkins."""
        asked = self.attempt(sha)
        asked.state = "over"
        self.send(BuildLost(asked.trigger.run, asked.trigger.attempt, "it was deleted"))

    def confirm_withdrawal(self, sha: str, why: str = "") -> None:
        """Jenkins confirms that the attempt has no build; with `why`, Interlock had not asked for that."""
        asked = self.attempt(sha)
        asked.state = "over"
        self.send(Withdrawn(asked.trigger.run, asked.trigger.attempt, why))

    def abort_build(self, sha: str) -> None:
        """The running build ends as aborted."""
        self.end_build(sha, Outcome.ABORTED)

    def take_aborts(self) -> None:
        """Let Jenkins accept all aborts in this second."""
        while self.jenkins.aborts:
            job, number, level = self.jenkins.aborts.pop(0)
            self.now -= 1
            self.send(AbortTaken(job.controller, job.name, number, level))

    def see_unmanaged(self, job: str, result: Outcome | None = None, number: int = 900) -> None:
        """A build that somebody started by hand is seen."""
        self.send(BuildSeen("cdp", job, number, result))

    def answer_questions(self) -> int:
        """Let GitHub answer all questions truthfully; return their number."""
        answered = 0
        while self.github.questions:
            self.send(self.github.answer(self.github.questions.pop(0)))
            answered += 1
        return answered

    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds - 1
        self.send(TimePassed())

    # -- what there is to see ------------------------------------------------------------------------------------

    def key(self, name: str) -> str:
        """The key of a commit's run, whether or not it is live."""
        live = [run.key for run in self.board.runs.values() if run.position.sha == name]
        return live[-1] if live else next(key for key, (sha, _) in self.ended.items() if sha == name)

    def attempt(self, sha: str) -> Asked:
        """The present attempt of a run, as Jenkins knows it."""
        run = self.run(sha)
        assert run.holds_slot, f"{sha} has no build: it is {run.status} in {run.step}"
        return self.jenkins.attempts[run.key, run.attempt.number]

    def says(self, sha: str) -> str:
        """Return the reason of a run in words."""
        return why(self.board, self.run(sha), self.now).sentence

    def left(self, name: str) -> tuple[str, str | None] | None:
        """Return the ending of a run of the commit, and the commit that caused it; None if none has ended."""
        for sha, ending in reversed(self.ended.values()):
            if sha == name:
                by = self.ended.get(ending.by or "", (None,))[0]
                live = self.board.runs.get(ending.by or "")
                return str(ending.end), live.position.sha if live else by
        return None

    def quiet(self) -> None:
        """Forget the earlier facts and effects: `did` and `told` return only later ones."""
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
        """Return the run from the board, or from the ended runs, as its reports find it."""
        run = self.board.runs.get(key)
        if run is not None:
            return self.board, run, self.now
        return self.board, self._past[key].run, self._past[key].at

    def view(self) -> View:
        """Return the view of the page."""
        return view(self.board, 1, self.now)
