"""The people of chaos: they merge as planned, fix broken stages, and unlock after a loss of the state."""

from __future__ import annotations

import time
from collections.abc import Container
from dataclasses import dataclass, field

from chaos.api import Answer, Api, Unanswered
from chaos.plan import Fate, Merge
from chaos.world import SERVICES, World

#: The seconds before a person opens a lock of a lost state.
LOOKS = 3.0
#: The duration of builds of a commit with a fate, in seconds.
BRIEF = 0.05


@dataclass
class Merged:
    """A merged commit: its service, and the time of the merge (seconds since the epoch)."""

    service: str
    sha: str
    at: float


@dataclass
class People:
    """The acts of the people, and their acts so far."""

    world: World
    merged: list[Merged] = field(default_factory=list)
    fixes: int = 0
    #: The unlocks by people, with their times in seconds since the epoch.
    unlocked: list[tuple[str, float]] = field(default_factory=list)
    _answered: set[str] = field(default_factory=set)
    _seen: dict[str, float] = field(default_factory=dict)

    def merge(self, merge: Merge, what: str = "a change") -> None:
        """Merge one commit. Its fate becomes a rule of Jenkins as soon as its sha is known."""
        title = f"{merge.service} {len(self.merged) + 1}: {what}"
        sha = self.world.github.control.merge(SERVICES[merge.service], title=title, author="dana")
        if merge.fate is not None:
            self._let_fail(sha, merge.fate)
        self.merged.append(Merged(merge.service, sha, time.time()))

    def _let_fail(self, sha: str, fate: Fate) -> None:
        control = self.world.controller_of(fate.stage).control
        match = {"INTERLOCK_SHA": sha}
        control.rule(f"shop/{fate.stage}", match, result=fate.result, duration=BRIEF, count=fate.builds)

    def mend(self, api: Api) -> None:
        """Merge a fix for each lock, and another one for each fix that failed; open the locks of a lost state."""
        try:
            board = api.board()
            for stage in board["stages"]:
                for lock in stage["locks"]:
                    self._answer(api, lock)
                for failed in (*stage["failed"], *((stage["fast"] or {}).get("failed", ()))):
                    if failed["lane"] == "fast":
                        self._fix(failed["sha"], failed["service"])
        except Unanswered:
            return  # no answer: they try again later

    def _answer(self, api: Api, lock: Answer) -> None:
        if lock["automatic"] and lock["run"] and lock["service"]:
            sha = next((each["sha"] for each in api.runs() if each["run"] == lock["run"]), lock["run"])
            self._fix(sha, lock["service"])
            return
        seen = self._seen.setdefault(lock["key"], time.monotonic())
        if time.monotonic() - seen > LOOKS:
            self.unlocked.append((lock["stage"], time.time()))  # it may have worked although no answer came
            api.unlock(lock["stage"], lock["key"])
            del self._seen[lock["key"]]

    def _fix(self, broken: str, service: str) -> None:
        """Merge a fix for a broken commit, once."""
        if broken not in self._answered:
            self._answered.add(broken)
            self.fixes += 1
            # The first fix fails in its own fast job, so that a second one is needed.
            fate = Fate("fast-acceptance", "FAILURE") if self.fixes == 1 else None
            self.merge(Merge(0.0, service, fate), f"the fix for {broken[:7]}")

    def merge_forgotten(self, api: Api, emptied: float, untold: Container[str]) -> None:
        """Merge once more to each service if Interlock has no run of its newest commit.

        Only if Interlock may not know the commit: it was merged before the store was emptied (seconds since the epoch),
        or it had no webhook and became the new baseline.
        """
        try:
            known = {run["sha"] for run in api.runs()}
        except Unanswered:
            return
        for each in {merged.service: merged for merged in self.merged}.values():
            may_be_forgotten = each.at < emptied or each.sha in untold
            if may_be_forgotten and each.sha not in known and each.sha not in self._delivered():
                self.merge(Merge(0.0, each.service), f"once more: {each.sha[:7]}")

    def _delivered(self) -> set[str]:
        builds = self.world.cdp.control.builds("shop/production")
        return {str(build["params"]["INTERLOCK_SHA"]) for build in builds if build["result"] == "SUCCESS"}
