"""The base class of all control verbs of GitHub."""

from __future__ import annotations

from typing import Any

from standins.github.access import Access
from standins.github.model import Pull, Repo
from standins.github.world import World

Json = dict[str, Any]


class VerbBase:
    """The world that the verbs act on."""

    _w: World
    _access: Access

    def _pull(self, repo: str, number: int) -> tuple[Repo, Pull]:
        found = self._w.repo(repo)
        if number not in found.pulls:
            raise LookupError(f"{repo} has no pull request {number}; there are: {sorted(found.pulls)}")
        return found, found.pulls[number]
