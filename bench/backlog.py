"""The backlog: the time to the first and to the last trigger when a worker starts on many waiting merges."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from bench import bodies
from bench.house import PIPELINE, House
from bench.report import SMALL, Section, Target, p50, rounds
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.web.shared import WakeUpSender

#: The number of waiting merges, and of rounds.
WAITING, ROUNDS = 1_500, 3
#: The longest wait for the last trigger, in seconds.
PATIENCE = 60.0
MOST_SECONDS = 0.1


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Store merges without waking a worker, then wake one and measure the triggers."""
    count = max(50, int(WAITING * scale)) if scale >= SMALL else 100
    firsts, lasts, following = [], [], 0
    # No beat: its clock tick would make the worker begin before all merges are stored.
    with House("sink", "worker") as house:
        wake_up = WakeUpSender(house.env["INTERLOCK_REDIS_URL"])
        for number in range(rounds(ROUNDS, scale) + 1):
            say(f"the backlog: {count} merges wait")
            house.work_off()  # left-over work of the last round would wake the worker before all merges are stored
            _fill(house, following, count)
            began = time.monotonic()
            wake_up(PIPELINE)
            arrived = arrivals(house, count)
            following += count
            if min(arrived) < began:
                raise RuntimeError("the worker began before it was told: what was measured is no backlog")
            if number:  # the first round is warm-up
                firsts.append(min(arrived) - began)
                lasts.append(max(arrived) - began)
    section = Section("backlog", "The backlog: merges that waited for a worker", [f"{count:,} merges wait", "seconds"])
    section.rows = [
        ["until the first trigger arrives at Jenkins", f"{p50(firsts):.3f}"],
        ["until the last trigger arrives", f"{p50(lasts):.2f}"],
    ]
    section.remarks = [f"From the message that tells the worker; median of {len(firsts)} rounds."]
    section.targets = [Target("seconds until the first trigger", p50(firsts), MOST_SECONDS, at_least=False)]
    section.figures = {"first": firsts, "last": lasts}
    return section


def _fill(house: House, first: int, count: int) -> None:
    """Store `count` pushes as the door does, without a wake-up."""
    inbox = Inbox(house.redis, Keys(PIPELINE))
    for index in range(first, first + count):
        repository, before, after = bodies.push(index)
        inbox.accept("github", "push", uuid.uuid4().hex, bodies.body("push", repository, before, after))


def arrivals(house: House, count: int) -> list[float]:
    """Return the arrival times of the triggers (seconds, monotonic). Raise RuntimeError if some are too late."""
    arrived: list[float] = []
    deadline = time.monotonic() + PATIENCE
    while len(arrived) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{count - len(arrived)} of {count} triggers did not arrive in time")
        arrived += [at for _, at, _ in house.ask_sink("/arrivals")]
        time.sleep(0.05)
    return arrived
