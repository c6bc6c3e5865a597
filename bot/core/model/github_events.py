"""What GitHub says: webhooks about main and pull requests, and answers to what it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.freezes import PullLabels
from bot.core.model.replaced import quick_to_make
from bot.core.model.traces import DeployedCommit


@quick_to_make
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
    #: The labels of the pull request.
    labels: PullLabels | None = None
    #: Who wrote the commits of a push, as far as GitHub knows their logins; bounded.
    authors: tuple[str, ...] = ()
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
    labels: PullLabels | None = None
    kind: Literal["pull-found"] = "pull-found"


@dataclass(frozen=True, slots=True)
class PullLabelled:
    """A merged pull request has these labels now: freezes may except its run (W2)."""

    service: str
    labels: PullLabels
    kind: Literal["pull-labelled"] = "pull-labelled"


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
class HeadSurveyed:
    """After a loss GitHub was asked how far the head of main had come, by what Interlock had written there.

    `state`: that of the commit status of the last stage, or what a check run there amounts to; empty: there is none.
    """

    service: str
    sha: str
    state: Literal["", "pending", "success", "failure", "error"] = ""
    #: What the deployments of the environments say is where.
    deployed: tuple[DeployedCommit, ...] = ()
    kind: Literal["head-surveyed"] = "head-surveyed"


@dataclass(frozen=True, slots=True)
class DefaultBranchChanged:
    """The default branch of a service's repository is another one now; which one is followed is configured."""

    service: str
    before: str
    now: str
    kind: Literal["default-branch-changed"] = "default-branch-changed"


@dataclass(frozen=True, slots=True)
class ContainmentKnown:
    """GitHub was asked: whether commit `head` contains commit `base` of a service."""

    service: str
    base: str
    head: str
    contains: bool
    #: The commits at which main stood after `base`, up to `head`, oldest first, where that was asked; bounded.
    commits: tuple[str, ...] = ()
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
class GroupFormed:
    """A merge queue has put pull requests together on a commit of its own, and waits for its required statuses."""

    service: str
    sha: str
    kind: Literal["group-formed"] = "group-formed"
