"""Draw the builds of a what-if from the recorded ones.

The outcome depends on the commit, the duration on the step. The draw of a build depends only on the seed and on its
identity (commit, step, number of builds before it), so that both compared configurations have the same luck.
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

#: With fewer builds than this of a service in a step, those of all services are used.
ENOUGH = 20
#: The outcomes that show that the commit is broken.
_BROKEN = (Outcome.FAILURE, Outcome.UNSTABLE)
_RESULTS = (FactKind.BUILD_PASSED, FactKind.BUILD_FAILED, FactKind.BUILD_REPEATED)


class RecordedBuilds:
    """The builds of a recording, prepared once for many draws."""

    def __init__(self, load: RecordedLoad) -> None:
        self.by_commit = dict(load.builds)
        #: The builds by step, service (empty: all) and whether they passed.
        self._durations: dict[tuple[str, str, bool], list[RecordedBuild]] = defaultdict(list)
        #: By step and service (empty: all): how many first builds of a commit passed and failed.
        self._first: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
        for ((service, _), step), builds in self.by_commit.items():
            for name in (service, ""):
                self._first[step, name][builds[0].outcome is Outcome.SUCCESS] += 1
                for build in builds:
                    self._durations[step, name, build.outcome is Outcome.SUCCESS].append(build)
        self.broken = frozenset(_broken(load))

    def known(self, commit: Commit, step: Step) -> list[RecordedBuild]:
        """Return the builds of a commit in a step, or if there are none, in the other job of its stage."""
        return self.by_commit.get((commit, str(step))) or self.by_commit.get((commit, str(_other(step))), [])

    def failure_rate(self, service: str, step: Step) -> float:
        """Return how often the first build of a commit fails in a step, as a share; 0 without data."""
        for where in (step, _other(step)):
            for name in (service, ""):
                found = self._first.get((str(where), name))
                if found is not None and (found.total() >= ENOUGH or not name):
                    return found[False] / found.total()
        return 0.0

    def like(self, service: str, step: Step, *, passed: bool) -> list[RecordedBuild]:
        """Return the builds from which to draw a duration: of the service in the step if enough, else of all services.

        If no build of the step has this result, those with the other result; if there is none at all, those of the
        other job of the stage. Empty if the recording has no build of the stage.
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
    """Yield the commits that are broken as well, each with the stage: those merged between a broken commit and its last
    failure."""
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
    """One draw of all builds. `exact`: a build that was recorded gets its recorded duration."""

    def __init__(self, recorded: RecordedBuilds, seed: int, *, exact: bool = False) -> None:
        self._recorded = recorded
        self._seed = seed
        self._exact = exact
        #: The number of ended builds of each commit in each step.
        self._ended: Counter[tuple[Commit, str]] = Counter()

    def note(self, fact: Fact) -> None:
        """Count the build if this fact says that one has ended."""
        if fact.kind in _RESULTS and fact.service is not None and fact.sha is not None:
            self._ended[(fact.service, fact.sha), str(fact.step)] += 1

    def build(self, trigger: Trigger, at: float) -> SimulatedBuild:
        """Draw a build: with the recorded outcome if there is one, and a recorded duration."""
        commit, step = (trigger.service, trigger.sha), Step(trigger.stage, trigger.track)
        number = self._ended[commit, str(step)]
        random = Random(f"{self._seed} {commit} {step} {number}")  # noqa: S311  not a secret: a repeatable draw
        known = self._recorded.known(commit, step)
        outcome, tests = self._outcome(commit, step, number, random)
        if self._exact and number < len(known):
            return SimulatedBuild(known[number].queued, known[number].seconds, outcome, tests)
        like = self._recorded.like(trigger.service, step, passed=outcome is Outcome.SUCCESS)
        drawn = random.choice(like)
        return SimulatedBuild(drawn.queued, drawn.seconds, outcome, tests)

    def _outcome(self, commit: Commit, step: Step, number: int, random: Random) -> tuple[Outcome, tuple[str, ...]]:
        """Return outcome and failed tests: as recorded for this build or the last one of the commit; without a record
        a failure if the commit is broken, else drawn from the failure rate."""
        known = self._recorded.known(commit, step)
        luck = random.random()
        if known:
            build = known[min(number, len(known) - 1)]
            return build.outcome, build.tests
        if number:
            return Outcome.SUCCESS, ()  # it failed by a draw, not because the commit is broken
        if (commit, step.stage) in self._recorded.broken:
            return Outcome.FAILURE, ()
        fails = luck < self._recorded.failure_rate(commit[0], step)
        return (Outcome.FAILURE if fails else Outcome.SUCCESS), ()


def _other(step: Step) -> Step:
    """Return the step of the other job of the same stage."""
    return Step(step.stage, Track.REAL if step.track is Track.FAST else Track.FAST)
