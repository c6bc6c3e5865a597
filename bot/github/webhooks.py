"""GitHub's webhooks into events (GitHub docs: webhook events and payloads, `push` and `pull_request`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bot.core.model.events import DefaultBranchChanged, Event, GroupFormed, Merged, PullClosed, PullLabelled, PullMoved
from bot.core.model.freezes import PullLabels
from bot.payloads import at, flag, is_sha, line, moment, number, text

_BRANCH = "refs/heads/"

#: After these a pull request is open, perhaps with another head or as (no) draft (GitHub docs: `pull_request`).
_MOVES = frozenset({"opened", "reopened", "synchronize", "ready_for_review", "converted_to_draft"})

#: After these it has other labels (GitHub docs: `pull_request`).
_LABELS = frozenset({"labeled", "unlabeled"})

#: How many labels of a pull request are kept (GitHub allows 100), and how much of a name (GitHub: 50).
LABELS, LABEL = 20, 50

#: How much of a title is kept: enough to recognise it.
TITLE = 120

#: The same of a branch's name.
BRANCH = 100

#: How many commits of a push are kept: those that landed last.
COMMITS = 51
#: How many of the people who wrote them.
AUTHORS = 10
#: The login of a person; those of apps end in `[bot]`, and nobody is told by naming them.
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")


@dataclass(frozen=True, slots=True)
class TargetBranch:
    """The branch that a delivery is about: whose it is decides the configuration."""

    repository: str
    branch: str
    #: Nothing has moved the branch: this concerns only those who verify pull requests to it.
    verified: bool = False
    #: It says where the head of an open pull request is: this concerns also those who report locks on it.
    open: bool = False
    #: A pull request went there and goes elsewhere now.
    left: bool = False


def target_branches(event: str, payload: dict[str, Any]) -> list[TargetBranch]:
    """Every branch that a delivery is about: two if it sends a pull request from one to another."""
    found = (target_branch(event, payload), _left(payload) if event == "pull_request" else None)
    return [one for one in found if one is not None]


def target_branch(event: str, payload: dict[str, Any]) -> TargetBranch | None:
    """The branch that moved, or that a pull request is for; None if the delivery is of no such kind."""
    if event == "push":
        ref = text(payload, "ref")
        repository = text(payload, "repository", "full_name")
        moved = ref.startswith(_BRANCH) and not flag(payload, "deleted") and is_sha(text(payload, "after"))
        return TargetBranch(repository, ref.removeprefix(_BRANCH)) if moved and repository else None
    if event == "repository" and text(payload, "action") == "edited":
        repository, before = text(payload, "repository", "full_name"), _former_default(payload)
        changed = before and line(text(payload, "repository", "default_branch"), BRANCH)
        return TargetBranch(repository, before) if repository and changed else None
    if event == "merge_group" and text(payload, "action") == "checks_requested":
        base, repository = text(payload, "merge_group", "base_ref"), text(payload, "repository", "full_name")
        tested = base.startswith(_BRANCH) and is_sha(text(payload, "merge_group", "head_sha"))
        return TargetBranch(repository, base.removeprefix(_BRANCH), verified=True) if tested and repository else None
    return _target_of_pull(payload) if event == "pull_request" else None


def _target_of_pull(payload: dict[str, Any]) -> TargetBranch | None:
    base = text(payload, "pull_request", "base", "ref")
    repository = text(payload, "repository", "full_name")
    if not base or not repository:
        return None
    if _is_merge(payload) or _is_labelled_merge(payload):
        return TargetBranch(repository, base)
    is_open = text(payload, "action") != "closed"
    return TargetBranch(repository, base, verified=True, open=is_open) if _is_pull(payload) else None


def _left(payload: dict[str, Any]) -> TargetBranch | None:
    """The branch that a pull request went to before."""
    repository = text(payload, "repository", "full_name")
    turned = repository and _is_pull(payload) and _is_turned(payload)
    return TargetBranch(repository, _former_base(payload), verified=True, left=True) if turned else None


def _is_turned(payload: dict[str, Any]) -> bool:
    """Whether a pull request goes to another branch from now on (GitHub docs: `pull_request`, `edited`)."""
    before = _former_base(payload)
    return text(payload, "action") == "edited" and before not in ("", text(payload, "pull_request", "base", "ref"))


def _former_base(payload: dict[str, Any]) -> str:
    return text(payload, "changes", "base", "ref", "from")


def _is_merge(payload: dict[str, Any]) -> bool:
    closed = text(payload, "action") == "closed" and flag(payload, "pull_request", "merged")
    return closed and is_sha(text(payload, "pull_request", "merge_commit_sha"))


def _is_labelled_merge(payload: dict[str, Any]) -> bool:
    """Whether the labels of a merged pull request have changed; those of an open one come with its merge."""
    changed = text(payload, "action") in _LABELS and flag(payload, "pull_request", "merged")
    return changed and (number(payload, "pull_request", "number") or 0) > 0


def _is_pull(payload: dict[str, Any]) -> bool:
    """Whether this says where the head of a pull request is now."""
    moved = text(payload, "action") in _MOVES | {"closed"} or _is_turned(payload)
    numbered = (number(payload, "pull_request", "number") or 0) > 0
    return moved and numbered and is_sha(text(payload, "pull_request", "head", "sha"))


def _former_default(payload: dict[str, Any]) -> str:
    """What the default branch was called, or which it was, before it was changed."""
    return text(payload, "changes", "default_branch", "from")


def events(event: str, payload: dict[str, Any], service: str, *, left: bool = False) -> list[Event]:
    """What a delivery about the main branch of `service` means; `left`: of a pull request that goes there no more."""
    if left:
        pull = payload["pull_request"]
        changed = moment(text(pull, "updated_at"))
        return [PullClosed(service, pull["number"], pull["head"]["sha"], changed, elsewhere=True)]
    if event == "push":
        return [_push(payload, service)]
    if event == "merge_group":
        return [GroupFormed(service, text(payload, "merge_group", "head_sha"))]
    if event == "repository":
        now = line(text(payload, "repository", "default_branch"), BRANCH)
        return [DefaultBranchChanged(service, _former_default(payload), now)]
    if _is_labelled_merge(payload):
        return [PullLabelled(service, labels_of(payload["pull_request"]))]
    merged: list[Event] = [_merge(payload, service)] if _is_merge(payload) else []
    return merged + ([_pull(payload, service)] if _is_pull(payload) else [])


def _merge(payload: dict[str, Any], service: str) -> Merged:
    return Merged(
        service,
        text(payload, "pull_request", "merge_commit_sha"),
        pull=number(payload, "pull_request", "number"),
        title=line(text(payload, "pull_request", "title"), TITLE),
        author=text(payload, "pull_request", "user", "login")[:TITLE],
        labels=_labels_if_any(payload["pull_request"]),
    )


def _labels_if_any(pull: dict[str, Any]) -> PullLabels | None:
    found = labels_of(pull)
    return found if found.names else None


def labels_of(pull: dict[str, Any]) -> PullLabels:
    """The labels of a pull request, as of its last change."""
    rows = at(pull, "labels")
    names = [line(text(row, "name"), LABEL) for row in rows[:LABELS]] if isinstance(rows, list) else []
    changed = moment(text(pull, "updated_at"))
    return PullLabels(number(pull, "number") or 0, tuple(name for name in names if name), changed or 0.0)


def _pull(payload: dict[str, Any], service: str) -> PullMoved | PullClosed:
    """What concerns the verification of a pull request; nothing in it but numbers and shas."""
    pull = payload["pull_request"]
    action, at = text(payload, "action"), moment(text(pull, "updated_at"))
    if action == "closed":
        return PullClosed(service, pull["number"], pull["head"]["sha"], at)
    before = text(payload, "before") if action == "synchronize" else ""
    return PullMoved(
        service,
        pull["number"],
        pull["head"]["sha"],
        before=before if is_sha(before) else None,
        at=at,
        draft=action == "converted_to_draft" or (action != "ready_for_review" and flag(pull, "draft")),
        fork=_is_fork(pull),
    )


def _is_fork(pull: dict[str, Any]) -> bool:
    """Whether the commits come from elsewhere: from another repository, or from one that is gone."""
    head, base = number(pull, "head", "repo", "id"), number(pull, "base", "repo", "id")
    return head is None or head != base


def _push(payload: dict[str, Any], service: str) -> Merged:
    before, after = text(payload, "before"), text(payload, "after")
    pushed_at = number(payload, "repository", "pushed_at")
    return Merged(
        service,
        after,
        before=before if is_sha(before) else None,
        forced=flag(payload, "forced"),
        push_id=f"{before}..{after}@{pushed_at or ''}",
        title=line(text(payload, "head_commit", "message").split("\n", 1)[0], TITLE),
        author=(text(payload, "head_commit", "author", "username") or text(payload, "pusher", "name"))[:TITLE],
        commits=_others(payload, after),
        authors=_authors(payload),
    )


def _authors(payload: dict[str, Any]) -> tuple[str, ...]:
    """The people who wrote what a push brought, those of its last commits first (GitHub docs: `author.username`)."""
    rows = at(payload, "commits")
    names = [text(row, "author", "username") for row in reversed(rows[-COMMITS:])] if isinstance(rows, list) else []
    return tuple(dict.fromkeys(name for name in names if _LOGIN.match(name)))[:AUTHORS]


def _others(payload: dict[str, Any], after: str) -> tuple[str, ...]:
    """What else a push brought (GitHub docs: `commits` holds at most 2,048, oldest first)."""
    rows = at(payload, "commits")
    shas = [text(row, "id") for row in rows[-COMMITS:]] if isinstance(rows, list) else []
    return tuple(sha for sha in shas if is_sha(sha) and sha != after)
