"""The JSON of a pipeline, now or in the past, as the API answers it: board, stages, queues, locks, health. Types only.

Times are seconds since the epoch, durations are seconds. The text below a field is what the documentation says of it.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from bot.core.model.facts import Why
from bot.core.model.pipeline import FastLaneStart, Lane, Mode, Track
from bot.core.model.run import End, Status
from bot.health.judgement import HealthStatus
from bot.web.lock_shapes import StageFreezeShape


class HealthDetailShape(TypedDict):
    """One thing that a finding is about."""

    what: str
    since: float | None


class FindingShape(TypedDict):
    """One cause why Interlock itself is not well."""

    cause: str
    """Its name for programs."""
    status: HealthStatus
    what: str
    """What is wrong, as a sentence without a full stop."""
    since: float | None
    good_at: float | None
    """When it was last good."""
    mend: str
    """What to do."""
    details: list[HealthDetailShape]
    pipeline: str
    """The pipeline that it is about; empty: all."""
    holds_up: bool
    """Whether runs wait because of it."""


class HealthShape(TypedDict):
    """How Interlock itself is."""

    status: HealthStatus
    findings: list[FindingShape]


class TimesShape(TypedDict):
    """An estimated moment and its range."""

    at: float
    low: float
    high: float


class RunEstimateShape(TypedDict):
    """When a run enters and passes its step. The texts are clauses, empty where there is nothing to say."""

    enters: TimesShape | None
    passes: TimesShape | None
    behind: str
    removed: str
    unforeseen: str
    """Why there is no estimate."""


class LockEstimateShape(TypedDict):
    """When a lock opens."""

    opens: TimesShape | None
    because: str
    """What the estimate rests on."""
    unforeseen: str
    """Why there is no estimate."""


class RunShape(TypedDict):
    """What is known alike of a run that is live and of one that has ended."""

    run: str
    """Its key: the service and a number, such as `S1.1`."""
    service: str
    sha: str
    short: str
    title: str
    author: str
    pull: int | None
    """The pull request of the newest commit."""
    pulls: list[int]
    """The pull requests of all commits that it carries."""
    lane: Lane
    stage: str
    track: Track
    build: int | None
    """The number of its present or last build in Jenkins."""
    created: float
    passed: list[str]
    """The steps that it has passed, in order."""


class MovedShape(TypedDict):
    """A person has moved a run to the front of its queue."""

    by: str
    reason: str


class TileShape(RunShape):
    """A live run: where it is, and why."""

    status: Status
    attempt: int
    since: float
    version: str
    """What its job is told to build or to roll out."""
    position: int | None
    """Its place in the queue, from 1; null if it does not wait."""
    moved: MovedShape | None
    """Who has moved it to the front of its queue, if somebody has."""
    why: Why
    """Why it stands where it stands, for programs."""
    reason: str
    """The same as a sentence."""
    rule: str
    """The rule of the documentation behind it, such as L2; empty if none is meant."""
    fix: str | None
    """The run that is on its way to replace it, if it has failed and stays."""
    stuck: bool
    """Whether its build does not end although it was aborted by force."""
    eta: NotRequired[RunEstimateShape]
    flaky: NotRequired[list[str]]
    """Sentences about the failing tests of its last build that are likely flaky."""


class EndedShape(RunShape):
    """A run that left the board."""

    end: End
    reason: str
    by: str | None
    """The person who took it out, or the run that replaced it."""
    at: float


class EndedWithNewerShape(EndedShape):
    """A run that left the board, with what came after it."""

    newer: str | None
    """The latest run of the service that was merged after it and lives or was delivered."""


class CostShape(TypedDict):
    """What a lock has cost so far: runs that wait, times how long."""

    run_seconds: float
    words: str


class StoredLockShape(TypedDict):
    """A lock of a stage, as it is stored."""

    key: str
    """What it is called when one of several is to be opened."""
    stage: str
    reason: str
    by: str
    since: float
    until: float | None
    """When it ends by itself; null: it does not."""
    run: str | None
    """The run that holds it; null for a manual lock."""
    service: str | None
    automatic: bool
    let_fixes_in: bool
    freeze: str | None
    """The freeze that it belongs to; null: none."""
    build: int | None
    """The number of the build that failed; null if it is not known."""


class LockShape(StoredLockShape):
    """A lock of a stage, with when it opens and what it has cost so far."""

    eta: LockEstimateShape
    cost: CostShape
    flaky: list[str]


class JobShape(TypedDict):
    """A job in Jenkins."""

    controller: str
    name: str


class QueueShape(TypedDict):
    """The queue before a step."""

    count: int
    runs: list[TileShape]
    """The first of them."""
    tail: list[TileShape]
    """The last of them, where the middle is left out."""


class StepRunsShape(TypedDict):
    """The runs that hold a slot of a step."""

    count: int
    runs: list[TileShape]


class UnmanagedShape(TypedDict):
    """A build that somebody started in Jenkins by hand; it occupies a slot."""

    number: int
    since: float


class BackoffShape(TypedDict):
    """Why Jenkins takes no builds of a job at the moment."""

    why: str
    since: float
    retry_at: float


class SlotsShape(TypedDict):
    """What occupies a job, and what is wrong with it."""

    capacity: int | None
    """How many runs it holds; null: any number."""
    unmanaged: list[UnmanagedShape]
    backoff: BackoffShape | None


class StepShape(SlotsShape):
    """A job of a stage with its queue."""

    job: JobShape
    queue: QueueShape
    inside: StepRunsShape
    failed: list[TileShape]
    """The runs that failed here and stay."""


class StageShape(StepShape):
    """A stage: its job, its locks, and its fast job."""

    name: str
    policy: Literal["lock", "report"]
    """What a failure does: lock the stage, or only be reported."""
    locks: list[LockShape]
    closes: StageFreezeShape | None
    """The freeze window that closes the stage next, if one begins within a week."""
    fast: StepShape | None


class RemovedStepShape(TypedDict):
    """A step that is no longer configured and in which builds still run."""

    name: str
    count: int
    runs: list[TileShape]


class VerificationShape(TypedDict):
    """A pull request that is being verified, or that waits for a maintainer to ask for it (`held`)."""

    verification: str | None
    service: str
    pull: int
    sha: str
    short: str
    status: Status | Literal["held"]
    build: int | None
    since: float | None
    reason: str


#: A field below is called `list`.
Verifications = list[VerificationShape]


class VerificationsShape(SlotsShape):
    """The pull requests that are being verified."""

    job: JobShape | None
    count: int
    held: int
    list: Verifications


class StateLostShape(TypedDict):
    """All that had been stored was lost, and people must look before they unlock."""

    at: float
    locked: list[str]
    sentence: str


class RevisionShape(TypedDict):
    """Which configuration a pipeline decides with."""

    digest: str
    """SHA-256 of what the pipeline file means."""
    since: float
    """Since when it is in force."""


class DelayShape(TypedDict):
    """Something that is to be done at Jenkins or GitHub, and is still tried."""

    slot: str
    what: str
    why: str
    since: float
    tries: int


class RepairShape(TypedDict):
    """Webhooks or callbacks that were lost and found by polling."""

    kind: str
    count: int
    last: float | None
    words: str


class PipelineViewShape(TypedDict):
    """What is said of a whole pipeline, now or at a moment of the past."""

    pipeline: str
    mode: Mode
    mode_by: str
    mode_why: str
    version: Annotated[int, Field(description="Grows by one with every decision.")]
    at: float
    live: int
    fast_lane: FastLaneStart
    removed: list[RemovedStepShape]
    verifications: VerificationsShape | None
    state_lost: StateLostShape | None
    revision: RevisionShape | None


class BoardShape(PipelineViewShape):
    """A whole pipeline: its stages with queues, locks and lanes."""

    stages: list[StageShape]
    health: HealthShape
    held_up: list[DelayShape]
    repairs: list[RepairShape]


# -- at a moment of the past -------------------------------------------------------------------------------------------


class PastStageShape(StepShape):
    """A stage as it was: its job, its locks, and its fast job."""

    name: str
    policy: Literal["lock", "report"]
    locks: list[StoredLockShape]
    closes: StageFreezeShape | None
    """The freeze window that was to close the stage next."""
    fast: StepShape | None


class PastViewShape(PipelineViewShape):
    """A whole pipeline as it was."""

    stages: list[PastStageShape]


class PastBoardShape(TypedDict):
    """The board at a moment, and when something was decided next to it."""

    pipeline: str
    at: float
    """The moment that is shown."""
    decided: float | None
    """When the last decision before it was made; null: the log does not go back so far, as below."""
    previous: float | None
    """When the decision before that was made."""
    next: float | None
    """When the next decision was made."""
    known_since: float | None
    """The earliest moment of which the board is recorded."""
    rules_changed: bool
    """Whether this version of Interlock decides otherwise what led to this board: it may have been another one."""
    board: PastViewShape
