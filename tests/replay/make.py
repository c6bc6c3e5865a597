"""Makes what CI replays: `recorded.xz`, some lives of the random town, and `storms.xz`, what real processes withstood.

`make recording`, after a rule has changed on purpose: the same events, as the rules of today decide them. With
`ARGS=--anew` other lives are lived, after the machine or an event has changed; that takes a minute. The rules of the
machine (`tests.core.machine`) are chosen here by a seeded generator, and what people do more often than by Hypothesis.

Storms are plays of chaos: real processes, with a Jenkins and a GitHub that lose, repeat and delay what they tell.

    make chaos ARGS="--seeds 40 --store one --keep plays"       # an hour
    make recording ARGS="--storms plays"

takes those that were kept, each exported by `interlock history export`, the one with the most merges last.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from bot.core.model.board import Board, build_board
from bot.core.model.board_records import Header
from bot.core.model.events import Event
from bot.core.model.pipeline import Pipeline
from bot.core.rules.decide import decide
from bot.core.rules.decision import DecisionLimits
from bot.core.rules.recorded import BoardSnapshot, DecidedEntry, Recorded
from bot.core.rules.replay import Player, Replayed
from bot.store import recording_file
from bot.store.recording_file import RecordingHead
from bot.store.recording_line import snapshot_line, turn_line, with_epoch
from chaos.plan import Plan
from chaos.play import KEPT_AS, Played
from chaos.world import PIPELINE
from tests.cli.conftest import typed
from tests.core.machine import AnyTown

FILE = Path(__file__).parent / "recorded.xz"
SEED = 1
#: How many events are recorded at least, and how many steps a life has before everything is let succeed.
EVENTS, STEPS = 10_000, 60
#: What happens more often than the other rules of the machine: so many times as often.
OFTEN = {"people": 3, "backoffs": 2, "merge": 2}

STORMS = FILE.with_name("storms.xz")

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


def decided_anew(pipeline: str, recorded: Iterable[Recorded]) -> Iterator[str]:
    """The lines of a recording with the same events, as the rules of today decide them."""
    player = Player(pipeline)
    for item in recorded:
        if isinstance(item, BoardSnapshot):
            played = player.board if (player.version, player.epoch) == (item.version, item.epoch) else None
            yield snapshot_line(item.version, item.epoch, item.at, item.records if played is None else played.records())
            if played is None:  # a board begins
                list(player.play([item]))
        else:
            steps = [step for step in player.play([item]) if isinstance(step, Replayed)]
            assert len(steps) == len(item.decided) and not any(step.error for step in steps), steps
            yield with_epoch(turn_line(item.version, item.after, [step.now for step in steps], item.limits), item.epoch)


# -- storms ------------------------------------------------------------------------------------------------------


def storms(kept: Path) -> Iterator[str]:
    """The recordings of all plays of chaos in a folder that had one store, broke no promise and were not emptied."""
    plays = []
    for file in kept.glob(f"*/{KEPT_AS}"):
        plan, played = Plan.read(file.with_name("plan.json")), Played.read(file)
        if plan.store == "one" and "Redis emptied" not in played.times and not played.violations:
            plays.append((played.merges, file.parent))
    for _, folder in sorted(plays):
        file = folder / "recording"
        file.unlink(missing_ok=True)
        env = {"INTERLOCK_CONFIG": str(folder / "interlock.yaml"), "INTERLOCK_DATA_DIR": str(folder)}
        done = typed("history", "export", str(file), **env)
        assert done.exit_code == 0, done.output
        sys.stdout.write(done.output)
        yield from decided_anew(PIPELINE, recording_file.read(file))


# -- the files ---------------------------------------------------------------------------------------------------


def write(file: Path, head: RecordingHead, found: Iterable[str]) -> None:
    """Write a file anew, as small as it can be."""
    fresh = file.with_suffix(".new.xz")
    fresh.unlink(missing_ok=True)
    turns = recording_file.write(fresh, head, found, small=True)
    fresh.rename(file)
    sys.stdout.write(f"{file}: {turns} turns, {file.stat().st_size // 1024} KiB\n")


def main() -> None:
    """Write the files anew."""
    if "--storms" in sys.argv:
        write(STORMS, RecordingHead(PIPELINE, "any", 0.0), storms(Path(sys.argv[sys.argv.index("--storms") + 1])))
        return
    for file in (FILE, STORMS):
        head = recording_file.read_head(file)
        anew = "--anew" in sys.argv and file == FILE
        write(file, head, lines(lives()) if anew else decided_anew(head.pipeline, recording_file.read(file)))


if __name__ == "__main__":
    main()
