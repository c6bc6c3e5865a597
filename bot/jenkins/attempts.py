"""Find an attempt in Jenkins, in the queue or among the builds, by the parameters that every trigger contains.

After a fail-over this also finds builds of a commit that the store has lost, so that no second one is started. The lost
events may have been decided again under other names: the same merge, found by polling GitHub, may be another run or
have another version, and the name of a run may now belong to another commit. So service, commit and stage are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bot.core.model.effects import Trigger
from bot.core.model.events import TriggerRefused
from bot.core.model.pipeline import Job, Outcome
from bot.effect_outcomes import Done, RetryLater
from bot.jenkins import builds
from bot.jenkins.client import JenkinsClient
from bot.runtime import PipelineContext


@dataclass(frozen=True, slots=True)
class AttemptParameters:
    """The parameters that identify one attempt.

    Version and commit distinguish it from one of the same name in an older installation, or before a fail-over.
    """

    run: str
    number: int
    version: str
    sha: str = ""

    def matches(self, thing: dict[str, Any]) -> bool:
        """Return whether a build or queue item belongs to this attempt; a job need not declare version and commit."""
        found = builds.parameters(thing)
        same = found.get(builds.RUN) == self.run and found.get(builds.ATTEMPT) == str(self.number)
        more = ((builds.VERSION, self.version), (builds.SHA, self.sha))
        return same and all(not own or found.get(name, "") in ("", own) for name, own in more)

    def belongs_to_another(self, thing: dict[str, Any]) -> bool:
        """Return whether a build or queue item certainly belongs to another attempt; False if it lacks our parameters.

        After a crash Jenkins uses the numbers of queue items again, from 1 on if it had not saved its queue.
        """
        return builds.RUN in builds.parameters(thing) and not self.matches(thing)


class BuildMatcher(Protocol):
    """The condition for the wanted build or queue item."""

    def matches(self, thing: dict[str, Any]) -> bool:
        """Return whether this is the wanted build or queue item."""


@dataclass(frozen=True, slots=True)
class FoundAttempt:
    """The place of an attempt: an item in the queue (`item`), or a build (`build`, as Jenkins describes it)."""

    item: int | None = None
    build: dict[str, Any] | None = None


def find(client: JenkinsClient, job: Job, wanted: BuildMatcher) -> FoundAttempt | None:
    """Find the wanted build or queue item: search the queue, the builds, and the queue again.

    The queue is searched twice because an item may become a build between two reads. Returns None if it is in neither.
    Raises JenkinsNotFound if the job does not exist.
    """
    for look in (_in_queue, _in_builds, _in_queue):
        found = look(client, job, wanted)
        if found is not None:
            return found
    return None


def _in_queue(client: JenkinsClient, job: Job, wanted: BuildMatcher) -> FoundAttempt | None:
    for item in builds.queue_items(client):
        if wanted.matches(item):
            return FoundAttempt(item=int(item["id"]))
    return None


def _in_builds(client: JenkinsClient, job: Job, wanted: BuildMatcher) -> FoundAttempt | None:
    for build in builds.newest_builds(client, job):
        if wanted.matches(build):
            return FoundAttempt(build=build)
    return None


# -- after a fail-over of the store ------------------------------------------------------------------------------------

#: The pause before the next look at a build that must end first, in seconds.
LOOK_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class ForgottenBuild:
    """The condition for an attempt at this commit in this stage that the store does not have."""

    service: str
    sha: str
    stage: str
    is_known: Callable[[str, int, str], bool]

    def matches(self, thing: dict[str, Any]) -> bool:
        """Return whether a build or queue item is such an attempt."""
        return builds.parameters(thing).get(builds.SHA) == self.sha and self.is_forgotten(thing)

    def is_forgotten(self, thing: dict[str, Any]) -> bool:
        """Return whether the store lacks this build or queue item of the service in the stage, for any commit.

        A build that ended as not built does not count: otherwise one that was told not to roll out could hide the one
        that did.
        """
        found = builds.parameters(thing)
        if found.get("INTERLOCK_SERVICE") != self.service or found.get("INTERLOCK_STAGE", self.stage) != self.stage:
            return False
        if not thing.get("building") and thing.get("result") == Outcome.NOT_BUILT:
            return False
        number = found.get(builds.ATTEMPT, "")
        run, version = found.get(builds.RUN, ""), found.get(builds.VERSION, "")
        return not self.is_known(run, int(number) if number.isdecimal() else 0, version)


@dataclass(frozen=True, slots=True)
class ForgottenNewerBuild:
    """The condition for a build of a newer commit that the store does not have: the build of a run that began later."""

    than: ForgottenBuild
    version: str

    def matches(self, thing: dict[str, Any]) -> bool:
        """Return whether a build or queue item is of such a commit."""
        found = builds.parameters(thing)
        own, other = (text.rpartition("-")[2] for text in (self.version, found.get(builds.VERSION, "")))
        later = own.isdecimal() and other.isdecimal() and int(other) > int(own)
        return later and found.get(builds.SHA, "") != self.than.sha and self.than.is_forgotten(thing)


def find_forgotten(jenkins: JenkinsClient, context: PipelineContext, effect: Trigger) -> Done | None:
    """Look for a build of this commit that the store has lost; return what follows for this trigger, None if nothing.

    Raises RetryLater while it waits or runs. If it passed, it counts as the build of this attempt; if it ended
    otherwise, the commit is built again. Verifications change nothing outside and are always built again.
    """
    if effect.pull is not None:
        return None
    wanted = ForgottenBuild(effect.service, effect.sha, effect.stage, lambda *whose: _is_known(context, effect, *whose))
    found = find(jenkins, effect.job, wanted)
    if found is None:
        return _find_newer(jenkins, effect, wanted) if effect.rolls_out else None
    if found.build is None or found.build.get("building"):
        what = f"queue item {found.item}" if found.build is None else f"build #{found.build['number']}"
        raise RetryLater(f"Jenkins has {what} of the same commit, which the store has forgotten", after=LOOK_AGAIN)
    seen = builds.build_seen(jenkins, effect.job, found.build)
    if seen.result is not Outcome.SUCCESS:
        return None
    return Done(replace(seen, run=effect.run, attempt=effect.attempt, version=effect.version, sha=effect.sha))


def _find_newer(jenkins: JenkinsClient, effect: Trigger, wanted: ForgottenBuild) -> Done | None:
    """Look for a lost build that rolled out a newer commit: if there is one, refuse this trigger, because an older
    commit must not be rolled out after a newer one.

    Raises RetryLater while that build waits or runs.
    """
    found = find(jenkins, effect.job, ForgottenNewerBuild(wanted, effect.version))
    if found is None:
        return None
    if found.build is None or found.build.get("building"):
        what = f"queue item {found.item}" if found.build is None else f"build #{found.build['number']}"
        raise RetryLater(f"Jenkins has {what} of a newer commit, which the store has forgotten", after=LOOK_AGAIN)
    seen = builds.build_seen(jenkins, effect.job, found.build)
    why = f"build #{seen.number} has rolled out a newer commit there, which the store has forgotten"
    return Done(TriggerRefused(effect.run, effect.attempt, why, newer=seen.sha))


def _is_known(context: PipelineContext, effect: Trigger, run: str, number: int, version: str) -> bool:
    """Return whether the store has this attempt: an earlier one of the same run, or one of another run."""
    if run == effect.run and version in ("", effect.version):
        return number < effect.attempt
    with context.look() as replica:
        live = replica.board.runs.get(run)
        if live is not None:
            return version in ("", live.version)
    ended = context.records.ended_run(run)
    return ended is not None and version in ("", ended.run.version)
