"""`python -m demo.past FILE`: records two weeks of an invented town, as input for what-if.

The town plays in virtual time, by the real rules, on the pipeline of the example with twelve services. Durations
scatter as they do in life, one commit of ten breaks something, and its author mends it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from random import Random

from bot.core.model.board import Board
from bot.core.model.effects import Trigger
from bot.core.model.events import Configured, Event, FreezesPlanned, LockAsked, Merged, RetryAsked, UnlockAsked
from bot.core.model.facts import Fact, FactKind
from bot.core.model.pipeline import Outcome, Pipeline, Service, Track
from bot.core.rules.decision import Decision
from bot.core.rules.recorded import DecidedEntry
from bot.simulation.engine import Arrival, Intention, SimulatedBuild, simulate
from bot.store import recording_file
from bot.store.recording_line import turn_line, with_epoch
from config.pipeline_file import parse
from demo.pipeline import EXAMPLE, pipeline

MONDAY = 1_795_392_000.0
HOUR, DAY = 3_600.0, 86_400.0
SERVICES = tuple(f"S{number}" for number in range(1, 13))
#: By stage: the median duration of a build in seconds, and the share of commits that break it.
STAGES = {"build": (240, 0.03), "acceptance": (1_500, 0.06), "pre-production": (700, 0.05), "production": (300, 0.01)}
#: The share of failed builds that pass on a retry.
FLAKY = 0.3


def shop(**changes: object) -> Pipeline:
    """Return a pipeline of twelve services; `changes`: other values of the fields of pre-production."""
    services = [Service(name, f"shop/{name.lower()}") for name in SERVICES]
    return pipeline(services=services, changes={"pre-production": changes, "acceptance": {"capacity": 4}})


class PastBuilds:
    """Builds with durations around a median; a commit that breaks a stage breaks it again unless it was flaky."""

    def build(self, trigger: Trigger, at: float) -> SimulatedBuild:
        luck = Random(f"{trigger.sha} {trigger.stage}")
        middle, breaks = STAGES[trigger.stage]
        fails = luck.random() < breaks and not trigger.sha.startswith("fix")
        flaky = luck.random() < FLAKY
        outcome = Outcome.FAILURE if fails and not (flaky and trigger.attempt > 1 + self._before(trigger)) else None
        scatter = Random(f"{trigger.sha} {trigger.stage} {trigger.track} {at}")
        seconds = scatter.lognormvariate(0, 0.25) * (middle / 2 if trigger.track is Track.FAST else middle)
        return SimulatedBuild(scatter.uniform(5, 20), seconds, outcome or Outcome.SUCCESS)

    def _before(self, trigger: Trigger) -> int:
        """Return the number of attempts before the stage if none was repeated."""
        return list(STAGES).index(trigger.stage)


class PastPeople:
    """The people: the author of a broken stage retries a flaky build, or merges a fix."""

    def __init__(self) -> None:
        self.fixes = 0

    def react(self, decision: Decision) -> Iterable[Intention]:
        for fact in decision.facts:
            if fact.kind is FactKind.BUILD_FAILED and fact.run in decision.board.runs:
                yield from self._mend(decision.now, fact)

    def _mend(self, now: float, fact: Fact) -> Iterator[Intention]:
        luck = Random(f"{fact.sha} {fact.step} mended")
        flaky = Random(f"{fact.sha} {fact.step and fact.step.stage}")
        flaky.random()
        if flaky.random() < FLAKY and not (fact.sha or "").startswith("again"):
            yield Intention(now + luck.uniform(300, 900), partial(_retry, fact.run or ""))
        else:
            self.fixes += 1
            sha = f"fix{self.fixes}-{fact.service}"
            yield Intention(
                now + luck.lognormvariate(0, 0.5) * 2_400, partial(_merge, fact.service or "", sha, "a fix", "ben")
            )


def _retry(run: str, board: Board) -> Event | None:
    return RetryAsked(run, "ann", "flaky")


def _merge(service: str, sha: str, title: str, author: str, board: Board) -> Event | None:
    head = board.service(service).history.head
    return Merged(service, sha, head.sha if head else None, push_id=sha, pull=7, title=title, author=author)


def merges(days: int, each_day: int, seed: int) -> Iterator[Intention]:
    """Yield merges in working hours, on five days of seven."""
    random = Random(seed)
    for day in range(days):
        if day % 7 < 5:
            for number in range(each_day):
                at = MONDAY + day * DAY + random.uniform(8, 18) * HOUR
                service = random.choice(SERVICES)
                yield Intention(at, partial(_merge, service, f"d{day}m{number}-{service}", "a change", "ann"))


@cache
def past(
    days: int = 3, each_day: int = 36, seed: int = 1, town: Pipeline | None = None, others: tuple[Arrival, ...] = ()
) -> tuple[DecidedEntry, ...]:
    """Return the decisions of some days. `others`: more arrivals."""
    town = town or shop()
    found: list[DecidedEntry] = []
    begin = Arrival(MONDAY, Configured(town))
    noon = MONDAY + 12 * HOUR
    hand = [
        Arrival(noon, LockAsked("production", "ann", "the fair", until=noon + 2 * HOUR)),
        Arrival(noon + 1 * HOUR, UnlockAsked("production", "ann", "over")),
    ]
    until = MONDAY + days * DAY
    simulate(
        town, [begin, *others, *hand, *merges(days, each_day, seed)], PastBuilds(), until=until, people=PastPeople(),
        record=found.append,
    )  # fmt: skip
    return tuple(found)


def example() -> tuple[Pipeline, Callable[[float], FreezesPlanned]]:
    """Return the pipeline of the example with the services of this town, and a function for its freezes at a time."""
    configuration = parse(EXAMPLE.read_text("utf-8").replace("example.com", "shop.test"), EXAMPLE)
    (found,) = configuration.pipelines
    services = tuple(Service(name, f"shop/{name.lower()}") for name in SERVICES)
    return replace(found, services=services), lambda at: FreezesPlanned(configuration.planned_freezes(found.name, at))


def lines(entries: Iterable[DecidedEntry], first: int = 1) -> Iterator[str]:
    """Yield the lines of a recording: one turn for each entry."""
    epoch = "" if first == 1 else f"{int(MONDAY * 1e6)}"
    for number, entry in enumerate(entries, first):
        after, epoch = epoch, str(int(entry.at * 1e6))
        yield with_epoch(turn_line(number, after, [entry]), epoch)


def weeks(days: int, seed: int = 1) -> tuple[Pipeline, tuple[DecidedEntry, ...]]:
    """Play some days of the town on the pipeline of the example, with its freezes."""
    town, freezes = example()
    others = tuple(Arrival(MONDAY + day * DAY, freezes(MONDAY + day * DAY)) for day in range(days))
    return town, past(days, seed=seed, town=town, others=others)


def main(file: Path, days: int = 14) -> None:
    """Write the recording of some weeks."""
    town, entries = weeks(days)
    turns = recording_file.write(file, recording_file.RecordingHead(town.name, "any", MONDAY), lines(entries))
    sys.stdout.write(f"{file}: {turns} turns of {days} days\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
