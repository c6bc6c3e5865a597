"""Endless deliveries, or a large backlog, do not delay effects: builds start and runs end."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from bot.core.model.events import BuildHinted, Merged
from bot.core.rules.decision import DecisionLimits
from bot.store.records import Records
from bot.store.store import BATCH
from tests.workers.conftest import Open
from tests.workers.workshop import STAGES, Workshop, sha
from workers.performer import perform_due
from workers.turn import COMMITS_IN_A_ROW, TURN, take_turns

#: More commits than any run needs here, however many deliveries come in.
ENDLESS = 40 * COMMITS_IN_A_ROW


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    opened = workshop(timeout=60.0)
    opened.start()
    return opened


class Log:
    """What a turn did, in order: `commit` and whom it woke. `before` is called at each commit."""

    def __init__(self, shop: Workshop, monkeypatch: pytest.MonkeyPatch, before: Callable[[], None]) -> None:
        self.rows: list[str] = []
        real = shop.context.store.commit

        def commit(*args: Any) -> Any:
            before()
            self.rows.append("commit")
            assert self.rows.count("commit") < ENDLESS, "a turn without end"
            return real(*args)

        monkeypatch.setattr(shop.context.store, "commit", commit)


def _push(shop: Workshop, number: int) -> None:
    shop.context.inbox.add(Merged("S2", sha(f"S2 {number}"), None, title=f"S2 {number}"), uuid.uuid4().hex)


def test_performers_are_woken_after_each_commit_that_others_follow(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(shop, monkeypatch, lambda: None)
    for number in range(4 * BATCH):
        _push(shop, number)
    asked = take_turns(shop.context, log.rows.append)
    commits = [index for index, row in enumerate(log.rows) if row == "commit"]
    assert len(commits) == 4
    assert log.rows[commits[0] : commits[1]] == ["commit", "github", "jenkins"]
    assert log.rows[commits[1] : commits[2]] == ["commit", "github", "jenkins"]
    assert log.rows[commits[3] :] == ["commit"], "what the last commit asks for, this very thread does"
    assert "jenkins" in asked


def test_a_single_delivery_wakes_nobody_for_what_its_own_thread_does(shop: Workshop) -> None:
    woken: list[str] = []
    _push(shop, 1)
    assert "jenkins" in take_turns(shop.context, woken.append)
    assert woken == []


def test_nobody_is_woken_for_what_rests(shop: Workshop) -> None:
    """A status that says "pending" rests for seconds: the clock finds it when it is due."""
    shop.context.decision_limits = DecisionLimits(status_debounce=5.0)
    _push(shop, 1)
    assert take_turns(shop.context) == {"jenkins"}
    assert shop.context.redis.zcard(shop.context.keys.due("github")) > 0


def test_a_turn_is_handed_on_while_deliveries_never_stop(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(ENDLESS))
    log = Log(shop, monkeypatch, lambda: _push(shop, next(numbers)))
    _push(shop, ENDLESS)
    asked = take_turns(shop.context, log.rows.append)
    assert log.rows.count("commit") == COMMITS_IN_A_ROW
    assert log.rows[-1] == TURN
    assert "jenkins" in asked
    assert not shop.context.redis.exists(shop.context.keys.lease), "whoever was woken can begin at once"


@pytest.mark.slow
def test_a_run_ends_while_deliveries_never_stop(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit finds one more push. Whoever is woken does what is due then: the turn is not theirs to take."""
    mine = shop.merge("S1", "a")
    records = Records(shop.context.redis, shop.context.keys)
    numbers = iter(range(ENDLESS))

    def goes_on() -> None:
        if records.ended_run(mine.key) is None:
            _push(shop, next(numbers))
            _finish_builds(shop, mine.key)

    def help_with(whom: str) -> None:
        if whom != TURN:
            perform_due(shop.runtime, shop.context, whom, lambda *_: None)

    log = Log(shop, monkeypatch, goes_on)
    _push(shop, ENDLESS)
    while records.ended_run(mine.key) is None:
        take_turns(shop.context, help_with)
    assert log.rows.count("commit") < ENDLESS
    assert shop.facts("run-delivered") != []


def _finish_builds(shop: Workshop, run: str) -> None:
    """Whatever runs for this run has passed, and Jenkins says so."""
    for stage in STAGES:
        running = [row for row in shop.builds(stage) if row["building"] and row["params"]["INTERLOCK_RUN"] == run]
        for number in shop.control.release(f"shop/{stage}", match={"INTERLOCK_RUN": run}) if running else ():
            shop.context.inbox.add(BuildHinted("cdp", f"shop/{stage}", number), uuid.uuid4().hex)
