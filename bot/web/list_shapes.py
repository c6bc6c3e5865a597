"""The JSON of lists, single runs and what is where, and what an action is answered with. Types only.

Times are seconds since the epoch, durations are seconds. The text below a field is what the documentation says of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from bot.core.access import Scope
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Lane, Mode, Track
from bot.core.model.run import End, Status
from bot.statistics.parts import Foretold
from bot.web.board_shapes import (
    EndedShape,
    EndedWithNewerShape,
    HealthShape,
    RepairShape,
    StoredLockShape,
    TileShape,
)

# -- runs and facts ----------------------------------------------------------------------------------------------------


class FactShape(TypedDict):
    """One decision: what, about which run and stage, by whom, and why."""

    id: str
    """Facts with a higher id were decided later."""
    at: float
    entry: str
    """The delivery or the request that led to it."""
    kind: FactKind
    why: str
    run: str | None
    service: str | None
    sha: str | None
    stage: str | None
    track: Track | None
    by: str | None
    build: int | None
    via: str | None
    """Where the wish came from, if not through the API: `shop/s1#12, comment 4711`."""


class FactPageShape(TypedDict):
    """A page of the log, newest first."""

    facts: list[FactShape]
    next: str | None
    """What to ask for with `before` to go on; null at the end. It may follow a page that is not full, or empty."""


class RunRecordShape(TypedDict):
    """One run with its facts, oldest first: `tile` if it is live, `ended` if it has ended."""

    run: str
    state: Literal["live", "ended"]
    tile: TileShape | None
    ended: EndedWithNewerShape | None
    facts: list[FactShape]


class WhyShape(TypedDict):
    """The runs that were meant, each with the sentence why it waits."""

    q: str
    runs: list[TileShape]
    more: bool
    """Whether there are more than are listed."""
    ended: list[EndedWithNewerShape]
    health: HealthShape


class EndedPageShape(TypedDict):
    """A page of the runs that have ended, the last first."""

    runs: list[EndedShape]
    total: int
    next: int | None
    """What to ask for with `offset` to go on; null at the end."""


class FoundLiveShape(TileShape):
    """A live run in a list."""

    state: Status
    live: Literal[True]
    at: float


class FoundEndedShape(EndedShape):
    """A run that has ended, in a list."""

    state: End
    live: Literal[False]


FoundRun = Annotated[FoundLiveShape | FoundEndedShape, Field(discriminator="live")]


class RunListShape(TypedDict):
    """A page of runs: first those that live, then those that have ended, each newest first."""

    runs: list[FoundRun]
    live: int
    ended: int
    total: int
    next: int | None
    """What to ask for with `offset` to go on; null at the end."""


class FoundPullShape(TypedDict):
    """A pull request that is being verified."""

    service: str
    pull: int
    sha: str
    short: str
    status: Status


class FoundInPipelineShape(TypedDict):
    """What was found in one pipeline."""

    pipeline: str
    services: list[str]
    pulls: list[FoundPullShape]
    runs: list[FoundRun]
    total: int
    """How many runs there are, more than those listed perhaps."""


class FoundShape(TypedDict):
    """What a few words may mean."""

    q: str
    pipelines: list[FoundInPipelineShape]


# -- what is where -----------------------------------------------------------------------------------------------------


class VersionShape(TypedDict):
    """A commit that is, or was, in a stage."""

    sha: str
    short: str
    run: str
    lane: Lane
    since: float
    link: NotRequired[str | None]
    """The commit at GitHub."""
    href: NotRequired[str]
    """The page of its run."""


class NewerShape(TypedDict):
    """A live run that may still change what is in a stage."""

    run: str
    sha: str
    short: str
    title: str
    author: str
    pull: int | None
    lane: Lane
    status: Status
    stage: str
    track: Track
    since: float
    href: str


class ServiceStageShape(TypedDict):
    """One service in one stage."""

    stage: str
    locked: bool
    passed: VersionShape | None
    """What passed the stage last."""
    broken: VersionShape | None
    """What failed there after it."""
    fast: VersionShape | None
    """What its fast job passed after it."""
    newer: list[NewerShape]
    newer_count: int
    compare: str | None
    """The difference at GitHub between what passed and the newest that is on its way."""


class HeadShape(TypedDict):
    """The head of main."""

    sha: str
    short: str


class ServiceRowShape(TypedDict):
    """One service in all stages."""

    service: str
    head: HeadShape | None
    live: int
    stages: list[ServiceStageShape]


class ChangeShape(TypedDict):
    """What changed in a stage before its lock."""

    service: str
    passed: bool
    before: str | None
    """The commit that was there before it."""
    sha: str
    short: str
    run: str
    lane: Lane
    since: float
    title: str
    author: str
    pull: int | None
    link: str | None
    pull_link: str | None
    compare: str | None


class LockChangesShape(TypedDict):
    """A lock with what changed in its stage since the service that holds it passed there last, newest first."""

    lock: str
    stage: str
    service: str | None
    baseline: VersionShape | None
    """What that service had passed there last."""
    changes: list[ChangeShape]
    count: int
    reason: str
    by: str
    locked_since: float
    automatic: bool
    run: str | None


class WhereStageShape(TypedDict):
    """A column of the table."""

    name: str
    locked: bool


class WhereTableShape(TypedDict):
    """What is where: the services by the stages, and what changed before each lock."""

    pipeline: str
    version: int
    stages: list[WhereStageShape]
    services: list[ServiceRowShape]
    total: int
    next: int | None
    """What to ask for with `offset` to go on; null at the end."""
    locks: list[LockChangesShape]


class WhereShape(WhereTableShape):
    """The same, and when it was."""

    at: float


class LeadTimeShape(TypedDict):
    """From merge to delivery, over the last deliveries, in seconds."""

    deliveries: int
    median: float
    p90: float
    last: float


class ServiceShape(TypedDict):
    """One service: what is where, its live runs, the last to end, its lead time."""

    service: str
    repository: str | None
    where: WhereTableShape
    live: RunListShape
    ended: RunListShape
    lead_time: LeadTimeShape | None


# -- statistics --------------------------------------------------------------------------------------------------------


class NumbersShape(TypedDict):
    """Several weeks, or services, added up (docs/statistics.md). Medians and rates are null where nothing is known."""

    ended: dict[str, int]
    delivered: int
    lead: float | None
    waits: dict[str, float]
    built: float
    builds: int
    failure_rate: float | None
    restore: float | None
    locked: float
    cost: float


class WeekShape(NumbersShape):
    """One week."""

    week: str


class ServiceNumbersShape(NumbersShape):
    """One service; an empty name stands for the locks of people."""

    service: str


class StageNumbersShape(TypedDict):
    """One stage."""

    stage: str
    builds: int
    failure_rate: float | None
    locked: float
    cost: float


class StandingLockShape(TypedDict):
    """A lock that stands, with its cost so far in run-seconds."""

    stage: str
    service: str | None
    since: float
    cost: float


class FailingTestShape(TypedDict):
    """A test that failed in the last 30 days."""

    service: str
    test: str
    failed: int
    passed: int
    """How often its build passed on a retry without a new commit."""
    flaky: bool


class EstimateErrorShape(TypedDict):
    """How far the last estimates of a kind were off, and how often the truth lay in their range."""

    kind: Foretold
    count: int
    error: float | None
    inside: float | None
    ahead: float | None


class StatisticsShape(TypedDict):
    """The numbers of the last weeks, by week, service and stage."""

    service: str | None
    weeks: list[WeekShape]
    all: NumbersShape
    services: list[ServiceNumbersShape]
    stages: list[StageNumbersShape]
    standing: list[StandingLockShape]
    tests: list[FailingTestShape]
    estimates: list[EstimateErrorShape]
    at: float


# -- actions, and what only admins see ---------------------------------------------------------------------------------


class OutcomeShape(TypedDict):
    """What became of a request. `waiting`: no turn has taken it yet; ask for `requests/REQUEST`."""

    request: str
    state: Literal["waiting", "done", "refused"]
    facts: list[FactShape]
    """What was decided because of it."""


class AffectedRunShape(TypedDict):
    """A run that a request would move or end."""

    run: str
    service: str
    sha: str
    pull: int | None
    stage: str
    track: Track
    build: int | None
    end: End | None
    """How it would end, if it would."""
    reason: str | None


class ConsequencesShape(TypedDict):
    """What a request would lead to at once."""

    mode: Mode | None
    """The mode that the pipeline would be in, if it changes."""
    opens: list[StoredLockShape]
    stays_locked: list[StoredLockShape]
    locks: list[StoredLockShape]
    starts: list[AffectedRunShape]
    gains_lane: list[AffectedRunShape]
    loses_lane: list[AffectedRunShape]
    moves: list[AffectedRunShape]
    queues: list[AffectedRunShape]
    enters: list[AffectedRunShape]
    called_back: list[AffectedRunShape]
    stops: list[AffectedRunShape]
    leaves: list[AffectedRunShape]
    ends: list[AffectedRunShape]
    locks_next: list[str]
    """The stages that would be locked when the builds in them have ended."""


class ConsequenceReportShape(TypedDict):
    """The answer to a dry run: nothing was kept."""

    state: Literal["foreseen"]
    sentence: str
    """The consequences in words."""
    consequences: ConsequencesShape


class DeadLetterShape(TypedDict):
    """Something that was to be done at Jenkins, at GitHub or for people, and was given up."""

    slot: str
    kind: str
    run: str | None
    error: str
    at: float
    tries: int


class DeadLettersShape(TypedDict):
    """What was given up, newest first."""

    dead_letters: list[DeadLetterShape]


class ParkedDeliveryShape(TypedDict):
    """A delivery that could not be decided, without its body."""

    entry: str
    source: str
    name: str
    delivery: str
    error: str
    at: float


class ParkedShape(TypedDict):
    """The deliveries that could not be decided, newest first."""

    parked: list[ParkedDeliveryShape]


class DeadLetterTakenShape(TypedDict):
    """It was given another try, or dropped."""

    state: Literal["done"]
    slot: str


class ParkedTakenShape(TypedDict):
    """It is decided once more, or was dropped."""

    state: Literal["done"]
    entry: str


class TokenShape(TypedDict):
    """An API token, without its text."""

    id: str
    name: str
    scope: Scope
    created: float
    expires: float | None
    used: float | None


class TokensShape(TypedDict):
    """Every token."""

    tokens: list[TokenShape]


class CreatedTokenShape(TypedDict):
    """A new token: this answer alone has its text."""

    text: str
    token: TokenShape


class RevokedShape(TypedDict):
    """The tokens that were revoked."""

    revoked: list[TokenShape]


# -- refusals ----------------------------------------------------------------------------------------------------------


class MistakeShape(TypedDict):
    """One mistake in a body."""

    field: str
    what: str


class ProblemShape(TypedDict):
    """Why a request is refused (RFC 9457)."""

    type: str
    """`about:blank`: what it is, `status` says."""
    title: str
    status: int
    detail: str
    """What is wrong and what would be right, as a sentence."""
    valid: NotRequired[list[str]]
    """Names that there are, at most thirty."""
    meant: NotRequired[str]
    """The one that was probably meant."""
    errors: NotRequired[list[MistakeShape]]
    action: NotRequired[str]
    """The action that was refused."""
    needs: NotRequired[str]
    """The role that it takes."""
    current: NotRequired[Literal[False]]
    """The attempt is not the present one of its run."""


# -- what machines ask -------------------------------------------------------------------------------------------------


class ProcessShape(TypedDict):
    """The process answers."""

    status: Literal["ok"]


class BacklogShape(TypedDict):
    """What waits in a pipeline."""

    waiting: int
    oldest_waiting_seconds: float
    version: int
    outbox: int
    dead_letters: int
    repairs: list[RepairShape]


class HealthReportShape(HealthShape):
    """How Interlock is, and what waits in each pipeline."""

    pipelines: dict[str, BacklogShape]


class CallbackShape(TypedDict):
    """The last callback of a job."""

    controller: str
    job: str
    at: float


class CallbacksShape(TypedDict):
    """The last callback of each job, among the newest deliveries."""

    since: float | None
    """Since when the deliveries are known."""
    callbacks: list[CallbackShape]


class DocumentShape(TypedDict):
    """An OpenAPI document."""

    openapi: str
    info: dict[str, Any]
    servers: NotRequired[list[dict[str, Any]]]
    tags: list[dict[str, Any]]
    paths: dict[str, dict[str, Any]]
    components: dict[str, dict[str, Any]]


class AttemptShape(TypedDict):
    """The attempt is the present one of its run."""

    current: Literal[True]
