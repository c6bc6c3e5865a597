"""The events of GitHub: webhooks about main and pull requests, and GitHub's answers to questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.freezes import PullLabels
from bot.core.model.replaced import quick_to_make
from bot.core.model.traces import DeployedCommit


@quick_to_make
@dataclass(frozen=True, slots=True)
class Merged:
    """A commit arrived on main of a service. `before`: the previous head; None: not known (a pull request)."""

    service: str
    sha: str
    before: str | None = None
    forced: bool = False
    #: Distinguishes two pushes with equal shas; all deliveries of one push have the same.
    push_id: str = ""
    pull: int | None = None
    title: str = ""
    author: str = ""
    #: The other commits of the push, oldest first and bounded: merges that landed together with this one.
    commits: tuple[str, ...] = ()
    #: The labels of the pull request.
    labels: PullLabels | None = None
    #: The authors of the commits of a push, as far as GitHub knows their logins; bounded.
    authors: tuple[str, ...] = ()
    kind: Literal["merged"] = "merged"


@dataclass(frozen=True, slots=True)
class PullFound:
    """GitHub's answer: the pull request that brought a commit of a service."""

    service: str
    sha: str
    pull: int
    title: str = ""
    author: str = ""
    #: The ended run that the pull request must show, its text, and when it began (seconds since the epoch).
    run: str = ""
    text: str = ""
    began: float = 0.0
    labels: PullLabels | None = None
    kind: Literal["pull-found"] = "pull-found"


@dataclass(frozen=True, slots=True)
class PullLabelled:
    """The labels of a merged pull request have changed: freezes may except its run (W2)."""

    service: str
    labels: PullLabels
    kind: Literal["pull-labelled"] = "pull-labelled"


@dataclass(frozen=True, slots=True)
class HeadSeen:
    """GitHub's answer: the head of main of a service. The first answer is the baseline.

    `moves`: `ServiceState.moves` when GitHub was asked. If main has moved since, the answer is outdated and is ignored.
    """

    service: str
    sha: str
    moves: int = 0
    kind: Literal["head-seen"] = "head-seen"


@dataclass(frozen=True, slots=True)
class HeadSurveyed:
    """GitHub's answer after a loss: how far the head of main had come, by the marks that Interlock left there.

    `state`: the state of the commit status of the last stage, or of its check run; empty: there is none.
    """

    service: str
    sha: str
    state: Literal["", "pending", "success", "failure", "error"] = ""
    #: The commits that the deployments name for the environments.
    deployed: tuple[DeployedCommit, ...] = ()
    kind: Literal["head-surveyed"] = "head-surveyed"


@dataclass(frozen=True, slots=True)
class DefaultBranchChanged:
    """The default branch of a repository has changed. The configuration alone names the branch to follow."""

    service: str
    before: str
    now: str
    kind: Literal["default-branch-changed"] = "default-branch-changed"


@dataclass(frozen=True, slots=True)
class ContainmentKnown:
    """GitHub's answer: whether commit `head` contains commit `base` of a service."""

    service: str
    base: str
    head: str
    contains: bool
    #: The heads of main after `base`, up to `head`, oldest first, where the question asked for them; bounded.
    commits: tuple[str, ...] = ()
    kind: Literal["containment-known"] = "containment-known"


@dataclass(frozen=True, slots=True)
class PullMoved:
    """A pull request is open with this head: opened, pushed to, reopened, or changed from or to a draft."""

    service: str
    pull: int
    sha: str
    #: The head before a push; None: it was no push.
    before: str | None = None
    #: When GitHub changed the pull request, in seconds since the epoch by GitHub's clock.
    at: float | None = None
    draft: bool = False
    #: Whether its commits come from another repository, or from an unknown one.
    fork: bool = False
    kind: Literal["pull-moved"] = "pull-moved"


@dataclass(frozen=True, slots=True)
class PullClosed:
    """A pull request to main was merged, was closed, or now goes to another branch (`elsewhere`)."""

    service: str
    pull: int
    sha: str
    at: float | None = None
    elsewhere: bool = False
    kind: Literal["pull-closed"] = "pull-closed"


@dataclass(frozen=True, slots=True)
class GroupFormed:
    """A merge queue has put pull requests together on a commit of its own, and waits for the required statuses."""

    service: str
    sha: str
    kind: Literal["group-formed"] = "group-formed"
