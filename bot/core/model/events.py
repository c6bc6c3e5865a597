"""What happened outside, translated: the only things that `decide` reacts to. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.pipeline import AbortLevel, Mode, Outcome, Pipeline
from bot.core.model.run import Run, ServiceState


@dataclass(frozen=True, slots=True)
class Merged:
    """A commit arrived on a service's main branch. `before` None: what came before is not known (a pull request)."""

    service: str
    sha: str
    before: str | None = None
    forced: bool = False
    #: Tells two pushes with equal shas apart; redeliveries of one push carry the same.
    push_id: str = ""
    pull: int | None = None
    title: str = ""
    author: str = ""
    #: What else the push brought, oldest first and bounded: merges that landed together with this one.
    commits: tuple[str, ...] = ()
    kind: Literal["merged"] = "merged"


@dataclass(frozen=True, slots=True)
class PullFound:
    """GitHub was asked: the pull request that brought a commit of a service."""

    service: str
    sha: str
    pull: int
    title: str = ""
    author: str = ""
    #: What is to be said there of a run that has ended, and when that began (seconds since the epoch).
    run: str = ""
    text: str = ""
    began: float = 0.0
    kind: Literal["pull-found"] = "pull-found"


@dataclass(frozen=True, slots=True)
class HeadSeen:
    """GitHub was asked: the head of a service's main branch. The first answer is the baseline.

    `moves`: how often main had moved, as far as the board knew (`ServiceState.moves`) before GitHub was asked. If main
    has moved since, the answer is old and counts for nothing.
    """

    service: str
    sha: str
    moves: int = 0
    kind: Literal["head-seen"] = "head-seen"


@dataclass(frozen=True, slots=True)
class DefaultBranchChanged:
    """The default branch of a service's repository is another one now; which one is followed is configured."""

    service: str
    before: str
    now: str
    kind: Literal["default-branch-changed"] = "default-branch-changed"


@dataclass(frozen=True, slots=True)
class GroupFormed:
    """A merge queue has put pull requests together on a commit of its own, and waits for its required statuses."""

    service: str
    sha: str
    kind: Literal["group-formed"] = "group-formed"


@dataclass(frozen=True, slots=True)
class ContainmentKnown:
    """GitHub was asked: whether commit `head` contains commit `base` of a service."""

    service: str
    base: str
    head: str
    contains: bool
    kind: Literal["containment-known"] = "containment-known"


@dataclass(frozen=True, slots=True)
class PullMoved:
    """A pull request to a service's main branch is open with this head: new, pushed to, reopened, (no) draft."""

    service: str
    pull: int
    sha: str
    #: The head before a push; None where it was not one.
    before: str | None = None
    #: When GitHub changed the pull request, in seconds since the epoch by GitHub's clock.
    at: float | None = None
    draft: bool = False
    #: Its commits come from another repository, or from one that nobody knows.
    fork: bool = False
    kind: Literal["pull-moved"] = "pull-moved"


@dataclass(frozen=True, slots=True)
class PullClosed:
    """A pull request to a service's main branch was merged, or closed without that, or goes to another branch now."""

    service: str
    pull: int
    sha: str
    at: float | None = None
    elsewhere: bool = False
    kind: Literal["pull-closed"] = "pull-closed"


@dataclass(frozen=True, slots=True)
class BuildHinted:
    """Somebody says that something changed about a build; Jenkins must be asked what (invariant 8)."""

    controller: str
    job: str
    number: int
    #: Whoever says it says that the build has ended.
    over: bool = False
    kind: Literal["build-hinted"] = "build-hinted"


@dataclass(frozen=True, slots=True)
class BannerAmiss:
    """Jenkins was asked: over a job stands not what should stand there; somebody has overwritten it."""

    controller: str
    job: str
    kind: Literal["banner-amiss"] = "banner-amiss"


