"""What a board consists of: frozen records of thirteen kinds, each with a key; and what changed of one.

Those of services stand here; runs, and what is known of the stages, beside it (`run.py`, `stage_state.py`).
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
    """What brought main to a head, beside that: whoever merged one of these is carried by the head's run.

    The commits of one push, or those that no webhook told of before main was found at the head.
    """

    head: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandledCommand:
    """A command at GitHub that we took: which, from whom, when; and whether all that follows has been decided."""

    key: str
    by: str
    at: float
    done: bool = False


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What the board remembers of one service beyond its live runs. All tuples are bounded."""

    key: str
    history: CommitHistory = field(default_factory=CommitHistory)
    #: Number of the latest run.
    number: int = 0
    #: How often we have learned that main moved: what GitHub answers about an earlier time is old.
    moves: int = 0
    #: The heads that a force-push put in place: what they do not contain was dropped from main.
    forced_heads: tuple[Position, ...] = ()
    #: Questions about containment under way: (base sha, head sha).
    asked: tuple[tuple[str, str], ...] = ()
    #: Pushes seen lately, as business keys: one push may be delivered several times.
    pushes: tuple[str, ...] = ()
    #: The pushes of several commits seen lately.
    pushed: tuple[PushedCommits, ...] = ()
    #: How many of each there have been: the number of the last one that is remembered.
    push_count: int = 0
    pushed_count: int = 0
    #: The head that GitHub named, while it is not known whether that contains ours; or our head, if it lacks a commit
    #: that was on main, until GitHub names it.
    unconfirmed_head: str = ""
    #: The head that GitHub named after state was lost, where nothing shows whether it was to be delivered.
    undecided_head: str = ""
    #: Commands heard lately, and when which pull request was answered somebody who may not write.
    handled_commands: tuple[HandledCommand, ...] = ()
    answered: tuple[tuple[int, float], ...] = ()

    def head_over(self, sha: str) -> str | None:
        """The head that main moved to with the commit, if that was not the head itself."""
        return next((pushed.head for pushed in reversed(self.pushed) if sha in pushed.commits), None)


@dataclass(frozen=True, slots=True)
class Pull:
    """What is known of one pull request: its head, and what was said of it last."""

    number: int
    sha: str
    #: When GitHub changed it last, in seconds since the epoch by GitHub's clock: what tells news from old news.
    at: float | None = None
    open: bool = True
    draft: bool = False
    fork: bool = False
    #: Of the present head: a person asked for it; it waits for a person to ask; what became of it was said.
    asked: bool = False
    held: bool = False
    done: bool = False
    #: The heads that it had before, the latest last.
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulls:
    """The pull requests of one service that something was heard of, the latest last. Bounded."""

    key: str
    #: Number of the latest verification.
    number: int = 0
    seen: tuple[Pull, ...] = ()

    def find(self, number: int) -> Pull | None:
        """What is known of a pull request."""
        return next((pull for pull in self.seen if pull.number == number), None)


@dataclass(frozen=True, slots=True)
class CleanUp:
    """A clean-up (F8) that is not through: more runs of the service `key` go in the next decisions."""

    key: str


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
    #: The last week of which people got the report, such as `2026-W48`; empty: of none yet.
    reported_week: str = ""
    #: The configuration that this board decides with.
    revision: Revision = UNSTORED
    key: str = "header"


@quick_to_make
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
