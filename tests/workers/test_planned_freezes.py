"""The freezes of the file reach the board: at the beginning, when the file changes, and before they run out."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.model.events import UnlockAsked
from bot.core.model.freezes import Freeze
from config.freeze_times import PLANNED, ConfiguredFreeze, FreezeTimes
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop
from workers import beginning, freezes


def cron(at: float) -> str:
    """The minute of a moment, every day."""
    return f"{datetime.fromtimestamp(at, UTC):%M %H} * * *"


def freeze(begins: float, ends: float) -> ConfiguredFreeze:
    """A freeze of production, every day between two moments, to the minute."""
    return ConfiguredFreeze(Freeze("night", ("production",)), FreezeTimes(cron(begins), cron(ends), None, "UTC"))


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    return workshop()


def with_freezes(shop: Workshop, *found: ConfiguredFreeze) -> None:
    """A worker starts with these freezes in its file."""
    shop.reload(replace(shop.configuration, freezes={shop.pipeline.name: found}))
    beginning.configure_boards(shop.runtime)
    shop.work()


def test_a_board_begins_with_its_freezes_and_a_window_in_force_closes_the_stage(shop: Workshop) -> None:
    now = time.time()
    with_freezes(shop, freeze(now - 3600, now + 3600))
    assert len(shop.board.header.freezes[0].windows) == PLANNED
    (lock,) = shop.board.locks_of("production")
    assert (lock.by, lock.freeze, 3500 < (lock.until or 0) - now <= 3600) == ("Interlock", "night", True)


def test_a_changed_file_counts_at_the_next_start(shop: Workshop) -> None:
    now = time.time()
    with_freezes(shop, freeze(now - 3600, now + 3600))
    with_freezes(shop, freeze(now + 3600, now + 7200))
    assert shop.board.locks_of("production") == []
    with_freezes(shop, freeze(now - 3600, now + 7200))
    assert len(shop.board.locks_of("production")) == 1
    with_freezes(shop)
    assert (shop.board.locks_of("production"), shop.board.header.freezes) == ([], ())


def test_a_restart_leaves_a_lifted_window_lifted(shop: Workshop) -> None:
    now = time.time()
    with_freezes(shop, freeze(now - 3600, now + 3600))
    shop.tell(UnlockAsked("production", "kim", "we may"))
    with_freezes(shop, freeze(now - 3600, now + 3600))
    assert shop.board.locks_of("production") == []


def test_nothing_is_told_while_the_board_knows_enough(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with_freezes(shop, freeze(now + 3600, now + 7200))
    assert not freezes.plan(shop.context)
    monkeypatch.setattr(time, "time", lambda: now + 6 * 86_400)
    assert freezes.plan(shop.context)
    shop.work()
    assert shop.board.header.freezes[0].windows[-1].ends > now + 13 * 86_400
