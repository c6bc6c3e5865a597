"""What must now be done outside. Frozen values; doing one twice is harmless, because each has an id.

`slot` names what an effect is about: a newer effect in the same slot replaces an older one that has not gone out
(a status, a banner). For all others the slot is unique, so the same effect is never kept twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.events import CommandSaid
from bot.core.model.messages import Message
from bot.core.model.pipeline import AbortLevel, Job, Lane, Track
from bot.core.model.replaced import quick_to_make
from bot.core.model.stage_state import Lock


@quick_to_make
@dataclass(frozen=True, slots=True)
class Trigger:
    """Start one build: at most one build per attempt may ever move the run (invariant 5)."""

    run: str
    stage: str
    track: Track
    attempt: int
    job: Job
    service: str
    repository: str
    sha: str
    lane: Lane
    version: str
    #: The pull request that is verified.
    pull: int | None = None
    #: Look for the build first: an earlier trigger of this attempt may have arrived. Only what schema 2 stored has it.
    look_first: bool = False
    #: Its build changes what is there: two at once do harm even for a moment.
    rolls_out: bool = False
    #: When the next freeze of the stage begins, in seconds since the epoch: then it is not posted any more (W1).
    not_after: float | None = None
    kind: Literal["trigger"] = "trigger"

    @property
    def slot(self) -> str:
        return f"trigger/{self.run}/{self.attempt}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take back one attempt: cancel it in Jenkins' queue; abort its running build only if `abort`, with `level`."""

    run: str
    attempt: int
    job: Job
    queue_item: int | None
    build: int | None
    abort: bool
    level: AbortLevel = AbortLevel.STOP
    #: The artifact version that the trigger carried: an older installation may have had a run of the same name.
    version: str = ""
    kind: Literal["withdraw"] = "withdraw"

    @property
    def slot(self) -> str:
        # Its own slot for each build and purpose, so that abort after cancel is not taken for the same.
        firmly = f"/{self.level}" if self.abort else ""
        return f"withdraw/{self.run}/{self.attempt}/{self.build or ''}{firmly}"


@dataclass(frozen=True, slots=True)
class AbortDuplicate:
    """Stop a second build of an attempt that already has one (invariant 5)."""

    job: Job
    number: int
    run: str
    level: AbortLevel = AbortLevel.STOP
    kind: Literal["abort-duplicate"] = "abort-duplicate"

    @property
    def slot(self) -> str:
        return f"abort/{self.job.controller}/{self.job.name}/{self.number}/{self.level}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Look:
    """Ask Jenkins what has become of a build that somebody hinted at."""

    job: Job
    number: int
    kind: Literal["look"] = "look"

    @property
    def slot(self) -> str:
        return f"look/{self.job.controller}/{self.job.name}/{self.number}"


@dataclass(frozen=True, slots=True)
class Compare:
    """Ask GitHub whether commit `head` contains commit `base`."""

    service: str
    repository: str
    base: str
    head: str
    #: Also ask which commits of main came between the two.
    listed: bool = False
    kind: Literal["compare"] = "compare"

    @property
    def slot(self) -> str:
        return f"compare/{self.service}/{self.base}/{self.head}"


@dataclass(frozen=True, slots=True)
class Survey:
    """After a loss: ask GitHub how far the head of main of a service had come; `environments`: by stage."""

    service: str
    repository: str
    branch: str
    last_stage: str
    environments: tuple[tuple[str, str], ...] = ()
    kind: Literal["survey"] = "survey"

    @property
    def slot(self) -> str:
        return f"survey/{self.service}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class SetStatus:
    """Set the commit status of one stage. `state`: pending, success, failure or error (GitHub docs: statuses)."""

    repository: str
    sha: str
    context: str
    state: Literal["pending", "success", "failure", "error"]
    description: Message
    #: Where it leads to: a run, or else a build, or the log of a build that failed; else to the pipeline.
    run: str | None
    job: Job | None = None
    build: int | None = None
    #: How a check run ended, if that is more than `state` says (GitHub docs: check runs, `conclusion`).
    conclusion: str = ""
    #: What schema 3 had rendered of a check run before it was due: its summary, and its buttons by their identifiers.
    summary: str = ""
    buttons: tuple[str, ...] = ()
    #: So long it waits for a newer one that takes its place, in seconds.
    debounce: float = 0.0
    #: Only written where something else stands: it corrects that.
    corrects: bool = False
    kind: Literal["status"] = "status"

    @property
    def slot(self) -> str:
        return f"status/{self.repository}/{self.sha}/{self.context}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Comment:
    """Say on a pull request where its run is by then, or how long it has waited: one comment for the whole journey."""

    repository: str
    pull: int
    run: str
    #: What schema 3 had rendered before it was due, in Markdown.
    text: str = ""
    #: When the run began, in seconds since the epoch: an old one has a comment, even if nobody remembers it.
    began: float = 0.0
    #: So long it waits for a newer one that takes its place, in seconds.
    debounce: float = 0.0
    #: Only brings a comment up to date that is there, and makes one for a run that has waited for long.
    corrects: bool = False
    kind: Literal["comment"] = "comment"

    @property
    def slot(self) -> str:
        return f"comment/{self.repository}/{self.pull}"


