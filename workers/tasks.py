"""The Celery tasks: thin, short, safe to run twice; a message is only a wake-up, all truth is in inbox and outbox."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from celery import shared_task
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from bot.core.model.events import StoreChanged, TimePassed
from bot.runtime import PipelineContext, Runtime, runtime
from bot.store.connection import is_out_of_reach
from bot.store.keys import FAMILIES
from bot.store.recording import BoardNow, RecordingLimits
from config.broker import EFFECTS, TURN_TASK, TURNS
from workers import beginning, measuring, reconcile
from workers.performer import decide_and_perform, perform_due
from workers.turn import TURN

log = structlog.get_logger()

#: How long a wake-up for performers counts as pending, in milliseconds.
WAKE_UP_MS = 2_000
MIB = 1_048_576


def task(name: str, **options: Any) -> Callable[[Callable[..., None]], Any]:
    """A Celery task that ends quietly while store or broker cannot be reached: a fail-over, say.

    Whatever it was about is in inbox and outbox, and the sweeper asks again.
    """

    def made(function: Callable[..., None]) -> Any:
        return shared_task(name=name, **options)(patient(name, function))

    return made


def patient(name: str, function: Callable[..., None]) -> Callable[..., None]:
    """The function, ending quietly while store or broker cannot be reached."""

    @wraps(function)
    def tried(*arguments: Any) -> None:
        try:
            function(*arguments)
        except (RedisError, OperationalError) as error:  # its text may hold an address, and tells no more
            if isinstance(error, RedisError) and not is_out_of_reach(error):
                raise
            log.warning("store-unreachable", task=name, error=type(error).__name__)

    return tried


@task(TURN_TASK, queue=TURNS)
def turn(pipeline: str) -> None:
    """Decide what waits in the inbox, then do what that asks of Jenkins at once."""
    shared = runtime()
    if pipeline in shared.pipelines:  # else it is not configured, or this process is about to take up that it is
        decide_and_perform(shared, shared.pipeline(pipeline), wake_up)
        ask_at_once(shared.pipeline(pipeline))


@task("interlock.perform")
def perform(pipeline: str, family: str) -> None:
    """Do the effects of a family that are due."""
    shared = runtime()
    if pipeline not in shared.pipelines:
        return
    context = shared.pipeline(pipeline)
    context.redis.delete(context.keys.performer_wake_up(family))
    perform_due(shared, context, family, wake_up)


def wake_up(pipeline: str, whom: str) -> None:
    """Have another thread, here or elsewhere, take the turn (`TURN`) or help with a family's effects.

    A broker that takes no message keeps nobody from performing what they have claimed: the sweeper asks again.
    """
    try:
        if whom == TURN:
            turn.apply_async((pipeline,), expires=60)
        else:
            wake_up_performer(pipeline, whom)
    except OperationalError as error:  # its text may hold an address
        log.warning("wake-up-failed", pipeline=pipeline, whom=whom, error=type(error).__name__)


def wake_up_performer(pipeline: str, family: str) -> None:
    """Have another thread help with a family's effects, unless one is on its way already."""
    context = runtime().pipelines.get(pipeline)
    if context is not None and context.redis.set(context.keys.performer_wake_up(family), "1", nx=True, px=WAKE_UP_MS):
        perform.apply_async((pipeline, family), queue=EFFECTS[family], expires=60)


@task("interlock.tick", queue=TURNS)
def tick() -> None:
    """The clock and the sweeper: wakes up whoever has something due or left over."""
    sweep()


def sweep() -> None:
    """What the clock does, for every pipeline."""
    for name, context in runtime().pipelines.items():
        waiting, look = context.inbox.tick_and_look(TimePassed())
        if look:  # what was accepted and lost with the former master is found by asking: now, and not at the next poll
            log.warning("store-changed", pipeline=name)
            when = context.redis.hget(context.keys.meta, "changed")
            context.inbox.add(StoreChanged(), f"store-changed:{when!r}")  # once, though two looks find it
            waiting += 1
            reconcile_builds.apply_async((name,), expires=60)
            reconcile_heads.apply_async((True, name), expires=60)
        ask_at_once(context)
        if waiting or not context.store.is_configured():
            turn.apply_async((name,), expires=60)
        for family in FAMILIES:
            if context.outbox.due(family):
                wake_up_performer(name, family)


