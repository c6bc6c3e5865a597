"""What happened outside, translated: the only things that `decide` reacts to. Frozen values, by who speaks.

GitHub, Jenkins and people have a file each; here is what Interlock itself notices (a new configuration, a loss, the
clock), and `Event`, which is any of them.
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
    """The configuration of the pipeline, new or changed."""

    pipeline: Pipeline
    mode: Mode | None = None
    revision: Revision = UNSTORED
    #: Who put it in force, and what it changed, also outside this pipeline.
    by: str = ""
    changes: tuple[ConfigurationChange, ...] = ()
    kind: Literal["configured"] = "configured"


@dataclass(frozen=True, slots=True)
class FreezesPlanned:
    """The freezes of the configuration, each with its next windows as of now: new, changed, or carried on."""

    freezes: tuple[Freeze, ...]
    revision: Revision = UNSTORED
    kind: Literal["freezes-planned"] = "freezes-planned"


@dataclass(frozen=True, slots=True)
class StateLost:
    """The store was found empty though this pipeline had run. What is still known of the time before comes along."""

    #: How it was noticed.
    why: str
    #: Stage and reason of what was locked, as far as that is known.
    locked: tuple[tuple[str, Message], ...] = ()
    #: What is remembered of the services, and the runs that were on their way, the longest there first.
    services: tuple[ServiceState, ...] = ()
    runs: tuple[Run, ...] = ()
    #: The mode that the pipeline was in; None: not known.
    mode: Mode | None = None
    mode_by: str = ""
    mode_why: str = ""
    #: The locks that stood, the failed runs that held them, what was in the stages, and the builds of before that
    #: Jenkins shows, as far as each is known.
    locks: tuple[LockTrace, ...] = ()
    holders: tuple[Run, ...] = ()
    versions: tuple[StageVersion, ...] = ()
    builds: tuple[BuildTrace, ...] = ()
    #: The jobs about which Jenkins did not answer: what they would have shown is not known.
    silent: tuple[str, ...] = ()
    kind: Literal["state-lost"] = "state-lost"


@dataclass(frozen=True, slots=True)
class StoreChanged:
    """The store goes on with another history: a replica became its master, it was started anew, or restored."""

    #: It was restored from a backup of this time, in seconds since the epoch; None: it was not.
    backup: float | None = None
    kind: Literal["store-changed"] = "store-changed"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """Jenkins was asked: it shows nothing of ours from before this board began, so nothing was lost."""

    kind: Literal["first-start"] = "first-start"


@dataclass(frozen=True, slots=True)
class WeekEnded:
    """A week is over, such as `2026-W48`, and its report is due."""

    week: str
    kind: Literal["week-ended"] = "week-ended"


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The clock moved past something that was due. The time itself comes with the turn."""

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
