"""Messages to people about stages, as data: locks, builds that move nothing, the configuration, lost state.

The same list as `messages`, continued. What is sent to people as a notice (`effects.Notify`) is here too.
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
    """A freeze window is in force: why a stage is locked, `until` when (seconds since the epoch)."""

    freeze: str
    until: float
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class FreezeEnded(Message):
    """A freeze window is over; `changed`: by the configuration, else by the clock."""

    freeze: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class FreezesChanged(Message):
    """The freezes of the configuration, new or changed."""

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
    """A person lets a run through the freezes that allow it; with `who`, which run."""

    by: str
    reason: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class FreezePassed(Message):
    """A run enters a stage in a freeze that excepts it; `because`: by which rule of the freeze."""

    step: Step
    freeze: str
    because: Message
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class ClosedNow(Message):
    """The stage is locked: why a run that was admitted is called back."""

    stage: str


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
    """Nothing is on its way to open the lock of a service."""

    service: str


@dataclass(frozen=True, slots=True)
class FixPasses(Message):
    """To the pull requests of a service that holds locks: its fix passes everyone, or (`on_request`) once asked for."""

    stages: tuple[str, ...]
    service: str
    on_request: bool


@dataclass(frozen=True, slots=True)
class MergesWait(Message):
    """To all other pull requests: stages are locked, `since` (seconds since the epoch), and what is merged waits."""

    stages: tuple[str, ...]
    by: str
    since: float


@dataclass(frozen=True, slots=True)
class MergesFrozen(Message):
    """The same where nothing but freezes closes the stages; `by`: the one that ends last."""

    stages: tuple[str, ...]
    by: Frozen


@dataclass(frozen=True, slots=True)
class NothingLocked(Message):
    """To pull requests that were told of a lock: nothing is locked any more."""


@dataclass(frozen=True, slots=True)
class BannerPutBack(Message):
    """Somebody had overwritten the banner of a job, or (`left`) a banner of ours stood where none should."""

    job: str
    left: bool


# -- builds that move nothing ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BuildRepeated(Message):
    """A second build of an attempt is asked to stop; `first`: the one that counts."""

    build: int
    first: int | None
    who: Who


@dataclass(frozen=True, slots=True)
class LateBuild(Message):
    """A build of a run for which nobody waits any more is asked to stop."""

    build: int
    step: Step
    run: str


@dataclass(frozen=True, slots=True)
class LateBuildEnded(Message):
    """What became of such a build."""

    build: int
    step: Step
    run: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class UnmanagedBuildSeen(Message):
    """A build takes a slot and moves nothing: somebody else started it, or it names no present attempt of `run`."""

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
    """A person lets the pipeline run, pauses it, or makes it observe."""

    by: str
    before: Mode
    now: Mode
    reason: str


@dataclass(frozen=True, slots=True)
class WasTakenOut(Message):
    """A person has had another try made at a dead letter or a parked delivery, or dropped it."""

    by: str
    what: Literal["dead-letter", "parked-delivery"]
    name: str
    again: bool
    reason: str


@dataclass(frozen=True, slots=True)
class StateWasLost(Message):
    """What was stored is gone, and how that was seen."""

    why: str


@dataclass(frozen=True, slots=True)
class StoreRestored(Message):
    """The store was restored from a backup; `made`: when that was made, in seconds since the epoch."""

    made: float


@dataclass(frozen=True, slots=True)
class ClosedAfterLoss(Message):
    """A stage is closed until a person has looked, because state was lost; `before`: what had locked it."""

    before: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundInBanner(Message):
    """Why a lock stands that was put back after a loss: the banner over this job told it."""

    reason: Message
    job: str


@dataclass(frozen=True, slots=True)
class HeadWasSurveyed(Message):
    """How far the head of main had come before a loss, by what GitHub shows: `started` if it was on its way."""

    who: Who
    became: Literal["delivered", "ended", "started", "unknown"]


# -- notices to people -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FailedFix:
    """A fix, or another run, that did not get through, as a notice tells it."""

    run: str
    who: Who
    step: Step
    why: Message
    build: int | None = None


@dataclass(frozen=True, slots=True)
class StageNotice(Message):
    """What happened to a stage in one decision, and how it stands now.

    `left`: the locks that close it now; `locked`: those of them that are new; `fix`: the last one that failed;
    `opened`: why each of the others was opened, `closed`: the keys of those; `failed`: the runs that failed and locked
    nothing. `since` (seconds since the epoch): failures have locked it since then, and that is told once more.
    `forgotten`: the locks of people of which somebody is to be reminded.
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
    """To whoever asked to be told: the stage is open, and why its last lock was opened."""

    stage: str
    why: Message


@dataclass(frozen=True, slots=True)
class StageWatched(Message):
    """Somebody is told when a stage opens."""

    by: str
    stage: str


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run that was on its way when state was lost."""

    who: Who
    step: Step
    status: str


@dataclass(frozen=True, slots=True)
class LossNotice(Message):
    """State was lost: which stages are closed, what was known to have locked which, what was on its way.

    The lists are cut; `live`: how many runs there were; `again`: those that were started anew.
    """

    pipeline: str
    why: str
    closed: tuple[str, ...] = ()
    locked: tuple[tuple[str, Message], ...] = ()
    runs: tuple[LostRun, ...] = ()
    live: int = 0
    again: tuple[Who, ...] = ()
    #: The locks that were put back, by stage; the builds of before that go on; the jobs about which Jenkins did not
    #: answer; and of how many services GitHub is asked how far the head of main had come.
    found: tuple[tuple[str, Message], ...] = ()
    going: tuple[LostRun, ...] = ()
    silent: tuple[str, ...] = ()
    surveyed: int = 0


@dataclass(frozen=True, slots=True)
class WrittenNotice(Message):
    """A notice that schema 4 had written before it was sent."""

    subject: str
    text: str
