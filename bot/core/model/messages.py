"""Messages to people about runs and their builds, as data; `bot.reporting.messages` puts them into words.

A closed list of small frozen values, continued in `stage_messages`, `github_messages` and `refusals`. The name of a
class is its kind, and is stored: a class that is renamed needs a migration. `tests/reporting` has a snapshot of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.model.pipeline import AbortLevel, Outcome, Step
from bot.core.model.replaced import quick_to_make


class Message:
    """Anything that Interlock tells people."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Verbatim(Message):
    """What a person or another program wrote, and what schema 3 stored as text."""

    text: str


class Phrase(StrEnum):
    """What is said alike every time."""

    DONE = "done"
    STORE_CHANGED = "store-changed"
    # why a commit that comes again is no news
    SAME_PUSH = "same-push"
    PUSH_AND_PULL = "push-and-pull"
    # why a run is on the fast lane
    HOLDS_LOCK = "holds-lock"
    # why builds that have not started are called back when the mode changes
    PAUSED = "paused"
    OBSERVES = "observes"
    OBSERVED = "observed"
    # what becomes of the verification of a pull request
    WAITS_FOR_BUILD = "waits-for-build"
    GROUP_VERIFIED = "group-verified"
    PULL_CLOSED = "pull-closed"
    PULL_ELSEWHERE = "pull-elsewhere"
    PULL_IS_DRAFT = "pull-is-draft"
    PULL_FROM_FORK = "pull-from-fork"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Phrased(Message):
    """One of the phrases."""

    phrase: Phrase


@quick_to_make
@dataclass(frozen=True, slots=True)
class Who:
    """A run, or with `pull` a verification, as people write it: `S1 1234567`, `S1 #12 1234567`."""

    service: str
    sha: str
    pull: int | None = None


# -- where a run is ----------------------------------------------------------------------------------------------------


@quick_to_make
@dataclass(frozen=True, slots=True)
class WaitsFor(Message):
    """It is in the queue of a step."""

    step: Step


