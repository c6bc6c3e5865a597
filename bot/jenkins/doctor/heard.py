"""What has come in from Jenkins lately: read from the inboxes, or asked of the Interlock that runs.

The deliveries are left as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from bot.doctor.finding import About, Finding
from bot.jenkins.doctor.knock import NoAnswer, Place, knock, shown
from bot.jenkins.recent_callbacks import Callbacks
from bot.store.inbox import newest
from bot.store.keys import Keys
from config.configuration import Configuration

#: How many deliveries of a pipeline are looked at.
_LOOKED_AT = 1_000
#: How long Jenkins' clock and ours may be apart, and a callback may take, in seconds, before a build counts as silent.
_SLACK = 60.0
#: How long the Interlock that runs may take to say what it has heard, in seconds.
_TIMEOUT = 5.0


@dataclass(slots=True)
class Heard(Callbacks):
    """The same, and why it is not known."""

    trouble: str = ""
    mend: str = ""


def listen(configuration: Configuration, redis: Redis) -> Heard:
    """Read the end of every pipeline's inbox, and close the connection."""
    heard = Heard()
    try:
        for pipeline in configuration.pipelines:
            found = newest(redis, Keys(pipeline.name), _LOOKED_AT)
            heard.take((one.source, one.name, one.at, one.body) for one in found)
    except RedisError as error:
        heard.trouble, heard.mend = str(error).partition("\n")[0], "is INTERLOCK_REDIS_URL right?"
    finally:
        redis.close()
    return heard


def ask(configuration: Configuration) -> Heard:
    """Ask the Interlock that runs, at `web.public_url`: here is no INTERLOCK_REDIS_URL."""
    heard = Heard(mend="is it running there? Or call the doctor with its INTERLOCK_REDIS_URL")
    public_url = configuration.web.public_url
    try:
        answer = knock(Place(public_url, "web.public_url", _TIMEOUT), "api/v1/callbacks")
        if answer.status_code != HTTPStatus.OK:
            heard.trouble = f"{shown(public_url)} answers {answer.status_code} when it is asked"
        else:
            _take(heard, answer.json())
    except NoAnswer as error:
        heard.trouble = str(error)
    except (ValueError, KeyError, TypeError):
        heard.trouble = f"{shown(public_url)} does not answer as Interlock does"
    return heard


def _take(heard: Heard, told: dict[str, Any]) -> None:
    heard.since = None if told["since"] is None else float(told["since"])
    for row in told["callbacks"]:
        controller, at = str(row["controller"]), float(row["at"])
        heard.jobs[controller, str(row["job"])] = at
        heard.controllers[controller] = max(at, heard.controllers.get(controller, 0.0))


def examine(controller: str, heard: Heard) -> Iterator[Finding]:
    """When that controller called last."""
    about = About.controller(controller)
    at = heard.controllers.get(controller)
    if at is not None:
        yield about.good(f"its last callback came in at {_moment(at)}")
    elif heard.trouble:
        yield about.unsure(f"when it called last is not known: {heard.trouble}", heard.mend)
    else:
        mend = "start a build: if none comes, its log says why (docs/jenkins.md). Until then builds are asked about"
        yield about.unsure("no callback has come in from it yet, or none lately", mend)


def examine_job(about: About, job: tuple[str, str], last: dict[str, Any], heard: Heard) -> Iterator[Finding]:
    """Whether the last build of a job that has ended (as Jenkins' API has it) called back. It is silent if not."""
    number, began, lasted = last.get("number"), last.get("timestamp"), last.get("duration")
    if not isinstance(began, (int, float)) or not isinstance(lasted, (int, float)) or heard.since is None:
        return
    ended, at = (began + lasted) / 1000, heard.jobs.get(job)
    if ended <= heard.since + _SLACK or time.time() <= ended + _SLACK:
        return  # what came in then is not known any more; or a callback may be on its way
    if at is None or at < ended - _SLACK:
        before = f"the last from this job came in at {_moment(at)}" if at is not None else "nor has one from this job"
        found = f"no callback has come in of its build #{number}, which ended at {_moment(ended)}; {before}"
        yield about.unsure(found, f"read the log of build #{number}: {_CAUSES}")


#: What the log of a silent build shows (seen with the plugin's release 1.19).
_CAUSES = (
    "a NullPointerException there means that the credential does not exist where the job is; *Ignoring sending* a $ in "
    "the secret; nothing about notifying, that the event or the branch filter fits no build. If it says *Notifying "
    "endpoint* and nothing else, the address in the credential holds another secret (Interlock refuses it with 401, of "
    "which the plugin says nothing), or does not lead here"
)


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
