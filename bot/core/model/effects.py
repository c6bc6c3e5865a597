"""The actions that Interlock must take outside, as frozen values.

Performing one twice is harmless, because each has an id. `slot` is the name of an effect's subject: a newer status or
banner, for example, replaces an older one in the same slot that was not performed yet. All other effects have a unique
slot, so the same effect is never kept twice.
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
    """Start one build. At most one build of an attempt may move the run (invariant 5)."""

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
    #: The pull request to verify; None for a run.
    pull: int | None = None
    #: Look for the build first: an earlier trigger of this attempt may have arrived. Only effects of schema 2 set it.
    look_first: bool = False
    #: The build changes the environment, so a second build at the same time does harm.
    rolls_out: bool = False
    #: When the next freeze of the stage begins, in seconds since the epoch: after that it is not sent any more (W1).
    not_after: float | None = None
    kind: Literal["trigger"] = "trigger"

    @property
    def slot(self) -> str:
        return f"trigger/{self.run}/{self.attempt}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take back one attempt: cancel its queue item; end its running build, with `level`, only if `abort` is set."""

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
        # One slot for each build, purpose and level, so that an abort after a cancel is another effect.
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
    """Ask Jenkins for the state of a build after a hint."""

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
    #: Whether to ask also for the commits of main between the two.
    listed: bool = False
    kind: Literal["compare"] = "compare"

    @property
    def slot(self) -> str:
        return f"compare/{self.service}/{self.base}/{self.head}"


@dataclass(frozen=True, slots=True)
class Survey:
    """Ask GitHub, after a loss, how far the head of main of a service had come; `environments`: by stage."""

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
    #: The target of the link: the run; without it the build, or its log if it failed; without both the pipeline.
    run: str | None
    job: Job | None = None
    build: int | None = None
    #: The conclusion of a check run, if it differs from `state` (GitHub docs: check runs, `conclusion`).
    conclusion: str = ""
    #: The summary of the check run and the identifiers of its buttons, as schema 3 rendered them in advance.
    summary: str = ""
    buttons: tuple[str, ...] = ()
    #: For how many seconds a newer effect in its slot may still replace it.
    debounce: float = 0.0
    #: Write it only if a status was written in its slot before: it corrects that one.
    corrects: bool = False
    kind: Literal["status"] = "status"

    @property
    def slot(self) -> str:
        return f"status/{self.repository}/{self.sha}/{self.context}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Comment:
    """Write on a pull request where its run is, or how long it has waited: one comment for the whole run."""

    repository: str
    pull: int
    run: str
    #: The text that schema 3 rendered in advance, in Markdown.
    text: str = ""
    #: When the run began, in seconds since the epoch: an old run has a comment even where no record of it is left.
    began: float = 0.0
    #: For how many seconds a newer effect in its slot may still replace it.
    debounce: float = 0.0
    #: Only update an existing comment; write a new one only for a run that has waited for long.
    corrects: bool = False
    kind: Literal["comment"] = "comment"

    @property
    def slot(self) -> str:
        return f"comment/{self.repository}/{self.pull}"


@dataclass(frozen=True, slots=True)
class AuthorizeCommand:
    """Ask GitHub whether a person may give a command, and for its subject. `since`: when it came in."""

    said: CommandSaid
    #: Whether the command needs a role; the other commands are open to everybody who may comment.
    acts: bool
    since: float
    kind: Literal["authorize-command"] = "authorize-command"

    @property
    def slot(self) -> str:
        return f"authorize-command/{self.said.key}"


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The reply to one command: the answer to a question (`said`), or that it was done or not done, and why."""

    command: str
    text: Message
    outcome: Literal["said", "done", "not-done"] = "said"


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a comment with commands: by a reaction, and by one comment if there are replies."""

    repository: str
    pull: int
    comment: int
    reaction: Literal["+1", "-1", "confused"]
    #: The text that schema 3 rendered in advance.
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
    """Ask GitHub which pull request brought a commit, if no webhook has named it when the debounce is over."""

    service: str
    repository: str
    branch: str
    sha: str
    debounce: float = 0.0
    #: The run, already ended, whose end the pull request must show, and when that run began (seconds since the epoch);
    #: `text` is what schema 3 rendered in advance.
    run: str = ""
    text: str = ""
    began: float = 0.0
    #: The head whose run carries the commit, where the commit has no run of its own.
    carried_by: str = ""
    kind: Literal["find-pull"] = "find-pull"

    @property
    def slot(self) -> str:
        return f"find-pull/{self.repository}/{self.sha}"


@quick_to_make
@dataclass(frozen=True, slots=True)
class Deploy:
    """Write the state of a run in an environment as a deployment (GitHub docs: deployment statuses, `state`).

    The last state counts. The first effect creates the deployment, unless its state only ends one.
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
    """Tell the open pull requests to a branch what a lock means for them, or that no stage is locked any more."""

    repository: str
    branch: str
    state: Literal["pending", "success"]
    description: Message
    locked: bool
    #: The head of the only pull request to tell, opened or pushed to while the stage was locked; empty: all of them.
    sha: str = ""
    kind: Literal["lock-notice"] = "lock-notice"

    @property
    def branch_slot(self) -> str:
        """The common slot of the notices to all pull requests of one branch."""
        return f"lock-notice/{self.repository}/{self.branch}"

    @property
    def slot(self) -> str:
        return f"late-{self.branch_slot}/{self.sha}" if self.sha else self.branch_slot


@quick_to_make
@dataclass(frozen=True, slots=True)
class Banner:
    """Put the locks of a stage, and the fixes on their way, over the description of its Jenkins job.

    Without locks the banner is removed.
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
    """Send a notice to people. `key` is unique and becomes a header of the mail; a later notice has a greater key."""

    topic: Topic
    stage: str
    about: Message
    key: str
    #: Further topics of the notice: recipients of any of these get it too, once.
    also: tuple[Topic, ...] = ()
    #: The channels of this pipeline that get it; channels for all pipelines are not listed here.
    to: tuple[str, ...] = ()
    kind: Literal["notify"] = "notify"

    @property
    def slot(self) -> str:
        return f"notify/{self.key}"


@dataclass(frozen=True, slots=True)
class Mention:
    """Name people in a comment on a pull request, once, so that GitHub tells them."""

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
