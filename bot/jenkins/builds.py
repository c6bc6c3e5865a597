"""Read builds and queue items from Jenkins: to which attempt they belong, how they ended, and the cause of a failure.

Also performs the look that follows a callback.

Sources: Jenkins' remote API (`Run`, `Queue.Item`), junit plugin (`TestResult`), pipeline-rest-api (`wfapi/describe`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from bot.core.model.effects import Look
from bot.core.model.events import BuildSeen
from bot.core.model.pipeline import Job
from bot.effect_outcomes import Done, PermanentFailure, RetryLater
from bot.jenkins.callbacks import outcome
from bot.jenkins.client import JenkinsClient, JenkinsForbidden, JenkinsNotFound, client_for, last_restart
from bot.payloads import at, line, text
from bot.reporting.sentences import moment
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.configuration import job_path

#: Names of parameters that a job must declare. Jenkins drops undeclared ones, and triggers could not be told apart.
RUN, ATTEMPT, VERSION, SHA = "INTERLOCK_RUN", "INTERLOCK_ATTEMPT", "INTERLOCK_VERSION", "INTERLOCK_SHA"

BUILD_TREE = "number,building,result,timestamp,duration,estimatedDuration,queueId,actions[parameters[name,value]]"

ITEM_TREE = "cancelled,executable[number],actions[parameters[name,value]]"

QUEUE_TREE = "items[id,task[url],actions[parameters[name,value]]]"

#: A build as Jenkins describes it.
Build = dict[str, Any]


def queue_items(client: JenkinsClient) -> list[dict[str, Any]]:
    """Return the items in Jenkins' queue, of all jobs."""
    items: list[dict[str, Any]] = client.get("queue", QUEUE_TREE).get("items") or []
    return items


def cancel_item(client: JenkinsClient, item: int) -> int:
    """Ask Jenkins to cancel a queue item; returns the status of its answer (Jenkins: `Queue#doCancelItem`).

    204: cancelled. 302: the answer of an older core, whether the item was still in the queue or not. 422: our user
    lacks Item/Cancel. 500 and 404: it has left the queue.
    """
    return client.ask("POST", "queue/cancelItem", data={"id": str(item)}, expect=(204, 302, 404, 422, 500)).status_code


def newest_builds(client: JenkinsClient, job: Job) -> list[dict[str, Any]]:
    """Return the newest builds of a job, in one request."""
    return read_job(client, job, client.limits.builds).get("builds") or []


def read_job(client: JenkinsClient, job: Job, most: int, *, description: bool = False) -> dict[str, Any]:
    """Return the newest builds of a job, and its description if requested, in one request."""
    more = "description," if description else ""
    answer: dict[str, Any] = client.get(job_path(job.name), f"{more}builds[{BUILD_TREE}]{{0,{most}}}")
    return answer


def parameters(thing: dict[str, Any]) -> dict[str, str]:
    """Return the parameters of a build or a queue item."""
    return dict(_parameters(thing))


