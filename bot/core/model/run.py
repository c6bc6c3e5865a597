"""Runs and verifications: where each stands, its present attempt, and how it ends. Frozen values, by `key`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from bot.core.model.freezes import PullLabels
from bot.core.model.history import Position
from bot.core.model.messages import AskedBy, Message, Who
from bot.core.model.pipeline import VERIFY, AbortLevel, Job, Lane, Outcome, Step
from bot.core.model.replaced import quick_to_make, replace


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


@quick_to_make
@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends or is about to end, why, and the run that replaced it, if any."""

    end: End
    why: Message
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


@quick_to_make
@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened to a run, as its pull request is told; `at` in seconds since the epoch."""

    at: float
    what: Message


@quick_to_make
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


#: How many authors of a merge are kept beside the first.
AUTHORS_KEPT = 10


@quick_to_make
@dataclass(frozen=True, slots=True)
class PullAuthor:
    """Who wrote a pull request, or (`pull` 0) a commit of a push of which no pull request is known: a login."""

    pull: int
    login: str


@quick_to_make
@dataclass(frozen=True, slots=True)
class Merge:
    """What GitHub says of the merge that a run carries."""

    pull: int | None = None
    #: All the merged pull requests, `pull` among them: one push may land several.
    pulls: tuple[int, ...] = ()
    title: str = ""
    author: str = ""
    #: Of each pull request that has, or had, labels.
    labels: tuple[PullLabels, ...] = ()
    #: Who wrote what else it carries, beside `author`; bounded.
    authors: tuple[PullAuthor, ...] = ()

    def with_authors(self, *found: PullAuthor) -> Merge:
        """The same with these authors too, each once with each pull request; those that nobody named are left out."""
        own = PullAuthor(self.pull or 0, self.author)
        more = (each for each in (*self.authors, *found) if each.login and each != own)
        return replace(self, authors=tuple(dict.fromkeys(more))[:AUTHORS_KEPT])

    def authors_of(self, pull: int) -> Iterator[str]:
        """The logins of who wrote a pull request, as far as GitHub has told.

        Its own (`self.pull`) also has those who wrote a commit, and none of the other pull requests.
        """
        own = pull == self.pull
        if own and self.author:
            yield self.author
        yield from (each.login for each in self.authors if each.pull == pull)
        elsewhere = {each.login.casefold() for each in self.authors if each.pull}
        commits = (each.login for each in self.authors if own and not each.pull)
        yield from (login for login in commits if login.casefold() not in elsewhere)


#: Before GitHub has named a pull request.
NO_MERGE = Merge()


@dataclass(frozen=True, slots=True)
class Moved:
    """A person has moved a run to the front of its queue. Of several, the one with the greater number goes first."""

    number: int
    by: str
    reason: str


@quick_to_make
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
    #: Who lets it through the freezes that allow that, and why (W2).
    let_through: AskedBy | None = None
    #: Set when the run is on its way out.
    ending: Ending | None = None
    #: Who has moved it to the front of the queue of its step; it counts for that queue alone.
    moved: Moved | None = None
    merge: Merge = NO_MERGE
    #: The last things that happened to it, oldest first; bounded.
    story: tuple[Happened, ...] = ()

    #: It builds what was merged, see `Verification.verifies`, with the job that is configured for its step now.
    verifies = job = None

    @property
    def sha(self) -> str:
        """Its commit."""
        return self.position.sha

    @property
    def who(self) -> Who:
        """Which run it is, as people are told."""
        return Who(self.service, self.sha)

    @property
    def queue_rank(self) -> int:
        """Lower goes first: a repeat of the build that locked the stage (L4), the fast lane (F4), the main lane."""
        if self.retrying:
            return 0
        return 1 if self.lane is Lane.FAST else 2

    @property
    def front_rank(self) -> int:
        """Lower goes first among those of one `queue_rank`: whom a person has moved to the front, the latest first."""
        return -self.moved.number if self.moved is not None else 0

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
    ending: Message | None = None

    #: The one step where it can be, and the lane that its trigger names.
    step, lane = VERIFY, Lane.MAIN
    #: First come, first served: nothing overtakes among verifications, and nobody moves one to the front.
    queue_rank = front_rank = 0
    #: Nobody cancels one: it ends with its pull request, or with its head.
    taken_out = False

    @property
    def who(self) -> Who:
        """Which verification it is, as people are told."""
        return Who(self.service, self.sha, self.pull)

    @property
    def verifies(self) -> int:
        """The pull request that it builds."""
        return self.pull

    @property
    def holds_slot(self) -> bool:
        """Whether it occupies a slot."""
        return self.status in HOLDS_SLOT


#: What has a build in Jenkins.
Buildable = Run | Verification


_VERIFICATION = re.compile(r"(.+)\.pr(\d+)-\d+\Z")


def verified_pull(key: str) -> tuple[str, int] | None:
    """Service and pull request of the verification called `key`; None if that is no verification's name."""
    found = _VERIFICATION.match(key)
    return None if found is None else (found[1], int(found[2]))


def version_stamp(at: float) -> str:
    """A time (seconds since the epoch) as versions of artifacts have it: `20261125214005`, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%S")
