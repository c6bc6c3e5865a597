"""When a change of the health is worth a message: what comes and goes is told once, what lasts is told once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bot.health.judgement import Health, Status

#: How many messages go out within an hour; as many more where something goes down. The rest waits.
MOST_AN_HOUR = 6
HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Told:
    """What people know: the causes that were told and not yet told to be over, and when the last messages went out."""

    causes: frozenset[str] = frozenset()
    at: tuple[float, ...] = ()


@dataclass(slots=True)
class Steady:
    """What one process has seen of the health, and for how long; all times in seconds, of any one clock.

    A cause counts as there when it was seen for `tell_after` without a break, and as gone when it was not seen for
    `calm`. So that a thing that comes and goes is told to have come, and to be over when it has stayed away.
    """

    tell_after: float
    calm: float
    _there: dict[str, float] = field(default_factory=dict)
    _gone: dict[str, float] = field(default_factory=dict)

    def see(self, health: Health, now: float) -> None:
        """This is how it is now."""
        self._there = {name: self._there.get(name, now) for name in names(health)}
        self._gone = {name: since for name, since in self._gone.items() if name not in self._there}

    def change(self, told: Told, now: float) -> Told | None:
        """What must count as told now, after a message; None if there is nothing to tell, or not yet."""
        come = {name for name, since in self._there.items() if now - since >= self.tell_after} - told.causes
        away = {name: self._gone.setdefault(name, now) for name in told.causes - self._there.keys()}
        over = {name for name, since in away.items() if now - since >= self.calm}
        if not come and not over:
            return None
        lately = tuple(at for at in told.at if now - at < HOUR)
        most = MOST_AN_HOUR * (2 if any(name.endswith("!") for name in come) else 1)
        if len(lately) >= most:
            return None
        return replace(told, causes=frozenset((told.causes | come) - over), at=(*lately, now))


def names(health: Health) -> list[str]:
    """The causes by name, each twice if it is `down`: with a `!`, so that its getting worse is a change, too."""
    found: list[str] = []
    for each in health.findings:
        name = f"{each.cause} {each.pipeline}".strip()
        found += [name, f"{name}!"] if each.status is Status.DOWN else [name]
    return found
