"""Runs and verifications: their status, present attempt and ending. Frozen values, by `key`."""

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
    """The status of a live run. The comments tell how a run leaves each, and whether it holds a slot of its stage."""

    #: In the queue before its stage. Left by admission or removal. Holds no slot. May be cancelled.
    WAITING = "waiting"
    #: Admitted; its build was asked for and has not been seen to start. Holds a slot. May be cancelled.
    STARTING = "starting"
    #: Its build runs in Jenkins. Holds a slot. May be cancelled (in a lock-policy stage that locks: L5).
    RUNNING = "running"
    #: Admitted, then called back because the stage locked (L3). Holds a slot until Jenkins confirms.
    RECALLED = "recalled"
    #: It leaves the board; its build may still run and keeps the slot until Jenkins reports that it ended (F8).
    ENDING = "ending"
    #: Its build failed and the run stays: as the holder of a lock (L1) or as a fix that can be retried (F7).
    FAILED = "failed"


#: The statuses in which a run occupies a slot of its stage.
HOLDS_SLOT = frozenset({Status.STARTING, Status.RUNNING, Status.RECALLED, Status.ENDING})


class End(StrEnum):
    """How a run left the board (invariant 4: a merged commit is never lost, its run always ends as one of these)."""

    DELIVERED = "delivered"  # passed the last stage
    FAILED = "failed"  # a reported failure
    SUPERSEDED = "superseded"  # contained in a run that replaced it
    CANCELLED = "cancelled"  # by a person
    DROPPED = "dropped"  # no longer on main (force-push), or no longer configured


@quick_to_make
@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends or will end, why, and the run that replaced it, if any."""

    end: End
    why: Message
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Abort:
    """The request to end a running build: its level, and since when, in seconds since the epoch."""

    level: AbortLevel
    asked: float
    #: Jenkins took the request, at `asked`: the time that the build has to end counts from then.
    taken: bool = False
    #: No firmer level is allowed, and people were told that the build goes on.
    stuck: bool = False
    #: The build supports nothing firmer than stop (it is no Pipeline build), and got a stop again.
    only_stop: bool = False


#: How many of its last events a run keeps.
STORY = 16


@quick_to_make
@dataclass(frozen=True, slots=True)
class Happened:
    """One event of the story of a run; `at` in seconds since the epoch."""

    at: float
    what: Message


@quick_to_make
@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a run or a verification at its step: at most one Jenkins build, and the state of it.

    The fields are never reset one by one: `next` makes a new try, `over` and `failed` keep the part that still counts.
    """

    #: How many builds were asked for so far, including this one; with run, stage and track it identifies one build.
    number: int = 0
    #: Its trigger got no answer, and Interlock waits for its build nevertheless.
    unanswered: bool = False
    queue_item: int | None = None
    #: The number of its build in Jenkins, once that has started.
    build: int | None = None
    #: When Jenkins expects its build to end, in seconds since the epoch.
    expected: float | None = None
    #: The person who asked to cancel its build, in a lock-policy stage (L5).
    cancelled_by: str | None = None
    #: Its build exceeded the time limit of the step.
    timed_out: bool = False
    #: Its build was asked to end and has not ended.
    abort: Abort | None = None
    #: The outcome of its failed build, for a run that stays with its failure.
    failure: Outcome | None = None
    failed_tests: tuple[str, ...] = ()
    failed_step: str = ""
    #: How its build was lost, if Jenkins did not report its outcome.
    lost: str = ""

    def next(self) -> Attempt:
        """Return the next attempt."""
        return Attempt(self.number + 1)

    def over(self) -> Attempt:
        """Return an attempt with the number alone, for a step that was left or is waited for again.

        The number stays, because no two attempts may have the same.
        """
        return Attempt(self.number)

    def failed(self, outcome: Outcome) -> Attempt:
        """Return the attempt with its failure: the build and the failed tests and step, without abort and cancel."""
        return Attempt(
            self.number,
            build=self.build,
            failure=outcome,
            failed_tests=self.failed_tests,
            failed_step=self.failed_step,
            lost=self.lost,
        )


#: The attempt before the first try.
NO_ATTEMPT = Attempt()


#: How many authors of a merge are kept besides the first.
AUTHORS_KEPT = 10


@quick_to_make
@dataclass(frozen=True, slots=True)
class PullAuthor:
    """The login of the author of a pull request, or (`pull` 0) of a commit of a push without a known pull request."""

    pull: int
    login: str


