"""What must be true before a worker works: the schema is ours, and the board has the configuration of the file."""

from __future__ import annotations

import structlog

from bot.core.model.events import Configured
from bot.runtime import PipelineContext, Runtime
from config import settings

log = structlog.get_logger()


def check(runtime: Runtime) -> None:
    """Migrate what an older version stored, and say what the environment lacks.

    Raises NewerSchema if a newer version wrote what is stored.
    """
    runtime.migrate()
    for sentence in (*settings.missing(runtime.configuration, runtime.settings), *settings.unknown_variables()):
        log.warning("configuration", what=sentence)


def configure(runtime: Runtime) -> list[str]:
    """Tell each board whose configuration differs from the file's; returns the pipelines that need a turn.

    A mode that is new in the file takes effect; while it stands there unchanged, a person's word counts, and a restart
    does not undo it.
    """
    return [name for name, context in runtime.pipelines.items() if _configure(runtime, name, context)]


def _configure(runtime: Runtime, name: str, context: PipelineContext) -> bool:
    with context.look() as copy:
        header, mode = copy.board.header, runtime.configuration.mode(name)
        if header.pipeline == context.pipeline and header.configured_mode is mode:
            return False
        event = Configured(context.pipeline, mode=mode if header.configured_mode is not mode else None)
        context.inbox.add(event, f"configured:{runtime.configuration.digest}:{copy.version}")
    return True
