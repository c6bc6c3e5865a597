"""The reaction: from the signed push to the trigger that arrives at Jenkins, ours beside a bare Celery task."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import bodies
from bench.house import House
from bench.report import Section, Target, p50, p99
from bench.traffic import Load, Sent, send

#: Events per second and events of one round of the open loop; how often the sides take turns.
RATE, COUNT, ROUNDS = 50, 125, 4
#: Merges of one burst: both sides take turns here, too.
BURST, BURSTS = 1_000, 2
#: The longest that triggers may go on arriving after the last answer, in seconds.
PATIENCE = 40.0
MOST_RATIO, LEAST_RATE = 2.5, 100
OURS, BARE = "/webhooks/github", "/reaction"


@dataclass
class Side:
    """One side: where its door is, and what its rounds brought."""

    name: str
    port: int
    path: str
    #: Its processes, for their use of CPU.
    parts: tuple[str, ...]
    #: Number of the next push of its story.
    following: int = 0
    #: Milliseconds of each event, by round; triggers per second of each burst.
    rounds: list[list[float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    #: Milliseconds of CPU per event, by round, and by burst.
    cpu: list[float] = field(default_factory=list)
    burst_cpu: list[float] = field(default_factory=list)

    @property
    def reactions(self) -> list[float]:
        """Milliseconds of each event."""
        return [each for one in self.rounds for each in one]

    def load(self, count: int, rate: float | None) -> Load:
        """The next `count` pushes of the side's story."""
        first, self.following = self.following, self.following + count
        return Load(self.port, self.path, "push", first, count, rate)


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Open loop at 50 events a second, then closed bursts."""
    with House("sink", "worker", "beat", "web", "bare-worker", "bare-web") as house:
        sides = (
            Side("Interlock", house.web, OURS, ("web", "worker", "beat")),
            Side("bare Celery task", house.bare, BARE, ("bare-web", "bare-worker")),
        )
        for side in sides:
            _react(house, side, side.load(2 * bodies.SERVICES, 200))  # warm, and every service has a history
        for _ in range(ROUNDS):
            for side in sides:
                say(f"the reaction of {side.name} at {RATE} events a second")
                count, before = max(50, int(COUNT * scale)), _cpu(house, side)
                _, reactions = _react(house, side, side.load(count, RATE))
                side.rounds.append(reactions)
                side.cpu.append((_cpu(house, side) - before) * 1000 / count)
        for _ in range(BURSTS):
            for side in sides:
                say(f"the reaction of {side.name} to a burst of merges")
                count, before = max(200, int(BURST * scale)), _cpu(house, side)
                seconds, _ = _react(house, side, side.load(count, None))
                side.rates.append(count / seconds)
                side.burst_cpu.append((_cpu(house, side) - before) * 1000 / count)
        return _section(*sides, int(house.ask_sink("/writes")))


def _cpu(house: House, side: Side) -> float:
    return sum(house.cpu(part) for part in side.parts)


def _react(house: House, side: Side, load: Load) -> tuple[float, list[float]]:
    """Send a load; the seconds until its last trigger arrived, and the milliseconds that each took."""
    sent = send(load)
    arrived = _arrivals(house, sent)
    begun = min(sent.sent)
    reactions = [(arrived[sha] - at) * 1000 for sha, at in zip(sent.shas, sent.sent, strict=True)]
    return max(arrived.values()) - begun, reactions


def _arrivals(house: House, sent: Sent) -> dict[str, float]:
    """When the trigger of each commit arrived first. Raises RuntimeError if some never do, or if one comes twice."""
    arrived: dict[str, float] = {}
    missing, deadline = set(sent.shas), time.monotonic() + PATIENCE
    while missing:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(missing)} of {len(sent.shas)} triggers did not arrive in time")
        for sha, at, _ in house.ask_sink("/arrivals"):
            if sha in arrived:
                raise RuntimeError(f"the trigger of {sha} arrived twice")
            arrived[sha] = at
            missing.discard(sha)
        time.sleep(0.1)
    return arrived


def _section(ours: Side, bare: Side, writes: int) -> Section:
    columns = [
        "signed push -> trigger at Jenkins",
        "p50 ms",
        "p99 ms",
        "ratio",
        "CPU ms",
        "triggers/s",
        "ratio",
        "CPU ms",
    ]
    section = Section("reaction", "The reaction: one push, one trigger", columns)
    slower = p50([p50(mine) / p50(theirs) for mine, theirs in zip(ours.rounds, bare.rounds, strict=True)])
    share = p50([mine / theirs for mine, theirs in zip(ours.rates, bare.rates, strict=True)])
    for side, ratio, rate in ((bare, 1.0, 1.0), (ours, slower, share)):
        times = [f"{p50(side.reactions):.1f}", f"{p99(side.reactions):.1f}", f"{ratio:.2f}"]
        burst = [f"{p50(side.rates):,.0f}", f"{rate:.2f}", f"{p50(side.burst_cpu):.1f}"]
        section.rows.append([side.name, *times, f"{p50(side.cpu):.1f}", *burst])
    section.remarks = [
        f"p50 and p99: open loop, {RATE} events/s, {ROUNDS} rounds of {COUNT} each, taking turns. Triggers/s: over "
        f"{BURSTS} bursts of {BURST} merges of {bodies.SERVICES} services, until the last trigger arrived. "
        "Ratios: median of the rounds' ratios.",
        "Bare: a Flask view (verify, parse, task.delay) and a Celery task with one POST over a kept connection; same "
        "gunicorn settings, same pool (threads, 16), same broker. Both are timed from sending the signed push.",
        "CPU: per event, of web, worker and beat together, idle time included.",
        f"Interlock also wrote {writes:,} commit statuses to GitHub meanwhile; the bare task writes none.",
    ]
    section.targets = [
        Target("reaction at 50/s, p50: ours / bare", slower, MOST_RATIO, at_least=False),
        Target("triggers per second, sustained", p50(ours.rates), LEAST_RATE, at_least=True),
    ]
    section.figures = {
        "reactions": {side.name: side.rounds for side in (ours, bare)},
        "rates": {side.name: side.rates for side in (ours, bare)},
    }
    return section
