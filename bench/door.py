"""The door: signed deliveries per second of Interlock and of a bare view, in alternating rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.house import House
from bench.report import Section, Target, p50, p99, rounds
from bench.traffic import Load, send

#: Deliveries in one round, by event; and the number of rounds of each side.
ROUND = {"push": 600, "pull_request": 400}
ROUNDS = 7
#: The same with the worker on, which works off the deliveries before the next round.
WORKER_ROUND, WORKER_ROUNDS = 500, 2
TARGET = 0.8


@dataclass
class Side:
    """One side: the address of its door, and the results of its rounds."""

    name: str
    part: str
    path: str
    #: The number of its next push.
    following: int = 0
    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    #: Seconds of CPU of the web processes.
    cpu: list[float] = field(default_factory=list)

    def play(self, house: House, event: str, count: int) -> None:
        """Play one round of `count` deliveries."""
        port = house.web if self.part == "web" else house.bare
        first, self.following = self.following, self.following + count
        before = house.cpu(self.part)
        sent = send(Load(port, self.path, event, first, count))
        self.cpu.append((house.cpu(self.part) - before) * 1000 / count)
        self.rates.append(sent.rate)
        self.latencies += sent.latencies

    def forget(self) -> None:
        """Drop the figures of the warm-up."""
        self.rates, self.latencies, self.cpu = [], [], []

    def row(self) -> list[str]:
        """Return rate, p50, p99 and CPU seconds per 1,000."""
        times = [f"{p50(self.latencies):.1f}", f"{p99(self.latencies):.1f}"]
        return [f"{p50(self.rates):,.0f}", *times, f"{p50(self.cpu):.2f}"]


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Measure both events with the worker off, and pushes with it on."""
    columns = ["16 connections, 2 processes x 64 threads", "per second", "p50 ms", "p99 ms", "CPU s per 1,000", "ratio"]
    section = Section("door", "The door: signed delivery -> kept -> 202", columns)
    with House("web", "bare-web") as house:
        for event, count in ROUND.items():
            say(f"the door: {event}")
            ratio = _alternate(section, house, event, max(32, int(count * scale)), rounds(ROUNDS, scale), working=False)
            section.targets.append(Target(f"door, {event}: ours / bare", ratio, TARGET, at_least=True))
    with House("sink", "worker", "beat", "web", "bare-web") as house:
        say("the door: push, while the worker works")
        count = max(32, int(WORKER_ROUND * scale))
        _alternate(section, house, "push", count, rounds(WORKER_ROUNDS, scale), working=True)
    section.remarks = [
        f"{ROUNDS} alternating rounds of {ROUND['push']} pushes (9 KB) or {ROUND['pull_request']} pull requests "
        "(23 KB); the generator shares the cores. Ratio: median of the rounds' ratios of deliveries per second.",
        "Bare: verify HMAC, parse JSON, one MULTI (SET NX EX, XADD); same gunicorn settings, same Redis "
        "(append-only, fsync every second). CPU: of the web processes.",
        "Worker works: it decides and triggers what comes in, on the same cores; in the bare view's rounds it is idle.",
    ]
    return section


def _alternate(section: Section, house: House, event: str, count: int, turns: int, *, working: bool) -> float:
    """Play rounds of both sides in turn; return the ratio of the rates."""
    sides = (Side("bare view", "bare-web", "/view"), Side("Interlock", "web", "/webhooks/github"))
    for number in range(turns + 1):
        for side in sides:
            if not working:
                house.redis.flushall()  # both sides' streams start empty; a worker would lose its configuration
            side.play(house, event, count if number else min(200, count))
            if number == 0:
                side.forget()  # the first round is warm-up: connections, scripts, code
            if working:
                house.work_off()
    bare, ours = sides
    ratio = p50([mine / theirs for mine, theirs in zip(ours.rates, bare.rates, strict=True)])
    words = f"{event}, worker works" if working else event
    section.rows.append([f"bare view, {event}", *bare.row(), "1.00"])
    section.rows.append([f"Interlock, {words}", *ours.row(), f"{ratio:.2f}"])
    section.figures[words] = {side.name: {"rates": side.rates, "cpu": side.cpu} for side in sides} | {"ratio": ratio}
    return ratio
