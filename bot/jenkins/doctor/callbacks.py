"""Check that callbacks arrive: that Interlock answers at the address that Jenkins uses, and which came in recently."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from redis import Redis
from redis.exceptions import RedisError

from bot.doctor import DoctorFinding, Subject
from bot.jenkins.callbacks import RecentCallbacks
from bot.jenkins.doctor.probe import NoAnswer, ProbedAddress, probe, shown
from bot.jenkins.job_plan import CALLBACK_TIMEOUT_MS, JobPlan
from bot.store.deliveries import DeliveryPacks
from bot.store.keys import Keys
from config.configuration import Configuration, Controller

#: The time-out of a callback, in seconds, the same as that of the printed jobs.
_CALLBACK_TIMEOUT = CALLBACK_TIMEOUT_MS / 1000

#: A callback that names no job and no build, so that it has no effect.
_NOTHING = {"name": "interlock doctor"}

#: Names that every machine understands as itself.
_HERE = ("localhost", "127.0.0.1", "::1")

_VARIABLE = "INTERLOCK_JENKINS_WEBHOOK_SECRET"


def examine_address(controller: Controller, public_url: str, secret: str) -> Iterator[DoctorFinding]:
    """Send a callback that names no build, as Jenkins would, but from this machine, which may be another one."""
    about = Subject.controller(controller.name)
    if urlsplit(public_url).hostname in _HERE and urlsplit(controller.url).hostname not in _HERE:
        found = f"callbacks: {shown(public_url)} leads Jenkins to its own machine, not to Interlock's"
        yield about.unsure(found, "write the address at which Jenkins reaches Interlock into web.public_url")
    place = ProbedAddress(public_url, "web.public_url", _CALLBACK_TIMEOUT)
    try:
        answer = probe(place, f"webhooks/jenkins/{controller.name}/{quote(secret)}", "POST", json=_NOTHING)
    except NoAnswer as error:
        yield about.unsure(f"callbacks: {error}", f"check that Interlock is running; {error.mend}")
        return
    yield _judged(about, controller.name, public_url, answer)


def examine_question(plan: JobPlan, public_url: str) -> Iterator[DoctorFinding]:
    """Ask the question of a job before it rolls out, for a run that does not exist; no answer yields no finding."""
    about = Subject.controller(plan.controller)
    path = f"api/v1/pipelines/{quote(plan.pipeline)}/attempts/doctor.1/{quote(plan.stage)}/1"
    try:
        answer = probe(ProbedAddress(public_url, "web.public_url", _CALLBACK_TIMEOUT), path)
        body = answer.json() if answer.status_code == HTTPStatus.CONFLICT else {}
    except (NoAnswer, ValueError):
        return  # the check of the callbacks reports this already
    if isinstance(body, dict) and body.get("current") is False:
        return
    found = (
        f"asking before a roll-out: {shown(public_url)} answers {answer.status_code}, which is not Interlock's answer"
    )
    mend = (
        "let GET under /api/v1/pipelines/ reach Interlock without a sign-in: otherwise jobs that "
        "`interlock jenkins-jobs` printed roll nothing out"
    )
    yield about.unsure(found, mend)


def _judged(about: Subject, controller: str, public_url: str, answer: requests.Response) -> DoctorFinding:
    where, status = shown(public_url), answer.status_code
    if status == HTTPStatus.ACCEPTED and _ignored(answer):
        return about.good(f"callbacks: {where} accepts them")
    if status == HTTPStatus.UNAUTHORIZED:
        found = f"callbacks: {where} refuses the secret (401)"
        return about.unsure(
            found, f"the web process has another {_VARIABLE}: give both the same value and restart the web process"
        )
    if 300 <= status < 400:
        to = urlsplit(answer.headers.get("Location", ""))  # its path may contain the secret
        found = f"callbacks: {where} redirects them to {to.scheme}://{to.netloc}, and Jenkins follows no redirect"
        return about.unsure(found, "write the final address into web.public_url, and into the credential")
    if status == HTTPStatus.NOT_FOUND:
        found = f"callbacks: {where} has no address /webhooks/jenkins/{controller} (404)"
        mend = "let the proxy pass on /webhooks/, and put this pipeline file in force (`interlock reload`)"
        return about.unsure(found, mend)
    if status >= 500:
        found = f"callbacks: {where} answers {status}"
        return about.unsure(
            found, "check that Interlock and its Redis run behind that proxy; read the log of the web process"
        )
    found = f"callbacks: {where} answers {status}, which is not Interlock's answer"
    return about.unsure(
        found, "check that web.public_url is Interlock's address, and that no proxy asks for a sign-in there"
    )


def _ignored(answer: requests.Response) -> bool:
    try:
        return bool(answer.json().get("status") == "ignored")
    except (ValueError, AttributeError):
        return False


# -- the recent callbacks ----------------------------------------------------------------------------------------------

#: The number of deliveries of a pipeline that are read.
_LOOKED_AT = 1_000

#: The allowance for differing clocks and a slow callback, in seconds, before a build counts as silent.
_SLACK = 60.0

#: The time-out of a running Interlock that is asked for its recent callbacks, in seconds.
_ANSWER_TIMEOUT = 5.0


@dataclass(slots=True)
class KnownCallbacks(RecentCallbacks):
    """The recent callbacks; if they could not be read, why (`problem`) and what helps (`mend`)."""

    problem: str = ""
    mend: str = ""


def read_callbacks(configuration: Configuration, redis: Redis) -> KnownCallbacks:
    """Read the end of every pipeline's inbox, and close the connection."""
    known = KnownCallbacks()
    try:
        for pipeline in configuration.pipelines:
            found = DeliveryPacks(redis, Keys(pipeline.name)).newest(_LOOKED_AT)
            known.take((one.source, one.name, one.at, one.body) for one in found)
    except RedisError as error:
        known.problem, known.mend = str(error).partition("\n")[0], "check INTERLOCK_REDIS_URL"
    finally:
        redis.close()
    return known


