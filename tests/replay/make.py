"""Makes `recorded.xz`: some lives of the random town, recorded.

`make recording`, after a rule has changed on purpose: the same events, as the rules of today decide them. With
`ARGS=--anew` other lives are lived, after the machine or an event has changed; that takes a minute. The rules of the
machine (`tests.core.machine`) are chosen here by a seeded generator, and what people do more often than by Hypothesis.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from bot.core.model.board import Board, build_board
from bot.core.model.board_records import Header
from bot.core.model.events import Event
from bot.core.model.pipeline import Pipeline
from bot.core.rules.decide import decide
from bot.core.rules.decision import LIMITS, DecisionLimits
from bot.core.rules.recorded import DecidedEntry, RecordedTurn
from bot.store import recording_file
from bot.store.recording_line import snapshot_line, turn_line, with_epoch
from tests.core.machine import AnyTown

FILE = Path(__file__).parent / "recorded.xz"
SEED = 1
#: How many events are recorded at least, and how many steps a life has before everything is let succeed.
EVENTS, STEPS = 10_000, 60
#: What happens more often than the other rules of the machine: so many times as often.
OFTEN = {"people": 3, "backoffs": 2, "merge": 2}

Life = tuple[Pipeline, DecisionLimits, list[tuple[Event, float]]]


def live(random: Random, steps: int) -> Life:
    """One life of the town, of so many steps, and how it ends."""
    machine = AnyTown()
    (beginning,) = machine._initialize_rules_to_run
    _follow(machine, beginning, random)
    rules = [rule for rule in machine.rules for _ in range(OFTEN.get(rule.function.__name__, 1))]
    for _ in range(steps):
        _follow(machine, random.choice(rules), random)
    machine.teardown()
    return machine.town.first, machine.town.limits, list(machine.town.log)


def _follow(machine: AnyTown, rule: Any, random: Random) -> None:
    rule.function(machine, **{name: _drawn(how, random) for name, how in sorted(rule.arguments_strategies.items())})


def _drawn(strategy: Any, random: Random) -> Any:
    """A value of the strategies that the machine uses: whole numbers, and one of several."""
    strategy = getattr(strategy, "wrapped_strategy", strategy)
    if hasattr(strategy, "elements"):
        return random.choice(strategy.elements)
    return random.randint(strategy.start, strategy.end) if hasattr(strategy, "start") else random.random() < 0.5


def lives(events: int = EVENTS, steps: int = STEPS, seed: int = SEED) -> Iterator[Life]:
    """Lives with so many events together."""
    random, lived = Random(seed), 0
    while lived < events:
        life = live(random, steps)
        lived += len(life[2])
        yield life


def lines(found: Iterator[Life]) -> Iterator[str]:
    """The recording of lives, one after the other: each begins and ends with a snapshot."""
    for number, (pipeline, limits, log) in enumerate(found, 1):
        board = build_board(Header(pipeline), [])
        version, epoch = number * 100_000, f"{number}000000"
        yield snapshot_line(version, epoch, log[0][1], board.records())
        for event, now in log:
            after, version, epoch = epoch, version + 1, str(int(now * 1e6))
            yield with_epoch(turn_line(version, after, [_decided(board, event, now, limits)], limits), epoch)
        yield snapshot_line(version, epoch, log[-1][1], board.records())


def _decided(board: Board, event: Event, now: float, limits: DecisionLimits) -> DecidedEntry:
    decision = decide(board, event, now, limits)
    board.forget_changes()
    return DecidedEntry(f"{int(now * 1000)}-0", now, (event,), tuple(decision.facts), tuple(decision.effects))


def recorded_lives(path: Path) -> Iterator[Life]:
    """The lives in a recording that `lines` made."""
    life: Life | None = None
    for item in recording_file.read(path):
        if isinstance(item, RecordedTurn):
            assert life is not None, "a life begins with a snapshot"
            life[2].extend((event, entry.at) for entry in item.decided for event in entry.events)
            life = (life[0], item.limits, life[2])
        elif life is not None:
            yield life
            life = None
        else:
            (header,) = (record for record in item.records if isinstance(record, Header))
            life = (header.pipeline, LIMITS, [])


def main() -> None:
    """Write the file anew."""
    found = lives() if "--anew" in sys.argv else recorded_lives(FILE)
    fresh = FILE.with_suffix(".new.xz")
    fresh.unlink(missing_ok=True)
    turns = recording_file.write(fresh, recording_file.RecordingHead("shop", "any", 0.0), lines(found), small=True)
    fresh.rename(FILE)
    sys.stdout.write(f"{FILE}: {turns} decisions, {FILE.stat().st_size // 1024} KiB\n")


if __name__ == "__main__":
    main()
