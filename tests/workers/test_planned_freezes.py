"""The freezes of the file reach the board: at the start, after a change, and before the windows run out."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.model.effects import Trigger
from bot.core.model.events import FreezesPlanned, Merged, TimePassed, UnlockAsked
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.run import Status
from config.freezes import PLANNED, ConfiguredFreeze, FreezeTimes
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop, sha
from workers import beginning
from workers.turn import take_turns


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
    assert not beginning.plan_freezes(shop.context)
    monkeypatch.setattr(time, "time", lambda: now + 6 * 86_400)
    assert beginning.plan_freezes(shop.context)
    shop.work()
    assert shop.board.header.freezes[0].windows[-1].ends > now + 13 * 86_400


# -- a worker that is late ---------------------------------------------------------------------------------------

#: How long before a window its last deliveries are accepted, and how long it lasts, in seconds.
SOON, LASTS = 1.0, 3.0


def freeze_soon(shop: Workshop) -> FreezeWindow:
    """The first stage is about to be frozen for a moment."""
    shop.start()
    begins = shop.context.inbox.now() + SOON
    window = FreezeWindow(begins, begins + LASTS)
    shop.tell(FreezesPlanned((Freeze("fair", ("build",), (window,)),)))
    return window


def reached(shop: Workshop, at: float) -> None:
    """Nobody works until a moment."""
    while shop.context.inbox.now() < at:
        time.sleep(0.02)


def goes_on_frozen(shop: Workshop, window: FreezeWindow, runs: int) -> None:
    """A new worker asks for no build in the window, and for one of each run once it is over."""
    shop.reload(shop.configuration)
    while shop.context.inbox.now() < window.ends - 0.5:
        shop.all_due("jenkins")
        shop.work()
        time.sleep(0.02)
    assert shop.posts() == 0
    assert {run.status for run in shop.board.runs.values()} == {Status.WAITING}
    assert len(shop.board.runs) == runs
    reached(shop, window.ends)
    deadline = time.monotonic() + 60
    while shop.posts() < runs and time.monotonic() < deadline:  # on a busy machine Jenkins answers at the second try
        shop.context.inbox.tick(TimePassed())
        shop.all_due("jenkins")
        shop.work()
    assert shop.posts() == runs == len(shop.builds("build"))


def test_what_was_accepted_before_a_window_and_is_decided_in_it_starts_nothing(shop: Workshop) -> None:
    window = freeze_soon(shop)
    for service in ("S1", "S2", "S3"):
        shop.context.inbox.add(Merged(service, sha(f"{service}a"), None, title=f"{service}a"), service)
    assert shop.context.inbox.now() < window.begins
    reached(shop, window.begins)
    goes_on_frozen(shop, window, 3)


def test_what_was_decided_before_a_window_and_not_yet_posted_starts_nothing(shop: Workshop) -> None:
    window = freeze_soon(shop)
    shop.context.inbox.add(Merged("S1", sha("S1a"), None, title="S1a"), "S1")
    take_turns(shop.context)
    assert shop.run("S1a").status is Status.STARTING
    assert shop.context.inbox.now() < window.begins
    reached(shop, window.begins)
    goes_on_frozen(shop, window, 1)


def test_a_worker_that_dies_just_before_it_posts_leaves_nothing_that_starts_in_the_window(shop: Workshop) -> None:
    window = freeze_soon(shop)
    shop.context.inbox.add(Merged("S1", sha("S1a"), None, title="S1a"), "S1")
    take_turns(shop.context)
    claim = shop.claim_for(shop.trigger(), 50)
    assert isinstance(claim.effect, Trigger)
    assert (claim.effect.not_after, shop.context.inbox.now() < window.begins) == (window.begins, True)
    reached(shop, window.begins)
    goes_on_frozen(shop, window, 1)
