"""The clock that can be moved, and its timers."""

from __future__ import annotations

import threading

from standins.clock import Clock
from tests.standins.conftest import until


def test_a_timer_that_fails_is_heard_and_the_others_still_come(monkeypatch):
    heard, came = [], threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: heard.append(args.exc_type))
    clock = Clock()
    clock.start()
    clock.after(0.01, lambda: 1 / 0)
    clock.after(0.02, came.set)
    assert came.wait(5)
    clock.stop()
    assert heard == [ZeroDivisionError]


def test_a_timer_runs_when_time_is_moved_and_never_once_cancelled():
    clock, came = Clock(), []
    clock.start()
    clock.after(60, lambda: came.append("late"))
    clock.after(30, lambda: came.append("early"))
    clock.after(40, lambda: came.append("never")).cancel()
    clock.advance(61)
    until(lambda: len(came) == 2)
    clock.stop()
    assert came == ["early", "late"]
