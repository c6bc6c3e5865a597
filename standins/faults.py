"""Deliberate faults, chosen by rules and a seeded random generator: errors, lost requests, lost replies, delays."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from standins.clock import Clock
from standins.wire.message import Reply, Request

#: Seconds between two checks of a delay whether the clock was moved forward.
_LOOKS = 0.02
KINDS = ("status", "drop_request", "drop_reply", "delay", "delay_after", "status_after", "repeat")


@dataclass
class Fault:
    """One rule: the requests whose route (as the counters name it) matches `route` fail at `rate`, `count` times.

    `path`: a regular expression that the path must match too, to choose one job among many.

    Kinds: `status` answers `status` without doing the work; `status_after` does the work first;
    `drop_request` closes the connection before the work, `drop_reply` after it; `delay` waits `seconds` first,
    `delay_after` between the work and its answer; `repeat` acts like a proxy that sends the request again: the work is
    done twice, and the client gets the second reply.
    """

    kind: str
    route: str = ".*"
    rate: float = 1.0
    count: int | None = None
    status: int = 503
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    path: str = ""
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a fault's kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        re.compile(self.route)
        re.compile(self.path)


class Faults:
    """The rules in force. Thread-safe."""

    def __init__(self, seed: int = 0, clock: Clock | None = None) -> None:
        """Take the clock that measures delays; None: real time."""
        self._clock = clock or Clock()
        self._rules: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311  the same seed must give the same faults
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._rules.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def seed(self, seed: int) -> None:
        with self._lock:
            self._random.seed(seed)

    def start(self) -> None:
        self._ended.clear()

    def end_delays(self) -> None:
        """End the delays that are waiting: the stand-in stops."""
        self._ended.set()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def apply(self, request: Request, work: Callable[[], Reply]) -> Reply:
        """Do the work with the faults that the rules choose. `request.route` must be set."""
        if not self._rules:
            return work()
        struck = self._strike(request)
        self._delay(struck, "delay")
        for fault in struck:
            if fault.kind == "drop_request":
                return Reply(dropped=True)
            if fault.kind == "status":
                return _error(fault)
        if any(fault.kind == "repeat" for fault in struck):
            work()
        reply = work()
        self._delay(struck, "delay_after")
        return self._reply(struck, reply)

    @staticmethod
    def _reply(struck: list[Fault], reply: Reply) -> Reply:
        """Return the reply that the client gets once the work is done."""
        for fault in struck:
            if fault.kind == "drop_reply":
                return Reply(dropped=True)
            if fault.kind == "status_after":
                return _error(fault)
        return reply

    def _delay(self, struck: list[Fault], kind: str) -> None:
        for fault in struck:
            if fault.kind == kind:
                due = self._clock.now() + fault.seconds
                while (left := due - self._clock.now()) > 0 and not self._ended.wait(min(left, _LOOKS)):
                    pass

    def _strike(self, request: Request) -> list[Fault]:
        with self._lock:
            struck = []
            for rule in self._rules:
                spent = rule.count is not None and rule.struck >= rule.count
                fits = re.search(rule.route, request.route) and re.search(rule.path, request.target)
                if not spent and fits and self._random.random() < rule.rate:
                    rule.struck += 1
                    struck.append(rule)
            return struck


def _error(fault: Fault) -> Reply:
    return Reply(fault.status, fault.body.encode(), list(fault.headers.items()))
