"""What has come in from Jenkins lately: the newest deliveries in the inboxes are read, and left as they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError

from bot.state.connection import connect
from bot.state.inbox import Entry, entry
from bot.state.keys import Keys
from bot.translate import jenkins
from bot.translate.reading import Unreadable, read_object
from config.configuration import Configuration
from workers.doctor.finding import About, Finding

#: How many deliveries of a pipeline are looked at, and how many at a time: each may be large.
_LOOKED_AT, _AT_A_TIME = 1_000, 100


@dataclass(slots=True)
class Heard:
    """When the last callback came in, in seconds since the epoch: of each controller, of each (controller, job)."""

    controllers: dict[str, float] = field(default_factory=dict)
    jobs: dict[tuple[str, str], float] = field(default_factory=dict)
    #: Why the inboxes could not be read.
    trouble: str = ""


def listen(configuration: Configuration, redis_url: str) -> Heard:
    """Read the end of every pipeline's inbox."""
    heard = Heard()
    redis = connect(redis_url, timeout=3.0, retries=0)
    try:
        for pipeline in configuration.pipelines:
            for delivery in _newest(redis, Keys(pipeline.name)):
                if delivery.source == "jenkins":
                    _note(heard, delivery)
    except RedisError as error:
        heard.trouble = str(error).partition("\n")[0]
    finally:
        redis.close()
    return heard


def _note(heard: Heard, delivery: Entry) -> None:
    heard.controllers[delivery.name] = max(delivery.at, heard.controllers.get(delivery.name, 0.0))
    try:
        job = jenkins.job_of(read_object(delivery.body))
    except Unreadable:
        return
    heard.jobs[delivery.name, job] = max(delivery.at, heard.jobs.get((delivery.name, job), 0.0))


def _newest(redis: Redis, keys: Keys) -> Iterator[Entry]:
    until = "+"
    for _ in range(_LOOKED_AT // _AT_A_TIME):
        page = cast("list[Any]", redis.xrevrange(keys.inbox, max=until, count=_AT_A_TIME))
        for identity, fields in page:
            yield entry((identity, [part for pair in fields.items() for part in pair]))
        if len(page) < _AT_A_TIME:
            return
        until = f"({page[-1][0].decode()}"


def examine(controller: str, heard: Heard) -> Iterator[Finding]:
    """When that controller called last."""
    about = About.controller(controller)
    at = heard.controllers.get(controller)
    if at is not None:
        yield about.good(f"its last callback came in at {_moment(at)}")
    elif heard.trouble:
        yield about.unsure(f"when it called last is not known: {heard.trouble}", "is INTERLOCK_REDIS_URL right?")
    else:
        mend = "start a build: if none comes, its log says why (docs/jenkins.md). Until then builds are asked about"
        yield about.unsure("no callback has come in from it yet, or none lately", mend)


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
