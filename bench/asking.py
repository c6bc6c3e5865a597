"""Counts requests to Jenkins per finished build, with callbacks and without, by the number of builds at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from bench import bodies
from bench.house import PIPELINE, House
from bench.report import SMALL, Section, Target, rounds
from bench.traffic import Load, send
from bot.store.keys import Keys
from standins.jenkins.control import JenkinsControl

JOB = "stage"
PARAMETERS = [
    f"INTERLOCK_{name}" for name in ["RUN", "ATTEMPT", "STAGE", "LANE", "SERVICE", "REPOSITORY", "SHA", "VERSION"]
]
#: The number of builds at once -> the number of such waves.
WAVES = {1: 8, 10: 5, 50: 4}
#: The same for a trial run without measurement, and the seconds of its builds.
FEW_WAVES = {1: 1, 2: 1}
QUICK_SECONDS = 1.0
#: The duration of a build, and the interval of the polls of Jenkins, in seconds.
BUILD_SECONDS, POLL_SECONDS = 2.0, 1.0
#: The seconds in which the pipeline is idle.
IDLE_SECONDS = 15.0
PATIENCE = 60.0
#: The most triggers and looks per finished build with callbacks: the trigger, and a look for each callback that may
#: report something new (started, completed, finalised).
MOST_REQUESTS = 4.0
#: The highest growth of polls per second from one build at once to fifty.
MOST_GROWTH = 1.3

TRIGGER, LOOK, POLL, QUEUE, ITEM, CRUMB = "trigger", "look", "poll", "queue", "item", "crumb"
ROUTES = {
    "POST job/buildWithParameters": TRIGGER,
    "GET job/N/api/json": LOOK,
    "GET job/api/json": POLL,
    "GET queue/api/json": QUEUE,
    "GET queue/item/N/api/json": ITEM,
    "GET crumbIssuer/api/json": CRUMB,
}


class Shop(House):
    """A house with one stage, whose job belongs to a Jenkins stand-in in its own process."""

    def __init__(self, capacity: int) -> None:
        super().__init__("sink", "jenkins", "worker", "beat", "web")
        self._capacity = capacity
        #: The number of the next push.
        self._following = 0

    @property
    def control(self) -> JenkinsControl:
        """Return the control client of the stand-in."""
        return JenkinsControl(f"http://127.0.0.1:{self.jenkins}")

    def configuration(self) -> dict[str, Any]:
        """Return the configuration: one stage with room for the largest wave, polled also for unmanaged builds."""
        content = super().configuration()
        content["controllers"]["ci"]["url"] = f"http://127.0.0.1:{self.jenkins}"
        content["pipelines"][0]["stages"] = [{"name": "stage", "job": f"ci: {JOB}", "capacity": self._capacity}]
        content["polling"]["builds"] = f"{POLL_SECONDS:g}s"
        return content

    def make_job(self, seconds: float) -> None:
        """Create the job on a controller that has users; `seconds`: the duration of its builds."""
        self.control.set({"users": {"bench": {"tokens": ["token"]}}})
        self.control.create_job(JOB, parameters=PARAMETERS, quiet_period=0, duration_seconds=seconds)

    def call_back(self, *, wanted: bool) -> None:
        """Switch the callbacks of builds on or off."""
        url = f"http://127.0.0.1:{self.web}/webhooks/jenkins/ci/{quote(bodies.SECRET)}"
        hooks = [{"url": url, "events": "all", "timeout": 5}]
        self.control.change_job(JOB, {"callbacks": hooks if wanted else []})

    def wave(self, count: int) -> None:
        """Merge `count` commits at once and wait until all are delivered. Raise RuntimeError if it takes too long."""
        keys, deadline = Keys(PIPELINE), time.monotonic() + PATIENCE
        send(Load(self.web, "/webhooks/github", "push", self._following, count))
        self._following += count
        while (gone := self.redis.zcard(keys.ended_order)) < self._following:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{gone} of {self._following} runs have ended, after {PATIENCE:g} seconds")
            time.sleep(0.02)


@dataclass(frozen=True)
class Asked:
    """The requests to Jenkins during a number of builds."""

    at_once: int
    callbacks: bool
    builds: int
    seconds: float
    requests: dict[str, int]

    def per_build(self, *kinds: str) -> float:
        """Return the requests of these kinds (none named: all kinds) per finished build."""
        return sum(n for kind, n in self.requests.items() if not kinds or kind in kinds) / self.builds

    @property
    def polls(self) -> float:
        """Return the polls of the job's builds per second."""
        return self.requests.get(POLL, 0) / self.seconds


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Measure with callbacks and without, for few and for many builds at once; then idle."""
    found = []
    idle_seconds = IDLE_SECONDS if scale >= SMALL else 2 * POLL_SECONDS
    waves_of = WAVES if scale >= SMALL else FEW_WAVES
    with Shop(max(waves_of)) as shop:
        shop.make_job(BUILD_SECONDS if scale >= SMALL else QUICK_SECONDS)
        say("requests to Jenkins: warming up")
        for _ in range(rounds(2, scale)):
            shop.wave(max(waves_of))  # every thread has its connections now
        for callbacks in (True, False):
            shop.call_back(wanted=callbacks)
            for at_once, waves in waves_of.items():
                say(f"requests to Jenkins: {at_once} at once, {'with' if callbacks else 'without'} callbacks")
                found.append(_count(shop, at_once, rounds(max(2, int(waves * scale)), scale), callbacks=callbacks))
        say("requests to Jenkins: an idle pipeline")
        idle = _idle(shop.control, idle_seconds)
    return _section(found, idle)


def _count(shop: Shop, at_once: int, waves: int, *, callbacks: bool) -> Asked:
    """Play `waves` waves and count the requests to Jenkins meanwhile."""
    shop.control.wait_idle()
    before = len(shop.control.builds(JOB))
    shop.control.reset_counters()
    began = time.monotonic()
    for _ in range(waves):
        shop.wave(at_once)
    shop.control.wait_idle()
    time.sleep(POLL_SECONDS / 2)  # wait for the results of the last callbacks
    requests, seconds = shop.control.requests(), time.monotonic() - began
    builds = shop.control.builds(JOB)[before:]
    if len(builds) != waves * at_once or (most := _most_at_once(builds)) != at_once:
        raise RuntimeError(f"{len(builds)} builds, at most {most} at once; expected {waves} times {at_once}")
    return Asked(at_once, callbacks, len(builds), seconds, _by_kind(requests))


def _idle(control: JenkinsControl, seconds: float) -> float:
    """Return the requests per poll interval while the pipeline is idle."""
    control.reset_counters()
    time.sleep(seconds)
    return sum(control.requests().values()) / (seconds / POLL_SECONDS)


def _most_at_once(builds: list[dict[str, Any]]) -> int:
    steps = [(row["started"], 1) for row in builds] + [(row["ended"], -1) for row in builds]
    most = inside = 0
    for _, change in sorted(steps):
        inside += change
        most = max(most, inside)
    return most


def _by_kind(requests: dict[str, int]) -> dict[str, int]:
    unknown = set(requests) - set(ROUTES)
    if unknown:
        raise RuntimeError(f"Jenkins was asked what the table does not show: {', '.join(sorted(unknown))}")
    return {kind: requests.get(route, 0) for route, kind in ROUTES.items()}


def _section(found: list[Asked], idle: float) -> Section:
    kinds = list(ROUTES.values())
    columns = ["callbacks, at once", "builds", "requests", *kinds, "polls/s"]
    section = Section("requests", "Requests to Jenkins per finished build", columns)
    for one in found:
        numbers = [f"{one.per_build():.2f}", *(f"{one.per_build(kind):.2f}" for kind in kinds), f"{one.polls:.2f}"]
        name = f"{'with' if one.callbacks else 'without'}, {one.at_once}"
        section.rows.append([name, str(one.builds), *numbers])
    section.remarks = [
        f"Builds of {BUILD_SECONDS:g} s in one job with a capacity. Jenkins is polled every {POLL_SECONDS:g} s,"
        " 30 times as often as by default.",
        "Poll: the newest builds of the job, in one request. Queue, item: for builds that have not been seen yet.",
        f"Idle: {idle:.2f} requests per poll and job with a capacity; at the default of 30 s, {2 * idle:.1f} a minute.",
    ]
    without = [one for one in found if not one.callbacks]
    few, many = without[0], without[-1]
    most = max(one.per_build(TRIGGER, LOOK) for one in found if one.callbacks)
    triggers = max(one.per_build(TRIGGER) for one in found)
    section.targets = [
        Target("triggers and looks per build with callbacks, at most", most, MOST_REQUESTS, at_least=False),
        Target(f"polls/s without callbacks, {many.at_once} at once / 1", many.polls / few.polls, MOST_GROWTH, False),
        Target("triggers per build, at most", triggers, 1.0, at_least=False),
    ]
    section.figures = {f"{one.at_once}, {'with' if one.callbacks else 'without'}": asdict(one) for one in found}
    section.figures["idle requests per poll"] = idle
    return section
