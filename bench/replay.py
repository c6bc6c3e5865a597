"""Measures the recorded events per second that a replay decides on one core, with few and many live runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.history import BEGIN, MadeHistory
from bench.report import Section, Target
from bot.core.model.board_records import Header
from bot.core.model.events import Event
from bot.core.rules.recorded import BoardSnapshot, DecidedEntry, Recorded, RecordedTurn
from bot.core.rules.replay import Player

#: The services, and the days of merges: so many services that runs queue up, and so few that none do.
SIZES = ((10, 30.0), (150, 3.0))
ROUNDS = 5
#: The shortest history, in days: it begins at midnight, and the first merges come at eight.
SHORTEST = 0.6
#: The lowest events per second, and the highest growth of the cost with many live runs.
RATE, GROWTH = 20_000, 1.3


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Replay generated histories; each round replays all of them, one after the other."""
    columns = ["services", "events", "live runs at the end", "events a second", "µs an event"]
    section = Section("replay", "How fast a recording is decided once more", columns)
    histories = []
    for services, days in SIZES:
        say(f"making a history of {services} services")
        histories.append((services, *_recorded(services, max(SHORTEST, days * scale))))
    best = [float("inf")] * len(histories)
    for turn in range(max(1, int(ROUNDS * scale))):
        say(f"replaying, round {turn + 1}")
        for number, (_, recorded, _) in enumerate(histories):
            best[number] = min(best[number], _seconds(recorded) / (len(recorded) - 1))
    for each, (services, recorded, live) in zip(best, histories, strict=True):
        figures = (services, len(recorded) - 1, live, f"{1 / each:,.0f}", f"{each * 1e6:.1f}")
        section.rows.append([str(figure) for figure in figures])
    few, many = best
    section.targets = [
        Target(f"at least {RATE:,} events a second on one core, with few live runs", 1 / few, RATE, at_least=True),
        Target("an event with many live runs, in times of one with few", many / few, GROWTH, at_least=False),
    ]
    section.remarks = [
        "CPU of the thread, the best of the rounds; made histories of merges, builds, locks, fixes (bench/history.py).",
        "Deciding alone: without reading the file, and without comparing.",
    ]
    return section


def _recorded(services: int, days: float) -> tuple[list[Recorded], int]:
    """Return a history as a recording, and the number of live runs at its end."""
    history = MadeHistory(1, [f"S{number}" for number in range(1, services + 1)])
    recorded: list[Recorded] = [BoardSnapshot(1, "0", BEGIN, (Header(history.first),))]

    def hear(event: Event, at: float) -> None:
        version = len(recorded)
        entry = DecidedEntry(f"{version}-0", at, (event,))
        recorded.append(RecordedTurn(version + 1, str(version - 1), str(version), (entry,)))

    history.hear = hear
    history.play(days, 1e9, lambda: None)
    return recorded, len(history.board.runs)


def _seconds(recorded: list[Recorded]) -> float:
    """Return the CPU seconds to decide all of it."""
    player = Player("shop")
    begin = time.thread_time()
    for _ in player.play(recorded):
        pass
    return time.thread_time() - begin
