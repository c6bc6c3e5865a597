"""What lives on a board: runs, verifications, locks, services, what is in the stages, backoffs, unmanaged builds.

Frozen values, by `key`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bot.core.model.history import CommitHistory, Position
from bot.core.model.messages import Message, Who
from bot.core.model.pipeline import VERIFY, AbortLevel, Job, Lane, Outcome, Step


class Status(StrEnum):
    """Where a live run stands. Each says how it is left and whether the run holds a slot of its stage."""

    #: In the queue before its stage. Left by admission or removal. Holds no slot. May be cancelled.
    WAITING = "waiting"
    #: Admitted; its build was asked for and has not been seen to start. Holds a slot. May be cancelled.
    STARTING = "starting"
    #: Its build runs in Jenkins. Holds a slot. May be cancelled (in a lock-policy stage that locks: L5).
    RUNNING = "running"
    #: Admitted, then called back because the stage locked (L3). Holds a slot until Jenkins confirms.
    RECALLED = "recalled"
    #: On its way out; its build may still run and keeps the slot until Jenkins reports that it ended (F8).
    ENDING = "ending"
    #: Its build failed and it stays: as the holder of a lock (L1) or as a fix that can be retried (F7).
    FAILED = "failed"


#: The statuses in which a run occupies a slot of its stage.
HOLDS_SLOT = frozenset({Status.STARTING, Status.RUNNING, Status.RECALLED, Status.ENDING})


class End(StrEnum):
    """How a run left the board (invariant 4: a merged commit is never lost, it always ends as one of these)."""

    DELIVERED = "delivered"  # passed the last stage
    FAILED = "failed"  # a reported failure
    SUPERSEDED = "superseded"  # contained in a run that replaced it
    CANCELLED = "cancelled"  # taken out by a person
    DROPPED = "dropped"  # no longer on main (force-push), or no longer configured


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends or is about to end: the sentence a person reads, and the run that replaced it, if any."""

    end: End
    why: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Abort:
    """A running build was asked to end: how firmly, and since when it has been asked so."""

    level: AbortLevel
    asked: float
    #: Jenkins has taken the request, at `asked`: the build has its time from then on, not from our wish.
    taken: bool = False
    #: Nothing firmer may be done, and people were told that the build goes on.
    stuck: bool = False
    #: Nothing firmer than stop is known to it (a build that is no Pipeline): it was asked that again.
    only_stop: bool = False


#: How many of the last things that happened to a run are kept with it.
STORY = 16


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened to a run, as its pull request is told; `at` in seconds since the epoch."""

    at: float
    what: Message


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a run, or of a verification, at its step: at most one Jenkins build, and all that is known of it.

    The fields are never reset one by one: a new try is `next`, and what is left of one that is over, `over`.
    """

    #: How many builds were asked for so far, this one included; with run, stage and track it names one build.
    number: int = 0
    #: Its trigger got no answer, and its build is waited for all the same.
    unanswered: bool = False
    queue_item: int | None = None
    #: The number of its build in Jenkins, once that has started.
    build: int | None = None
    #: When Jenkins expects its build to end, in seconds since the epoch.
    expected: float | None = None
    #: A person asked to cancel its build, in a lock-policy stage (L5).
    cancelled_by: str | None = None
    #: Its build has run longer than the step allows.
    timed_out: bool = False
    #: Its build was asked to end and has not ended.
    abort: Abort | None = None
    #: How it failed, for a run that stays with its failure.
    failure: Outcome | None = None
    failed_tests: tuple[str, ...] = ()
    failed_step: str = ""
    #: How its build was lost, if Jenkins did not say how it ended.
    lost: str = ""

    def next(self) -> Attempt:
        """The try after this one."""
        return Attempt(self.number + 1)

    def over(self) -> Attempt:
        """What is left of it once the step is left, or waited for again: its number, which is never given twice."""
        return Attempt(self.number)

    def failed(self, outcome: Outcome) -> Attempt:
        """What is left of it while its failure counts: the build and what broke, nothing of what was asked of it."""
        return Attempt(
            self.number,
            build=self.build,
            failure=outcome,
            failed_tests=self.failed_tests,
            failed_step=self.failed_step,
            lost=self.lost,
        )


#: Before the first try.
NO_ATTEMPT = Attempt()


@dataclass(frozen=True, slots=True)
class Merge:
    """What GitHub says of the merge that a run carries."""

    pull: int | None = None
    #: All the merged pull requests, `pull` among them: one push may land several.
    pulls: tuple[int, ...] = ()
    title: str = ""
    author: str = ""


