"""What Interlock must be allowed to do at GitHub, one permission at a time, and how to see whether it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_ENOUGH = {"read": ("read", "write", "admin"), "write": ("write", "admin")}


@dataclass(frozen=True, slots=True)
class Need:
    """A permission as the API calls it, and any other that does as well; what does not work without it."""

    names: tuple[str, ...]
    level: str
    without: str
    #: Runs get through without it.
    optional: bool = False
    #: Only a GitHub App can have it.
    apps_only: bool = False

    def __str__(self) -> str:
        return f"{' or '.join(self.names)}: {self.level}"

    def met_by(self, permissions: Mapping[str, str]) -> bool:
        """Whether one of these permissions is enough."""
        return any(permissions.get(name) in _ENOUGH[self.level] for name in self.names)


NEEDS = (
    Need(("contents",), "read", "where main stands and what contains what cannot be asked"),
    Need(("statuses",), "write", "no commit status can be set"),
    Need(("pull_requests", "issues"), "write", "nothing can be said on pull requests"),
    Need(("checks",), "write", "no check runs can be written", optional=True, apps_only=True),
    Need(("deployments",), "write", "no deployments can be written", optional=True),
    Need(("merge_queues",), "read", "the event merge_group is not told", optional=True, apps_only=True),
)
#: What a webhook must tell, and what is missed without it.
EVENTS = {
    "push": "merges are only found by asking, minutes later",
    "pull_request": "runs do not know their pull request, so nobody is told there",
    "issue_comment": "commands in comments are not heard",
    "repository": "nobody is told when the default branch is another one",
    "merge_group": "a merge queue that requires the status `verify` waits for it in vain",
}


def lacking(permissions: Mapping[str, str]) -> Iterator[Need]:
    """The needs that an App's installation does not meet."""
    return (need for need in NEEDS if not need.met_by(permissions))


def lacking_scopes(scopes: set[str], *, private: bool) -> list[str]:
    """The scopes that a classic token lacks (GitHub docs: scopes for OAuth apps)."""
    if "repo" in scopes:
        return []
    return ["repo"] if private else [scope for scope in ("public_repo", "repo:status") if scope not in scopes]
