"""The start of a worker and the beginning of a board.

A worker works only on a schema of its own, and tells the boards of a new configuration. A turn that finds no board
begins one. Whether that is a first start, or the store was emptied, a worker that has run since before knows from its
copy of the board (`BoardReplica.lost`). After a restart of everything only Jenkins can tell: a banner of ours over a
job, or builds that carry our parameters, from before this board began.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from bot.core.model.events import Event, FirstStart, FreezesPlanned, StateLost
from bot.core.model.pipeline import UNSTORED
from bot.core.rules.state_lost import remembered
from bot.jenkins.traces import read_traces
from bot.runtime import PipelineContext, Runtime
from bot.store.replica import BoardReplica
from bot.store.store import LOOK_MS
from bot.uptake import tell_boards
from config import settings
from config.freezes import is_current
from config.logs import Once

log = structlog.get_logger()


# -- the windows of freezes: the board knows the next few, and gets new ones before they run out -----------------------


def planned_freezes(context: PipelineContext) -> FreezesPlanned:
    """The freezes of the file with their windows from now on."""
    now = time.time()
    revision = context.stored.revision if context.stored is not None else UNSTORED
    return FreezesPlanned(tuple(freeze.planned(now) for freeze in context.freezes), revision)


def plan_freezes(context: PipelineContext) -> bool:
    """Tell a board that has begun, if the file has other freezes or their windows run out; whether it needs a turn."""
    event = planned_freezes(context)
    with context.look() as copy:
        header, version = copy.board.header, copy.version
    if not header.born or event.revision.since < header.revision.since:
        return False
    if is_current(header.freezes, event.freezes, time.time()):
        return False
    context.inbox.add(event, f"freezes:{version}")
    return True


# -- the start of a worker ---------------------------------------------------------------------------------------------


def check_store(runtime: Runtime) -> None:
    """Migrate what an older version stored, and say what the environment lacks.

    Raises NewerSchema if a newer version wrote what is stored.
    """
    runtime.migrate()
    for sentence in (*settings.missing(runtime.configuration, runtime.settings), *settings.unknown_variables()):
        log.warning("configuration", what=sentence)


def configure_boards(runtime: Runtime) -> list[str]:
    """Tell each board whose configuration is another one, or whose freezes are; returns the pipelines that need a turn.

    A mode that is new in the file takes effect; while it stands there unchanged, a person's word counts, and a restart
    does not undo it.
    """
    told = tell_boards(runtime)
    return [name for name, context in runtime.pipelines.items() if plan_freezes(context) or name in told]


# -- the beginning of a board ------------------------------------------------------------------------------------------

_said = Once()


def first_events(context: PipelineContext, copy: BoardReplica) -> list[Event]:
    """What must be decided before anything else on the board that this copy has; mostly nothing."""
    header = copy.board.header
    found: list[Event] = []
    if not header.born:
        found.append(replace(context.configured(header), mode=context.mode))
        found += [planned_freezes(context)] if context.freezes else []
    before = copy.lost()
    if before is not None and header.lost is not None:
        copy.settled()  # another worker has dealt with it
    elif before is not None:
        found.append(remembered(before, "the store was emptied while Interlock ran"))
    return found


def without_memory(begun: Sequence[Event]) -> list[Event]:
    """The same without what is remembered: should that not fit any more, what locks is closed all the same."""
    return [StateLost(event.why) if isinstance(event, StateLost) else event for event in begun]


def prove_first_start(runtime: Runtime, context: PipelineContext) -> int:
    """Ask Jenkins whether this board is the first; returns how many events went into the inbox.

    It is asked once, and again as long as a controller does not answer and the others show nothing.
    """
    with context.look() as copy:
        board = copy.board
        if not board.header.unproven:
            return 0
        found = read_traces(runtime, board)
    for job, why in found.silent.items():
        if _said.is_new((context.pipeline.name, job), why):
            log.warning("first-start-unproven", job=job.name, controller=job.controller, why=why)
    if not found.shows_any and found.silent:
        return 0
    if found.shows_any:
        context.store.note_unacknowledged_writes(LOOK_MS)
    event = found.as_lost() if found.shows_any else FirstStart()
    return 1 if context.inbox.add(event, f"proven:{board.header.born}") else 0
