"""Writes boards with many live runs into the store, as records."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis

from bench import bodies
from bot.core.model.board_records import Counters, Header, Record, ServiceState
from bot.core.model.history import REMEMBERED, CommitHistory, Position
from bot.core.model.pipeline import Job, Lane, Pipeline, Service, Step
from bot.core.model.run import Attempt, Merge, Run, Status
from bot.core.rules.containment import PUSHES
from bot.statistics.parts import DURATIONS_KEPT, StepDurations
from bot.store.keys import Keys
from bot.store.parts import fields_of
from bot.store.scripts import SCHEMA
from bot.store.statistics import dump_part
from demo.pipeline import pipeline as pictures

CONTROLLER = "ci"
PRE_PRODUCTION = Step("pre-production")
#: The merge time of the runs, in seconds since the epoch: long ago, but after the first commit of a service.
MERGED = 1_700_000_000.0


def pipeline(name: str, services: int = bodies.SERVICES) -> Pipeline:
    """Return a pipeline: build without limit, acceptance 3 at once, pre-production and production 1, with locks."""
    named = tuple(Service(f"S{n}", bodies.repository(n)) for n in range(services))
    return pictures(name, lambda stage: Job(CONTROLLER, f"{name}-{stage}"), services=named, fast=False)


def fill(redis: Redis, keys: Keys, shape: Pipeline, live: int) -> None:
    """Put `live` runs on an empty board, version 1: half before acceptance, a quarter each around its neighbours.

    The commit history of each service is full, as after a long time, whatever the number of its live runs.
    """
    with redis.pipeline(transaction=True) as pipe:
        pipe.hset(keys.meta, mapping={"schema": SCHEMA, "version": 1, "cursor": "0-0", "accepted": 0, "taken": 0})
        for record in _records(shape, live):
            for field, text in fields_of(record).items():
                pipe.hset(keys.board, field, text)
        for key, part in _past(shape):
            pipe.hset(keys.statistics, key, dump_part(key, part))
        pipe.execute()


def _past(shape: Pipeline) -> Iterator[tuple[str, StepDurations]]:
    """Yield durations of builds, so that the board has estimates: 5 to 15 minutes, different for each service."""
    for stage in shape.stages:
        for number, service in enumerate(shape.services):
            passed = [300.0 + 10 * ((number * 7 + n * 13) % 60) for n in range(DURATIONS_KEPT)]
            yield f"durations/{stage.name}/{service.name}", StepDurations(passed, lags=[2.0] * DURATIONS_KEPT)


def _records(shape: Pipeline, live: int) -> Iterator[Record]:
    yield Header(shape)
    yield Counters(next_queue_number=live + 1_000)
    numbers = dict.fromkeys((service.name for service in shape.services), 0)
    for queue_number in range(1, live + 1):
        service = shape.services[queue_number % len(shape.services)].name
        numbers[service] += 1
        yield _run(service, numbers[service], queue_number, live)
    for service, number in numbers.items():
        yield _state(service, number)


def _run(service: str, number: int, queue_number: int, live: int) -> Run:
    status, step, build = _standing(queue_number, live)
    return Run(
        key=f"{service}.{number}",
        service=service,
        position=Position(1, REMEMBERED + number, bodies.sha(f"{service} {number}")),
        lane=Lane.MAIN,
        status=status,
        step=step,
        queue_number=queue_number,
        created=MERGED + queue_number,
        since=MERGED + queue_number,
        version=f"{service}-20231114221320",
        passed=_before(step),
        attempt=Attempt(0 if status is Status.WAITING else 1, queue_item=build, build=build),
        merge=Merge(title="Orders of several addresses", author="a-developer"),
    )


def _standing(queue_number: int, live: int) -> tuple[Status, Step, int | None]:
    """Return status, step and slot of the run with this queue number; the first ones are the furthest."""
    if queue_number <= 2:
        return Status.RUNNING, (Step("production"), PRE_PRODUCTION)[queue_number - 1], queue_number
    if queue_number <= 2 + live // 4:
        return Status.WAITING, PRE_PRODUCTION, None
    if queue_number <= 5 + live // 4:
        return Status.RUNNING, Step("acceptance"), queue_number
    if queue_number <= 3 * live // 4:
        return Status.WAITING, Step("acceptance"), None
    return Status.RUNNING, Step("build"), queue_number


def _before(step: Step) -> tuple[Step, ...]:
    names = ("build", "acceptance", "pre-production", "production")
    return tuple(Step(name) for name in names[: names.index(step.stage)])


def _state(service: str, number: int) -> ServiceState:
    positions = tuple(
        Position(1, number + seq, bodies.sha(f"{service} {number - REMEMBERED + seq}"))
        for seq in range(1, REMEMBERED + 1)
    )
    pushes = tuple(f"{bodies.sha(f'b{n}')}..{bodies.sha(f'a{n}')}@1557933657" for n in range(PUSHES))
    return ServiceState(service, CommitHistory(positions[-1], 1, positions), number, pushes=pushes)
