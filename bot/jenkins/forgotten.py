"""After a fail-over: builds of a commit that the store has forgotten, so that no second one is started beside one.

What was lost may have been decided again with other names: the same merge, found by asking GitHub, may be another run
or have another version, and a run's name may be another commit's now. So service, commit and stage tell what was built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bot.core.model.effects import Trigger
from bot.core.model.pipeline import Outcome
from bot.effect_outcomes import Done, RetryLater
from bot.jenkins import attempt
from bot.jenkins.client import JenkinsClient
from bot.runtime import PipelineContext
from bot.store.records import Records

#: How long until a build that is waited for is looked at again, in seconds.
AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is looked for: any attempt at this commit in this stage that the store does not know."""

    service: str
    sha: str
    stage: str
    is_known: Callable[[str, int, str], bool]

    def is_that_of(self, thing: dict[str, Any]) -> bool:
        """Whether a build or queue item is such an attempt."""
        found = attempt.parameters(thing)
        same = (found.get("INTERLOCK_SERVICE"), found.get(attempt.SHA)) == (self.service, self.sha)
        if not same or found.get("INTERLOCK_STAGE", self.stage) != self.stage:
            return False
        number = found.get(attempt.ATTEMPT, "")
        run, version = found.get(attempt.RUN, ""), found.get(attempt.VERSION, "")
        return not self.is_known(run, int(number) if number.isdecimal() else 0, version)


def build_of(jenkins: JenkinsClient, context: PipelineContext, effect: Trigger) -> Done | None:
    """What a build that the store has forgotten means for this trigger; None: there is none that matters.

    One that waits or runs is waited for (NotNow): it ends under its own name. One that has passed is taken for this
    attempt's. One that ended otherwise left nothing to wait for: the commit is built again. Verifications change
    nothing outside, and are simply built again.
    """
    if effect.pull is not None:
        return None
    wanted = Forgotten(effect.service, effect.sha, effect.stage, lambda *whose: _is_known(context, effect, *whose))
    found = attempt.find(jenkins, effect.job, wanted)
    if found is None:
        return None
    if found.build is None or found.build.get("building"):
        what = f"queue item {found.item}" if found.build is None else f"build #{found.build['number']}"
        raise RetryLater(f"{what} of the same commit was started before the store changed its master", after=AGAIN)
    seen = attempt.seen(jenkins, effect.job, found.build)
    if seen.result is not Outcome.SUCCESS:
        return None
    return Done(replace(seen, run=effect.run, attempt=effect.attempt, version=effect.version, sha=effect.sha))


def _is_known(context: PipelineContext, effect: Trigger, run: str, number: int, version: str) -> bool:
    """Whether the store knows this attempt: one of its own run that came before this, or one of another run."""
    if run == effect.run and version in ("", effect.version):
        return number < effect.attempt
    with context.look() as replica:
        live = replica.board.runs.get(run)
        if live is not None:
            return version in ("", live.version)
    ended = Records(context.redis, context.keys).ended_run(run)
    return ended is not None and version in ("", ended.run.version)
