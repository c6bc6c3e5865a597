"""How every process logs: one line of JSON (or text for people) per event, never a secret."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

_BARE: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


def set_up(level: str = "INFO", form: str = "json") -> None:
    """Log from `level` on to standard error, as `json` or as `text`. Call once per process."""
    renderer: Any = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*_BARE, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
