"""GitHub's webhooks into events (GitHub docs: webhook events and payloads, `push` and `pull_request`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bot.core.events import DefaultBranchChanged, Event, Merged
from bot.translate.reading import at, flag, line, number, text

_SHA = re.compile(r"[0-9a-f]{40}\Z")
_NOTHING = "0" * 40
_BRANCH = "refs/heads/"
#: How much of a title is kept: enough to recognise it.
TITLE = 120
#: The same of a branch's name.
BRANCH = 100
#: How many commits of a push are kept: those that landed last.
COMMITS = 51


@dataclass(frozen=True, slots=True)
class Target:
    """The branch that a delivery is about: whose it is decides the configuration."""

    repository: str
    branch: str


def target(event: str, payload: dict[str, Any]) -> Target | None:
    """The branch that moved, or None if the delivery is of a kind that moves none of ours."""
    if event == "push":
        ref = text(payload, "ref")
        repository = text(payload, "repository", "full_name")
        moved = ref.startswith(_BRANCH) and not flag(payload, "deleted") and _is_sha(text(payload, "after"))
        return Target(repository, ref.removeprefix(_BRANCH)) if moved and repository else None
    if event == "pull_request" and text(payload, "action") == "closed" and flag(payload, "pull_request", "merged"):
        base = text(payload, "pull_request", "base", "ref")
        repository = text(payload, "repository", "full_name")
        merged = _is_sha(text(payload, "pull_request", "merge_commit_sha"))
        return Target(repository, base) if merged and repository and base else None
    if event == "repository" and text(payload, "action") == "edited":
        repository, before = text(payload, "repository", "full_name"), _former_default(payload)
        changed = before and line(text(payload, "repository", "default_branch"), BRANCH)
        return Target(repository, before) if repository and changed else None
    return None


def _former_default(payload: dict[str, Any]) -> str:
    """What the default branch was called, or which it was, before it was changed."""
    return text(payload, "changes", "default_branch", "from")


def events(event: str, payload: dict[str, Any], service: str) -> list[Event]:
    """What a delivery about the main branch of `service` means."""
    if event == "push":
        return [_push(payload, service)]
    if event == "repository":
        now = line(text(payload, "repository", "default_branch"), BRANCH)
        return [DefaultBranchChanged(service, _former_default(payload), now)]
    return [
        Merged(
            service,
            text(payload, "pull_request", "merge_commit_sha"),
            pull=number(payload, "pull_request", "number"),
            title=line(text(payload, "pull_request", "title"), TITLE),
            author=text(payload, "pull_request", "user", "login")[:TITLE],
        )
    ]


def _push(payload: dict[str, Any], service: str) -> Merged:
    before, after = text(payload, "before"), text(payload, "after")
    pushed_at = number(payload, "repository", "pushed_at")
    return Merged(
        service,
        after,
        before=before if _is_sha(before) else None,
        forced=flag(payload, "forced"),
        push_id=f"{before}..{after}@{pushed_at or ''}",
        title=line(text(payload, "head_commit", "message").split("\n", 1)[0], TITLE),
        author=(text(payload, "head_commit", "author", "username") or text(payload, "pusher", "name"))[:TITLE],
        commits=_others(payload, after),
    )


def _others(payload: dict[str, Any], after: str) -> tuple[str, ...]:
    """What else a push brought (GitHub docs: `commits` holds at most 2,048, oldest first)."""
    rows = at(payload, "commits")
    shas = [text(row, "id") for row in rows[-COMMITS:]] if isinstance(rows, list) else []
    return tuple(sha for sha in shas if _is_sha(sha) and sha != after)


def _is_sha(value: str) -> bool:
    return bool(_SHA.match(value)) and value != _NOTHING
