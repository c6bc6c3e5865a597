"""A callback before it is sent, and the faults of callbacks, the same for all plugins."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

KINDS = ("drop", "duplicate", "delay", "timeout")


@dataclass(frozen=True, slots=True)
class Callback:
    """A POST to send: its build or queue item, its phase (or type of event), its address and body.

    `retries` as the notification plugin counts them.
    """

    job: str
    number: int | None
    phase: str
    url: str
    body: bytes
    headers: dict[str, str]
    timeout: float
    retries: int = 0


@dataclass
class CallbackFault:
    """A rule for callbacks: `drop` sends nothing, `duplicate` sends twice, `delay` sends `seconds` later (others
    overtake it), `timeout` sends nothing and counts as failed after the endpoint's timeout."""

    kind: str
    job: str = ".*"
    phase: str = ".*"
    rate: float = 1.0
    count: int | None = None
    seconds: float = 0.0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a callback fault's kind is one of {', '.join(KINDS)}, not {self.kind!r}")

    def strikes(self, callback: Callback, chance: random.Random) -> bool:
        """Return whether the rule applies to this callback, and count it if so."""
        if self.count is not None and self.struck >= self.count:
            return False
        if not re.fullmatch(self.job, callback.job) or not re.fullmatch(self.phase, callback.phase):
            return False
        if chance.random() >= self.rate:
            return False
        self.struck += 1
        return True
