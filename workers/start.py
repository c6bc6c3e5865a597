"""What must be true before a worker works: the schema is ours, and the board has the configuration of the file."""

from __future__ import annotations

import structlog

from bot.core.model.events import Configured
from bot.store.migrations import migrate
from bot.store.schema import SCHEMA
from config import ready
from workers.context import Context, PipelineContext

log = structlog.get_logger()


def check(context: Context) -> None:
    """Migrate what an older version stored, and say what the environment lacks.

    Raises NewerSchema if a newer version wrote what is stored.
    """
    for name, line in context.lines.items():
        before = migrate(line.redis, line.keys)
        if before is not None:
            log.warning("state-migrated", pipeline=name, before=before, now=SCHEMA)
    for sentence in (*ready.lacking(context.configuration, context.settings), *ready.unknown()):
        log.warning("configuration", what=sentence)


def configure(context: Context) -> list[str]:
    """Tell each board whose configuration differs from the file's; returns the pipelines that need a turn.

    A mode that is new in the file takes effect; while it stands there unchanged, a person's word counts, and a restart
    does not undo it.
    """
    return [name for name, line in context.lines.items() if _configure(context, name, line)]


def _configure(context: Context, name: str, line: PipelineContext) -> bool:
    with line.reading:
        copy = line.look()
        header, mode = copy.board.header, context.configuration.mode(name)
        if header.pipeline == line.pipeline and header.configured_mode is mode:
            return False
        event = Configured(line.pipeline, mode=mode if header.configured_mode is not mode else None)
        line.inbox.add(event, f"configured:{context.configuration.digest}:{copy.version}")
    return True
