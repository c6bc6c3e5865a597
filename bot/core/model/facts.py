"""Facts, of which the audit log and the live feed consist, and the kinds of blockers. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.model.messages import Message
from bot.core.model.pipeline import Step
from bot.core.model.replaced import quick_to_make


class FactKind(StrEnum):
    """The closed list of the kinds of facts."""

    CONFIGURED = "configured"
    FREEZES_PLANNED = "freezes-planned"
    BASELINE_TAKEN = "baseline-taken"
    MERGE_ACCEPTED = "merge-accepted"
    MERGE_KNOWN = "merge-known"
    FORCE_PUSH_UNPLACED = "force-push-unplaced"
    DEFAULT_BRANCH_CHANGED = "default-branch-changed"
    RUN_QUEUED = "run-queued"
    RUN_ADMITTED = "run-admitted"
    BUILD_STARTED = "build-started"
    BUILD_PASSED = "build-passed"
    BUILD_FAILED = "build-failed"
    BUILD_REPEATED = "build-repeated"
    BUILD_TIMED_OUT = "build-timed-out"
    BUILD_ABORTED_FIRMLY = "build-aborted-firmly"
    BUILD_STUCK = "build-stuck"
    BUILD_DUPLICATED = "build-duplicated"
    UNMANAGED_BUILD_SEEN = "unmanaged-build-seen"
    TRIGGER_REFUSED = "trigger-refused"
    TRIGGER_UNANSWERED = "trigger-unanswered"
    RUN_RECALLED = "run-recalled"
    RUN_RETURNED = "run-returned"
    RUN_RETRIED = "run-retried"
    RUN_MOVED = "run-moved"
    WATCH_ASKED = "watch-asked"
    RUN_PROMOTED = "run-promoted"
    RUN_EXCEPTED = "run-excepted"
    RUN_REJOINED = "run-rejoined"
    RUN_LEAVING = "run-leaving"
    RUN_DELIVERED = "run-delivered"
    RUN_FAILED = "run-failed"
    RUN_SUPERSEDED = "run-superseded"
    RUN_CANCELLED = "run-cancelled"
    RUN_DROPPED = "run-dropped"
    STAGE_LOCKED = "stage-locked"
    STAGE_UNLOCKED = "stage-unlocked"
    FIX_FAILED = "fix-failed"
    BANNER_PUT_BACK = "banner-put-back"
    CONTAINMENT_ASKED = "containment-asked"
    CONTAINMENT_KNOWN = "containment-known"
    VERIFICATION_ASKED = "verification-asked"
    VERIFICATION_HELD = "verification-held"
    VERIFICATION_ENDED = "verification-ended"
    MODE_CHANGED = "mode-changed"
    DEAD_LETTER_TAKEN_OUT = "dead-letter-taken-out"
    PARKED_DELIVERY_TAKEN_OUT = "parked-delivery-taken-out"
    STATE_LOST = "state-lost"
    HEAD_SURVEYED = "head-surveyed"
    STORE_CHANGED = "store-changed"
    COMMAND_SAID = "command-said"
    REQUEST_REFUSED = "request-refused"

    @classmethod
    def _missing_(cls, value: object) -> FactKind | None:
        """Map the old name of a kind to the present one: the log is not rewritten, and schema 3 had another name."""
        return cls.UNMANAGED_BUILD_SEEN if value == "foreign-build-seen" else None


@quick_to_make
@dataclass(frozen=True, slots=True)
class Fact:
    """One decided thing: its kind, its run and stage, the person, and the reason as people read it."""

    kind: FactKind
    why: Message
    run: str | None = None
    service: str | None = None
    sha: str | None = None
    step: Step | None = None
    by: str | None = None
    build: int | None = None
    #: The origin of the request, if it did not come through the API: `shop/s1#12, comment 4711`.
    via: str | None = None
    #: The key of the lock that closed or opened a stage; None in facts of older versions.
    lock: str | None = None


class Why(StrEnum):
    """The closed list of causes of waiting. Every run that waits has exactly one (invariant 10)."""

    PAUSED = "paused"
    BACKOFF = "backoff"
    FULL = "full"
    BEHIND = "behind"
    LOCKED = "locked"
    FIX_AHEAD = "fix-ahead"
    PROOF = "proof"
    ONE_AT_A_TIME = "one-at-a-time"
    CLEAN_UP = "clean-up"
    RECALLED = "recalled"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    HOLDS_LOCK = "holds-lock"
    FIX_FAILED = "fix-failed"
    NEXT = "next"
