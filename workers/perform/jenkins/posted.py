"""The note that an attempt was posted: when, and to which job. Known after a crash and under a new configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from bot.core.effects import Trigger
from bot.core.pipeline import Job
from bot.core.run import Built
from bot.state.outbox import Claim, Doubt, Noted
from workers.context import Line
from workers.perform.outcome import Lost, NotNow

#: How long a trigger whose reply was lost may still be on its way, beyond the time-out of the request, in seconds.
STILL_COMING = 3.0
#: How long a note is kept, in milliseconds: longer than workers are ever down, and than a build runs.
NOTED_MS = 14 * 86_400_000


def note(line: Line, claim: Claim, effect: Trigger, looked: Doubt | None = None) -> Noted | Doubt:
    """Store the intent before the request goes out; by the clock of Redis, whichever machine reads it.

    Raises Lost if the trigger is no longer ours to do.
    """
    key, text = line.keys.posted(effect.run, effect.attempt), f"{effect.job.controller}\n{effect.job.name}"
    noted = line.outbox.intend(claim, key, text, NOTED_MS, looked)
    if noted is None:
        raise Lost
    return noted


def confirm(line: Line, effect: Trigger) -> None:
    """Wait until a replica has the note. Raises NotNow if none has: then nothing may go out, and it is taken back.

    Else a fail-over could forget that this attempt was posted, and it would be posted once more.
    """
    key = line.keys.posted(effect.run, effect.attempt)
    if not line.outbox.confirm(key, NOTED_MS):
        line.redis.delete(key)
        raise NotNow("no replica of the store confirms that the build is about to be started", certain=True)


def since(line: Line, run: str, attempt: int) -> float | None:
    """Seconds since the attempt was posted; None if it was not, or longer ago than anybody remembers."""
    left = int(line.redis.pttl(line.keys.posted(run, attempt)))
    return (NOTED_MS - left) / 1000 if left >= 0 else None


def jobs(line: Line, runs: Sequence[Built]) -> list[Job | None]:
    """To which job the present attempt of each run was posted; None for those that were not."""
    if not runs:
        return []
    rows = cast("list[bytes | None]", line.redis.mget([line.keys.posted(run.key, run.attempt) for run in runs]))
    return [_job(row) for row in rows]


def job(line: Line, run: str, attempt: int) -> Job | None:
    """To which job an attempt was posted; None if it was not."""
    return _job(cast("bytes | None", line.redis.get(line.keys.posted(run, attempt))))


def _job(row: bytes | None) -> Job | None:
    controller, separator, name = (row or b"").decode().partition("\n")
    return Job(controller, name) if separator else None
