"""Noticing that a Jenkins has restarted: each answer names its session, and everything is looked at again at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

_lock = threading.Lock()
_sessions: dict[str, str] = {}
_restarted: dict[str, float] = {}
_listeners: list[Callable[[], object]] = []


def listen(listener: Callable[[], object]) -> None:
    """Call `listener` whenever a controller is seen to have restarted; it must return quickly."""
    _listeners.append(listener)


def notice(controller: str, session: str | None) -> None:
    """An answer of a controller named this session (X-Jenkins-Session; Jenkins: `hudson.model.Api#setHeaders`)."""
    if not session:
        return
    with _lock:
        before, _sessions[controller] = _sessions.get(controller), session
        if before not in (None, session):
            _restarted[controller] = time.time()
    if before not in (None, session):
        log.warning("jenkins-restarted", controller=controller)
        for listener in _listeners:
            listener()


def last(controller: str) -> float | None:
    """When this process last noticed a restart of a controller, in seconds since the epoch; None: it never did."""
    with _lock:
        return _restarted.get(controller)
