"""The names of the demo: seven merges of three services, called as in the four pictures."""

from __future__ import annotations

import re


class Names:
    """Which commit is S1a, which S2b: so that the story reads as the pictures are drawn."""

    def __init__(self) -> None:
        self._by_sha: dict[str, str] = {}
        self._by_run: dict[str, str] = {}

    def learn(self, sha: str, name: str) -> None:
        """`sha` is called `name` from now on."""
        self._by_sha[sha] = name

    def learn_run(self, run: str, sha: str) -> None:
        """The run of a commit is called as the commit is."""
        self._by_run[run] = self.of(sha)

    def of(self, sha: str) -> str:
        """The name of a commit, or its first seven characters."""
        return self._by_sha.get(sha, sha[:7])

    def sha(self, name: str) -> str:
        """The commit that is called `name`. Raises KeyError if none is."""
        return {known: sha for sha, known in self._by_sha.items()}[name]

    def told(self, text: str) -> str:
        """A sentence with the names in it: `S1 3fc91ab` becomes `S1a`."""
        for sha, name in list(self._by_sha.items()):
            text = re.sub(rf"\b(?:{re.escape(name[:2])} )?{sha[:7]}\b", name, text)
        for run, name in list(self._by_run.items()):
            text = re.sub(rf"\b{re.escape(run)}\b", name, text)
        return text