@quick_to_make
@dataclass(frozen=True, slots=True)
class Queued(Message):
    """It has joined the queue of a step on the main lane; with `who`, which run."""

    step: Step
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class AskedBy(Message):
    """A person wished it, and why."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class LockedSinceMoved(Message):
    """A stage has locked, and main of the service has moved since the commit that failed."""

    stage: str


@dataclass(frozen=True, slots=True)
class StartsFast(Message):
    """A new run begins on the fast lane; `why`: what has put it there."""

    why: Message
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class Promoted(Message):
    """A live run changes to the fast lane, or, there already, may enter the locked stage `permit`."""

    why: Message
    permit: str | None = None
    who: Who | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class IsIn(Message):
    """It has a slot of a step."""

    step: Step


@quick_to_make
@dataclass(frozen=True, slots=True)
class IsMerged(Message):
    """It has been merged, and has not passed the last stage yet."""

    stage: str


@quick_to_make
@dataclass(frozen=True, slots=True)
class Entered(Message):
    """A run was admitted. `ahead`: as a fix, before those that wait; `locked`: into a stage that keeps others out."""

    who: Who
    step: Step
    fast: bool = False
    ahead: bool = False
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Overtaken(Message):
    """A fix has passed those that wait for a stage."""

    fix: Who
    stage: str


@quick_to_make
@dataclass(frozen=True, slots=True)
class BackInQueue(Message):
    """It is at the head of its queue again."""

    who: Who


@dataclass(frozen=True, slots=True)
class StartsAgain(Message):
    """A new run carries on what an older one carried when state was lost."""

    run: str
    before: str
    step: Step


# -- builds ------------------------------------------------------------------------------------------------------------


@quick_to_make
@dataclass(frozen=True, slots=True)
class BuildRuns(Message):
    """A build has started; with `who` and `step`, of which run and where."""

    build: int
    step: Step | None = None
    who: Who | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class BuildPassed(Message):
    """A build has succeeded."""

    build: int | None


@quick_to_make
@dataclass(frozen=True, slots=True)
class StepPassed(Message):
    """A step was passed; with `who`, by which run."""

    step: Step
    who: Who | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class RunFailed(Message):
    """How a build did not pass: the failing tests, the failing step; `lost`: how nobody knows; `by`: who aborted it."""

    who: Who
    step: Step
    outcome: Outcome
    tests: tuple[str, ...] = ()
    failed_step: str = ""
    lost: str = ""
    by: str | None = None


@dataclass(frozen=True, slots=True)
class VerificationEnded(Message):
    """How a verification ended, for the status of its commit, which says itself what and where."""

    build: int | None
    outcome: Outcome
    tests: tuple[str, ...] = ()
    failed_step: str = ""
    lost: str = ""


@dataclass(frozen=True, slots=True)
class RetriedAutomatically(Message):
    """The stage repeats a failed build; `number`: for which time."""

    failed: Message
    number: int


@dataclass(frozen=True, slots=True)
class RunRetried(Message):
    """A person has the failed build of a run repeated; with `who`, of which run."""

    by: str
    step: Step
    reason: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class RunMoved(Message):
    """A person has moved a run to the front of its queue; with `who`, which run."""

    by: str
    step: Step
    reason: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class RanTooLong(Message):
    """A build is aborted because it has run for longer than its stage allows."""

    build: int | None
    who: Who
    step: Step


@dataclass(frozen=True, slots=True)
class AbortedMoreFirmly(Message):
    """A build that was asked to end and did not is asked more firmly; without `who`, a second build of `repeats`."""

    build: int
    who: Who | None
    repeats: str
    step: Step
    before: AbortLevel
    now: AbortLevel


@dataclass(frozen=True, slots=True)
class BuildStuck(Message):
    """A build was asked to end and has not, and nothing firmer may be done; `who` and `repeats` as above."""

    build: int
    who: Who | None
    repeats: str
    step: Step
    rolls_out: bool


@dataclass(frozen=True, slots=True)
class TriggerNotTaken(Message):
    """Jenkins certainly did not take a trigger."""

    step: Step
    why: str


@dataclass(frozen=True, slots=True)
class UnansweredTrigger(Message):
    """A trigger may still arrive; `seconds`: for how long Jenkins must have answered before another one is sent."""

    who: Who
    step: Step
    seconds: float


@dataclass(frozen=True, slots=True)
class FixFailed(Message):
    """A fix on the fast lane did not pass."""

    who: Who
    why: Message


# -- how a run ends ----------------------------------------------------------------------------------------------------


@quick_to_make
@dataclass(frozen=True, slots=True)
class Delivered(Message):
    """It is in its last stage."""

    who: Who
    step: Step


@dataclass(frozen=True, slots=True)
class PassedEveryStage(Message):
    """No stage that is configured is left to pass."""

    who: Who


@dataclass(frozen=True, slots=True)
class Cancelled(Message):
    """A person has taken it out; `passed`: the step that it passed all the same."""

    by: str
    reason: str = ""
    passed: Step | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class Superseded(Message):
    """It is contained in a commit that replaces it: that of the run `by`. `rule`: by which rule, such as F8."""

    sha: str
    by: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class ContainedInFailed(Message):
    """It is contained in a newer commit that has failed in a stage: an older one is not rolled out over that."""

    sha: str
    step: Step


@dataclass(frozen=True, slots=True)
class ContainedInForgotten(Message):
    """It is contained in a newer commit that was rolled out in a stage, which the store had forgotten."""

    sha: str
    step: Step


@dataclass(frozen=True, slots=True)
class DroppedFromMain(Message):
    """A force-push took its commit off main."""

    sha: str


@dataclass(frozen=True, slots=True)
class Unconfigured(Message):
    """Its service, its stage or its step is gone from the configuration."""

    what: str


@dataclass(frozen=True, slots=True)
class WeekNotice(Message):
    """The report of a week of a pipeline: its figures are looked up when it is written."""

    pipeline: str
    week: str


@dataclass(frozen=True, slots=True)
class RunEnding(Message):
    """It is on its way out, and its build must end first."""

    why: Message
    step: Step
