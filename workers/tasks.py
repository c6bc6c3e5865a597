"""The Celery tasks: thin, short, safe to run twice. A message is only a wake-up; all state is in inbox and outbox."""

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
    """Decorate a Celery task that ends quietly while store or broker cannot be reached, as during a fail-over.

    Its work is in inbox and outbox, and the sweeper sends another wake-up.
    """

    def made(function: Callable[..., None]) -> Any:
        return shared_task(name=name, **options)(patient(name, function))

    return made


def patient(name: str, function: Callable[..., None]) -> Callable[..., None]:
    """Wrap a function so that it ends quietly while store or broker cannot be reached."""

    @wraps(function)
    def tried(*arguments: Any) -> None:
        try:
            function(*arguments)
        except (RedisError, OperationalError) as error:  # its text may contain an address
            if isinstance(error, RedisError) and not is_out_of_reach(error):
                raise
            log.warning("store-unreachable", task=name, error=type(error).__name__)

    return tried


@task(TURN_TASK, queue=TURNS)
def turn(pipeline: str) -> None:
    """Decide the entries in the inbox, then perform the resulting effects at Jenkins at once."""
    shared = runtime()
    if pipeline in shared.pipelines:  # else it is not configured, or this process has not taken it up yet
        decide_and_perform(shared, shared.pipeline(pipeline), wake_up)
        ask_at_once(shared.pipeline(pipeline))


@task("interlock.perform")
def perform(pipeline: str, family: str) -> None:
    """Perform the effects of a family that are due."""
    shared = runtime()
    if pipeline not in shared.pipelines:
        return
    context = shared.pipeline(pipeline)
    context.redis.delete(context.keys.performer_wake_up(family))
    perform_due(shared, context, family, wake_up)


def wake_up(pipeline: str, whom: str) -> None:
    """Wake up another thread, in any worker, to take the turn (`TURN`) or to help with a family's effects.

    An error of the broker is only logged, because the caller must still perform what it has claimed; the sweeper sends
    another wake-up.
    """
    try:
        if whom == TURN:
            turn.apply_async((pipeline,), expires=60)
        else:
            wake_up_performer(pipeline, whom)
    except OperationalError as error:  # its text may contain an address
        log.warning("wake-up-failed", pipeline=pipeline, whom=whom, error=type(error).__name__)


def wake_up_performer(pipeline: str, family: str) -> None:
    """Wake up another thread for a family's effects, unless a wake-up is pending already."""
    context = runtime().pipelines.get(pipeline)
    if context is not None and context.redis.set(context.keys.performer_wake_up(family), "1", nx=True, px=WAKE_UP_MS):
        perform.apply_async((pipeline, family), queue=EFFECTS[family], expires=60)


@task("interlock.tick", queue=TURNS)
def tick() -> None:
    """Run the clock and the sweeper: wake up workers for everything that is due or left over."""
    sweep()


def sweep() -> None:
    """Run the clock and the sweeper for every pipeline."""
    for name, context in runtime().pipelines.items():
        waiting, look = context.inbox.tick_and_look(TimePassed())
        if look:  # deliveries lost with the former master are found by asking: now, and not at the next poll
            log.warning("store-changed", pipeline=name)
            when = context.redis.hget(context.keys.meta, "changed")
            context.inbox.add(StoreChanged(), f"store-changed:{when!r}")  # once, although two ticks report it
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
    """Ask for what a turn has found to be unknown, without waiting for the next poll.

    GitHub is asked for the heads of main when a board has begun, main was moved in a way that does not fit its history,
    or a loss was found; Jenkins is asked whether state was lost when a board has begun. Only this pipeline is asked
    for: the boards of a new installation all begin at once, and each of them asks.
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
    """Ask Jenkins for changes that it did not report (invariant 8), for one pipeline; without a name, for all."""
    shared = runtime()
    for name, context in to_poll(shared, pipeline):
        if beginning.prove_first_start(shared, context) + reconcile.builds(shared, context):
            turn.apply_async((name,), expires=60)


#: How long after a restart was noticed no other poll is requested for the same reason, in milliseconds.
RESTART_MS = 2_000


def look_again() -> None:
    """Poll all builds now, because a Jenkins has restarted and reported nothing in the meantime."""
    shared = runtime()
    if any(
        context.redis.set(context.keys.restarted, "1", nx=True, px=RESTART_MS) for context in shared.pipelines.values()
    ):
        reconcile_builds.apply_async(expires=60)


@task("interlock.reconcile_heads", queue=TURNS)
def reconcile_heads(everybody: bool = False, pipeline: str = "") -> None:
    """Ask GitHub for the heads of main: the baseline at the first start, lost pushes later (invariant 8).

    `everybody`: also for services whose main has just moved. For one pipeline; without a name, for all.
    """
    shared = runtime()
    for name, context in to_poll(shared, pipeline):
        if reconcile.heads(shared, context, everybody=everybody):
            turn.apply_async((name,), expires=60)


def to_poll(shared: Runtime, pipeline: str) -> list[tuple[str, PipelineContext]]:
    """Return the pipeline of this name, if this process has it; without a name, all."""
    return [(name, context) for name, context in shared.pipelines.items() if pipeline in ("", name)]


@task("interlock.plan_freezes", queue=TURNS)
def plan_freezes() -> None:
    """Add further freeze windows before those on the boards run out."""
    for name, context in runtime().pipelines.items():
        if beginning.plan_freezes(context):
            turn.apply_async((name,), expires=60)


@task("interlock.report_week", queue=TURNS)
def report_week() -> None:
    """Have the weekly report sent for each pipeline where it is due."""
    for name, context in runtime().pipelines.items():
        if measuring.report_week(context):
            turn.apply_async((name,), expires=60)


@task("interlock.measure", queue=TURNS)
def measure() -> None:
    """Fold the new facts into the statistics."""
    shared = runtime()
    for context in shared.pipelines.values():
        measuring.measure(context, shared.configuration.keep.history)


@task("interlock.pack_recording", queue=TURNS)
def pack_recording() -> None:
    """Pack the recorded turns, and take the snapshots of the boards that are due."""
    keep = runtime().configuration.keep
    for context in runtime().pipelines.values():
        with context.look() as replica:
            board = BoardNow(replica.version, replica.epoch, tuple(replica.board.records()))
        context.recording.pack(board, RecordingLimits(keep.recording_mib * MIB, keep.recording))


@task("interlock.housekeep", queue=TURNS)
def housekeep() -> None:
    """Pack raw deliveries and delete the oldest, as the configuration says; delete the notes of finished effects."""
    shared = runtime()
    keep = shared.configuration.keep
    for context in shared.pipelines.values():
        context.delays.forget_gone()
        context.patience.forget_gone()
        context.deliveries.pack()
        context.deliveries.forget(keep.raw_deliveries, keep.raw_deliveries_mib << 20)
