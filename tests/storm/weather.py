"""The trouble while the storm lasts: lost replies, 503s, callbacks lost, repeated and late, and two restarts; a worker
that hangs, and a store that is full."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from redis import Redis

from chaos.world import ROLLS_OUT
from launch import Stack
from standins.jenkins import JenkinsStandIn

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
ACCEPTANCE = "shop/acceptance"


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


class Crash:
    """A crash that loses the queue and builds again what had just started, at a moment that is bad enough.

    That is: an acceptance item waits and is lost, long acceptance builds run and are built a second time beside
    themselves, and nothing of pre-production waits (it would only cost time). The moment is made: the next builds of
    acceptance take long, and once they are in the middle all others wait behind them.
    """

    def __init__(self, jenkins: JenkinsStandIn) -> None:
        self._jenkins = jenkins
        #: How many builds acceptance had when the long ones were asked for.
        self._before: int | None = None

    def strike(self) -> list[int] | None:
        """Crash if the moment has come: the ids of the items that were lost; else None: try again soon."""
        control, now = self._jenkins.control, self._jenkins.controller.clock.now()
        with self._jenkins.controller.lock:
            running = control.builds(ACCEPTANCE, running=True)
            begun = len(control.builds(ACCEPTANCE))
            if self._before is None or (not running and begun >= self._before + LONG):
                self._before = begun
                control.change_job(ACCEPTANCE, {"concurrent": True})
                control.rule(ACCEPTANCE, duration=LONG_SECONDS, count=LONG)
            if not any(now - build["started"] > LONG_SECONDS / 4 for build in running):
                return None
            control.change_job(ACCEPTANCE, {"concurrent": False})
            queued = control.queue()
            waits = {item["job"] for item in queued}
            if ACCEPTANCE not in waits or "shop/pre-production" in waits:
                return None
            control.rule(ACCEPTANCE, duration=LONG_SECONDS, count=len(running))
            control.restart("crash", seconds=DOWN, refuse=True, lose_queue=True, rebuild_started=True)
            control.change_job(ACCEPTANCE, {"concurrent": True})
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
