"""Restarts, crashes and quiet-down: their losses, the resumed builds, and the 503 answers in between."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standins.jenkins.model import Build, QueueItem

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

MODES = ("clean", "crash")
#: The queue is saved this long after a change; a crash loses later changes. Source: Queue.Saver.DELAY_SECONDS.
SAVE_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of a crash after the last save of the queue.

    queue: waiting items are lost. started: started items come back and are built again. ids: they are reused, from 1 on
    if nothing had been saved, so two items, and two builds, get the same id. builds: the records of running FreeStyle
    builds are lost; their numbers are not reused.
    """

    queue: bool = False
    started: bool = False
    ids: bool = False
    builds: bool = False


class Restart:
    """The restarts of a controller. Call all methods but the timer's under its lock."""

    def __init__(self, controller: Controller) -> None:
        self._c = controller
        self.down = False
        #: While down: break connections, as a dead process does, instead of answering 503.
        self.refusing = False
        self._silent = False

    def begin(self, mode: str, seconds: float, *, refuse: bool = False, losses: Losses | None = None) -> None:
        """Go down for `seconds`.

        clean: waiting items keep their ids; Pipelines continue afterwards; FreeStyle builds are ABORTED, no callbacks,
        or their records are lost if `losses` says so (a real core did both at times).
        crash: `losses` applies to the time since the last save; builds that end meanwhile send no callbacks.
        """
        if mode not in MODES:
            raise ValueError(f"a restart is {' or '.join(MODES)}, not {mode!r}")
        c, now = self._c, self._c.clock.now()
        self.down, self.refusing = True, refuse
        crash = mode == "crash"
        lost = losses or Losses()
        lost = lost if crash else Losses(builds=lost.builds)
        queued = [item for job in c.jobs.values() for item in job.queued.values()]
        started = [item for item in c.queue.items.values() if item.build is not None and item.build.building]
        unsaved = [item for item in c.queue.items.values() if now - item.since < SAVE_AFTER]
        kept = [item for item in queued if not (lost.queue and item in unsaved)]
        for item in queued:
            if item not in kept:
                c.queue.lose(item)
        if lost.ids:
            saved = [item.id for item in c.queue.items.values() if item not in unsaved or item in kept]
            c.queue.count_from(max(saved, default=0) + 1)
        c.queue.forget_left()
        again = [item for item in started if _unsaved(item, now)] if lost.started else []
        c.clock.after(seconds, lambda: self._end(again, lost))
        self._silent = crash
        for build in self._running():
            build.silent = build.silent or crash

    def _end(self, again: list[QueueItem], lost: Losses) -> None:
        c = self._c
        with c.lock:
            self.down = self.refusing = False
            c.session = secrets.token_hex(4)
            c.quieting_down, c.quiet_reason = False, None
            c.signins.forget_sessions()
            for build in self._running():
                self._resume(build, lost)
            for item in again:
                c.queue.restore(item)
            c.queue.poke_all()
            c.changed.notify_all()

    def _resume(self, build: Build, lost: Losses) -> None:
        """End FreeStyle builds, which stopped with the process; resume Pipelines with the same number and queue id."""
        if build.job.kind == "freestyle":
            build.silent = True
            self._c.builds.end(build, "ABORTED")
            if lost.builds:
                self._c.builds.forget(build)
            return
        build.log.append("Resuming build after Jenkins restart")
        # a completion during a crash is marked on load, without listeners; a later one sends callbacks as usual
        due = build.timer.due if build.timer is not None else float("inf")
        build.silent = build.silent and due <= self._c.clock.now() + 0.1

    def _running(self) -> list[Build]:
        return [build for job in self._c.jobs.values() for build in list(job.running.values())]


def _unsaved(item: QueueItem, now: float) -> bool:
    return now - item.left_at < SAVE_AFTER
