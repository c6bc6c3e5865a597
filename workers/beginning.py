"""Start a worker, and begin a board.

A worker runs only on state of its own schema, and adds a new configuration to the inbox of each board. A turn that
finds no board begins one. To distinguish a first start from an emptied store, a worker that was running before has its
board replica (`BoardReplica.lost`). After a restart of everything only Jenkins shows it: by a banner of ours on a job,
or builds with our parameters, from before this board began.
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


# -- freeze windows: the board has the next few, and gets new ones before they run out ---------------------------------


def planned_freezes(context: PipelineContext) -> FreezesPlanned:
    """Return the event with the freezes of the pipeline file and their windows from now on."""
    now = time.time()
    revision = context.stored.revision if context.stored is not None else UNSTORED
    return FreezesPlanned(tuple(freeze.planned(now) for freeze in context.freezes), revision)


def plan_freezes(context: PipelineContext) -> bool:
    """Add the freezes to the inbox if the file has other ones than the board, or its windows run out; return whether a
    turn is needed. A board that has not begun gets them at its beginning."""
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
    """Migrate state of an older version, and log what the environment lacks.

    Raises NewerSchema if a newer version wrote the state.
    """
    runtime.migrate()
    for sentence in (*settings.missing(runtime.configuration, runtime.settings), *settings.unknown_variables()):
        log.warning("configuration", what=sentence)


def configure_boards(runtime: Runtime) -> list[str]:
    """Add a changed configuration or changed freezes to the inbox of each board; return the pipelines that need a turn.

    A mode that is new in the file takes effect. As long as the file does not change it, the mode that a person has set
    stays in force, also after a restart.
    """
    told = tell_boards(runtime)
    return [name for name, context in runtime.pipelines.items() if plan_freezes(context) or name in told]


# -- the beginning of a board ------------------------------------------------------------------------------------------

_said = Once()


def first_events(context: PipelineContext, copy: BoardReplica) -> list[Event]:
    """Return the events that must be decided before any other on a replica that `must_begin`."""
    header = copy.board.header
    found: list[Event] = []
    if not header.born:
        found.append(replace(context.configured(header), mode=context.mode))
        found += [planned_freezes(context)] if context.freezes else []
    before = copy.lost()
    if before is not None and header.lost is not None:
        copy.settled()  # another worker has handled the loss
    elif before is not None:
        found.append(remembered(before, "the store was emptied while Interlock ran"))
    return found


def without_memory(begun: Sequence[Event]) -> list[Event]:
    """Return the events without the remembered details of a loss, for the case that these no longer fit: then every
    stage that locks is closed nevertheless."""
    return [StateLost(event.why) if isinstance(event, StateLost) else event for event in begun]


def prove_first_start(runtime: Runtime, context: PipelineContext) -> int:
    """Ask Jenkins whether this board is the first one; returns how many events were added to the inbox.

    Jenkins is asked once, and again as long as a controller does not answer and the others show no traces.
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
