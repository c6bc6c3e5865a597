"""The events: everything outside that `decide` reacts to, as frozen values.

The events of GitHub, Jenkins and people have a module each. This one has the events that Interlock itself observes (a
new configuration, a loss, the clock), and `Event`, the union of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.board_records import ServiceState
from bot.core.model.freezes import Freeze
from bot.core.model.github_events import (
    ContainmentKnown,
    DefaultBranchChanged,
    GroupFormed,
    HeadSeen,
    HeadSurveyed,
    Merged,
    PullClosed,
    PullFound,
    PullLabelled,
    PullMoved,
)
from bot.core.model.jenkins_events import (
    AbortTaken,
    BannerOverwritten,
    BuildHinted,
    BuildLost,
    BuildSeen,
    TriggerAccepted,
    TriggerRefused,
    TriggerUnanswered,
    Withdrawn,
)
from bot.core.model.messages import Message
from bot.core.model.people_events import (
    CancelAsked,
    Command,
    CommandAllowed,
    CommandRefused,
    CommandSaid,
    FastLaneAsked,
    LetThroughAsked,
    LockAsked,
    ModeAsked,
    MoveAsked,
    RetryAsked,
    TakenOut,
    UnlockAsked,
    VerifyAsked,
    WatchAsked,
)
from bot.core.model.pipeline import UNSTORED, ConfigurationChange, Mode, Pipeline, Revision
from bot.core.model.run import Run
from bot.core.model.stage_state import StageVersion
from bot.core.model.traces import BuildTrace, LockTrace


@dataclass(frozen=True, slots=True)
class Configured:
    """A new or changed configuration of the pipeline."""

    pipeline: Pipeline
    mode: Mode | None = None
    revision: Revision = UNSTORED
    #: The person who put it in force, and the changed keys, also those outside this pipeline.
    by: str = ""
    changes: tuple[ConfigurationChange, ...] = ()
    kind: Literal["configured"] = "configured"


@dataclass(frozen=True, slots=True)
class FreezesPlanned:
    """The freezes of the configuration with their next windows: new, changed, or planned further ahead."""

    freezes: tuple[Freeze, ...]
    revision: Revision = UNSTORED
    kind: Literal["freezes-planned"] = "freezes-planned"


@dataclass(frozen=True, slots=True)
class StateLost:
    """The store was found empty though this pipeline had run. The fields hold what is still known."""

    #: How the loss was noticed.
    why: str
    #: Stage and reason of the known locks.
    locked: tuple[tuple[str, Message], ...] = ()
    #: The remembered services, and the runs that were live, the longest there first.
    services: tuple[ServiceState, ...] = ()
    runs: tuple[Run, ...] = ()
    #: The mode of the pipeline; None: not known.
    mode: Mode | None = None
    mode_by: str = ""
    mode_why: str = ""
    #: The locks that stood, the failed runs that held them, the stage versions, and the earlier builds that Jenkins
    #: shows, as far as each is known.
    locks: tuple[LockTrace, ...] = ()
    holders: tuple[Run, ...] = ()
    versions: tuple[StageVersion, ...] = ()
    builds: tuple[BuildTrace, ...] = ()
    #: The jobs about which Jenkins did not answer: their builds are not known.
    silent: tuple[str, ...] = ()
    kind: Literal["state-lost"] = "state-lost"


@dataclass(frozen=True, slots=True)
class StoreChanged:
    """The store continues with another history: a replica became its master, it was restarted, or restored."""

    #: The time of the backup that was restored, in seconds since the epoch; None: it was not restored.
    backup: float | None = None
    kind: Literal["store-changed"] = "store-changed"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """Jenkins shows no build of ours from before this board began, so no state was lost."""

    kind: Literal["first-start"] = "first-start"


@dataclass(frozen=True, slots=True)
class WeekEnded:
    """A week has ended, such as `2026-W48`, and its report is due."""

    week: str
    kind: Literal["week-ended"] = "week-ended"


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A time has come at which something is due. The turn has the time itself."""

    kind: Literal["time-passed"] = "time-passed"


Event = (
    Merged
    | PullFound
    | PullLabelled
    | HeadSeen
    | HeadSurveyed
    | DefaultBranchChanged
    | ContainmentKnown
    | PullMoved
    | PullClosed
    | GroupFormed
    | BuildHinted
    | BuildSeen
    | BuildLost
    | TriggerAccepted
    | TriggerUnanswered
    | TriggerRefused
    | Withdrawn
    | AbortTaken
    | BannerOverwritten
    | LockAsked
    | UnlockAsked
    | RetryAsked
    | CancelAsked
    | MoveAsked
    | WatchAsked
    | FastLaneAsked
    | LetThroughAsked
    | VerifyAsked
    | ModeAsked
    | TakenOut
    | CommandSaid
    | CommandAllowed
    | CommandRefused
    | Configured
    | FreezesPlanned
    | StateLost
    | StoreChanged
    | FirstStart
    | WeekEnded
    | TimePassed
)

__all__ = [
    "AbortTaken",
    "BannerOverwritten",
    "BuildHinted",
    "BuildLost",
    "BuildSeen",
    "CancelAsked",
    "Command",
    "CommandAllowed",
    "CommandRefused",
    "CommandSaid",
    "Configured",
    "ContainmentKnown",
    "DefaultBranchChanged",
    "Event",
    "FastLaneAsked",
    "FirstStart",
    "FreezesPlanned",
    "GroupFormed",
    "HeadSeen",
    "HeadSurveyed",
    "LetThroughAsked",
    "LockAsked",
    "Merged",
    "ModeAsked",
    "MoveAsked",
    "PullClosed",
    "PullFound",
    "PullLabelled",
    "PullMoved",
    "RetryAsked",
    "StateLost",
    "StoreChanged",
    "TakenOut",
    "TimePassed",
    "TriggerAccepted",
    "TriggerRefused",
    "TriggerUnanswered",
    "UnlockAsked",
    "VerifyAsked",
    "WatchAsked",
    "WeekEnded",
    "Withdrawn",
]
