"""The trouble while the storm lasts: lost replies, 503s, callbacks lost, repeated and late, and two restarts; a worker
that hangs, and a store that is full."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from redis import Redis

from launch import Stack
from standins.jenkins import JenkinsStandIn
from tests.storm.world import ROLLS_OUT

#: Shares of all replies and of all callbacks.
DROPPED, UNAVAILABLE = 0.20, 0.10
LOST, REPEATED, LATE = 0.20, 0.20, 0.10
#: Of the triggers of stages that roll out, so many hang in Jenkins and arrive after so many seconds: longer than the
#: time-out (1 s), what is allowed for its way (3 s) and `late_triggers` (4 s of answered looks, about half of which are
#: lost here) together, so that they were given up.
HANGING, HANGS = 0.03, 25.0
#: By how many seconds late callbacks are late.
LATENESS = (1.0, 2.0, 4.0)
#: How long the worker hangs: longer than its lease (8 s), so that it wakes up late in the middle of what it did. And
#: how long the store takes nothing; in seconds.
HUNG, FULL = 10.0, 4.0
#: How long Jenkins is down at a restart, in seconds.
DOWN = 1.5
#: How many builds the crash meets in the middle, and how long they take, as do the second ones that it leads to: long
#: enough for these to be noticed and stopped.
LONG, LONG_SECONDS = 3, 6.0


def break_out(jenkins: JenkinsStandIn, seed: int) -> None:
    """From now on so many replies and callbacks go wrong."""
    control = jenkins.control
    control.seed(seed)
    control.fault("status", rate=UNAVAILABLE, status=503)
    control.fault("drop_reply", rate=DROPPED / (1 - UNAVAILABLE))  # of those that are not 503
    path = "|".join(f"/{stage}/" for stage in ROLLS_OUT)
    control.fault("delay", route="POST job/buildWithParameters", path=path, rate=HANGING, seconds=HANGS)
    left = 1.0
    for kind, share, seconds in (
        ("drop", LOST, 0.0),
        ("duplicate", REPEATED, 0.0),
        *(("delay", LATE / len(LATENESS), late) for late in LATENESS),
    ):
        control.callback_fault(kind, rate=share / left, seconds=seconds)  # each rule sees what the others left
        left -= share


def restart(jenkins: JenkinsStandIn) -> None:
    """An orderly restart: what waits is kept, Pipelines go on."""
    jenkins.control.restart("clean", seconds=DOWN)


def gather(jenkins: JenkinsStandIn) -> None:
    """Before the crash: the next builds of acceptance take long, so that it meets them in the middle."""
    jenkins.control.rule("shop/acceptance", duration=LONG_SECONDS, count=LONG)


def crash(jenkins: JenkinsStandIn) -> list[int] | None:
    """A crash that loses the queue and builds again what had just started; None if the moment is not bad enough.

    That is: an acceptance item waits and is lost, a long acceptance build runs and is built a second time beside it,
    and nothing of pre-production waits (it would only cost time). Returns the ids of the items that were lost.
    """
    control, now = jenkins.control, jenkins.controller.clock.now()
    with jenkins.controller.lock:
        queued = control.queue()
        running = control.builds("shop/acceptance", running=True)
        long = any(now - build["started"] > LONG_SECONDS / 4 for build in running)
        waits = {item["job"] for item in queued}
        if not long or "shop/acceptance" not in waits or "shop/pre-production" in waits:
            return None
        control.rule("shop/acceptance", duration=LONG_SECONDS, count=len(running))
        control.restart("crash", seconds=DOWN, refuse=True, lose_queue=True, rebuild_started=True)
        return [item["id"] for item in queued]


def hang(stack: Stack) -> Callable[[], None]:
    """The worker stops in the middle of whatever it does; returns what lets it go on."""
    pid = stack.supervisor.pid("worker")
    assert pid is not None, "the worker is not there"
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def fill(redis: Redis) -> Callable[[], None]:
    """The store has no memory left: it refuses what would take more; returns what gives it room again."""

    def make_room() -> None:
        redis.config_set("maxmemory", "0")

    redis.config_set("maxmemory", "1")
    return make_room
