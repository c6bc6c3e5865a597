"""Carries the windows of the freezes on: the board knows the next few, and gets new ones before they run out."""

from __future__ import annotations

import time

from bot.core.model.events import FreezesPlanned
from bot.core.model.pipeline import UNSTORED
from bot.runtime import PipelineContext
from config.freeze_times import is_current


def planned(context: PipelineContext) -> FreezesPlanned:
    """The freezes of the file with their windows from now on."""
    now = time.time()
    revision = context.stored.revision if context.stored is not None else UNSTORED
    return FreezesPlanned(tuple(freeze.planned(now) for freeze in context.freezes), revision)


def plan(context: PipelineContext) -> bool:
    """Tell a board that has begun, if the file has other freezes or their windows run out; whether it needs a turn."""
    event = planned(context)
    with context.look() as copy:
        header, version = copy.board.header, copy.version
    if not header.born or event.revision.since < header.revision.since:
        return False
    if is_current(header.freezes, event.freezes, time.time()):
        return False
    context.inbox.add(event, f"freezes:{version}")
    return True
