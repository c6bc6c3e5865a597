"""Alerts: messages about a change of the health. A cause is reported once, whether it lasts or comes and goes.

The processes agree on what was reported: in the store, or in a file while the store takes nothing.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from bot.health.judgement import Health, HealthStatus
from bot.store.scripts import Scripts

#: How many messages go out within an hour; as many more where something goes down. The rest waits.
MOST_AN_HOUR = 6
HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class AlertedCauses:
    """What people know: the causes reported and not yet reported as over, and when the last messages went out."""

    causes: frozenset[str] = frozenset()
    at: tuple[float, ...] = ()


@dataclass(slots=True)
class AlertFilter:
    """What one process has seen of the health, and for how long; all times in seconds, of any one clock.

    A cause counts as there when it was seen for `tell_after` without a break, and as gone when it was not seen for
    `calm`. So one that comes and goes is reported once, and as over when it has stayed away.
    """

    tell_after: float
    calm: float
    _there: dict[str, float] = field(default_factory=dict)
    _gone: dict[str, float] = field(default_factory=dict)

    def see(self, health: Health, now: float) -> None:
        """This is how it is now."""
        self._there = {name: self._there.get(name, now) for name in names(health)}
        self._gone = {name: since for name, since in self._gone.items() if name not in self._there}

    def change(self, alerted: AlertedCauses, now: float) -> AlertedCauses | None:
        """What counts as reported after a message that is to be sent now; None if there is none to send, or not yet."""
        come = {name for name, since in self._there.items() if now - since >= self.tell_after} - alerted.causes
        away = {name: self._gone.setdefault(name, now) for name in alerted.causes - self._there.keys()}
        over = {name for name, since in away.items() if now - since >= self.calm}
        if not come and not over:
            return None
        lately = tuple(at for at in alerted.at if now - at < HOUR)
        most = MOST_AN_HOUR * (2 if any(name.endswith("!") for name in come) else 1)
        if len(lately) >= most:
            return None
        return replace(alerted, causes=frozenset((alerted.causes | come) - over), at=(*lately, now))


def names(health: Health) -> list[str]:
    """The causes by name, each twice if it is `down`: with a `!`, so that its getting worse is a change, too."""
    found: list[str] = []
    for each in health.findings:
        name = f"{each.cause} {each.pipeline}".strip()
        found += [name, f"{name}!"] if each.status is HealthStatus.DOWN else [name]
    return found


Step = Callable[[AlertedCauses], AlertedCauses | None]


class AlertRecord:
    """What was reported. The one process that could store a change of it sends the message.

    While the store takes nothing, the processes of one machine agree by a file in the data folder; if that cannot be
    written either, each process sends its own messages.
    """

    def __init__(self, redis: Redis, file: Path, prefix: str = "interlock") -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self._key = f"{prefix}:{{health}}:alerts"
        #: What the key was called by versions of schema 3: what they reported counts as reported.
        self._former_key = f"{prefix}:{{health}}:told"
        self._file = file
        #: What this process last knew to be reported, and what it has reported without the others.
        self._own = AlertedCauses()
        self._alone: AlertedCauses | None = None

    def take(self, step: Step) -> AlertedCauses | None:
        """Store what `step` makes of what was reported, and return it; None if it is nothing new, or another process
        was first."""
        try:
            return self._in_store(step)
        except RedisError:  # it is what the message will be about
            return self._in_file(step)

    def _in_store(self, step: Step) -> AlertedCauses | None:
        text = cast("bytes | None", self._redis.get(self._key)) or b""
        former = b"" if text else cast("bytes | None", self._redis.get(self._former_key)) or b""
        meanwhile = self._read_file()
        self._own = meanwhile or _load(text or former)
        following = step(self._own)
        stored = following or meanwhile  # the store works again: it takes over what the file knew
        if stored is None or not self._scripts.run("alert", [self._key], [text, _dump(stored)]):
            return None
        if self._alone is None:
            self._file.unlink(missing_ok=True)
        self._own, self._alone = stored, None
        return following

    def _in_file(self, step: Step) -> AlertedCauses | None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another one is at it, or stopped while at it
                stream.seek(0)
                text = stream.read()
                following = step(_load(text.encode()) if text else self._own)
                if following is not None:
                    stream.truncate(0)
                    stream.write(_dump(following))
                    self._own = following
                return following
        except BlockingIOError:
            return None
        except OSError:  # no such folder here, or no right to write there
            following = step(self._own)
            if following is not None:
                self._own = self._alone = following
            return following

    def _read_file(self) -> AlertedCauses | None:
        if self._alone is not None:
            return self._alone
        try:
            text = self._file.read_bytes()
        except OSError:
            return None
        return _load(text) if text else None


def _load(text: bytes) -> AlertedCauses:
    if not text:
        return AlertedCauses()
    found = json.loads(text)
    return AlertedCauses(frozenset(found["causes"]), tuple(found["at"]))


def _dump(alerted: AlertedCauses) -> str:
    return json.dumps({"causes": sorted(alerted.causes), "at": alerted.at})
