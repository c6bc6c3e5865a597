"""Compare one job in Jenkins with the board; each difference is an event for the inbox. It changes nothing itself."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bot.core.model.effects import Banner
from bot.core.model.events import BannerOverwritten, BuildLost, BuildSeen, Event, Withdrawn
from bot.core.model.pipeline import Job, Outcome
from bot.core.model.run import Buildable
from bot.core.model.stage_state import UnmanagedBuild
from bot.jenkins import attempts, builds
from bot.jenkins.builds import Build, why_gone
from bot.jenkins.client import JenkinsClient, JenkinsNotFound
from config.configuration import job_path

#: How long a new build may lack its parameters before it counts as unmanaged, in seconds.
NAMELESS_FOR = 10.0
#: The difference between Jenkins' clock and ours, in seconds, up to which a build of ours does not count as too old.
CLOCKS_APART = 60.0


@dataclass(frozen=True, slots=True)
class WatchedJob:
    """The state of one job on the board of this version: its runs, unmanaged builds and banner."""

    version: int
    job: Job
    runs: tuple[Buildable, ...]
    unmanaged_builds: tuple[UnmanagedBuild, ...] | None
    banner: Banner | None


@dataclass
class ControllerPoll:
    """One poll of one controller.

    `lost`: returns whether a run's build has been gone for so long that it will not come back. `amiss`: returns whether
    a description has to be changed for the banner.
    """

    jenkins: JenkinsClient
    lost: Callable[[Buildable], bool]
    amiss: Callable[[str, Banner], bool]

    @cached_property
    def queue(self) -> list[Build]:
        """The controller's queue, read once. A newer item is asked for by its number."""
        return builds.queue_items(self.jenkins)


def differences(poll: ControllerPoll, live: WatchedJob) -> list[Event]:
    """Return every difference between Jenkins and the board about one job, as events. Raises what the client raises."""
    most = max(poll.jenkins.limits.builds, 2 * len(live.runs))
    answer = builds.read_job(poll.jenkins, live.job, most, description=live.banner is not None)
    listed: list[Build] = answer.get("builds") or []
    of_attempt, of_item = _by_attempt(listed), _by_item(listed)
    known = {unmanaged.number for unmanaged in live.unmanaged_builds or ()}
    events: list[Event] = []
    ours: set[Any] = set()
    for run in live.runs:
        wanted = _wanted(run)
        mine = [build for build in of_attempt[run.key, str(run.attempt.number)] if wanted.matches(build)]
        ours |= {build.get("number") for build in mine}
        nameless = of_item.get(run.attempt.queue_item) if run.attempt.queue_item is not None else None
        if mine:
            events += [
                builds.build_seen(poll.jenkins, live.job, build) for build in mine if _is_news(run, build, known)
            ]
        elif nameless is not None and _may_be_of(run, nameless):
            ours.add(nameless.get("number"))
            # The job no longer declares the parameters, but this build is our queue item (Jenkins: `Run#getQueueId`).
            seen = builds.build_seen(poll.jenkins, live.job, nameless)
            events += [replace(seen, run=run.key, attempt=run.attempt.number)] if _is_news(run, nameless, known) else []
        else:
            events += _of_unlisted(poll, live.job, run)
    if live.unmanaged_builds is not None:
        events += _unmanaged(poll.jenkins, live, [build for build in listed if build.get("number") not in ours])
        gone = known - {build.get("number") for build in listed}
        events += [event for number in sorted(gone) for event in _missing_unmanaged(poll.jenkins, live.job, number)]
    return events + _banner(poll, live, answer.get("description"))


def _wanted(run: Buildable) -> attempts.AttemptParameters:
    return attempts.AttemptParameters(run.key, run.attempt.number, run.version, run.sha)


def _by_attempt(listed: list[Build]) -> defaultdict[tuple[str, str], list[Build]]:
    found: defaultdict[tuple[str, str], list[Build]] = defaultdict(list)
    for build in listed:
        found[_attempt_of(build)].append(build)
    return found


