"""Why a run waits, was refused or was removed: a closed list, one sentence each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """The closed list. Every run that waits has exactly one (invariant 10)."""

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


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run stands where it stands; `sentence` is for people, `why` for programs."""

    why: Why
    #: The sentence, or what makes it of the board as it is now: mostly a reason keeps a run out, and nobody reads it.
    told: str | Callable[[], str]
    #: Whether those behind it in the queue must wait as well.
    stops_queue: bool = True

    @property
    def sentence(self) -> str:
        """For people. To be read before the board changes."""
        return self.told if isinstance(self.told, str) else self.told()