@dataclass(frozen=True, slots=True)
class BuildSeen:
    """Jenkins was asked: the state of a build. `result` None while it runs. `run` None: not one of ours."""

    controller: str
    job: str
    number: int
    result: Outcome | None
    run: str | None = None
    attempt: int | None = None
    failed_tests: tuple[str, ...] = ()
    #: The step of the Pipeline that went wrong, and what it says.
    failed_step: str = ""
    #: The artifact version that its trigger carried; empty: the job declares none.
    version: str = ""
    #: The commit that its trigger carried; empty: the job declares none.
    sha: str = ""
    #: When the build started, when Jenkins expects it to end, and when it ended: epoch seconds by Jenkins' clock.
    started: float | None = None
    expected: float | None = None
    ended: float | None = None
    kind: Literal["build-seen"] = "build-seen"


@dataclass(frozen=True, slots=True)
class TriggerAccepted:
    """Jenkins took the trigger of one attempt into its queue."""

    run: str
    attempt: int
    queue_item: int
    kind: Literal["trigger-accepted"] = "trigger-accepted"


@dataclass(frozen=True, slots=True)
class TriggerUnanswered:
    """The trigger of an attempt got no answer and left no build so far; where it rolls out, that is waited for.

    `answering`: for how long Jenkins must answer before the attempt is given up, in seconds.
    """

    run: str
    attempt: int
    answering: float
    kind: Literal["trigger-unanswered"] = "trigger-unanswered"


@dataclass(frozen=True, slots=True)
class TriggerRefused:
    """It is certain that the trigger of one attempt did not arrive, and why (L6)."""

    run: str
    attempt: int
    why: str
    kind: Literal["trigger-refused"] = "trigger-refused"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """It is certain that an attempt has no build and will get none: it was cancelled, or never arrived."""

    run: str
    attempt: int
    #: Set when nobody of ours withdrew it: what became of it.
    why: str = ""
    kind: Literal["withdrawn"] = "withdrawn"


@dataclass(frozen=True, slots=True)
class AbortTaken:
    """Jenkins took our request to end a build: from now on it has its time.

    `run` and `attempt`: whose build it is, for the job may have another name by now; empty for a duplicate.
    """

    controller: str
    job: str
    number: int
    level: AbortLevel
    #: The build knows nothing firmer than stop, and was asked that again.
    only_stop: bool = False
    run: str = ""
    attempt: int = 0
    kind: Literal["abort-taken"] = "abort-taken"


@dataclass(frozen=True, slots=True)
class BuildLost:
    """The build of an attempt is no longer there and never will be: deleted, or lost in a crash."""

    run: str
    attempt: int
    why: str
    kind: Literal["build-lost"] = "build-lost"


@dataclass(frozen=True, slots=True)
class LockAsked:
    """A person locks a stage. `until`: seconds since the epoch, or None for until it is opened."""

    stage: str
    by: str
    reason: str
    let_fixes_in: bool = False
    until: float | None = None
    kind: Literal["lock-asked"] = "lock-asked"


@dataclass(frozen=True, slots=True)
class UnlockAsked:
    """A person opens the lock of a stage, the one with the key `lock`, or every one."""

    stage: str
    by: str
    reason: str
    lock: str | None = None
    every: bool = False
    kind: Literal["unlock-asked"] = "unlock-asked"


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """A person wants the failed build of a run repeated, without a new commit (L4)."""

    run: str
    by: str
    reason: str
    kind: Literal["retry-asked"] = "retry-asked"


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A person takes a run out."""

    run: str
    by: str
    reason: str
    kind: Literal["cancel-asked"] = "cancel-asked"


@dataclass(frozen=True, slots=True)
class FastLaneAsked:
    """A person sends the head of a service's main on the fast lane, into `stage` even if it is locked (F1)."""

    service: str
    by: str
    reason: str
    stage: str | None = None
    kind: Literal["fast-lane-asked"] = "fast-lane-asked"


