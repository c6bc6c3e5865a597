"""Finding one attempt in Jenkins: in the queue or among the builds, by the parameters that every trigger carries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from bot.core.model.events import BuildSeen
from bot.core.model.pipeline import Job
from bot.jenkins.callbacks import outcome
from bot.jenkins.causes import Causes, causes
from bot.jenkins.client import JenkinsClient, job_path

#: Names of the declared job parameters. Jenkins drops undeclared ones, and with them the uniqueness of a trigger.
RUN, ATTEMPT, VERSION, SHA = "INTERLOCK_RUN", "INTERLOCK_ATTEMPT", "INTERLOCK_VERSION", "INTERLOCK_SHA"
#: How many builds of a job one look takes in.
BUILDS = 50

BUILD_TREE = "number,building,result,timestamp,duration,estimatedDuration,queueId,actions[parameters[name,value]]"
ITEM_TREE = "cancelled,executable[number],actions[parameters[name,value]]"
QUEUE_TREE = "items[id,task[url],actions[parameters[name,value]]]"


#: A build as Jenkins describes it.
Build = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as its trigger names it.

    Version and commit tell it from one of the same name in an older installation, or before a fail-over.
    """

    run: str
    number: int
    version: str
    sha: str = ""

    def is_that_of(self, thing: dict[str, Any]) -> bool:
        """Whether a build or queue item is that of this attempt; a job need not declare version and commit."""
        found = parameters(thing)
        same = found.get(RUN) == self.run and found.get(ATTEMPT) == str(self.number)
        more = ((VERSION, self.version), (SHA, self.sha))
        return same and all(not own or found.get(name, "") in ("", own) for name, own in more)

    def is_not_that_of(self, thing: dict[str, Any]) -> bool:
        """Whether a build or queue item says that it is another's; one without our parameters says nothing.

        After a crash Jenkins gives the numbers of queue items again, from 1 on if it had not saved its queue.
        """
        return RUN in parameters(thing) and not self.is_that_of(thing)


class Wanted(Protocol):
    """What is looked for."""

    def is_that_of(self, thing: dict[str, Any]) -> bool:
        """Whether a build or queue item is that of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where an attempt is: in the queue (`item`) or built (`build`, as Jenkins describes it)."""

    item: int | None = None
    build: dict[str, Any] | None = None


def find(client: JenkinsClient, job: Job, wanted: Wanted) -> Found | None:
    """Look for an attempt, or what else is wanted: queue, builds, queue again, for an item moves on between two reads.

    None means: it is in none of them now. Raises NotThere if the job is not there.
    """
    for look in (_in_queue, _in_builds, _in_queue):
        found = look(client, job, wanted)
        if found is not None:
            return found
    return None


def _in_queue(client: JenkinsClient, job: Job, wanted: Wanted) -> Found | None:
    for item in queue_items(client):
        if wanted.is_that_of(item):
            return Found(item=int(item["id"]))
    return None


def _in_builds(client: JenkinsClient, job: Job, wanted: Wanted) -> Found | None:
    for build in builds(client, job):
        if wanted.is_that_of(build):
            return Found(build=build)
    return None


def queue_items(client: JenkinsClient) -> list[dict[str, Any]]:
    """What waits in Jenkins' queue, of all jobs."""
    items: list[dict[str, Any]] = client.get("queue", QUEUE_TREE).get("items") or []
    return items


def builds(client: JenkinsClient, job: Job, most: int = BUILDS) -> list[dict[str, Any]]:
    """The newest builds of a job, in one request."""
    found: list[dict[str, Any]] = _job(client, job, most).get("builds") or []
    return found


def job(client: JenkinsClient, job: Job, most: int, *, description: bool) -> dict[str, Any]:
    """The newest builds of a job, and its description if that is asked for, in one request."""
    return _job(client, job, most, "description," if description else "")


def _job(client: JenkinsClient, job: Job, most: int, more: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = client.get(job_path(job.name), f"{more}builds[{BUILD_TREE}]{{0,{most}}}")
    return answer


def parameters(thing: dict[str, Any]) -> dict[str, str]:
    """The parameters of a build or a queue item."""
    return dict(_parameters(thing))


def _parameters(thing: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for action in thing.get("actions") or []:
        for parameter in (action or {}).get("parameters") or []:
            if "name" in parameter and "value" in parameter:
                yield str(parameter["name"]), str(parameter["value"])


def seen(client: JenkinsClient, job: Job, build: dict[str, Any]) -> BuildSeen:
    """What Jenkins says of a build, as an event. It is over when `building` is false, not when a result is set."""
    carried = parameters(build)
    attempt, number = carried.get(ATTEMPT, ""), int(build["number"])
    result = None if build.get("building") else outcome(build.get("result") or "ABORTED")
    started = _seconds(build.get("timestamp"))
    lasts = _seconds(build.get("estimatedDuration"))  # -1 without history
    wrong = causes(client, job, build) if result not in (None, "SUCCESS") else Causes()
    return BuildSeen(
        job.controller,
        job.name,
        number,
        result,
        run=carried.get(RUN) or None,
        attempt=int(attempt) if attempt.isdigit() else None,
        version=carried.get(VERSION, ""),
        sha=carried.get(SHA, ""),
        failed_tests=wrong.tests,
        failed_step=wrong.step,
        started=started,
        expected=started + lasts if started is not None and lasts is not None and lasts > 0 else None,
        ended=None if result is None else _ended(build),
    )


def _ended(build: dict[str, Any]) -> float | None:
    """When a build ended, in epoch seconds by Jenkins' clock (Jenkins: `Run#getDuration`, 0 if it is not known)."""
    began = _seconds(build.get("timestamp"))
    took = _seconds(build.get("duration"))
    return began + took if began is not None and took is not None and took > 0 else None


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else None
