"""Messages to people about runs and their builds, as data; `bot.reporting.messages` puts them into words.

A closed list of small frozen values, continued in `stage_messages`, `github_messages` and `refusals`. The name of a
class is its kind and is stored, so renaming a class needs a migration. `tests/reporting` has a snapshot of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.model.pipeline import AbortLevel, Outcome, Step
from bot.core.model.replaced import quick_to_make


class Message:
    """The base of everything that Interlock tells people."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Verbatim(Message):
    """A text as a person or another program wrote it, or as schema 3 stored it."""

    text: str


class Phrase(StrEnum):
    """The messages that always have the same words."""

    DONE = "done"
    STORE_CHANGED = "store-changed"
    # why a repeated commit is ignored
    SAME_PUSH = "same-push"
    PUSH_AND_PULL = "push-and-pull"
    # why a run is on the fast lane
    HOLDS_LOCK = "holds-lock"
    # why builds that have not started are called back when the mode changes
    PAUSED = "paused"
    OBSERVES = "observes"
    OBSERVED = "observed"
    # why a verification waits or ends, or why a head gets none
    WAITS_FOR_BUILD = "waits-for-build"
    GROUP_VERIFIED = "group-verified"
    PULL_CLOSED = "pull-closed"
    PULL_ELSEWHERE = "pull-elsewhere"
    PULL_IS_DRAFT = "pull-is-draft"
    PULL_FROM_FORK = "pull-from-fork"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Phrased(Message):
    """A message that is one of the phrases."""

    phrase: Phrase


@quick_to_make
@dataclass(frozen=True, slots=True)
class Who:
    """A run, or with `pull` a verification, as people write it: `S1 1234567`, `S1 #12 1234567`."""

    service: str
    sha: str
    pull: int | None = None


# -- the place of a run ------------------------------------------------------------------------------------------------


@quick_to_make
@dataclass(frozen=True, slots=True)
class WaitsFor(Message):
    """A run is in the queue of a step."""

    step: Step


@quick_to_make
@dataclass(frozen=True, slots=True)
class Queued(Message):
    """A run has joined the queue of a step on the main lane; `who`: the run, if the message names it."""

    step: Step
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class AskedBy(Message):
    """A person asked for it, and why."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class LockedSinceMoved(Message):
    """A stage has locked, and main of the service has moved since the commit that failed."""

    stage: str


@dataclass(frozen=True, slots=True)
class StartsFast(Message):
    """A new run begins on the fast lane; `why`: the reason."""

    why: Message
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class Promoted(Message):
    """A live run changes to the fast lane, or a run there gets the permit to enter the locked stage `permit`."""

    why: Message
    permit: str | None = None
    who: Who | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class IsIn(Message):
    """A run has a slot of a step."""

    step: Step


@quick_to_make
@dataclass(frozen=True, slots=True)
class IsMerged(Message):
    """A commit has been merged, and has not passed the last stage yet."""

    stage: str


@quick_to_make
@dataclass(frozen=True, slots=True)
class Entered(Message):
    """A run was admitted. `ahead`: a fix, before those that wait; `locked`: into a stage that is locked for others."""

    who: Who
    step: Step
    fast: bool = False
    ahead: bool = False
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Overtaken(Message):
    """A fix has passed the runs that wait for a stage."""

    fix: Who
    stage: str


@quick_to_make
@dataclass(frozen=True, slots=True)
class BackInQueue(Message):
    """A run is at the head of its queue again."""

    who: Who


@dataclass(frozen=True, slots=True)
class StartsAgain(Message):
    """A new run continues an older one that was live when state was lost."""

    run: str
    before: str
    step: Step


# -- builds ------------------------------------------------------------------------------------------------------------


@quick_to_make
@dataclass(frozen=True, slots=True)
class BuildRuns(Message):
    """A build has started; `who` and `step`: its run and where, if the message names them."""

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
    """A step was passed; `who`: the run, if the message names it."""

    step: Step
    who: Who | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class RunFailed(Message):
    """A build did not pass: its outcome, failing tests and failing step.

    `lost`: why its end is unknown; `by`: who aborted it.
    """

    who: Who
    step: Step
    outcome: Outcome
    tests: tuple[str, ...] = ()
    failed_step: str = ""
    lost: str = ""
    by: str | None = None


@dataclass(frozen=True, slots=True)
class VerificationEnded(Message):
    """The outcome of a verification, for the status of its commit, which itself names the head and the step."""

    build: int | None
    outcome: Outcome
    tests: tuple[str, ...] = ()
    failed_step: str = ""
    lost: str = ""


@dataclass(frozen=True, slots=True)
class RetriedAutomatically(Message):
    """The stage repeats a failed build; `number`: the count of such retries, from 1."""

    failed: Message
    number: int


@dataclass(frozen=True, slots=True)
class RunRetried(Message):
    """A person repeats the failed build of a run; `who`: the run, if the message names it."""

    by: str
    step: Step
    reason: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class RunMoved(Message):
    """A person has moved a run to the front of its queue; `who`: the run, if the message names it."""

    by: str
    step: Step
    reason: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class RanTooLong(Message):
    """A build is aborted because it exceeded the time limit of its stage."""

    build: int | None
    who: Who
    step: Step


@dataclass(frozen=True, slots=True)
class AbortedMoreFirmly(Message):
    """A build that did not end is aborted at the next level; without `who`, it is a duplicate of `repeats`."""

    build: int
    who: Who | None
    repeats: str
    step: Step
    before: AbortLevel
    now: AbortLevel


@dataclass(frozen=True, slots=True)
class BuildStuck(Message):
    """An aborted build does not end, and no firmer level is allowed; `who` and `repeats` as above."""

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
    """A trigger may still arrive; `seconds`: how long Jenkins must answer before another one is sent."""

    who: Who
    step: Step
    seconds: float


@dataclass(frozen=True, slots=True)
class FixFailed(Message):
    """A fix on the fast lane did not pass."""

    who: Who
    why: Message


# -- the ending of a run -----------------------------------------------------------------------------------------------


@quick_to_make
@dataclass(frozen=True, slots=True)
class Delivered(Message):
    """A run has passed its last stage."""

    who: Who
    step: Step


@dataclass(frozen=True, slots=True)
class PassedEveryStage(Message):
    """No configured stage is left for a run to pass."""

    who: Who


@dataclass(frozen=True, slots=True)
class Cancelled(Message):
    """A person has cancelled a run; `passed`: the step that it passed nevertheless."""

    by: str
    reason: str = ""
    passed: Step | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class Superseded(Message):
    """The commit of the run `by` contains this run's commit and replaces it. `rule`: the rule, such as F8."""

    sha: str
    by: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class ContainedInFailed(Message):
    """A newer commit that contains this one has failed in a stage: the older one is not rolled out over it."""

    sha: str
    step: Step


@dataclass(frozen=True, slots=True)
class ContainedInForgotten(Message):
    """A newer commit that contains this one was rolled out in a stage; the store had lost that."""

    sha: str
    step: Step


@dataclass(frozen=True, slots=True)
class DroppedFromMain(Message):
    """A force-push took the commit off main."""

    sha: str


@dataclass(frozen=True, slots=True)
class Unconfigured(Message):
    """The service, the stage or the step of a run is no longer configured."""

    what: str


@dataclass(frozen=True, slots=True)
class WeekNotice(Message):
    """The weekly report of a pipeline; its figures are looked up when it is written."""

    pipeline: str
    week: str


@dataclass(frozen=True, slots=True)
class RunEnding(Message):
    """A run is ending, and its build must end first."""

    why: Message
    step: Step