def ask_for_callbacks(configuration: Configuration) -> KnownCallbacks:
    """Ask the running Interlock at `web.public_url`, because INTERLOCK_REDIS_URL is not set here."""
    known = KnownCallbacks(
        mend="check that Interlock runs there, or call the doctor with the INTERLOCK_REDIS_URL of Interlock"
    )
    public_url = configuration.web.public_url
    try:
        answer = probe(ProbedAddress(public_url, "web.public_url", _ANSWER_TIMEOUT), "api/v1/callbacks")
        if answer.status_code != HTTPStatus.OK:
            known.problem = f"{shown(public_url)} answers {answer.status_code} to GET /api/v1/callbacks"
        else:
            _take(known, answer.json())
    except NoAnswer as error:
        known.problem = str(error)
    except (ValueError, KeyError, TypeError):
        known.problem = f"{shown(public_url)} gives no answer of Interlock"
    return known


def _take(known: KnownCallbacks, answer: dict[str, Any]) -> None:
    known.since = None if answer["since"] is None else float(answer["since"])
    for row in answer["callbacks"]:
        controller, at = str(row["controller"]), float(row["at"])
        known.jobs[controller, str(row["job"])] = at
        known.controllers[controller] = max(at, known.controllers.get(controller, 0.0))


def examine_controller(controller: str, known: KnownCallbacks) -> Iterator[DoctorFinding]:
    """Report when that controller called last."""
    about = Subject.controller(controller)
    at = known.controllers.get(controller)
    if at is not None:
        yield about.good(f"its last callback arrived at {_moment(at)}")
    elif known.problem:
        yield about.unsure(f"the time of its last callback is not known: {known.problem}", known.mend)
    else:
        mend = (
            "start a build; if no callback arrives, read the build's log (docs/jenkins.md). Until "
            "then Interlock polls builds"
        )
        yield about.unsure("no callback has arrived from it lately", mend)


def examine_job(
    about: Subject, job: tuple[str, str], last: dict[str, Any], known: KnownCallbacks
) -> Iterator[DoctorFinding]:
    """Report if the last ended build of a job (as Jenkins' API returns it) did not call back."""
    number, began, lasted = last.get("number"), last.get("timestamp"), last.get("duration")
    if not isinstance(began, (int, float)) or not isinstance(lasted, (int, float)) or known.since is None:
        return
    ended, at = (began + lasted) / 1000, known.jobs.get(job)
    if ended <= known.since + _SLACK or time.time() <= ended + _SLACK:
        return  # the deliveries of that time are no longer kept, or a callback may be on its way
    if at is None or at < ended - _SLACK:
        before = (
            f"the last one from this job arrived at {_moment(at)}"
            if at is not None
            else "none from this job has arrived"
        )
        found = f"no callback has arrived from its build #{number}, which ended at {_moment(ended)}; {before}"
        yield about.unsure(found, f"read the log of build #{number}: {_CAUSES}")


#: The signs in the log of a silent build (seen with the plugin's release 1.19).
_CAUSES = (
    "a NullPointerException there means that the credential does not exist where the job is; *Ignoring sending* a $ in "
    "the secret; nothing about notifying, that the event or the branch filter fits no build. If it says *Notifying "
    "endpoint* and nothing else, the address in the credential holds another secret (Interlock refuses it with 401, of "
    "which the plugin says nothing), or does not lead here"
)


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
