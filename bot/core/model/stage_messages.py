"""Messages to people about stages, as data: locks, builds that move nothing, the configuration, lost state.

Part of the closed list that `messages` begins. The notices that `effects.Notify` sends to people are here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.messages import Message, Who
from bot.core.model.pipeline import ConfigurationChange, Mode, Outcome, Step
from bot.core.model.stage_state import Lock

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
class UnlockedBy(Message):
    """A person opened a lock."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class LockExpired(Message):
    """The lock of a person has reached its end time."""

    by: str


@dataclass(frozen=True, slots=True)
class Frozen(Message):
    """A freeze window is in force and locks a stage; `until`: its end in seconds since the epoch."""

    freeze: str
    until: float
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class FreezeEnded(Message):
    """A freeze window has ended; `changed`: by a change of the configuration, else by its time."""

    freeze: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class FreezesChanged(Message):
    """The freezes of the configuration are new or changed."""

    freezes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExceptedByLabel(Message):
    """A freeze excepts a run because a pull request that it carries has a label."""

    label: str
    pull: int


@dataclass(frozen=True, slots=True)
class ExceptedByService(Message):
    """A freeze excepts all runs of a service."""

    service: str


@dataclass(frozen=True, slots=True)
class LetThrough(Message):
    """A person lets a run through the freezes that allow it; `who`: the run, if the message names it."""

    by: str
    reason: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class FreezePassed(Message):
    """A run enters a frozen stage because of an exception; `because`: the exception."""

    step: Step
    freeze: str
    because: Message
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class ClosedNow(Message):
    """A stage has locked, so an admitted run is called back."""

    stage: str


@dataclass(frozen=True, slots=True)
class CalledBack(Message):
    """An admitted run is called back before its build starts; `who`: the run, if the message names it."""

    step: Step
    why: Message
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class OnMainLaneAgain(Message):
    """The last lock of a service is open, so its run leaves the fast lane; `who`: the run, if named."""

    service: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class FixComing(Message):
    """A run that may open a lock is in a step, or `waits` for it; `retried`: it repeats the build that failed.

    `expected`: when Jenkins expects its build to end, in seconds since the epoch.
    """

    who: Who
    step: Step
    waits: bool
    retried: bool
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class NoFixComing(Message):
    """No run is on its way to open the lock of a service."""

    service: str


@dataclass(frozen=True, slots=True)
class FixPasses(Message):
    """For pull requests of a lock holder: its fix passes the queues, `on_request` only if a person asks for it."""

    stages: tuple[str, ...]
    service: str
    on_request: bool


@dataclass(frozen=True, slots=True)
class MergesWait(Message):
    """For all other pull requests: stages are locked, `since` (seconds since the epoch), and merged commits wait."""

    stages: tuple[str, ...]
    by: str
    since: float


@dataclass(frozen=True, slots=True)
class MergesFrozen(Message):
    """For all pull requests while only freezes close the stages; `by`: the window that ends last."""

    stages: tuple[str, ...]
    by: Frozen


@dataclass(frozen=True, slots=True)
class NothingLocked(Message):
    """For pull requests that were told of a lock: no stage is locked any more."""


@dataclass(frozen=True, slots=True)
class BannerPutBack(Message):
    """The banner of a job was overwritten, or (`left`) a banner of ours stood on a job that should have none."""

    job: str
    left: bool


# -- builds that move nothing ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BuildRepeated(Message):
    """A second build of an attempt is asked to stop; `first`: the build that counts."""

    build: int
    first: int | None
    who: Who


@dataclass(frozen=True, slots=True)
class LateBuild(Message):
    """A build of a run that does not wait for it any more is asked to stop."""

    build: int
    step: Step
    run: str


@dataclass(frozen=True, slots=True)
class LateBuildEnded(Message):
    """Such a build has ended; `outcome`: how."""

    build: int
    step: Step
    run: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class UnmanagedBuildSeen(Message):
    """A build takes a slot and moves nothing: it is not ours, or it names no present attempt of `run`."""

    build: int
    step: Step
    run: str = ""


