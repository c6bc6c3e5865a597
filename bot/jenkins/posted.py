"""The note that an attempt was posted: when, to which job, in which session of Jenkins, and whether that is over.

Known after a crash and under a new configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from bot.core.model.effects import Trigger
from bot.core.model.pipeline import Job
from bot.core.model.run import Buildable
from bot.effect_outcomes import ClaimLost, PermanentFailure, RetryLater
from bot.jenkins import declared
from bot.jenkins.reach import client_for
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim, Noted, UnacknowledgedWrites

#: How long a note is kept, in milliseconds: longer than workers are ever down, and than a build runs.
NOTED_MS = 14 * 86_400_000


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a post. `session`: of Jenkins, as it was known before; empty: unknown.

    `closed`: the request was answered, or its connection was closed by the other side.
    """

    job: Job
    session: str = ""
    closed: bool = False

    def outlived_by(self, session: str) -> bool:
        """Whether Jenkins has restarted since: a session of another name answers now."""
        return bool(self.session and session) and self.session != session


def note(
    context: PipelineContext,
    claim: Claim,
    effect: Trigger,
    session: str = "",
    looked: UnacknowledgedWrites | None = None,
) -> Noted | UnacknowledgedWrites:
    """Store the intent before the request goes out; by the clock of Redis, whichever machine reads it.

    `session`: that of Jenkins, as far as it is known. Raises Lost if the trigger is no longer ours to do.
    """
    key = context.keys.posted(effect.run, effect.attempt)
    noted = context.outbox.intend(claim, key, _text(Note(effect.job, session)), NOTED_MS, looked)
    if noted is None:
        raise ClaimLost
    return noted


def notes(runtime: Runtime, context: PipelineContext) -> dict[Job, str]:
    """What a claim may note at once of a trigger, by job: of those that need not be asked what they declare."""
    found: dict[Job, str] = {}
    for controller, jobs in context.jobs.items():
        where = runtime.configuration.controllers.get(controller)
        good = declared.known_good(where.url, jobs) if where is not None else []
        try:
            session = client_for(runtime, good[0]).session if good else ""
        except PermanentFailure:  # without a client nothing is noted at once; the trigger is refused with the reason
            continue
        found |= {job: _text(Note(job, session)) for job in good}
    return found


def confirm(context: PipelineContext, effect: Trigger) -> None:
    """Wait until a replica has the note. Raises NotNow if none has: then nothing may go out, and it is taken back.

    Else a fail-over could forget that this attempt was posted, and it would be posted once more.
    """
    key = context.keys.posted(effect.run, effect.attempt)
    if not context.outbox.confirm(key, NOTED_MS):
        context.redis.delete(key)
        raise RetryLater("no replica of the store confirms that the build is about to be started", certain=True)


def close(context: PipelineContext, run: str, attempt: int) -> None:
    """The request is over, whatever came of it. What is not noted here (a worker died) counts as under way."""
    found = read(context, run, attempt)
    if found is not None:
        context.redis.set(context.keys.posted(run, attempt), _text(replace(found, closed=True)), keepttl=True, xx=True)


def read(context: PipelineContext, run: str, attempt: int) -> Note | None:
    """What is known of the post of an attempt; None if it was not posted."""
    return _note(cast("bytes | None", context.redis.get(context.keys.posted(run, attempt))))


def since(context: PipelineContext, run: str, attempt: int) -> float | None:
    """Seconds since the attempt was posted; None if it was not, or longer ago than anybody remembers."""
    left = int(context.redis.pttl(context.keys.posted(run, attempt)))
    return (NOTED_MS - left) / 1000 if left >= 0 else None


def jobs(context: PipelineContext, runs: Sequence[Buildable]) -> list[Job | None]:
    """To which job the present attempt of each run was posted; None for those that were not."""
    if not runs:
        return []
    rows = cast("list[bytes | None]", context.redis.mget([context.keys.posted(run.key, run.attempt) for run in runs]))
    notes = (_note(row) for row in rows)
    return [found.job if found is not None else None for found in notes]


def job(context: PipelineContext, run: str, attempt: int) -> Job | None:
    """To which job an attempt was posted; None if it was not."""
    found = read(context, run, attempt)
    return found.job if found is not None else None


def _text(note: Note) -> str:
    return "\n".join((note.job.controller, note.job.name, note.session, "closed" if note.closed else ""))


def _note(row: bytes | None) -> Note | None:
    """Notes of an older version end after the job."""
    controller, name, session, state, *_ = [*(row or b"").decode().split("\n"), "", "", "", ""]
    return Note(Job(controller, name), session, state == "closed") if name else None
