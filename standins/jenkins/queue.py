"""The build queue: quiet period, folding of equal items, blocking, leaving. Source: hudson/model/Queue."""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import TYPE_CHECKING

from standins.jenkins.model import Cause, ItemState, Job, QueueItem, Values

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

#: The number of ready items that are checked together.
_ROUND = 100


class Queue:
    """The build queue of a controller. Call its methods under the controller's lock."""

    def __init__(self, controller: Controller) -> None:
        self._c = controller
        self._ids = itertools.count(1)
        #: All items that can be queried, and those that have left, oldest first.
        self.items: dict[int, QueueItem] = {}
        self._left: deque[QueueItem] = deque()

    def schedule(self, job: Job, values: Values, causes: list[Cause], delay: float) -> tuple[QueueItem, bool]:
        """Queue an item, or fold it into an equal waiting item of the same job. Return (item, is it new).

        An earlier due time of a folded request shortens the wait of the existing item
        (hudson/model/Queue#scheduleInternal).
        """
        now = self._c.clock.now()
        twin = job.folding.get(frozenset(values))
        if twin is not None:
            twin.causes.extend(causes)
            if twin.state is ItemState.WAITING and now + delay < twin.due:
                self._set_due(twin, now, delay)
            return twin, False
        item = QueueItem(next(self._ids), job, values, causes, since=now, due=now + delay)
        self.items[item.id] = item
        job.queued[item.id] = item
        job.folding[item.identity] = item
        self._c.notifier.tell_of_item(item, "entered_waiting")
        self._set_due(item, now, delay)
        self._forget(now)
        return item, True

    def next_id(self) -> int:
        """Return an id for an item without a job: a step that waits for an agent."""
        return next(self._ids)

    def count_from(self, item_id: int) -> None:
        """Give the next item this id, even if another item had it."""
        self._ids = itertools.count(item_id)

    def get(self, item_id: int) -> QueueItem | None:
        """Return the item; None if unknown, or gone for longer than the cache keeps it (5 minutes)."""
        item = self.items.get(item_id)
        if item is not None and self._expired(item, self._c.clock.now()):
            return None
        return item

    def cancel(self, item: QueueItem) -> None:
        """Remove the item: no build, no callback."""
        self._leave(item)
        item.cancelled = True
        self._c.notifier.tell_of_item(item, "left")
        self._c.changed.notify_all()

    def poke(self, job: Job) -> None:
        """Start the items of the job that may start: after a build or quiet-down ended, or a setting changed.

        The cause that blocks one ready item of a job blocks all behind it, so the round ends at the first item that
        does not change: the cost does not grow with the queue.
        """
        while first := list(itertools.islice(job.ready.values(), _ROUND)):
            for item in first:
                before = item.state
                self._consider(item)
                if item.state is before:
                    return

    def poke_all(self) -> None:
        for job in list(self._c.jobs.values()):
            self.poke(job)

    def forget_left(self) -> None:
        """Forget the LeftItems: they are only in memory, so a restart loses them."""
        while self._left:
            self.items.pop(self._left.popleft().id, None)

    def lose(self, item: QueueItem) -> None:
        """Remove all traces of an item that a crash lost."""
        self._leave(item)
        self._left.remove(item)
        self.items.pop(item.id, None)

    def restore(self, item: QueueItem) -> None:
        """Restore an item after a crash, from a queue.xml saved before it started: it is built a second time."""
        again = QueueItem(item.id, item.job, item.values, list(item.causes), item.since, self._c.clock.now())
        self.items[again.id] = again
        again.job.queued[again.id] = again
        again.job.folding[again.identity] = again
        self._consider(again)

    def why(self, item: QueueItem) -> str | None:
        """Return the sentence on its waiting; do not match it, Jenkins localises it."""
        if item.state is ItemState.LEFT:
            return None
        if item.state is ItemState.WAITING:
            left = item.due - self._c.clock.now()
            return f"In the quiet period. Expires in {left:.1f} sec" if left > 0 else "Finished waiting"
        if item.state is ItemState.BLOCKED:
            number = max(item.job.running, default=0)
            return f"Build #{number} is already in progress (ETA: N/A)"
        if self._c.quieting_down:
            return "Jenkins is about to shut down"
        return "Waiting for next available executor"

    def _set_due(self, item: QueueItem, now: float, delay: float) -> None:
        item.due = now + delay
        if item.timer is not None:
            item.timer.cancel()
        wait = delay + self._c.settings.queue_latency
        tick = self._c.settings.queue_tick
        if tick and delay > 0:
            wait = math.ceil((now + wait) / tick) * tick - now
        if wait <= 0:
            self._consider(item)
            return
        item.timer = self._c.clock.after(wait, lambda: self._on_due(item))

    def _on_due(self, item: QueueItem) -> None:
        with self._c.lock:
            if item.state is ItemState.WAITING and self.items.get(item.id) is item:
                if self._c.restart.down:
                    item.timer = self._c.clock.after(0.05, lambda: self._on_due(item))
                else:
                    self._consider(item)

    def _consider(self, item: QueueItem) -> None:
        """Start the item if nothing blocks it; else mark it as blocked or buildable."""
        job = item.job
        job.ready[item.id] = item
        if self._is_blocked(job):
            item.state = ItemState.BLOCKED
        elif self._c.quieting_down or self._c.restart.down or not self._has_executor(job):
            item.state = ItemState.BUILDABLE
            item.buildable_since = item.buildable_since or self._c.clock.now()
        else:
            self._leave(item)
            self._c.notifier.tell_of_item(item, "left")
            self._c.builds.start(item)
        self._c.changed.notify_all()

    @staticmethod
    def _is_blocked(job: Job) -> bool:
        return bool(job.running) and not job.concurrent and not job.abort_previous

    def _has_executor(self, job: Job) -> bool:
        """Return whether an executor is free. A Pipeline is a flyweight task: only its steps need an agent."""
        return job.kind != "freestyle" or self._c.builds.busy_executors < self._c.settings.executors

    def _leave(self, item: QueueItem) -> None:
        if item.timer is not None:
            item.timer.cancel()
        item.state = ItemState.LEFT
        item.left_at = self._c.clock.now()
        item.job.queued.pop(item.id, None)
        item.job.ready.pop(item.id, None)
        if item.job.folding.get(item.identity) is item:
            del item.job.folding[item.identity]
        self._left.append(item)

    def _expired(self, item: QueueItem, now: float) -> bool:
        return item.state is ItemState.LEFT and now - item.left_at > self._c.settings.left_item_seconds

    def _forget(self, now: float) -> None:
        while self._left and self._expired(self._left[0], now):
            gone = self._left.popleft()
            if self.items.get(gone.id) is gone:
                del self.items[gone.id]
