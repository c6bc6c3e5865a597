"""The API's JSON of a pipeline, present or past; times and durations in seconds. A text below a field documents it."""

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
    """A subject of a finding."""

    what: str
    since: float | None


class FindingShape(TypedDict):
    """A cause why Interlock itself is not healthy."""

    cause: str
    """The name of the cause for programs."""
    status: HealthStatus
    what: str
    """The problem, as a sentence without a full stop."""
    since: float | None
    good_at: float | None
    """When it was last good."""
    mend: str
    """What to do."""
    details: list[HealthDetailShape]
    pipeline: str
    """The pipeline concerned; empty: all."""
    holds_up: bool
    """Whether runs wait because of it."""


class HealthShape(TypedDict):
    """The health of Interlock itself."""

    status: HealthStatus
    findings: list[FindingShape]


class TimesShape(TypedDict):
    """An estimated time and its range."""

    at: float
    low: float
    high: float


class RunEstimateShape(TypedDict):
    """The estimated times at which a run enters and passes its step.

    The texts are clauses, empty if they do not apply.
    """

    enters: TimesShape | None
    passes: TimesShape | None
    behind: str
    removed: str
    unforeseen: str
    """Why there is no estimate."""


class LockEstimateShape(TypedDict):
    """The estimated opening of a lock."""

    opens: TimesShape | None
    because: str
    """The basis of the estimate."""
    unforeseen: str
    """Why there is no estimate."""


class RunShape(TypedDict):
    """The values that live and ended runs have in common."""

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
    """The move of a run to the front of its queue by a person."""

    by: str
    reason: str


class TileShape(RunShape):
    """A live run: its place, and the reason for it."""

    status: Status
    attempt: int
    since: float
    version: str
    """The version that its job gets as a parameter."""
    position: int | None
    """Its place in the queue, from 1; null if it does not wait."""
    moved: MovedShape | None
    """The person who moved it to the front of its queue, if anybody did."""
    why: Why
    """The reason for its state, for programs."""
    reason: str
    """The reason as a sentence."""
    rule: str
    """The rule of the documentation behind it, such as L2; empty if none applies."""
    fix: str | None
    """The run on its way to replace it, if it has failed and stays on the board."""
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
    """A run that left the board, with the run after it."""

    newer: str | None
    """The latest run of the service that was merged after it and is live or was delivered."""


class CostShape(TypedDict):
    """The cost of a lock so far: the runs that wait, times their waiting time."""

    run_seconds: float
    words: str


class StoredLockShape(TypedDict):
    """A lock of a stage, as it is stored."""

    key: str
    """The key that names it when one of several locks is to be opened."""
    stage: str
    reason: str
    by: str
    since: float
    until: float | None
    """The time at which it ends by itself; null: none."""
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
    """A lock of a stage, with its estimated opening and its cost so far."""

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
    """The first runs."""
    tail: list[TileShape]
    """The last runs, if the middle is left out."""


class StepRunsShape(TypedDict):
    """The runs that hold a slot of a step."""

    count: int
    runs: list[TileShape]


class UnmanagedShape(TypedDict):
    """A build that was started by hand in Jenkins; it takes a slot."""

    number: int
    since: float


class BackoffShape(TypedDict):
    """The reason why Jenkins takes no builds of a job at the moment."""

    why: str
    since: float
    retry_at: float


class SlotsShape(TypedDict):
    """The slots of a job, and its backoff."""

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
    """The failed runs that stay on the board."""


class StageShape(StepShape):
    """A stage: its job, its locks, and its fast job."""

    name: str
    policy: Literal["lock", "report"]
    """The effect of a failure: the stage is locked, or the failure is only reported."""
    locks: list[LockShape]
    closes: StageFreezeShape | None
    """The freeze window that closes the stage next, if one begins within a week."""
    fast: StepShape | None


class RemovedStepShape(TypedDict):
    """A step that is no longer configured and still has builds."""

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


#: Needed because a field below is called `list`.
Verifications = list[VerificationShape]


class VerificationsShape(SlotsShape):
    """The pull requests that are being verified."""

    job: JobShape | None
    count: int
    held: int
    list: Verifications


class StateLostShape(TypedDict):
    """The loss of the stored state; people must look before they unlock."""

    at: float
    locked: list[str]
    sentence: str


class RevisionShape(TypedDict):
    """The configuration that a pipeline decides with."""

    digest: str
    """SHA-256 of the meaning of the pipeline file."""
    since: float
    """The time since which it is in force."""


class DelayShape(TypedDict):
    """An effect at Jenkins or GitHub that has failed so far and is tried again."""

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
    """A whole pipeline, at present or in the past."""

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


# -- the past ----------------------------------------------------------------------------------------------------------


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
    """The board at a moment, and the times of the decisions next to it."""

    pipeline: str
    at: float
    """The moment that is shown."""
    decided: float | None
    """The time of the last decision before it; null, like the next two: the log does not go back that far."""
    previous: float | None
    """The time of the decision before that."""
    next: float | None
    """The time of the next decision."""
    known_since: float | None
    """The earliest moment whose board is recorded."""
    rules_changed: bool
    """Whether this version decides differently than was decided then, so that the board may have been different."""
    board: PastViewShape
