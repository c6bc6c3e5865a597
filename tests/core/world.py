"""The world around `decide`: a configured shop, a GitHub with a true history, a Jenkins that the test controls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from bot.core.model.board import Board, build_board
from bot.core.model.board_records import Record
from bot.core.model.effects import AbortDuplicate, Compare, Effect, FindPull, Look, Trigger, Withdraw
from bot.core.model.events import BuildSeen, ContainmentKnown
from bot.core.model.pipeline import AbortLevel, FastLane, FastLaneStart, Job, Outcome, Pipeline, Policy, Service
from demo.pipeline import pipeline as pictures

SERVICES = ("S1", "S2", "S3")


def shop(
    *,
    acceptance: int | None = 3,
    pre_production: int = 1,
    production: int | None = 1,
    production_locks: bool = False,
    fast: bool = True,
    fast_capacity: int = 1,
    start: FastLaneStart = FastLaneStart.ON_FIX,
    retries: int = 0,
    outcomes: tuple[tuple[Outcome, Policy], ...] = (),
    timeout: float | None = None,
    services: tuple[str, ...] = SERVICES,
    without: tuple[str, ...] = (),
    acceptance_locks: bool = False,
    rejoins: str | None = None,
    renamed: tuple[str, ...] = (),
) -> Pipeline:
    """The pipeline of the four pictures: build, acceptance, pre-production (locks), production.

    `renamed`: the stages whose jobs, the fast lane's too, have another name in Jenkins than they have by default.
    """

    def job(name: str) -> Job:
        controller = "build" if name == "build" else "cdp"
        return Job(controller, f"{name}-renamed" if name.removeprefix("fast-") in renamed else name)

    def policy(locks: bool) -> Policy:
        return Policy.LOCK if locks else Policy.REPORT

    changes: dict[str, dict[str, Any]] = {
        "acceptance": {
            "capacity": acceptance,
            "on_failure": policy(acceptance_locks),
            "retries": retries if acceptance_locks else 0,
            "fast_capacity": fast_capacity,
        },
        "pre-production": {
            "capacity": pre_production,
            "outcomes": outcomes,
            "timeout": timeout,
            "retries": retries,
            "fast_capacity": fast_capacity,
        },
        "production": {"capacity": production, "on_failure": policy(production_locks)},
    }
    found = pictures(
        "shop", job, services=[Service(name, f"shop/{name}") for name in services], fast=fast, changes=changes
    )
    kept = tuple(stage for stage in found.stages if stage.name not in without)
    return replace(found, stages=kept, fast_lane=FastLane(start, rejoins))


@dataclass
class GitHub:
    """The true history: what each commit was made on. Names of commits are their shas."""

    parents: dict[str, str | None] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    questions: list[Compare] = field(default_factory=list)
    #: The commits of which nobody has told which pull request brought them.
    searches: list[FindPull] = field(default_factory=list)

    def commit(self, service: str, sha: str, *, onto: str | None = None) -> tuple[str | None, str]:
        """Make a commit the head of main, on top of `onto` or of the present head: (before, after) of the push."""
        before = self.heads.get(service)
        self.parents.setdefault(sha, onto or before)
        self.heads[service] = sha
        return before, sha

    def contains(self, head: str, base: str) -> bool:
        """Return whether `base` is `head` or one of its ancestors."""
        at: str | None = head
        while at is not None:
            if at == base:
                return True
            at = self.parents.get(at)
        return False

    def answer(self, question: Compare) -> ContainmentKnown:
        """The true answer to one question."""
        contains = self.contains(question.head, question.base)
        commits: list[str] = []
        at: str | None = question.head
        while question.listed and contains and at is not None and at != question.base:
            commits.insert(0, at)
            at = self.parents.get(at)
        return ContainmentKnown(question.service, question.base, question.head, contains, tuple(commits))


@dataclass
class Asked:
    """One attempt as Jenkins knows it: asked for, queued, running, or over."""

    trigger: Trigger
    state: str = "asked"
    item: int | None = None
    number: int | None = None
    result: Outcome | None = None

    def seen(self, result: Outcome | None = None, tests: tuple[str, ...] = ()) -> BuildSeen:
        """What Jenkins says about its build."""
        assert self.number is not None
        job = self.trigger.job
        return BuildSeen(job.controller, job.name, self.number, result, self.trigger.run, self.trigger.attempt, tests)


@dataclass
class Jenkins:
    """The requests to Jenkins and their results. Nothing changes until a test calls a method."""

    attempts: dict[tuple[str, int], Asked] = field(default_factory=dict)
    withdrawals: list[Withdraw] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    #: Builds that it was asked to end, and how firmly; it has not taken the request yet.
    aborts: list[tuple[Job, int, AbortLevel]] = field(default_factory=list)
    #: What is true of each build: its last word, by controller, job and number.
    truth: dict[tuple[str, str, int], BuildSeen] = field(default_factory=dict)
    last_number: int = 0

    def number(self) -> int:
        """The number of the next build, unique over all jobs so that a test can speak of it."""
        self.last_number += 1
        return self.last_number

    def queue(self, asked: Asked) -> int:
        """Take the trigger into the queue; its item."""
        asked.state, asked.item = "queued", 1000 + len(self.attempts) + self.last_number
        return asked.item

    def start(self, asked: Asked) -> BuildSeen:
        """Start the build of an attempt."""
        asked.state, asked.number = "running", self.number()
        return self.say(asked.seen())

    def end(self, asked: Asked, result: Outcome, tests: tuple[str, ...] = ()) -> BuildSeen:
        """End the build of an attempt."""
        asked.state, asked.result = "over", result
        return self.say(asked.seen(result, tests))

    def say(self, seen: BuildSeen) -> BuildSeen:
        """Keep the last word about a build, and pass it on."""
        self.truth[seen.controller, seen.job, seen.number] = seen
        return seen


def receive(effects: list[Effect], jenkins: Jenkins, github: GitHub) -> None:
    """Pass the effects of a decision to Jenkins and GitHub."""
    for effect in effects:
        match effect:
            case Trigger():
                jenkins.attempts.setdefault((effect.run, effect.attempt), Asked(effect))
            case Withdraw():
                jenkins.withdrawals.append(effect)
                if effect.abort and effect.build is not None:
                    jenkins.aborts.append((effect.job, effect.build, effect.level))
            case AbortDuplicate():
                jenkins.aborts.append((effect.job, effect.number, effect.level))
            case Look():
                jenkins.looks.append(effect)
            case Compare():
                github.questions.append(effect)
            case FindPull():
                github.searches.append(effect)
            case _:
                pass  # statuses, comments, banners and mail move nothing


def records_of(board: Board) -> dict[tuple[str, str], Record]:
    """Everything on a board, by kind and key."""
    return {(type(record).__name__, record.key): record for record in board.records()}


def indexes_of(board: Board) -> dict[str, object]:
    """What the cheap look-ups answer, as plain values; time-outs by what they answer, for their heap forgets late."""
    indexes = board._indexes
    return {
        "queues": {str(step): list(at.queue) for step, at in indexes.steps.items() if at.queue},
        "verifying": [verification.key for verification in board.verifying()],
        "special": {str(step): sorted(at.special) for step, at in indexes.steps.items() if at.special},
        "in_line": {str(step): dict(at.in_line) for step, at in indexes.steps.items() if at.in_line},
        "slots": {str(step): sorted(at.slots) for step, at in indexes.steps.items() if at.slots},
        "unmanaged": {str(step): at.unmanaged for step, at in indexes.steps.items() if at.unmanaged},
        "of_service": {name: sorted(keys) for name, keys in indexes.of_service.items() if keys},
        "fast": {name: sorted(keys) for name, keys in indexes.fast.items() if keys},
        "of_commit": {commit: sorted(keys) for commit, keys in indexes.of_commit.items() if keys},
        "of_pull": {pull: sorted(keys) for pull, keys in indexes.of_pull.items() if keys},
        "aborting": [built.key for built in board.aborting()],
        "due": board.next_due(0.0),
        "overdue": [run.key for run in board.overdue(1e12)],
    }


def rebuilt(board: Board) -> Board:
    """The same board, built anew from its records alone."""
    fresh = build_board(board.header, [r for r in board.records() if r is not board.header])
    fresh.take_changes()
    return fresh
