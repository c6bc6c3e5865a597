"""The records of GitHub: repositories, pull requests, statuses, comments, deployments, hooks. No behaviour."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from standins.github.graph import Graph

if TYPE_CHECKING:
    from standins.github.checks import CheckRun, CheckSuite


class RefusedError(Exception):
    """A refusal that GitHub answers with this status and message."""

    def __init__(self, status: int, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, errors


@dataclass(slots=True)
class Status:
    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: str
    at: float


@dataclass(slots=True)
class Reaction:
    id: int
    content: str
    user: str
    at: float


@dataclass(slots=True)
class Comment:
    id: int
    number: int
    body: str
    user: str
    created: float
    updated: float
    reactions: dict[int, Reaction] = field(default_factory=dict)


@dataclass(slots=True)
class Issue:
    """An issue that is not a pull request."""

    number: int
    title: str
    body: str
    author: str
    created: float
    updated: float
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    closed_at: float | None = None
    merged_at: float | None = None


@dataclass(slots=True)
class DeploymentStatus:
    id: int
    state: str
    description: str
    environment: str
    environment_url: str
    log_url: str
    creator: str
    at: float


@dataclass(slots=True)
class Deployment:
    id: int
    sha: str
    ref: str
    task: str
    environment: str
    description: str | None
    payload: Any
    production: bool
    transient: bool
    creator: str
    at: float
    statuses: list[DeploymentStatus] = field(default_factory=list)


@dataclass(slots=True)
class Pull:
    number: int
    title: str
    body: str
    branch: str
    base: str
    author: str
    head_sha: str
    base_sha: str
    created: float
    updated: float
    state: str = "open"
    draft: bool = False
    labels: list[str] = field(default_factory=list)
    merged_at: float | None = None
    closed_at: float | None = None
    merged_by: str | None = None
    merge_commit_sha: str | None = None
    fork: str | None = None
    commits: int = 1


@dataclass(slots=True)
class Delivery:
    """One webhook that was sent, or should have been."""

    id: int
    guid: str
    hook_id: int
    event: str
    action: str | None
    body: bytes
    headers: dict[str, str]
    at: float
    redelivery: bool = False
    #: "sent", "failed" (no answer), "lost" (never sent) or "pending".
    outcome: str = "pending"
    status_code: int = 0
    seconds: float = 0.0
    #: The time of the answer or of the end of the attempt, in epoch seconds; 0: not sent yet.
    ended: float = 0.0
    error: str | None = None
    repository_id: int | None = None
    installation_id: int | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer_body: str = ""


@dataclass(slots=True)
class Hook:
    id: int
    url: str
    secret: str
    events: tuple[str, ...]
    #: The most deliveries at a time; 1 keeps their order.
    parallel: int = 1
    active: bool = True
    #: Full-size payloads (a push of about 9 KB, a pull_request of about 24 KB).
    realistic: bool = False
    waiting: deque[Delivery] = field(default_factory=deque)
    workers: int = 0

    def wants(self, event: str) -> bool:
        return self.active and ("*" in self.events or event in self.events or event == "ping")


@dataclass(slots=True, eq=False)
class Repo:
    id: int
    owner: str
    name: str
    graph: Graph
    created: float
    default_branch: str = "main"
    private: bool = False
    archived: bool = False
    owner_type: str = "Organization"
    #: branch -> sha of its head.
    branches: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    open_pulls: dict[int, Pull] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    next_number: int = 1
    tags: dict[str, str] = field(default_factory=dict)
    #: sha -> its statuses, oldest first.
    statuses: dict[str, list[Status]] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    #: The comments by the number of their issue or pull request, so that no search walks over all of them.
    comments_on: dict[int, dict[int, Comment]] = field(default_factory=dict)
    deployments: dict[int, Deployment] = field(default_factory=dict)
    #: login -> role: admin, maintain, write, triage or read.
    collaborators: dict[str, str] = field(default_factory=dict)
    hooks: dict[int, Hook] = field(default_factory=dict)
    #: sha -> numbers of the pull requests that brought the commit.
    brought_by: dict[str, list[int]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    #: The logins whose pull requests were merged.
    contributors: set[str] = field(default_factory=set)
    check_suites: dict[int, CheckSuite] = field(default_factory=dict)
    check_runs: dict[int, CheckRun] = field(default_factory=dict)
    #: head sha of a merge group -> the pull request it would merge.
    merge_groups: dict[str, int] = field(default_factory=dict)
    #: The answers of lagging replicas: (valid until, branch, its old head), oldest first.
    stale: list[tuple[float, str, str | None]] = field(default_factory=list)

    def issue(self, number: int) -> Pull | Issue | None:
        """Return the pull request or the issue of that number: they share their numbers."""
        return self.pulls.get(number) or self.issues.get(number)

    def add_comment(self, comment: Comment) -> None:
        self.comments[comment.id] = comment
        self.comments_on.setdefault(comment.number, {})[comment.id] = comment

    def remove_comment(self, comment: Comment) -> None:
        del self.comments[comment.id]
        del self.comments_on[comment.number][comment.id]

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def head(self) -> str:
        return self.branches[self.default_branch]


def iso(at: float) -> str:
    """Format seconds since 1970 as GitHub writes times."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_or_none(at: float | None) -> str | None:
    return None if at is None else iso(at)


def number_of(login: str) -> int:
    """Return a stable numeric id for a login."""
    value = 0
    for byte in login.encode():
        value = (value * 131 + byte) % 90_000_000
    return 1000 + value
