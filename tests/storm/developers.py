"""The people of the storm: they merge as planned, and fix what they broke; nobody does anything else."""

from __future__ import annotations

from collections import Counter

from bot.core.model.board import Board
from bot.core.model.pipeline import Lane
from bot.core.model.run import Status
from chaos.world import SERVICES, World
from tests.storm.plan import BAD_FIX, Fate, Merge


class Developers:
    """Merges on the GitHub stand-in. A run's fate becomes a rule of Jenkins before its commit is there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._answered: set[str] = set()
        self._numbers: Counter[str] = Counter()
        #: The commits that were merged, with their services.
        self.merged: dict[str, str] = {}
        #: The fate of each run that has one.
        self.fates: dict[str, Fate] = {}
        self.fixes = 0

    def merge(self, merge: Merge, what: str = "a change") -> None:
        """Merge one commit of a service."""
        self._numbers[merge.service] += 1
        run = f"{merge.service}.{self._numbers[merge.service]}"
        if merge.fate is not None:
            self.fates[run] = merge.fate
            control = self._world.controller_of(merge.fate.stage).control
            match = {"INTERLOCK_RUN": run}
            job = f"shop/{merge.fate.stage}"
            control.rule(job, match, result=merge.fate.result, duration=0.05, count=merge.fate.builds)
        title = f"{run}: {what}"
        sha = self._world.github.control.merge(SERVICES[merge.service], title=title, author="dana")
        self.merged[sha] = merge.service

    def mend(self, board: Board) -> None:
        """Merge a fix for each lock, and another one for each fix that failed; once each."""
        broken = [(lock.run, lock.service) for lock in board.locks.values() if lock.run and lock.service]
        broken += [
            (run.key, run.service)
            for run in board.runs.values()
            if run.lane is Lane.FAST and run.status is Status.FAILED
        ]
        for run, service in broken:
            if run not in self._answered:
                self._answered.add(run)
                self.fixes += 1
                self.merge(Merge(service, BAD_FIX if self.fixes == 1 else None), f"the fix for {run}")