@dataclass(frozen=True, slots=True)
class AuthorizeCommand:
    """Ask GitHub whether somebody may do what they command, and what it is about. `since`: when we heard of it."""

    said: CommandSaid
    #: Whether they must be allowed to write; the rest may be asked by anybody who may comment.
    acts: bool
    since: float
    kind: Literal["authorize-command"] = "authorize-command"

    @property
    def slot(self) -> str:
        return f"authorize-command/{self.said.key}"


@dataclass(frozen=True, slots=True)
class CommandReply:
    """What became of one command: the question that it asked is answered, it was done, or it was not, and why."""

    command: str
    text: Message
    outcome: Literal["said", "done", "not-done"] = "said"


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a comment that commands something: a reaction, and one comment with the words, if there are any."""

    repository: str
    pull: int
    comment: int
    reaction: Literal["+1", "-1", "confused"]
    #: What schema 3 had rendered before it was due.
    text: str = ""
    replies: tuple[CommandReply, ...] = ()
    #: How many more commands of the comment were left out.
    more: int = 0
    kind: Literal["answer"] = "answer"

    @property
    def slot(self) -> str:
        return f"answer/{self.comment}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class FindPull:
    """Ask GitHub which pull request brought a commit, if nobody has told us until its debounce is over."""

    service: str
    repository: str
    branch: str
    sha: str
    debounce: float = 0.0
    #: The run that is to be told of there though it has ended already, and when that began (seconds since the epoch);
    #: what schema 3 had rendered of it.
    run: str = ""
    text: str = ""
    began: float = 0.0
    #: The head whose run carries the commit, where that has no run of its own.
    carried_by: str = ""
    kind: Literal["find-pull"] = "find-pull"

    @property
    def slot(self) -> str:
        return f"find-pull/{self.repository}/{self.sha}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Deploy:
    """Write what becomes of a run in an environment as a deployment (GitHub docs: deployment statuses, `state`).

    The last state counts. The deployment itself is made with the first that goes out, unless that only ends it.
    """

    repository: str
    sha: str
    stage: str
    environment: str
    production: bool
    state: Literal["in_progress", "success", "failure", "error", "inactive"]
    description: Message
    run: str
    job: Job
    build: int | None
    kind: Literal["deployment"] = "deployment"

    @property
    def slot(self) -> str:
        return f"deployment/{self.run}/{self.stage}"


@dataclass(frozen=True, slots=True)
class LockNotice:
    """Tell the open pull requests to a branch what a lock means for them; or, once told, that nothing is locked."""

    repository: str
    branch: str
    state: Literal["pending", "success"]
    description: Message
    locked: bool
    #: Only the pull request with this head, which came while the stage was locked already; all of them if empty.
    sha: str = ""
    kind: Literal["lock-notice"] = "lock-notice"

    @property
    def branch_slot(self) -> str:
        """What all notices to the pull requests of one branch share."""
        return f"lock-notice/{self.repository}/{self.branch}"

    @property
    def slot(self) -> str:
        return f"late-{self.branch_slot}/{self.sha}" if self.sha else self.branch_slot


@quick_to_make
@dataclass(frozen=True, slots=True)
class Banner:
    """Put the locks of a stage, and what is on its way, over the description of its Jenkins job.

    Without locks the banner is taken away.
    """

    job: Job
    stage: str
    locks: tuple[Lock, ...] = ()
    coming: tuple[Message, ...] = ()
    kind: Literal["banner"] = "banner"

    @property
    def slot(self) -> str:
        return f"banner/{self.job.controller}/{self.job.name}"


Topic = Literal["locked", "unlocked", "fix-failed", "failed", "freeze", "escalation", "reminder", "stuck", "week"]


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell people. `key` makes it unique and becomes a header of the mail; of two notices the later has the greater."""

    topic: Topic
    stage: str
    about: Message
    key: str
    #: What else it is about: whoever wants to know of one of these is told, too, once.
    also: tuple[Topic, ...] = ()
    #: The channels that this pipeline sends it to; those that hear of all pipelines are not among them.
    to: tuple[str, ...] = ()
    kind: Literal["notify"] = "notify"

    @property
    def slot(self) -> str:
        return f"notify/{self.key}"


@dataclass(frozen=True, slots=True)
class Mention:
    """Tell people on a pull request, once, by a comment that names them: GitHub then tells them."""

    repository: str
    pull: int
    #: Their logins.
    people: tuple[str, ...]
    about: Message
    key: str
    kind: Literal["mention"] = "mention"

    @property
    def slot(self) -> str:
        return f"mention/{self.key}"


Effect = (
    Trigger
    | Withdraw
    | AbortDuplicate
    | Look
    | Compare
    | Survey
    | SetStatus
    | Comment
    | AuthorizeCommand
    | Answer
    | FindPull
    | Deploy
    | LockNotice
    | Banner
    | Notify
    | Mention
)
