"""The JSON that requests are answered with, what only admins and machines ask for, and problems. Types only.

Times are seconds since the epoch, durations are seconds. The text below a field is what the documentation says of it.
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
    permits: list[AffectedRunShape]
    """The runs that may enter the step though its stage is locked."""
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
    locks: NotRequired[list[StoredLockShape]]
    """The locks of the stage, of which one has to be named."""
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
