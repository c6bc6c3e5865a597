"""Where GitHub's description is not what GitHub does: as few as there must be, each with its reason."""

from __future__ import annotations

import re
from typing import Any

#: The old way to a commit's statuses, which PyGithub goes (`Commit.get_statuses`), and the way by id after a rename.
_STATUSES = re.compile(r"(/repos/[^/]+/[^/]+)/statuses/([^/]+)")
_BY_ID = re.compile(r"/repositories/\d+(?=/|$)")
#: Null is right: the fork of a pull request is gone; a label has no description.
_NULLS = re.compile(r".*(\bhead\.repo|\.labels\[\d+\]\.description)")
#: The events that an App may subscribe to are named several times, and not all of them everywhere.
_EVENTS = re.compile(r".*\.app\.events\[\d+\]")


def described_as(method: str, path: str) -> str:
    """The path as the description has it."""
    path = _BY_ID.sub("/repos/o/r", path)
    match = _STATUSES.fullmatch(path)
    return f"{match[1]}/commits/{match[2]}/statuses" if match and method == "GET" else path


def is_known_mistake(where: str, value: Any) -> bool:
    """Whether the description only seems to forbid this value. `where` is a JSON path."""
    return bool(_EVENTS.fullmatch(where)) or (value is None and bool(_NULLS.fullmatch(where)))


def mended(value: Any) -> Any:
    """The description, changed in place.

    Where something is one of several words or null, null is missing among the words. An installation's account is said
    to be a user and an enterprise at once, where one of them is meant.
    """
    if isinstance(value, dict):
        if value.get("nullable") is True and isinstance(value.get("enum"), list) and None not in value["enum"]:
            value["enum"].append(None)
        if [one.get("title") for one in value.get("allOf", ()) if isinstance(one, dict)] == [
            "Simple User",
            "Enterprise",
        ]:
            value["anyOf"] = value.pop("allOf")
        for inner in value.values():
            mended(inner)
    elif isinstance(value, list):
        for inner in value:
            mended(inner)
    return value
