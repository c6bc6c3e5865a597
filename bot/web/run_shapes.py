"""The API's JSON of one run as evidence: attempts, decisions with their rules, waiting times, carried merges.

Types only. Times are seconds since the epoch, durations are seconds. The text below a field is its description in the
documentation.
"""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from bot.core.model.pipeline import Track
from bot.core.model.run import End, Status
from bot.statistics.parts import Cause
from bot.web.board_shapes import (
    EndedWithNewerShape,
    TileShape,
)
from bot.web.list_shapes import FactShape, FoundVerificationShape


class AttemptRecordShape(TypedDict):
    """One attempt of a run in a step: its build, its outcome, and the reason."""

    number: int
    stage: str
    track: Track
    outcome: str
    """`starting`, `running`, Jenkins' outcome of the build, `lost`, `refused`, `called-back` or `stopped`."""
    goes_on: bool
    failed: bool
    asked: float | None
    started: float | None
    ended: float | None
    seconds: float | None
    build: int | None
    build_link: str | None
    log_link: str | None
    tests: list[str]
    """The tests that failed."""
    failed_step: str
    why: str


class WaitShape(TypedDict):
    """The waiting time of one cause."""

    cause: Cause
    seconds: float


class WaitsShape(TypedDict):
    """The waiting times and the building time of a run, up to now or its end."""

    began: float
    until: float
    causes: list[WaitShape]
    waited: float
    built: float


class SupersededRunShape(TypedDict):
    """A run that was replaced."""

    run: str
    sha: str
    short: str
    title: str


class PullLinkShape(TypedDict):
    """A pull request and its address."""

    pull: int
    link: str | None


class CarriedMergeShape(SupersededRunShape):
    """A merge that a run carries."""

    author: str
    pulls: list[int]
    created: float
    state: Status | End
    by: str | None
    commit_link: str | None
    pull_links: list[PullLinkShape]


class CarriedShape(TypedDict):
    """The merges that a run contains and that were not delivered before it, its own first."""

    since: CarriedMergeShape | None
    """The run that was delivered last before it."""
    merges: list[CarriedMergeShape]
    count: int
    unknown: int
    """The number of merges for which containment is unknown."""
    compare: str | None


class VerificationRecordShape(FoundVerificationShape):
    """The verification of a pull request, with the keys of its other verifications."""

    others: list[str]
    """The other verifications of the same pull request."""


class RunRecordShape(TypedDict):
    """A run or a verification as evidence: `tile` if the run is live, `ended` if it has ended."""

    run: str
    state: Literal["live", "ended"]
    tile: TileShape | None
    ended: EndedWithNewerShape | None
    verification: VerificationRecordShape | None
    facts: list[FactShape]
    """Oldest first."""
    attempts: list[AttemptRecordShape]
    waits: WaitsShape | None
    superseded_by: str | None
    supersedes: list[SupersededRunShape]
    carries: CarriedShape | None
