"""The note that an attempt was posted: when, and to which job. Known after a crash and under a new configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from bot.core.pipeline import Job
from bot.core.run import Built
from workers.context import Line

#: How long a trigger whose reply was lost may still be on its way, beyond the time-out of the request, in seconds.
STILL_COMING = 3.0
#: How long a note is kept, in milliseconds: longer than workers are ever down, and than a build runs.
NOTED_MS = 14 * 86_400_000


def note(line: Line, run: str, attempt: int, job: Job) -> None:
    """Store the intent before the request goes out; by the clock of Redis, whichever machine reads it."""
    line.redis.set(line.keys.posted(run, attempt), f"{job.controller}\n{job.name}", px=NOTED_MS)


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