@quick_to_make
@dataclass(frozen=True, slots=True)
class Merge:
    """GitHub's data on the merge that a run carries."""

    pull: int | None = None
    #: All the merged pull requests, including `pull`: one push may land several.
    pulls: tuple[int, ...] = ()
    title: str = ""
    author: str = ""
    #: The labels of each pull request that has, or had, labels.
    labels: tuple[PullLabels, ...] = ()
    #: The authors of the other commits and pull requests that it carries; bounded.
    authors: tuple[PullAuthor, ...] = ()

    def with_authors(self, *found: PullAuthor) -> Merge:
        """Return the merge with these authors added, each once for each pull request; empty logins are left out."""
        if not found and not self.authors:
            return self
        own = PullAuthor(self.pull or 0, self.author)
        more = (each for each in (*self.authors, *found) if each.login and each != own)
        return replace(self, authors=tuple(dict.fromkeys(more))[:AUTHORS_KEPT])

    def authors_of(self, pull: int) -> Iterator[str]:
        """Yield the logins of the authors of a pull request, as far as GitHub has named them.

        For its own pull request (`self.pull`) these include the authors of commits who wrote none of the others.
        """
        own = pull == self.pull
        if own and self.author:
            yield self.author
        yield from (each.login for each in self.authors if each.pull == pull)
        elsewhere = {each.login.casefold() for each in self.authors if each.pull}
        commits = (each.login for each in self.authors if own and not each.pull)
        yield from (login for login in commits if login.casefold() not in elsewhere)


#: The merge before GitHub has named a pull request.
NO_MERGE = Merge()


@dataclass(frozen=True, slots=True)
class Moved:
    """A person's move of a run to the front of its queue. Of several moved runs, the greatest number goes first."""

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
    #: Its queue number: assigned when it joins the queue, kept when it is called back (L3, L6).
    queue_number: int
    #: When it was merged, and when the present status began, in seconds since the epoch.
    created: float
    since: float
    version: str
    #: When it joined the queue of its step; kept when it is called back, so that its whole waiting counts.
    queued: float = 0.0
    passed: tuple[Step, ...] = ()
    attempt: Attempt = NO_ATTEMPT
    #: How many automatic retries of the present stage were used.
    retried: int = 0
    #: Whether it waits to repeat the build that failed in the stage it locked (L4).
    retrying: bool = False
    #: The locked stages that operators opened for this run (F1).
    permits: tuple[str, ...] = ()
    #: The person who let it through the freezes that allow that, and why (W2).
    let_through: AskedBy | None = None
    #: Set when the run leaves the board.
    ending: Ending | None = None
    #: The person's move to the front of the queue of its step; it counts for that queue alone.
    moved: Moved | None = None
    merge: Merge = NO_MERGE
    #: Its last events, oldest first; bounded.
    story: tuple[Happened, ...] = ()

    #: A run verifies nothing (see `Verification.verifies`) and uses the configured job of its step.
    verifies = job = None

    @property
    def sha(self) -> str:
        """Its commit."""
        return self.position.sha

    @property
    def who(self) -> Who:
        """The run as messages name it."""
        return Who(self.service, self.sha)

    @property
    def queue_rank(self) -> int:
        """Rank in a queue, lowest first: a repeat of the build that locked (L4), the fast lane (F4), the main lane."""
        if self.retrying:
            return 0
        return 1 if self.lane is Lane.FAST else 2

    @property
    def front_rank(self) -> int:
        """Rank among runs of one `queue_rank`, lowest first: moved runs precede others, the latest move first."""
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
    """One head of a pull request that is built. It waits, starts, runs or ends like a run, and locks nothing.

    Runs and verifications have the same names for everything that concerns their build in Jenkins.
    """

    #: `S1.pr12-3`: a run's key ends in a point and a number, so no run can have the same.
    key: str
    service: str
    pull: int
    sha: str
    status: Status
    queue_number: int
    #: When it was asked for, and when the present status began, in seconds since the epoch.
    created: float
    since: float
    version: str
    #: The job of its build: it is withdrawn there even if the configuration names another one by then.
    job: Job
    attempt: Attempt = NO_ATTEMPT
    #: Why it is ending.
    ending: Message | None = None

    #: Its only step, and the lane that its trigger names.
    step, lane = VERIFY, Lane.MAIN
    #: First come, first served: no verification has a rank before others, and no person moves one to the front.
    queue_rank = front_rank = 0
    #: No person cancels one: it ends with its pull request, or with its head.
    taken_out = False

    @property
    def who(self) -> Who:
        """The verification as messages name it."""
        return Who(self.service, self.sha, self.pull)

    @property
    def verifies(self) -> int:
        """The number of the pull request that it builds."""
        return self.pull

    @property
    def holds_slot(self) -> bool:
        """Whether it occupies a slot."""
        return self.status in HOLDS_SLOT


#: The records that have a build in Jenkins.
Buildable = Run | Verification


_VERIFICATION = re.compile(r"(.+)\.pr(\d+)-\d+\Z")


def verified_pull(key: str) -> tuple[str, int] | None:
    """Return service and pull request of the verification called `key`; None if it is no verification's name."""
    found = _VERIFICATION.match(key)
    return None if found is None else (found[1], int(found[2]))


def version_stamp(at: float) -> str:
    """Return a time (seconds since the epoch) as artifact versions have it: `20261125214005`, in UTC."""
    when = datetime.fromtimestamp(at, UTC)  # `strftime` takes twice as long, and every merge needs a stamp
    return f"{when.year:04}{when.month:02}{when.day:02}{when.hour:02}{when.minute:02}{when.second:02}"
