"""The permission that each route needs, for tokens of Apps and fine-grained tokens.

Source: GitHub docs, "Permissions required for GitHub Apps". Reading public data needs none.
"""

from __future__ import annotations

#: The part of the path after the repository -> its permissions; one of them is enough.
_OF = {
    "statuses": ("statuses",), "check-runs": ("checks",), "check-suites": ("checks",),
    "deployments": ("deployments",), "issues": ("issues", "pull_requests"), "pulls": ("pull_requests",),
    "hooks": ("repository_hooks",), "contents": ("contents",), "git": ("contents",), "branches": ("contents",),
    "compare": ("contents",), "commits": ("contents",), "collaborators": ("metadata",),
}  # fmt: skip
_OF_COMMITS = {
    "status": ("statuses",), "statuses": ("statuses",), "check-runs": ("checks",), "check-suites": ("checks",),
    "pulls": ("pull_requests", "contents"),
}  # fmt: skip
#: Needs a permission even in a public repository.
_NEVER_PUBLIC = ("hooks",)


def needed(route: str, *, private: bool) -> tuple[tuple[str, ...], str]:
    """Return the permissions (one is enough) and the level, `read` or `write`; none if anybody may.

    `route` is a label such as `POST /repos/*/*/statuses/*`.
    """
    method, _, path = route.partition(" ")
    parts = path.strip("/").split("/")[3:]
    level = "read" if method in ("GET", "HEAD") else "write"
    if not parts or parts[0] not in _OF:
        return (), level
    if level == "read" and not private and parts[0] not in _NEVER_PUBLIC:
        return (), level
    if parts[:2] == ["pulls", "*"] and parts[2:] == ["merge"]:
        return ("contents",), level
    if parts[0] == "commits" and len(parts) > 2:
        return _OF_COMMITS.get(parts[2], ("contents",)), level
    return _OF[parts[0]], level


def granted(permissions: dict[str, str], names: tuple[str, ...], level: str) -> bool:
    enough = ("write", "admin") if level == "write" else ("read", "write", "admin")
    return not names or any(permissions.get(name) in enough for name in names)