def ask_at_once(context: PipelineContext) -> None:
    """Ask what a turn has found to be unknown, and do not wait for the next poll.

    Where main stands, when a board has begun, main was moved in a way that fits nowhere, or a loss was found; and
    whether state was lost, when a board has begun. Of this pipeline alone: the boards of a new installation all begin
    at once, and each of them asks.
    """
    name, began = context.pipeline.name, context.began.is_set()
    if began or context.main_unclear.is_set():
        context.began.clear()
        context.main_unclear.clear()
        reconcile_heads.apply_async((True, name), expires=60)
    if began:
        reconcile_builds.apply_async((name,), expires=60)


@task("interlock.reconcile_builds", queue=TURNS)
def reconcile_builds(pipeline: str = "") -> None:
    """Ask Jenkins what it did not tell (invariant 8) about one pipeline; without a name, about all."""
    shared = runtime()
    for name, context in to_poll(shared, pipeline):
        if beginning.prove_first_start(shared, context) + reconcile.builds(shared, context):
            turn.apply_async((name,), expires=60)


#: How long after a restart was noticed another look for the same reason is not asked for, in milliseconds.
RESTART_MS = 2_000


def look_again() -> None:
    """A Jenkins has restarted: what it did meanwhile it told nobody, so everything is asked about now."""
    shared = runtime()
    if any(
        context.redis.set(context.keys.restarted, "1", nx=True, px=RESTART_MS) for context in shared.pipelines.values()
    ):
        reconcile_builds.apply_async(expires=60)


@task("interlock.reconcile_heads", queue=TURNS)
def reconcile_heads(everybody: bool = False, pipeline: str = "") -> None:
    """Ask GitHub where main stands: the baseline at the first start, lost pushes later (invariant 8).

    `everybody`: those too whose main has just moved. Of one pipeline; without a name, of all.
    """
    shared = runtime()
    for name, context in to_poll(shared, pipeline):
        if reconcile.heads(shared, context, everybody=everybody):
            turn.apply_async((name,), expires=60)


def to_poll(shared: Runtime, pipeline: str) -> list[tuple[str, PipelineContext]]:
    """The pipeline of this name, if this process has it; without a name, all."""
    return [(name, context) for name, context in shared.pipelines.items() if pipeline in ("", name)]


@task("interlock.plan_freezes", queue=TURNS)
def plan_freezes() -> None:
    """Carry the windows of the freezes on, before those that the boards know run out."""
    for name, context in runtime().pipelines.items():
        if beginning.plan_freezes(context):
            turn.apply_async((name,), expires=60)


@task("interlock.report_week", queue=TURNS)
def report_week() -> None:
    """Have the report of the last week sent, where it is due."""
    for name, context in runtime().pipelines.items():
        if measuring.report_week(context):
            turn.apply_async((name,), expires=60)


@task("interlock.measure", queue=TURNS)
def measure() -> None:
    """Fold the facts since the last time into the statistics."""
    shared = runtime()
    for context in shared.pipelines.values():
        measuring.measure(context, shared.configuration.keep.history)


@task("interlock.pack_recording", queue=TURNS)
def pack_recording() -> None:
    """Pack the turns that were recorded, and take snapshots of the boards now and then."""
    keep = runtime().configuration.keep
    for context in runtime().pipelines.values():
        with context.look() as replica:
            board = BoardNow(replica.version, replica.epoch, tuple(replica.board.records()))
        context.recording.pack(board, RecordingLimits(keep.recording_mib * MIB, keep.recording))


@task("interlock.housekeep", queue=TURNS)
def housekeep() -> None:
    """Compress raw deliveries and forget the oldest, as the configuration says; forget notes of what is done."""
    shared = runtime()
    keep = shared.configuration.keep
    for context in shared.pipelines.values():
        context.delays.forget_gone()
        context.patience.forget_gone()
        context.deliveries.pack()
        context.deliveries.forget(keep.raw_deliveries, keep.raw_deliveries_mib << 20)
