"""The API's JSON of the log, of lists of runs, of versions, and of the list of all pipelines. Types only.

Times are seconds since the epoch, durations are seconds. The text below a field is its description in the
documentation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Lane, Mode, Track
from bot.core.model.run import End, Status
from bot.web.board_shapes import (
    EndedShape,
    EndedWithNewerShape,
    HealthShape,
    TileShape,
)
from bot.web.lock_shapes import LockChangesShape, VersionShape

# -- runs and facts ----------------------------------------------------------------------------------------------------


class RuleShape(TypedDict):
    """A rule of the documentation, such as F8, and its address below that of the server, like `href` in other answers.

    Two empty texts if no rule applies.
    """

    rule: str
    rule_link: str


class FactShape(RuleShape):
    """One decision: its kind, its run and stage, the person behind it, and the reason."""

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
    """The source of the request, if not the API: `shop/s1#12, comment 4711`."""


class FactPageShape(TypedDict):
    """A page of the log, newest first."""

    facts: list[FactShape]
    next: str | None
    """The value of `before` for the next page; null at the end. It may follow a page that is not full, or empty."""


#: The endings of a verification.
Verified = Literal["passed", "failed", "stopped"]


class FoundVerificationShape(RuleShape):
    """The verification of a pull request."""

    run: str
    service: str
    pull: int
    sha: str
    short: str
    stage: str
    track: Track
    status: Status | Verified
    build: int | None
    since: float
    why: str
    reason: str


class WaitReasonShape(TypedDict):
    """The runs that match, each with the reason why it waits."""

    q: str
    runs: list[TileShape]
    more: bool
    """Whether more match than are listed."""
    ended: list[EndedWithNewerShape]
    verifications: list[FoundVerificationShape]
    health: HealthShape


class EndedPageShape(TypedDict):
    """A page of ended runs, the last to end first."""

    runs: list[EndedShape]
    total: int
    next: int | None
    """The value of `offset` for the next page; null at the end."""


class FoundLiveShape(TileShape):
    """A live run in a list."""

    state: Status
    live: Literal[True]
    at: float


class FoundEndedShape(EndedShape):
    """An ended run in a list."""

    state: End
    live: Literal[False]


FoundRun = Annotated[FoundLiveShape | FoundEndedShape, Field(discriminator="live")]


class RunListShape(TypedDict):
    """A page of runs: first the live ones, then the ended ones, each newest first."""

    runs: list[FoundRun]
    live: int
    ended: int
    total: int
    next: int | None
    """The value of `offset` for the next page; null at the end."""


class FoundPullShape(TypedDict):
    """A pull request whose verification is live or has ended."""

    run: str
    """Its verification."""
    service: str
    pull: int
    sha: str
    short: str
    status: Status | Verified


class FoundInPipelineShape(TypedDict):
    """The results in one pipeline."""

    pipeline: str
    services: list[str]
    pulls: list[FoundPullShape]
    runs: list[FoundRun]
    total: int
    """The number of matching runs, which may be more than those listed."""


class FoundShape(TypedDict):
    """The results of a search."""

    q: str
    pipelines: list[FoundInPipelineShape]


# -- versions ----------------------------------------------------------------------------------------------------------


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
    """The version that passed the stage last."""
    broken: VersionShape | None
    """The version that failed there after it."""
    fast: VersionShape | None
    """The version that its fast job passed after it."""
    newer: list[NewerShape]
    newer_count: int
    compare: str | None
    """The difference at GitHub between the version that passed and the newest run on its way."""


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


class WhereStageShape(TypedDict):
    """A column of the table."""

    name: str
    locked: bool
    closed: str | None
    """How it is closed: `locked`, or `frozen until Mon 2026-11-30 08:00 CET`; null: it is open."""


class WhereTableShape(TypedDict):
    """The versions by service and stage, and the changes before each lock."""

    pipeline: str
    version: int
    stages: list[WhereStageShape]
    services: list[ServiceRowShape]
    total: int
    next: int | None
    """The value of `offset` for the next page; null at the end."""
    locks: list[LockChangesShape]


class WhereShape(WhereTableShape):
    """The versions by service and stage, with the time of the answer."""

    at: float


class LeadTimeShape(TypedDict):
    """The time from merge to delivery, over the last deliveries, in seconds."""

    deliveries: int
    median: float
    p90: float
    last: float


class ServiceShape(TypedDict):
    """One service: its versions, its live runs, the last to end, its lead time."""

    service: str
    repository: str | None
    where: WhereTableShape
    live: RunListShape
    ended: RunListShape
    lead_time: LeadTimeShape | None


# -- all pipelines -----------------------------------------------------------------------------------------------------


class OverviewLockShape(TypedDict):
    """A lock in the list of all pipelines."""

    key: str
    stage: str
    reason: str
    by: str
    since: float
    run: str | None
    service: str | None
    freeze: str | None
    """The freeze that closes the stage; null: a failure or a person closes it."""
    fix: str | None
    """The run on the fast lane that is to open it."""


class OverviewShape(TypedDict):
    """One pipeline in the list of all."""

    name: str
    mode: Mode
    version: int
    live: int
    waiting: int
    stages: list[str]
    locked: list[str]
    """The stages that have locks."""
    frozen: list[str]
    """The locked stages that only a freeze closes."""
    locks: list[OverviewLockShape]
    """The oldest of its locks."""
    more_locks: int
    failed: int
    services: int


class PipelinesShape(TypedDict):
    """The pipelines that you may read, the locked ones first."""

    pipelines: list[OverviewShape]
    at: float
    health: HealthShape
