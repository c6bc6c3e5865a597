"""How the builds of another history would go, drawn from those that a recording tells.

The outcome goes with the commit, the duration with the step. A draw of a build depends on the seed and on which build
it is (commit, step, how many came before), so two configurations that are compared meet the same luck.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random

from bot.core.model.effects import Trigger
from bot.core.model.facts import Fact, FactKind
from bot.core.model.pipeline import Outcome, Step, Track
from bot.simulation.engine import SimulatedBuild
from bot.simulation.recorded_load import Commit, RecordedBuild, RecordedLoad

#: Of fewer builds than this a service tells too little of a step: those of all services count as well.
ENOUGH = 20
#: How a build fails that may have been repeated by chance: it says that the commit is broken.
_BROKEN = (Outcome.FAILURE, Outcome.UNSTABLE)
_RESULTS = (FactKind.BUILD_PASSED, FactKind.BUILD_FAILED, FactKind.BUILD_REPEATED)


class RecordedBuilds:
    """What a recording tells of builds, sorted out once for many draws."""

    def __init__(self, load: RecordedLoad) -> None:
        self.by_commit = dict(load.builds)
        #: By step, service (empty: all) and whether they passed.
        self._durations: dict[tuple[str, str, bool], list[RecordedBuild]] = defaultdict(list)
        #: By step and service (empty: all): how the first build of each commit went.
        self._first: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
        for ((service, _), step), builds in self.by_commit.items():
            for name in (service, ""):
                self._first[step, name][builds[0].outcome is Outcome.SUCCESS] += 1
                for build in builds:
                    self._durations[step, name, build.outcome is Outcome.SUCCESS].append(build)
        self.broken = frozenset(_broken(load))

    def known(self, commit: Commit, step: Step) -> list[RecordedBuild]:
        """How the builds of a commit went in a step, or else in the other job of its stage; empty: not known."""
        return self.by_commit.get((commit, str(step))) or self.by_commit.get((commit, str(_other(step))), [])

    def failure_rate(self, service: str, step: Step) -> float:
        """How often the first build of a commit fails in a step; 0 where nothing is known."""
        for where in (step, _other(step)):
            for name in (service, ""):
                found = self._first.get((str(where), name))
                if found is not None and (found.total() >= ENOUGH or not name):
                    return found[False] / found.total()
        return 0.0

    def like(self, service: str, step: Step, *, passed: bool) -> list[RecordedBuild]:
        """The builds to draw a duration from: of the service in the step if there are enough, else of all services.

        Where no build of that step ended so, those that ended otherwise; where none ran there, those of the other job
        of the stage. Empty: the recording has none of the stage.
        """
        for where in (step, _other(step)):
            for ended in (passed, not passed):
                own = self._durations.get((str(where), service, ended), [])
                if len(own) >= ENOUGH:
                    return own
                if (every := self._durations.get((str(where), "", ended))) is not None:
                    return every
        return []


def _broken(load: RecordedLoad) -> Iterator[tuple[Commit, str]]:
    """What is merged between a commit that is broken and the news of it is broken as well; each with the stage."""
    merges: dict[str, list[tuple[float, Commit]]] = defaultdict(list)
    for merge in load.merges:
        merges[merge.event.service].append((merge.at, merge.commit))
    merged = {merge.commit: merge.at for merge in load.merges}
    for (commit, stage), failed in load.failed.items():
        ends = [load.builds.get((commit, name), [])[-1:] for name in (stage, f"fast {stage}")]
        last = [build for each in ends for build in each]
        if commit not in merged or not last or any(build.outcome not in _BROKEN for build in last):
            continue
        of_service = merges[commit[0]]
        times = [at for at, _ in of_service]
        between = of_service[bisect_right(times, merged[commit]) : bisect_right(times, failed)]
        yield from ((other, stage) for _, other in between)


class DrawnBuilds:
    """One draw of all builds. `exact`: a build that the recording knows takes as long as it took."""

    def __init__(self, recorded: RecordedBuilds, seed: int, *, exact: bool = False) -> None:
        self._recorded = recorded
        self._seed = seed
        self._exact = exact
        #: How many builds of a commit have come to their end in a step.
        self._ended: Counter[tuple[Commit, str]] = Counter()

    def note(self, fact: Fact) -> None:
        """Note that a build has come to its end."""
        if fact.kind in _RESULTS and fact.service is not None and fact.sha is not None:
            self._ended[(fact.service, fact.sha), str(fact.step)] += 1

    def build(self, trigger: Trigger, at: float) -> SimulatedBuild:
        """How the build goes: the recorded outcome if there is one, with a recorded duration."""
        commit, step = (trigger.service, trigger.sha), Step(trigger.stage, trigger.track)
        number = self._ended[commit, str(step)]
        random = Random(f"{self._seed} {commit} {step} {number}")  # noqa: S311  no secret: a draw that can be repeated
        known = self._recorded.known(commit, step)
        outcome, tests = self._outcome(commit, step, number, random)
        if self._exact and number < len(known):
            return SimulatedBuild(known[number].queued, known[number].seconds, outcome, tests)
        like = self._recorded.like(trigger.service, step, passed=outcome is Outcome.SUCCESS)
        drawn = random.choice(like)
        return SimulatedBuild(drawn.queued, drawn.seconds, outcome, tests)

    def _outcome(self, commit: Commit, step: Step, number: int, random: Random) -> tuple[Outcome, tuple[str, ...]]:
        """What was recorded for this build; a commit that failed last fails again; else by what is likely."""
        known = self._recorded.known(commit, step)
        luck = random.random()
        if known:
            build = known[min(number, len(known) - 1)]
            return build.outcome, build.tests
        if number:
            return Outcome.SUCCESS, ()  # it failed by a draw, not by its fault
        if (commit, step.stage) in self._recorded.broken:
            return Outcome.FAILURE, ()
        fails = luck < self._recorded.failure_rate(commit[0], step)
        return (Outcome.FAILURE if fails else Outcome.SUCCESS), ()


def _other(step: Step) -> Step:
    """The other job of the same stage."""
    return Step(step.stage, Track.REAL if step.track is Track.FAST else Track.FAST)
