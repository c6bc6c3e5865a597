"""The records of a board: thirteen frozen kinds, each with a key; and `Change`, a record before and after.

Header, counters and the records of services are here. Runs are in `run.py`, the records of stages in `stage_state.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core.model.freezes import Freeze, LiftedFreeze
from bot.core.model.history import CommitHistory, Position
from bot.core.model.pipeline import UNSTORED, Mode, Pipeline, Revision
from bot.core.model.replaced import quick_to_make
from bot.core.model.run import Run, Verification
from bot.core.model.stage_state import FollowUp, Lock, PastBuild, StageBackoff, StageVersion, UnmanagedBuild


@dataclass(frozen=True, slots=True)
class PushedCommits:
    """The other commits that came to main together with a head: the head's run carries them.

    They are the other commits of one push, or commits that no webhook reported before main was found at the head.
    """

    head: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandledCommand:
    """A command at GitHub that was taken: its key, its author, when, and whether it is fully decided."""

    key: str
    by: str
    at: float
    done: bool = False


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The board's record of one service, beyond its live runs. All tuples are bounded."""

    key: str
    history: CommitHistory = field(default_factory=CommitHistory)
    #: Number of the latest run.
    number: int = 0
    #: How often an event has reported that main moved. GitHub's answer about an earlier count is outdated.
    moves: int = 0
    #: The heads that a force-push put in place: a commit that they do not contain was dropped from main.
    forced_heads: tuple[Position, ...] = ()
    #: Questions about containment under way: (base sha, head sha).
    asked: tuple[tuple[str, str], ...] = ()
    #: Keys of recent pushes: GitHub may deliver one push several times.
    pushes: tuple[str, ...] = ()
    #: The recent pushes of several commits.
    pushed: tuple[PushedCommits, ...] = ()
    #: How many of each there have been: the number of the last one in the tuple.
    push_count: int = 0
    pushed_count: int = 0
    #: The head that GitHub named, while it is unknown whether it contains the head of the history. Or the head of the
    #: history, if it lacks a commit that was on main, until GitHub names it.
    unconfirmed_head: str = ""
    #: The head that GitHub named after state was lost, where nothing shows whether it has to be delivered.
    undecided_head: str = ""
    #: The head whose run ended because the configuration lost the service: it starts again when the service returns.
    interrupted_head: str = ""
    #: Recent commands, and by pull request the time of the last answer to a person who may not write there.
    handled_commands: tuple[HandledCommand, ...] = ()
    answered: tuple[tuple[int, float], ...] = ()

    def head_over(self, sha: str) -> str | None:
        """Return the head that came to main together with the commit; None if no record names one."""
        return next((pushed.head for pushed in reversed(self.pushed) if sha in pushed.commits), None)


@dataclass(frozen=True, slots=True)
class Pull:
    """The record of one pull request: its head, and its state."""

    number: int
    sha: str
    #: When GitHub changed it last, in seconds since the epoch by GitHub's clock: older events are outdated.
    at: float | None = None
    open: bool = True
    draft: bool = False
    fork: bool = False
    #: About the present head: a person asked to verify it; it waits for a person to ask; its verification has ended.
    asked: bool = False
    held: bool = False
    done: bool = False
    #: The previous heads, the latest last.
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulls:
    """The pull requests of one service, the latest last. Bounded."""

    key: str
    #: Number of the latest verification.
    number: int = 0
    seen: tuple[Pull, ...] = ()

    def find(self, number: int) -> Pull | None:
        """Return the record of a pull request; None if there is none."""
        return next((pull for pull in self.seen if pull.number == number), None)


@dataclass(frozen=True, slots=True)
class CleanUp:
    """A clean-up (F8) that continues: the next decisions remove more runs of the service `key`."""

    key: str


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a board that rarely changes: the configuration, the mode, the freezes."""

    pipeline: Pipeline
    mode: Mode = Mode.RUN
    mode_by: str = ""
    mode_why: str = ""
    #: The mode that the configuration set last. A mode that a person set is in force until that changes.
    configured_mode: Mode | None = None
    #: When the board was first configured, in seconds since the epoch: older builds belong to another board.
    born: float = 0.0
    #: Jenkins has not answered yet whether it shows builds from before this board, and so whether state was lost.
    unproven: bool = False
    #: When state was found lost, in seconds since the epoch, and how.
    lost: float | None = None
    lost_why: str = ""
    #: The freezes of the configuration with their next windows, and the windows in force that people have lifted.
    freezes: tuple[Freeze, ...] = ()
    lifted: tuple[LiftedFreeze, ...] = ()
    #: The week of the last weekly report, such as `2026-W48`; empty: none yet.
    reported_week: str = ""
    #: The revision of the configuration in force on this board.
    revision: Revision = UNSTORED
    key: str = "header"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Counters:
    """The next queue number and the number of the next manual lock. Apart from the header: they change often."""

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

#: The family name of each kind of record in storage.
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

#: The attribute of the board that holds each kind of record, for kinds with keys of their own.
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
    """One record before and after a decision; None: it did not exist, or it was removed."""

    before: Record | None
    after: Record | None