# -- the pipeline ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PipelineConfigured(Message):
    """A new configuration is in force."""

    pipeline: str
    stages: tuple[str, ...]
    services: int
    mode: Mode
    digest: str = ""
    changes: tuple[ConfigurationChange, ...] = ()


@dataclass(frozen=True, slots=True)
class ModeChanged(Message):
    """A person has changed the mode of the pipeline."""

    by: str
    before: Mode
    now: Mode
    reason: str


@dataclass(frozen=True, slots=True)
class WasTakenOut(Message):
    """A person has retried (`again`) or dropped a dead letter or a parked delivery."""

    by: str
    what: Literal["dead-letter", "parked-delivery"]
    name: str
    again: bool
    reason: str


@dataclass(frozen=True, slots=True)
class StateWasLost(Message):
    """The stored state is gone; `why`: how that was noticed."""

    why: str


@dataclass(frozen=True, slots=True)
class StoreRestored(Message):
    """The store was restored from a backup; `made`: the time of the backup in seconds since the epoch."""

    made: float


@dataclass(frozen=True, slots=True)
class ClosedAfterLoss(Message):
    """A stage is closed until a person has looked, because state was lost; `before`: the reasons of its locks."""

    before: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundInBanner(Message):
    """A lock was put back after a loss because the banner of this job showed it."""

    reason: Message
    job: str


@dataclass(frozen=True, slots=True)
class HeadWasSurveyed(Message):
    """How far the head of main had come before a loss, by the marks at GitHub; `started`: it was on its way."""

    who: Who
    became: Literal["delivered", "ended", "started", "unknown"]


# -- notices to people -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FailedFix:
    """A fix, or another run, that failed, as a notice shows it."""

    run: str
    who: Who
    step: Step
    why: Message
    build: int | None = None


@dataclass(frozen=True, slots=True)
class StageNotice(Message):
    """The events of one decision about a stage, and its present state.

    `left`: the locks that close it now; `locked`: the new ones among them; `fix`: the last fix that failed; `opened`:
    the reasons for opening the other locks, `closed`: their keys; `failed`: the runs that failed without a lock.
    `since` (seconds since the epoch): an escalation, failures have locked the stage since then. `forgotten`: a
    reminder, of these locks of people.
    """

    stage: str
    left: tuple[Lock, ...] = ()
    locked: tuple[Lock, ...] = ()
    fix: FailedFix | None = None
    opened: tuple[Message, ...] = ()
    failed: tuple[FailedFix, ...] = ()
    closed: tuple[str, ...] = ()
    since: float | None = None
    forgotten: tuple[Lock, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchNotice(Message):
    """For a watcher: the stage is open, and why its last lock was opened."""

    stage: str
    why: Message


@dataclass(frozen=True, slots=True)
class StageWatched(Message):
    """A person will get a notice when a stage opens."""

    by: str
    stage: str


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run that was live when state was lost."""

    who: Who
    step: Step
    status: str


@dataclass(frozen=True, slots=True)
class LossNotice(Message):
    """State was lost: the closed stages, their known locks, and the live runs.

    The lists are shortened; `live`: how many runs there were; `again`: the runs that were started anew.
    """

    pipeline: str
    why: str
    closed: tuple[str, ...] = ()
    locked: tuple[tuple[str, Message], ...] = ()
    runs: tuple[LostRun, ...] = ()
    live: int = 0
    again: tuple[Who, ...] = ()
    #: The locks that were put back, by stage; the builds from before that continue; the jobs about which Jenkins did
    #: not answer; and for how many services GitHub is asked how far the head of main had come.
    found: tuple[tuple[str, Message], ...] = ()
    going: tuple[LostRun, ...] = ()
    silent: tuple[str, ...] = ()
    surveyed: int = 0


@dataclass(frozen=True, slots=True)
class WrittenNotice(Message):
    """A notice that schema 4 had written before it was sent."""

    subject: str
    text: str
