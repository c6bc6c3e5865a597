"""The API for machines: health probes, the last callbacks for the doctor, and whether an attempt is still current."""

from __future__ import annotations

import threading
import time

from flask import Blueprint, Response, current_app, request
from redis import Redis
from redis.exceptions import RedisError

from bot.core.model.events import BuildHinted
from bot.core.rules.unmanaged_builds import attempt_refused, job_to_look_in
from bot.health import judgement
from bot.health.judgement import HealthStatus
from bot.jenkins.callbacks import RecentCallbacks
from bot.reporting.messages import words
from bot.runtime import PipelineContext, Runtime
from bot.store.deliveries import DeliveryPacks
from bot.store.inbox import Accepted, read_backlog
from bot.store.keys import Keys
from bot.store.records import Repairs
from bot.store.scripts import Scripts
from bot.web.api_operation import Parameter, operation
from bot.web.problems import Problem, answer
from bot.web.request_shapes import AttemptShape, CallbacksShape, HealthReportShape, ProcessShape
from bot.web.shapes import Shape, reply
from bot.web.shared import context_of, runtime, wake_up

machines = Blueprint("machines", __name__)

#: How many deliveries of each pipeline are examined, and for how many seconds the answer is kept, because the address
#: is open to everybody.
LOOKED_AT, KEPT = 1_000, 10.0
#: The most digits of the number of an attempt or a build.
DIGITS = 9
_NUMBER = {"type": "string", "pattern": f"^[0-9]{{1,{DIGITS}}}$"}


# -- probes ----------------------------------------------------------------------------------------------------


@machines.get("/healthz")
@operation(ProcessShape, actions=())
def answer_alive() -> Response:
    """Answer that the process is alive. No other server is asked."""
    return reply({"status": "ok"})


@machines.get("/readyz")
@operation(HealthReportShape, actions=(), also={503: HealthReportShape})
def report_health() -> Response:
    """Return the health of Interlock with every finding, the backlogs, and the repairs found by polling.

    503 when nothing can be decided or stored.
    """
    judged = runtime().observer.health()
    status = 503 if judged.status is HealthStatus.DOWN else 200
    return reply({**judgement.shape(judged), "pipelines": _backlogs(runtime())}, status)


def _backlogs(here: Runtime) -> Shape:
    """Return the backlog of each pipeline; empty if the store cannot be reached, which the health reports."""
    try:
        seconds, micros = here.redis.time()
        now = seconds + micros / 1e6
        return {name: _backlog(here.redis, context.keys, now) for name, context in here.pipelines.items()}
    except RedisError:
        return {}


def _backlog(redis: Redis, keys: Keys, now: float) -> Shape:
    found = read_backlog(Scripts(redis), keys)
    waited = 0.0 if found.oldest_at is None else now - found.oldest_at
    return {
        "waiting": found.undecided,
        "oldest_waiting_seconds": round(max(0.0, waited), 3),
        "version": found.version,
        "outbox": found.effects,
        "dead_letters": found.dead_letters,
        "repairs": Repairs(redis, keys).shapes(),
    }


# -- callbacks, for a doctor without access to the store ---------------------------------------------------------------


class CallbackMemory:
    """A cache of the list of callbacks in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shape: Shape = {}
        self._until = 0.0

    def shape(self, here: Runtime) -> Shape:
        """Return the list of callbacks, read again if the cached one is too old. Raises RedisError."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._shape = _callbacks(here)
                self._until = time.monotonic() + KEPT
            return self._shape


@machines.get("/api/v1/callbacks")
@operation(CallbacksShape, actions=())
def list_callbacks() -> Response:
    """List when the last callback of each job came, among the newest deliveries since `since`."""
    memory: CallbackMemory = current_app.extensions["interlock-callbacks"]
    return reply(memory.shape(runtime()))


def _callbacks(here: Runtime) -> Shape:
    found = RecentCallbacks()
    for context in here.pipelines.values():
        found.take((e.source, e.name, e.at, e.body) for e in DeliveryPacks(here.redis, context.keys).newest(LOOKED_AT))
    rows = [{"controller": controller, "job": job, "at": at} for (controller, job), at in sorted(found.jobs.items())]
    return {"since": found.since, "callbacks": rows}


# -- jobs that are about to roll out -----------------------------------------------------------------------------------


@machines.get("/api/v1/pipelines/<pipeline>/attempts/<run>/<stage>/<attempt>")
@operation(
    AttemptShape,
    actions=(),
    parameters=(
        Parameter("version", "The version that the job was given; it tells the attempt from others of the same name."),
        Parameter("build", "The number of the build in Jenkins, for the same purpose.", _NUMBER),
    ),
    problems={
        400: "`attempt` or `build` is not a whole number.",
        409: "The build is no longer wanted: it must not roll out.",
        503: "Interlock does not know yet which build carries out this attempt, and asks Jenkins. Ask again.",
    },
)
def judge_attempt(pipeline: str, run: str, stage: str, attempt: str) -> Response:
    """Answer 200 if the attempt is the present one of its run; 409 with a sentence if it is no longer wanted.

    503 while Interlock does not know which build carries out the attempt: if Jenkins made two builds, only one may
    continue.
    """
    context = context_of(pipeline)
    number, given = _number("attempt", attempt), request.args.get("build", "")
    build = _number("build", given) if given else None
    with context.look() as replica:
        no = attempt_refused(replica.board, run, stage, number, request.args.get("version", ""), build)
        job = job_to_look_in(replica.board, run, build) if no is None else None
    if no is not None:
        raise Problem(409, f"no run waits for this build any more: {words(no)}", current=False)
    if build is not None and job is not None:
        _look_at(context, BuildHinted(job.controller, job.name, build), f"asks:{run}:{number}")
        unknown = f"Interlock does not know yet whether build #{build} carries out this attempt"
        return answer(503, f"{unknown}: Jenkins is being asked")
    return reply({"current": True})


def _look_at(context: PipelineContext, hint: BuildHinted, who: str) -> None:
    """Have a worker ask Jenkins for a build, at most once a second per attempt, because anybody may name a build."""
    if context.inbox.add(hint, f"{who}:{int(time.time())}") is Accepted.WAKE_UP:
        wake_up(context.pipeline.name)


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS:
        raise Problem(400, f"{name} is a whole number")
    return int(text)