@dataclass(frozen=True, slots=True)
class VerifyAsked:
    """A person wants a pull request verified. `sha`: the head that the person saw; one that came since is not built."""

    service: str
    pull: int
    by: str
    sha: str
    #: Whether its commits come from a fork; None: whoever asks does not know.
    fork: bool | None = None
    kind: Literal["verify-asked"] = "verify-asked"


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a comment that begins with `/interlock`. `verb` empty: not understood, perhaps `meant`."""

    verb: str
    rest: str = ""
    meant: str = ""


@dataclass(frozen=True, slots=True)
class CommandSaid:
    """Somebody commands something at GitHub: in a comment on a pull request, or by a button of a check run.

    Nobody has been asked yet whether they may.
    """

    #: Tells it from all others, however often it is delivered.
    key: str
    repository: str
    by: str
    commands: tuple[Command, ...]
    pull: int | None = None
    #: The comment, and when it was written (seconds since the epoch); None: a button.
    comment: int | None = None
    at: float | None = None
    #: How many more commands the comment has than count.
    more: int = 0
    #: The commit that the button's check run is about, and the run that it names.
    sha: str = ""
    run: str = ""
    kind: Literal["command-said"] = "command-said"


@dataclass(frozen=True, slots=True)
class CommandAllowed:
    """GitHub was asked: whoever said it may do it, and this is what it is about at this moment."""

    said: CommandSaid
    #: The service into whose main branch the pull request goes; empty for a button.
    service: str = ""
    #: The head of the pull request, whether that is on a fork, and whether it is open still.
    head: str = ""
    fork: bool = False
    open: bool = False
    #: The commit that landed; empty: it is not merged.
    merged: str = ""
    #: What became of its last run, in words, if one has ended.
    past: str = ""
    kind: Literal["command-allowed"] = "command-allowed"


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """GitHub was asked: nothing is done of it, and why."""

    said: CommandSaid
    why: str
    kind: Literal["command-refused"] = "command-refused"


@dataclass(frozen=True, slots=True)
class ModeAsked:
    """A person lets the pipeline run, pauses it, or makes it only observe."""

    mode: Mode
    by: str
    reason: str
    kind: Literal["mode-asked"] = "mode-asked"


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration of the pipeline, new or changed."""

    pipeline: Pipeline
    mode: Mode | None = None
    kind: Literal["configured"] = "configured"


@dataclass(frozen=True, slots=True)
class StateLost:
    """The store was found empty though this pipeline had run. What is still known of the time before comes along."""

    #: How it was noticed.
    why: str
    #: Stage and reason of what was locked, as far as that is known.
    locked: tuple[tuple[str, str], ...] = ()
    #: What is remembered of the services, and the runs that were on their way, the longest there first.
    services: tuple[ServiceState, ...] = ()
    runs: tuple[Run, ...] = ()
    #: The mode that the pipeline was in; None: not known.
    mode: Mode | None = None
    mode_by: str = ""
    mode_why: str = ""
    kind: Literal["state-lost"] = "state-lost"


@dataclass(frozen=True, slots=True)
class StoreChanged:
    """The store goes on with another history: a replica became its master, or it was started anew."""

    kind: Literal["store-changed"] = "store-changed"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """Jenkins was asked: it shows nothing of ours from before this board began, so nothing was lost."""

    kind: Literal["first-start"] = "first-start"


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The clock moved past something that was due. The time itself comes with the turn."""

    kind: Literal["time-passed"] = "time-passed"


Event = (
    Merged
    | PullFound
    | HeadSeen
    | DefaultBranchChanged
    | ContainmentKnown
    | PullMoved
    | PullClosed
    | GroupFormed
    | BuildHinted
    | BannerAmiss
    | BuildSeen
    | TriggerAccepted
    | TriggerUnanswered
    | TriggerRefused
    | Withdrawn
    | AbortTaken
    | BuildLost
    | LockAsked
    | UnlockAsked
    | RetryAsked
    | CancelAsked
    | FastLaneAsked
    | VerifyAsked
    | CommandSaid
    | CommandAllowed
    | CommandRefused
    | ModeAsked
    | Configured
    | StateLost
    | FirstStart
    | StoreChanged
    | TimePassed
)