#: Before GitHub has named a pull request.
NO_MERGE = Merge()


@dataclass(frozen=True, slots=True)
class Run:
    """One commit of one service on its way through the stages, on one lane."""

    key: str
    service: str
    position: Position
    lane: Lane
    status: Status
    step: Step
    #: Its place in line: handed out when it joins the queue, kept when it is called back (L3, L6).
    queue_number: int
    #: Seconds since the epoch: when it was merged, and when the present status began.
    created: float
    since: float
    version: str
    #: When it joined the queue of its step; kept when it is called back, so that its waiting is told in full.
    queued: float = 0.0
    passed: tuple[Step, ...] = ()
    attempt: Attempt = NO_ATTEMPT
    #: How many automatic retries of the present stage were used.
    retried: int = 0
    #: Waits to repeat the build that failed in the stage it locked (L4).
    retrying: bool = False
    #: The locked stages that operators opened for this run (F1).
    permits: tuple[str, ...] = ()
    #: Set when the run is on its way out.
    ending: Ending | None = None
    merge: Merge = NO_MERGE
    #: The last things that happened to it, oldest first; bounded.
    story: tuple[Happened, ...] = ()

    @property
    def sha(self) -> str:
        """Its commit."""
        return self.position.sha

    @property
    def who(self) -> Who:
        """Which run it is, as people are told."""
        return Who(self.service, self.sha)

    @property
    def verifies(self) -> None:
        """It builds what was merged, see `Verification.verifies`."""

    @property
    def job(self) -> None:
        """It is built by the job that is configured for its step now, see `Verification.job`."""

    @property
    def queue_rank(self) -> int:
        """Lower goes first: a repeat of the build that locked the stage (L4), the fast lane (F4), the main lane."""
        if self.retrying:
            return 0
        return 1 if self.lane is Lane.FAST else 2

    @property
    def taken_out(self) -> bool:
        """Whether a person has cancelled it, and it has not left yet."""
        return self.attempt.cancelled_by is not None or (self.ending is not None and self.ending.end is End.CANCELLED)

    @property
    def holds_slot(self) -> bool:
        """Whether it occupies a slot of its stage."""
        return self.status in HOLDS_SLOT


@dataclass(frozen=True, slots=True)
class Verification:
    """One head of a pull request that is built. It waits, starts, runs or ends as a run does, and never locks anything.

    What has a build in Jenkins, a run or a verification, calls what concerns that build by the same names.
    """

    #: `S1.pr12-3`: runs end in a point and a number, so that none can have the same.
    key: str
    service: str
    pull: int
    sha: str
    status: Status
    queue_number: int
    #: Seconds since the epoch: when it was asked for, and when the present status began.
    created: float
    since: float
    version: str
    #: Where its build is asked for: it is taken back there, whatever the configuration says by then.
    job: Job
    attempt: Attempt = NO_ATTEMPT
    #: Why it is on its way out.
    ending: str = ""

    @property
    def who(self) -> Who:
        """Which verification it is, as people are told."""
        return Who(self.service, self.sha, self.pull)

    @property
    def step(self) -> Step:
        """The one place where it can be."""
        return VERIFY

    @property
    def lane(self) -> Lane:
        """What its trigger says; nothing overtakes among verifications."""
        return Lane.MAIN

    @property
    def verifies(self) -> int:
        """The pull request that it builds."""
        return self.pull

    @property
    def queue_rank(self) -> int:
        """First come, first served."""
        return 0

    @property
    def taken_out(self) -> bool:
        """Nobody cancels one: it ends with its pull request, or with its head."""
        return False

    @property
    def holds_slot(self) -> bool:
        """Whether it occupies a slot."""
        return self.status in HOLDS_SLOT


#: What has a build in Jenkins.
Buildable = Run | Verification


@dataclass(frozen=True, slots=True)
class Pull:
    """What is known of one pull request: its head, and what was said of it last."""

    number: int
    sha: str
    #: When GitHub changed it last, in seconds since the epoch by GitHub's clock: what tells news from old news.
    at: float | None = None
    open: bool = True
    draft: bool = False
    fork: bool = False
    #: Of the present head: a person asked for it; it waits for a person to ask; what became of it was said.
    asked: bool = False
    held: bool = False
    done: bool = False
    #: The heads that it had before, the latest last.
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulls:
    """The pull requests of one service that something was heard of, the latest last. Bounded."""

    key: str
    #: Number of the latest verification.
    number: int = 0
    seen: tuple[Pull, ...] = ()

    def find(self, number: int) -> Pull | None:
        """What is known of a pull request."""
        return next((pull for pull in self.seen if pull.number == number), None)


