"""What people are to be told, as data: the rules say what it is about, `bot.reporting.messages` says it in words.

A closed list of small frozen values. The name of a class is its kind, and is stored: a class that is renamed needs a
migration. `tests/reporting` has a snapshot of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.pipeline import AbortLevel, Outcome, Step


class Message:
    """Anything that people are told."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Verbatim(Message):
    """What a person or another program wrote, and what schema 3 stored as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Joined(Message):
    """Several messages read as one sentence."""

    parts: tuple[Message, ...]


def message(*parts: Message | str) -> Message:
    """One message of what may be words already."""
    said = tuple(Verbatim(part) if isinstance(part, str) else part for part in parts)
    return said[0] if len(said) == 1 else Joined(said)


@dataclass(frozen=True, slots=True)
class Who:
    """A run, or with `pull` a verification, as people write it: `S1 1234567`, `S1 #12 1234567`."""

    service: str
    sha: str
    pull: int | None = None


# -- where a run is ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WaitsFor(Message):
    """It is in the queue of a step."""

    step: Step


@dataclass(frozen=True, slots=True)
class Queued(Message):
    """It has joined the queue of a step on the main lane; with `who`, which run."""

    step: Step
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class StartsFast(Message):
    """A new run begins on the fast lane; `why`: what has put it there."""

    why: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class Promoted(Message):
    """A live run changes to the fast lane, or, there already, may enter the locked stage `permit`."""

    why: str
    permit: str | None = None
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class IsIn(Message):
    """It has a slot of a step."""

    step: Step


@dataclass(frozen=True, slots=True)
class Entered(Message):
    """A run was admitted. `ahead`: as a fix, before those that wait."""

    who: Who
    step: Step
    fast: bool = False
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class Overtaken(Message):
    """A fix has passed those that wait for a stage."""

    fix: Who
    stage: str


@dataclass(frozen=True, slots=True)
class BackInQueue(Message):
    """It is at the head of its queue again."""

    who: Who


# -- builds ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BuildRuns(Message):
    """A build has started; with `who` and `step`, of which run and where."""

    build: int
    step: Step | None = None
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class BuildPassed(Message):
    """A build has succeeded."""

    build: int | None


@dataclass(frozen=True, slots=True)
class StepPassed(Message):
    """A step was passed; with `who`, by which run."""

    step: Step
    who: Who | None = None


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
class RanTooLong(Message):
    """A build is aborted because it has run for longer than its stage allows."""

    build: int | None
    who: Who
    step: Step


@dataclass(frozen=True, slots=True)
class AbortedMoreFirmly(Message):
    """A build that was asked to end and did not is asked more firmly."""

    build: int
    whose: str
    step: Step
    before: AbortLevel
    now: AbortLevel


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


@dataclass(frozen=True, slots=True)
class Cancelled(Message):
    """A person has taken it out."""

    by: str


@dataclass(frozen=True, slots=True)
class RunEnding(Message):
    """It is on its way out, and its build must end first."""

    why: Message
    step: Step


# -- locks -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StageLocked(Message):
    """A lock closes a stage."""

    stage: str
    reason: Message


@dataclass(frozen=True, slots=True)
class StageUnlocked(Message):
    """A lock was opened; `left`: how many others keep the stage closed."""

    stage: str
    why: Message
    left: int


@dataclass(frozen=True, slots=True)
class CalledBack(Message):
    """An admitted run is called back before its build starts; with `who`, for those who do not know which."""

    step: Step
    why: Message
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class OnMainLaneAgain(Message):
    """The last lock of a service is open, so its run leaves the fast lane; with `who`, which."""

    service: str
    who: Who | None = None


# -- main --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommitOnMain(Message):
    """A commit has come to main of a service: by a pull request, by a force-push, or nobody told and we asked."""

    sha: str
    service: str
    pull: int | None = None
    how: Literal["pushed", "force-pushed", "polled"] = "pushed"


@dataclass(frozen=True, slots=True)
class ContainmentQuestion(Message):
    """GitHub is asked whether commit `head` contains commit `base`."""

    head: str
    base: str


@dataclass(frozen=True, slots=True)
class ContainmentAnswer(Message):
    """What GitHub answers to that."""

    head: str
    base: str
    contains: bool
