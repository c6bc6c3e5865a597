"""What a board consists of: frozen records of thirteen kinds, each with a key; and what changed of one."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.follow_ups import FollowUp
from bot.core.model.freezes import Freeze, LiftedFreeze
from bot.core.model.pipeline import UNSTORED, Mode, Pipeline, Revision
from bot.core.model.run import Run, Verification
from bot.core.model.service_state import CleanUp, Pulls, ServiceState
from bot.core.model.stage_state import Lock, PastBuild, StageBackoff, StageVersion, UnmanagedBuild


@dataclass(frozen=True, slots=True)
class Header:
    """What there is once per board and rarely changes: the configuration and the mode."""

    pipeline: Pipeline
    mode: Mode = Mode.RUN
    mode_by: str = ""
    mode_why: str = ""
    #: The mode that the configuration asked for last; a person's word counts until that changes.
    configured_mode: Mode | None = None
    #: When the board was first configured, in seconds since the epoch: what is older belongs to another.
    born: float = 0.0
    #: Jenkins has not been asked yet whether it shows anything of ours from before: whether state was lost.
    unproven: bool = False
    #: When it was found that all that had been stored was lost (seconds since the epoch), and how.
    lost: float | None = None
    lost_why: str = ""
    #: The freezes of the configuration with their next windows, and what people have opened of those in force.
    freezes: tuple[Freeze, ...] = ()
    lifted: tuple[LiftedFreeze, ...] = ()
    #: The configuration that this board decides with.
    revision: Revision = UNSTORED
    key: str = "header"


@dataclass(frozen=True, slots=True)
class Counters:
    """The next place in line, and the number of the next manual lock. Apart from the header: it changes often."""

    next_queue_number: int = 1
    next_lock: int = 1
    key: str = "counters"


Tabled = (
    Run
    | Verification
    | Pulls
    | Lock
    | ServiceState
    | StageVersion
    | StageBackoff
    | UnmanagedBuild
    | PastBuild
    | CleanUp
    | FollowUp
)
Record = Header | Counters | Tabled

#: Where each kind of record is kept: its family name in storage.
FAMILIES: dict[type, str] = {
    Header: "header",
    Counters: "counters",
    Run: "run",
    Verification: "verification",
    Pulls: "pulls",
    Lock: "lock",
    ServiceState: "service",
    StageVersion: "version",
    StageBackoff: "backoff",
    UnmanagedBuild: "unmanaged",
    PastBuild: "past",
    CleanUp: "clean-up",
    FollowUp: "follow-up",
}

#: Where each kind of record with a key of its own is kept: the attribute of the board.
TABLES: dict[type, str] = {
    Run: "runs",
    Verification: "verifications",
    Pulls: "pulls",
    Lock: "locks",
    ServiceState: "services",
    StageVersion: "versions",
    StageBackoff: "backoffs",
    UnmanagedBuild: "unmanaged",
    PastBuild: "past",
    CleanUp: "clean_ups",
    FollowUp: "follow_ups",
}


@dataclass(slots=True)
class Change:
    """One record before and after; None stands for *not there*."""

    before: Record | None
    after: Record | None