@dataclass(frozen=True, slots=True)
class Lock:
    """One of the things that close a stage to the main lane (L2). `position` is set for an automatic one."""

    key: str
    stage: str
    reason: str
    by: str
    since: float
    #: The failed run, its service and commit: the lock opens when a run that contains the commit has passed.
    run: str | None = None
    service: str | None = None
    position: Position | None = None
    let_fixes_in: bool = False
    until: float | None = None

    @property
    def automatic(self) -> bool:
        """Whether a failed run holds it, and not a person."""
        return self.service is not None


@dataclass(frozen=True, slots=True)
class Version:
    """One commit that a build has brought into a step: by which run, on which lane; `since` in epoch seconds."""

    position: Position
    run: str
    lane: Lane
    since: float


@dataclass(frozen=True, slots=True)
class StageVersion:
    """What is in one step for one service. The rules about it: `bot.core.rules.stage_versions`.

    `broken` is what failed on top of `whole`: while it is set, it is what is in the step. The whole version below it
    stays known, because a force-push may take the broken commit off main: then the whole one still keeps older
    commits out. `fix` is the last whole version that came on the fast lane: its clean-up (F8) goes on, where GitHub
    has not answered yet, even if another version has replaced or broken it since.
    """

    key: str
    service: str
    step: Step
    whole: Version | None = None
    broken: Version | None = None
    fix: Version | None = None

    @property
    def present(self) -> Version | None:
        """What was brought there last, whole or broken."""
        return self.broken or self.whole

    @property
    def versions(self) -> tuple[Version, ...]:
        """What is there, the broken version first."""
        return tuple(version for version in (self.broken, self.whole) if version is not None)

    @property
    def all(self) -> tuple[Version, ...]:
        """All the versions that are remembered."""
        return tuple(version for version in (self.broken, self.whole, self.fix) if version is not None)


@dataclass(frozen=True, slots=True)
class PushedCommits:
    """What one push brought beside its head: whoever merged one of these is carried by the head's run."""

    head: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandledCommand:
    """A command at GitHub that we took: which, from whom, when; and whether all that follows has been decided."""

    key: str
    by: str
    at: float
    done: bool = False


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What the board remembers of one service beyond its live runs. All tuples are bounded."""

    key: str
    history: CommitHistory = field(default_factory=CommitHistory)
    #: Number of the latest run.
    number: int = 0
    #: How often we have learned that main moved: what GitHub answers about an earlier time is old.
    moves: int = 0
    #: The heads that a force-push put in place: what they do not contain was dropped from main.
    forced_heads: tuple[Position, ...] = ()
    #: Questions about containment under way: (base sha, head sha).
    asked: tuple[tuple[str, str], ...] = ()
    #: Pushes seen lately, as business keys: one push may be delivered several times.
    pushes: tuple[str, ...] = ()
    #: The pushes of several commits seen lately.
    pushed: tuple[PushedCommits, ...] = ()
    #: How many of each there have been: the number of the last one that is remembered.
    push_count: int = 0
    pushed_count: int = 0
    #: The head that GitHub named, while it is not known whether that contains ours; or our head, if it lacks a commit
    #: that was on main, until GitHub names it.
    unconfirmed_head: str = ""
    #: Commands heard lately, and when which pull request was answered somebody who may not write.
    handled_commands: tuple[HandledCommand, ...] = ()
    answered: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class StageBackoff:
    """Jenkins refused a step's trigger; nobody enters until `retry_at` (L6)."""

    key: str
    step: Step
    why: str
    since: float
    retry_at: float
    refusals: int = 1


@dataclass(frozen=True, slots=True)
class UnmanagedBuild:
    """A build in one of our jobs that no run asked for: it moves nothing but occupies a slot (invariant 1)."""

    key: str
    step: Step
    number: int
    since: float
    #: It repeats a build of this run and was asked to end (invariant 5).
    repeats: str | None = None
    abort: Abort | None = None


@dataclass(frozen=True, slots=True)
class PastBuild:
    """A build of one of our jobs that is known to have ended; `started` in seconds since the epoch, by Jenkins."""

    key: str
    number: int
    started: float | None = None


@dataclass(frozen=True, slots=True)
class CleanUp:
    """A clean-up (F8) that is not through: more runs of the service `key` go in the next decisions."""

    key: str
