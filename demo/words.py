"""The names of the demo: seven merges of three services, with the names of the four pictures."""

from __future__ import annotations

import re


class Names:
    """The names of the commits (S1a, S2b...), so that the story has the words of the pictures."""

    def __init__(self) -> None:
        self._by_sha: dict[str, str] = {}
        self._by_run: dict[str, str] = {}

    def learn(self, sha: str, name: str) -> None:
        """Give `sha` the name `name` from now on."""
        self._by_sha[sha] = name

    def learn_run(self, run: str, sha: str) -> None:
        """Give the run of a commit the commit's name."""
        self._by_run[run] = self.of(sha)

    def of(self, sha: str) -> str:
        """Return the name of a commit, or its first seven characters."""
        return self._by_sha.get(sha, sha[:7])

    def sha(self, name: str) -> str:
        """Return the commit named `name`. Raise KeyError if there is none."""
        return {known: sha for sha, known in self._by_sha.items()}[name]

    def told(self, text: str) -> str:
        """Put the names into a sentence: `S1 3fc91ab` becomes `S1a`."""
        for sha, name in list(self._by_sha.items()):
            text = re.sub(rf"\b(?:{re.escape(name[:2])} )?{sha[:7]}\b", name, text)
        for run, name in list(self._by_run.items()):
            text = re.sub(rf"\b{re.escape(run)}\b", name, text)
        return text
