"""Beat's schedule: a clock that was set back delays nothing, also after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.schedules import schedule

from workers.scheduler import SteadyScheduler


class Clock:
    """A clock that can be moved. The schedule finds it by its name: entries are read from a file."""

    now = datetime(2026, 11, 30, tzinfo=UTC)

    @classmethod
    def read(cls) -> datetime:
        return cls.now

    @classmethod
    def move(cls, **by: float) -> None:
        cls.now += timedelta(**by)


class Sending(SteadyScheduler):
    """Notes what it would send."""

    def apply_async(self, entry: Any, **_: Any) -> None:
        self.app.sent.append(entry.name)


class Beat:
    """A beat that can be started again."""

    def __init__(self, folder: Path) -> None:
        self.app: Any = Celery("beat", broker="memory://", set_as_current=False)
        self.app.conf.beat_schedule = {
            name: {"task": name, "schedule": schedule(seconds, nowfun=Clock.read)}
            for name, seconds in {"often": 1.0, "seldom": 60.0}.items()
        }
        self.app.sent = []
        self._file = str(folder / "beat-schedule")
        self.start()

    def start(self) -> None:
        self._scheduler = Sending(self.app, schedule_filename=self._file)

    def stop(self) -> None:
        self._scheduler.close()

    def sends_within(self, seconds: int) -> set[str]:
        """Which entries are sent while so many seconds pass."""
        self.app.sent.clear()
        for _ in range(seconds):
            Clock.move(seconds=1)
            while self._scheduler.tick() == 0:
                pass
        return {*self.app.sent}


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[Beat]:
    made = Beat(tmp_path)
    yield made
    made.stop()


def test_each_entry_is_sent_when_it_is_due(beat: Beat) -> None:
    assert beat.sends_within(3) == {"often"}
    assert beat.sends_within(61) == {"often", "seldom"}


def test_a_clock_that_was_put_back_keeps_nothing_waiting(beat: Beat) -> None:
    Clock.move(hours=1)
    assert beat.sends_within(3) == {"often", "seldom"}
    Clock.move(hours=-1)
    assert beat.sends_within(3) == {"often"}
    assert beat.sends_within(61) == {"often", "seldom"}


def test_nor_does_a_clock_that_was_put_back_before_the_start(beat: Beat) -> None:
    Clock.move(hours=1)
    beat.sends_within(3)
    beat.stop()
    Clock.move(hours=-1)
    beat.start()
    assert beat.sends_within(3) == {"often"}


def test_a_clock_that_goes_forward_sends_what_is_due_by_then_once(beat: Beat) -> None:
    beat.sends_within(3)
    Clock.move(hours=1)
    beat.sends_within(1)
    assert sorted(beat.app.sent) == ["often", "seldom"]
