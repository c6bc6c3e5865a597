"""The reaction: from the signed push to the trigger that arrives at Jenkins, beside a bare Celery task."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import bodies
from bench.house import House
from bench.report import SMALL, Section, Target, p50, p99, rounds
from bench.traffic import Load, Sent, send

#: Events per second and events of one round of the open loop; the number of rounds of each side.
RATE, COUNT, ROUNDS = 50, 125, 4
#: The merges of one burst; both sides take turns here, too.
BURST, BURSTS = 1_000, 2
#: The longest wait for triggers after the last answer, in seconds.
PATIENCE = 40.0
MOST_RATIO, LEAST_RATE = 2.0, 100
OURS, BARE = "/webhooks/github", "/reaction"


@dataclass
class Side:
    """One side: the address of its door, and the results of its rounds."""

    name: str
    port: int
    path: str
    #: Its processes, whose CPU is measured.
    parts: tuple[str, ...]
    #: The number of its next push.
    following: int = 0
    #: Milliseconds of each event, by round: from its sending, and from its 202.
    rounds: list[list[float]] = field(default_factory=list)
    accepted: list[list[float]] = field(default_factory=list)
    #: Triggers per second of each burst.
    rates: list[float] = field(default_factory=list)
    #: Milliseconds of CPU per event, by round, and by burst.
    cpu: list[float] = field(default_factory=list)
    burst_cpu: list[float] = field(default_factory=list)

    def load(self, count: int, rate: float | None) -> Load:
        """Return the load of the side's next `count` pushes."""
        first, self.following = self.following, self.following + count
        return Load(self.port, self.path, "push", first, count, rate)


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Measure an open loop at 50 events a second, then closed bursts."""
    with House("sink", "worker", "beat", "web", "bare-worker", "bare-web") as house:
        sides = (
            Side("Interlock", house.web, OURS, ("web", "worker", "beat")),
            Side("bare Celery task", house.bare, BARE, ("bare-web", "bare-worker")),
        )
        for side in sides:
            _react(house, side.load(2 * bodies.SERVICES, 200))  # warm-up, and every service has a commit history
        for _ in range(rounds(ROUNDS, scale)):
            for side in sides:
                say(f"the reaction of {side.name} at {RATE} events a second")
                count, before = _count(COUNT, scale), _cpu(house, side)
                _, sent, accepted = _react(house, side.load(count, RATE))
                side.rounds.append(sent)
                side.accepted.append(accepted)
                side.cpu.append((_cpu(house, side) - before) * 1000 / count)
        for _ in range(rounds(BURSTS, scale)):
            for side in sides:
                say(f"the reaction of {side.name} to a burst of merges")
                count, before = _count(BURST, scale), _cpu(house, side)
                seconds, _, _ = _react(house, side.load(count, None))
                side.rates.append(count / seconds)
                side.burst_cpu.append((_cpu(house, side) - before) * 1000 / count)
        return _section(*sides, int(house.ask_sink("/writes")))


def _cpu(house: House, side: Side) -> float:
    return sum(house.cpu(part) for part in side.parts)


def _count(count: int, scale: float) -> int:
    """Return the number of events at this scale."""
    return max(50, int(count * scale)) if scale >= SMALL else bodies.SERVICES


def _react(house: House, load: Load) -> tuple[float, list[float], list[float]]:
    """Send a load; return the seconds until its last trigger arrived, and the milliseconds of each from its sending and
    from its 202. The latter are negative if the trigger arrived before the sender read its 202.
    """
    sent = send(load)
    arrived = _arrivals(house, sent)
    begun = min(sent.sent)
    since_sent = [(arrived[sha] - at) * 1000 for sha, at in zip(sent.shas, sent.sent, strict=True)]
    since_accepted = [(arrived[sha] - at) * 1000 for sha, at in zip(sent.shas, sent.answered, strict=True)]
    return max(arrived.values()) - begun, since_sent, since_accepted


def _arrivals(house: House, sent: Sent) -> dict[str, float]:
    """Return the arrival of each commit's trigger. Raise RuntimeError if one is missing or comes twice."""
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
    columns = ["one signed push, one trigger", "p50 ms", "p99 ms", "ratio", "from 202: p50", "p99", "ratio", "CPU ms"]
    columns += ["triggers/s", "ratio", "CPU ms"]
    section = Section("reaction", "The reaction: from the signed push to the trigger that arrives at Jenkins", columns)
    slower = _ratio(ours.rounds, bare.rounds)
    since_accepted = _ratio(ours.accepted, bare.accepted)
    share = p50([mine / theirs for mine, theirs in zip(ours.rates, bare.rates, strict=True)])
    for side, ratios in ((bare, (1.0, 1.0, 1.0)), (ours, (slower, since_accepted, share))):
        times = [*_times(side.rounds), f"{ratios[0]:.2f}", *_times(side.accepted), f"{ratios[1]:.2f}"]
        burst = [f"{p50(side.rates):,.0f}", f"{ratios[2]:.2f}", f"{p50(side.burst_cpu):.1f}"]
        section.rows.append([side.name, *times, f"{p50(side.cpu):.1f}", *burst])
    section.remarks = [
        f"p50 and p99: open loop, {RATE} events/s, {len(ours.rounds)} rounds taking turns, timed from sending the push "
        f"and from its 202. Triggers/s: over {len(ours.rates)} bursts of merges of {bodies.SERVICES} services, until "
        "the last trigger arrived. Ratios: median of the rounds' ratios.",
        "Bare: a Flask view (verify, parse, task.delay) and a Celery task that carries the commit's id and does one "
        "POST over a kept connection; same gunicorn settings, same pool and number of threads, same broker.",
        "CPU: per event, of web, worker and beat together, idle time included.",
        f"Interlock also wrote {writes:,} commit statuses to GitHub meanwhile; the bare task writes none.",
    ]
    section.targets = [
        Target("reaction at 50/s, p50: ours / bare", slower, MOST_RATIO, at_least=False),
        Target("reaction from acceptance, p50: ours / bare", since_accepted, MOST_RATIO, at_least=False),
        Target("triggers per second, sustained", p50(ours.rates), LEAST_RATE, at_least=True),
    ]
    section.figures = {
        "reactions": {side.name: side.rounds for side in (ours, bare)},
        "from acceptance": {side.name: side.accepted for side in (ours, bare)},
        "rates": {side.name: side.rates for side in (ours, bare)},
    }
    return section


def _ratio(ours: list[list[float]], bare: list[list[float]]) -> float:
    """Return the median of the rounds' ratios; NaN if the bare side has no positive time to compare with: on a busy
    machine the sender reads its 202 after the trigger has arrived.
    """
    medians = [(p50(mine), p50(theirs)) for mine, theirs in zip(ours, bare, strict=True)]
    return p50([mine / theirs for mine, theirs in medians if theirs > 0] or [math.nan])


def _times(by_round: list[list[float]]) -> list[str]:
    every = [each for one in by_round for each in one]
    return [f"{p50(every):.1f}", f"{p99(every):.1f}"]
