"""The API's JSON of answers to requests, of addresses for admins and machines, and of problems. Types only.

Times are seconds since the epoch, durations are seconds. The text below a field is its description in the
documentation.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from bot.core.access import Scope
from bot.core.model.pipeline import Mode, Track
from bot.core.model.run import End
from bot.web.board_shapes import (
    HealthShape,
    RepairShape,
    StoredLockShape,
)
from bot.web.list_shapes import FactShape

# -- actions, and data for admins only ---------------------------------------------------------------------------------


class OutcomeShape(TypedDict):
    """The outcome of a request. `waiting`: no turn has taken it yet; ask for `requests/REQUEST`."""

    request: str
    state: Literal["waiting", "done", "refused"]
    facts: list[FactShape]
    """The decisions that it led to."""


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
    """How it would end; null if it would not."""
    reason: str | None


class ConsequencesShape(TypedDict):
    """The immediate consequences of a request."""

    mode: Mode | None
    """The new mode of the pipeline; null if it does not change."""
    opens: list[StoredLockShape]
    stays_locked: list[StoredLockShape]
    locks: list[StoredLockShape]
    starts: list[AffectedRunShape]
    gains_lane: list[AffectedRunShape]
    loses_lane: list[AffectedRunShape]
    permits: list[AffectedRunShape]
    """The runs that may enter the step even if its stage is locked."""
    let_through: list[AffectedRunShape]
    """The runs that freezes let through from then on."""
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
    """The answer to a dry run. Nothing was stored."""

    state: Literal["foreseen"]
    sentence: str
    """The consequences in words."""
    consequences: ConsequencesShape


class DeadLetterShape(TypedDict):
    """An effect at Jenkins, at GitHub or for people that was given up."""

    slot: str
    kind: str
    run: str | None
    error: str
    at: float
    tries: int


class DeadLettersShape(TypedDict):
    """The effects that were given up, newest first."""

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
    """The dead letter was given another try, or dropped."""

    state: Literal["done"]
    slot: str


class ParkedTakenShape(TypedDict):
    """The parked delivery is decided once more, or was dropped."""

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
    """A new token. Only this answer has its text."""

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
    """A refused request (RFC 9457)."""

    type: str
    """`about:blank`, because `status` has the meaning."""
    title: str
    status: int
    detail: str
    """The mistake and what would be right, as a sentence."""
    valid: NotRequired[list[str]]
    """The valid names, at most thirty."""
    meant: NotRequired[str]
    """The nearest valid name."""
    errors: NotRequired[list[MistakeShape]]
    action: NotRequired[str]
    """The action that was refused."""
    needs: NotRequired[str]
    """The role that the action needs."""
    locks: NotRequired[list[StoredLockShape]]
    """The locks of the stage, one of which must be named."""
    current: NotRequired[Literal[False]]
    """The attempt is not the present one of its run."""


# -- answers to machines -----------------------------------------------------------------------------------------------


class ProcessShape(TypedDict):
    """The process is alive."""

    status: Literal["ok"]


class BacklogShape(TypedDict):
    """The backlog of a pipeline."""

    waiting: int
    oldest_waiting_seconds: float
    version: int
    outbox: int
    dead_letters: int
    repairs: list[RepairShape]


class HealthReportShape(HealthShape):
    """The health of Interlock, and the backlog of each pipeline."""

    pipelines: dict[str, BacklogShape]


class CallbackShape(TypedDict):
    """The last callback of a job."""

    controller: str
    job: str
    at: float


class CallbacksShape(TypedDict):
    """The last callback of each job, among the newest deliveries."""

    since: float | None
    """The time of the oldest delivery examined."""
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
