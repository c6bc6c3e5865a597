"""Messages to people about main, pull requests and commands at GitHub, as data.

Part of the closed list that `messages` begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.messages import Message, Phrase, Who
from bot.core.model.replaced import quick_to_make

# -- main --------------------------------------------------------------------------------------------------------------


@quick_to_make
@dataclass(frozen=True, slots=True)
class CommitOnMain(Message):
    """A commit has come to main: by a pull request, by a push or force-push, or polling found it."""

    sha: str
    service: str
    pull: int | None = None
    how: Literal["pushed", "force-pushed", "polled"] = "pushed"


@dataclass(frozen=True, slots=True)
class ContainmentQuestion(Message):
    """Interlock asks GitHub whether commit `head` contains commit `base`."""

    head: str
    base: str


@dataclass(frozen=True, slots=True)
class ContainmentAnswer(Message):
    """GitHub's answer to that question."""

    head: str
    base: str
    contains: bool


@dataclass(frozen=True, slots=True)
class BaselineTaken(Message):
    """This commit was the head of main of a service when Interlock looked first."""

    sha: str
    service: str


@dataclass(frozen=True, slots=True)
class CommitKnown(Message):
    """A commit is already known: `why`, or it landed together with `carried_by`."""

    sha: str
    why: Phrase | None = None
    carried_by: str = ""


@dataclass(frozen=True, slots=True)
class ForcePushUnplaced(Message):
    """A force-push did not begin at the known head."""

    sha: str
    before: str
    head: str


@dataclass(frozen=True, slots=True)
class DefaultBranchMoved(Message):
    """A repository has another default branch; Interlock follows the configured one."""

    service: str
    repository: str
    branch: str
    now: str


# -- pull requests -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VerificationQueued(Message):
    """The head of a pull request waits for its verification; `by`: the person who asked for it."""

    who: Who
    by: str | None = None


@dataclass(frozen=True, slots=True)
class VerificationLeft(Message):
    """A head is not verified any more; `stopping`: its build is being stopped."""

    who: Who
    why: Message
    stopping: bool


@dataclass(frozen=True, slots=True)
class VerificationHeld(Message):
    """A head from a fork waits until a maintainer asks for its verification; `who`: the head, if named."""

    sha: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class NewerPush(Message):
    """A newer push to the pull request replaces the head."""

    sha: str


@dataclass(frozen=True, slots=True)
class NotVerifiedAnyMore(Message):
    """The configuration no longer verifies the pull requests of a service."""

    service: str


# -- commands at GitHub ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandHeard(Message):
    """A person gave commands at GitHub; an empty verb is an unknown command."""

    by: str
    via: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotAllowed(Message):
    """A person may not give the command, by GitHub's answer. `why` is Markdown."""

    why: str


@dataclass(frozen=True, slots=True)
class CommandNotDone(Message):
    """A command at GitHub is not carried out."""

    by: str
    via: str
    why: Message


@dataclass(frozen=True, slots=True)
class HelpAsked(Message):
    """The answer lists the commands."""


@dataclass(frozen=True, slots=True)
class StatusAsked(Message):
    """The answer tells the state of the pipeline at the time of writing."""


@dataclass(frozen=True, slots=True)
class WhyAsked(Message):
    """The answer tells where these runs are at the time of writing."""

    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotUnderstood(Message):
    """The command is unknown; `meant`: a similar one, or empty."""

    meant: str