def _parameters(thing: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for action in thing.get("actions") or []:
        for parameter in (action or {}).get("parameters") or []:
            if "name" in parameter and "value" in parameter:
                yield str(parameter["name"]), str(parameter["value"])


def build_seen(client: JenkinsClient, job: Job, build: dict[str, Any]) -> BuildSeen:
    """Convert a build to an event. It has ended when `building` is false, not when a result is set."""
    carried = parameters(build)
    attempt, number = carried.get(ATTEMPT, ""), int(build["number"])
    result = None if build.get("building") else outcome(build.get("result") or "ABORTED")
    started = _seconds(build.get("timestamp"))
    lasts = _seconds(build.get("estimatedDuration"))  # -1 without history
    wrong = causes_of(client, job, build) if result not in (None, "SUCCESS") else Causes()
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
    """Return when a build ended, in epoch seconds by Jenkins' clock; None if unknown (`Run#getDuration` is 0 then)."""
    began = _seconds(build.get("timestamp"))
    took = _seconds(build.get("duration"))
    return began + took if began is not None and took is not None and took > 0 else None


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else None


# -- looking at a build ------------------------------------------------------------------------------------------------

#: The most looks at a build that has just started and shows no parameters yet (Jenkins: `Executor#run`).
LOOKS = 4


def look_at_build(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Look) -> Done:
    """Ask Jenkins for a build. In its first milliseconds it may still lack its parameters; then it is asked again."""
    jenkins = client_for(runtime, effect.job)
    try:
        build = jenkins.get(f"{job_path(effect.job.name)}/{effect.number}", BUILD_TREE)
    except JenkinsNotFound:
        return Done()
    except JenkinsForbidden as error:
        raise PermanentFailure(str(error)) from error
    if build.get("building") and not parameters(build) and claim.tries < LOOKS:
        raise RetryLater("the build has no parameters yet", after=0.3)
    return Done(build_seen(jenkins, effect.job, build))


def why_gone(jenkins: JenkinsClient, number: int, since: float) -> str:
    """Return a sentence why Jenkins no longer has a build. `since`: the last time it existed, in seconds since the
    epoch.

    A core that is stopped while a build that is not a Pipeline runs may lose its record (seen on 2.426.3).
    """
    restarted = last_restart(jenkins.url)
    if restarted is not None and restarted >= since:
        return f"Jenkins restarted at {moment(restarted)} and has no record of build #{number}"
    return f"somebody deleted build #{number}, or Jenkins lost its record when it stopped"


# -- the causes of a failure -------------------------------------------------------------------------------------------

#: The number of builds whose causes are cached: several callbacks about one end arrive within a moment.
CAUSES_KEPT = 256


class Causes(NamedTuple):
    """The causes of a failure: the names of the first failed tests, and the failed step of the Pipeline with its
    message.
    """

    tests: tuple[str, ...] = ()
    step: str = ""


_known: OrderedDict[tuple[str, Job, int, Any], Causes] = OrderedDict()

_lock = threading.Lock()


def causes_of(client: JenkinsClient, job: Job, build: dict[str, Any]) -> Causes:
    """Return the causes of failure of a build that has ended. Raises RetryLater if Jenkins does not answer."""
    number = int(build["number"])
    key = (client.url, job, number, build.get("timestamp"))  # a job that was created again counts from 1
    with _lock:
        known = _known.get(key)
    if known is None:
        known = Causes(_ask_for_tests(client, job, number), _ask_for_step(client, job, number))
        with _lock:
            _known[key] = known
            if len(_known) > CAUSES_KEPT:
                _known.popitem(last=False)
    return known


def _ask_for_tests(client: JenkinsClient, job: Job, number: int) -> tuple[str, ...]:
    """Return the failed tests; none if there is no test report."""
    try:
        report = client.get(f"{job_path(job.name)}/{number}/testReport", "suites[cases[className,name,status]]")
    except (JenkinsNotFound, JenkinsForbidden):
        return ()
    return failed_tests(report)


def _ask_for_step(client: JenkinsClient, job: Job, number: int) -> str:
    """Return the failed step; empty if the build is not a Pipeline, or Jenkins lacks the plugin."""
    try:
        return failed_step(client.read(f"{job_path(job.name)}/{number}/wfapi/describe"))
    except (JenkinsNotFound, JenkinsForbidden):
        return ""


#: The most failing tests that are named, and the most characters of a name.
TESTS = 10

TEST_NAME = 120

#: The most characters of the text about a failed step.
STEP = 160

#: The statuses of a failed stage or step, worst first (pipeline-rest-api: `StatusExt`).
_WRONG = ("FAILED", "UNSTABLE", "ABORTED")


def failed_tests(report: dict[str, Any]) -> tuple[str, ...]:
    """Return the first failed tests, as `Class.case` (junit plugin: `TestResult`; a new failure is a REGRESSION)."""
    failing = (case for case in _cases(report) if text(case, "status") in ("FAILED", "REGRESSION"))
    return tuple(_test(case) for case in failing)[:TESTS]


def _cases(report: dict[str, Any]) -> Iterator[Any]:
    for suite in _list(report, "suites"):
        yield from _list(suite, "cases")


def _test(case: Any) -> str:
    return line(f"{text(case, 'className').rpartition('.')[2]}.{text(case, 'name')}", TEST_NAME)


def failed_step(run: dict[str, Any]) -> str:
    """Return the failed stage and its message, as `Roll out: script returned exit code 1`; empty if none failed.

    Source: pipeline-rest-api, `wfapi/describe`. An outer stage is listed before the inner one that failed it, with the
    same error, and later ones (post actions) may have failed as well. So this is the last stage with the error of the
    first one that failed.
    """
    stages = _list(run, "stages")
    for status in _WRONG:
        wrong = [stage for stage in stages if text(stage, "status") == status]
        if wrong:
            error = text(wrong[0], "error", "message")
            same = [stage for stage in wrong if text(stage, "error", "message") == error]
            parts = (line(text(same[-1], "name"), STEP), line(error, STEP))
            return ": ".join(part for part in parts if part)[:STEP]
    return ""


def _list(value: Any, name: str) -> list[Any]:
    found = at(value, name)
    return found if isinstance(found, list) else []