def _by_item(listed: list[Build]) -> dict[int, Build]:
    """Return the builds without our parameters, by the number of their queue item; the newest for each."""
    nameless = (build for build in reversed(listed) if not _attempt_of(build)[0] and build.get("queueId"))
    return {int(build["queueId"]): build for build in nameless}


def _may_be_of(run: Buildable, build: Build) -> bool:
    """Return whether a build with the right queue item is new enough: after a crash Jenkins reuses the numbers."""
    return float(build.get("timestamp") or 0) / 1000 > run.since - CLOCKS_APART


def _attempt_of(build: Build) -> tuple[str, str]:
    carried = builds.parameters(build)
    return carried.get(builds.RUN, ""), carried.get(builds.ATTEMPT, "")


def _is_news(run: Buildable, build: Build, known: set[int]) -> bool:
    if run.attempt.build in (None, build.get("number")):
        return not build.get("building") or run.attempt.build is None
    return bool(build.get("building")) != (build.get("number") in known)  # a second build of the attempt


def _of_unlisted(poll: ControllerPoll, job: Job, run: Buildable) -> list[Event]:
    """Return the differences of a run that has no build among the newest of its job."""
    if run.attempt.build is not None:
        return _by_number(poll, job, run)
    if run.attempt.queue_item is None or any(_wanted(run).matches(item) for item in poll.queue):
        return []  # without a queue item its trigger is still being sent, which the performer handles
    try:
        item = poll.jenkins.get(f"queue/item/{run.attempt.queue_item}", builds.ITEM_TREE)
    except JenkinsNotFound:
        item = None
    if item is None or _wanted(run).belongs_to_another(item):
        why = f"Jenkins has neither queue item {run.attempt.queue_item} nor a build of it"
        return [BuildLost(run.key, run.attempt.number, why)] if poll.lost(run) else []
    if item.get("cancelled"):
        return [Withdrawn(run.key, run.attempt.number, "somebody cancelled it in Jenkins' queue")]
    return []


def _by_number(poll: ControllerPoll, job: Job, run: Buildable) -> list[Event]:
    """Ask for the build of a run by its number, because it is not among the newest."""
    try:
        build = poll.jenkins.get(f"{job_path(job.name)}/{run.attempt.build}", builds.BUILD_TREE)
    except JenkinsNotFound:
        why = why_gone(poll.jenkins, run.attempt.build or 0, run.since)
        return [BuildLost(run.key, run.attempt.number, why)] if poll.lost(run) else []
    return [builds.build_seen(poll.jenkins, job, build)] if not build.get("building") else []


def _unmanaged(jenkins: JenkinsClient, live: WatchedJob, listed: list[Build]) -> list[Event]:
    """Return the unmanaged builds that started or ended since the last poll."""
    known = {unmanaged.number for unmanaged in live.unmanaged_builds or ()}
    events: list[Event] = []
    for build in listed:
        news = bool(build.get("building")) != (build.get("number") in known)
        if news and not _lacks_parameters(build):
            events.append(builds.build_seen(jenkins, live.job, build))
    return events


def _missing_unmanaged(jenkins: JenkinsClient, job: Job, number: int) -> list[Event]:
    """Ask for an unmanaged build that is not among the newest, because it takes a slot as long as it runs."""
    try:
        build = jenkins.get(f"{job_path(job.name)}/{number}", builds.BUILD_TREE)
    except JenkinsNotFound:
        return [BuildSeen(job.controller, job.name, number, Outcome.ABORTED)]
    return [] if build.get("building") else [builds.build_seen(jenkins, job, build)]


def _lacks_parameters(build: Build) -> bool:
    """Return whether a build has just started and does not show its parameters yet (Jenkins: `Executor#run`)."""
    fresh = abs(time.time() - float(build.get("timestamp") or 0) / 1000) < NAMELESS_FOR
    return bool(build.get("building")) and fresh and not builds.parameters(build)


def _banner(poll: ControllerPoll, live: WatchedJob, description: Any) -> list[Event]:
    if live.banner is None or not poll.amiss(description if isinstance(description, str) else "", live.banner):
        return []
    return [BannerOverwritten(live.job.controller, live.job.name)]
