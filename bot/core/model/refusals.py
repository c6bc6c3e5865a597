"""The reasons for refusing a request, as data; `bot.reporting.refusals` puts them into words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.model.messages import Message, Who
from bot.core.model.pipeline import Step
from bot.core.model.stage_state import Lock


class No(StrEnum):
    """The closed list of reasons. `bot.reporting.refusals` shows which fields of a `Refusal` each of them uses."""

    # requests about runs
    NOT_LIVE = "not-live"
    NOT_FAILED = "not-failed"
    OFF_MAIN = "off-main"
    FIX_IS_THERE = "fix-is-there"
    LEAVES_ALREADY = "leaves-already"
    NOT_WAITING = "not-waiting"
    GOES_FIRST = "goes-first"
    FRONT_ALREADY = "front-already"
    # notices when a stage opens
    NOTHING_LOCKED = "nothing-locked"
    SEVERAL_LOCKED = "several-locked"
    NO_CHANNEL = "no-channel"
    WATCHES_ALREADY = "watches-already"
    TOO_MANY_WATCH = "too-many-watch"
    OLDER_GOES_FIRST = "older-goes-first"
    # freezes
    NOBODY_LET_THROUGH = "nobody-let-through"
    LET_THROUGH_ALREADY = "let-through-already"
    # the fast lane
    NO_COMMIT_KNOWN = "no-commit-known"
    HEAD_HAS_FAILED = "head-has-failed"
    LANE_IS_CLOSED = "lane-is-closed"
    HEAD_IS_THROUGH = "head-is-through"
    HEAD_IS_FAST = "head-is-fast"
    # services and pull requests
    SERVICE_NOT_CONFIGURED = "service-not-configured"
    NOT_VERIFIED = "not-verified"
    NO_COMMIT_NAMED = "no-commit-named"
    FORKS_NEVER = "forks-never"
    PULL_GONE = "pull-gone"
    HEAD_MOVED = "head-moved"
    VERIFIED_NOW = "verified-now"
    # commands at GitHub
    TOO_LATE = "too-late"
    TOO_MANY = "too-many"
    USAGE = "usage"
    NO_SUCH_OPTION = "no-such-option"
    NO_END_TIME = "no-end-time"
    PULL_NOT_OPEN = "pull-not-open"
    OTHER_HEAD = "other-head"
    NAME_THE_COMMIT = "name-the-commit"
    NOT_MERGED = "not-merged"
    NO_RUN = "no-run"
    NO_RUN_ANY_MORE = "no-run-any-more"
    # whether a build may still do its work
    RUN_NOT_THERE = "run-not-there"
    OTHER_INSTALLATION = "other-installation"
    RUN_ELSEWHERE = "run-elsewhere"
    GIVEN_UP = "given-up"
    WAITS_AGAIN = "waits-again"
    FAILED_ALREADY = "failed-already"
    RUN_LEAVES = "run-leaves"
    OTHER_BUILD = "other-build"


@dataclass(frozen=True, slots=True)
class Refusal(Message):
    """One of the list, and its details. `sha`: the requested commit; `head`: the present one."""

    no: No
    run: str = ""
    who: Who | None = None
    service: str = ""
    sha: str = ""
    head: str = ""
    pull: int | None = None
    step: Step | None = None
    status: str = ""
    #: The attempt of the request, and the present one; for commands, the limit.
    number: int = 0
    present: int = 0
    build: int | None = None
    verb: str = ""
    #: The text of it by GitHub or another party.
    told: str = ""


@dataclass(frozen=True, slots=True)
class NoSuchStage(Message):
    """The pipeline has no stage of this name; `stages`: those that it has."""

    pipeline: str
    stage: str
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotClosedBy(Message):
    """The stage has no lock with this key, or none at all (`key` None); `locks`: those that it has."""

    stage: str
    key: str | None
    locks: tuple[Lock, ...] = ()


@dataclass(frozen=True, slots=True)
class SeveralLocks(Message):
    """Several locks close the stage, and the request does not name one."""

    stage: str
    locks: tuple[Lock, ...]
