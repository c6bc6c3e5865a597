"""Messages to people about main, pull requests and commands at GitHub, as data.

The same list as `messages`, continued.
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
    """A commit has come to main of a service: by a pull request, by a force-push, or nobody told and we asked."""

    sha: str
    service: str
    pull: int | None = None
    how: Literal["pushed", "force-pushed", "polled"] = "pushed"


@dataclass(frozen=True, slots=True)
class ContainmentQuestion(Message):
    """GitHub is asked whether commit `head` contains commit `base`."""

    head: str
    base: str


@dataclass(frozen=True, slots=True)
class ContainmentAnswer(Message):
    """What GitHub answers to that."""

    head: str
    base: str
    contains: bool


@dataclass(frozen=True, slots=True)
class BaselineTaken(Message):
    """Main of a service stood at this commit when Interlock looked first."""

    sha: str
    service: str


@dataclass(frozen=True, slots=True)
class CommitKnown(Message):
    """A commit that came again is no news: `why`, or it landed together with `carried_by`."""

    sha: str
    why: Phrase | None = None
    carried_by: str = ""


@dataclass(frozen=True, slots=True)
class ForcePushUnplaced(Message):
    """A force-push did not begin at the head that is known."""

    sha: str
    before: str
    head: str


@dataclass(frozen=True, slots=True)
class DefaultBranchMoved(Message):
    """A repository calls another branch its default; the configured one is followed."""

    service: str
    repository: str
    branch: str
    now: str


# -- pull requests -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VerificationQueued(Message):
    """The head of a pull request is to be verified; `by`: who asked for it."""

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
    """A head from a fork is verified when somebody asks for it; with `who`, which head."""

    sha: str
    who: Who | None = None


@dataclass(frozen=True, slots=True)
class NewerPush(Message):
    """A newer push to the pull request takes its place."""

    sha: str


@dataclass(frozen=True, slots=True)
class NotVerifiedAnyMore(Message):
    """The configuration has pull requests of a service verified no more."""

    service: str


# -- commands at GitHub ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandHeard(Message):
    """A person commands something at GitHub; an empty verb is none that exists."""

    by: str
    via: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotAllowed(Message):
    """GitHub was asked whether somebody may command it, and what follows from the answer: no. `why` is Markdown."""

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
    """The answer says how the pipeline stands, when it is written."""


@dataclass(frozen=True, slots=True)
class WhyAsked(Message):
    """The answer says where these runs stand, when it is written."""

    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotUnderstood(Message):
    """No such command; perhaps `meant`."""

    meant: str
