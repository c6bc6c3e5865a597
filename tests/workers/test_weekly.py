"""The report of a week reaches its channels once: with two beats, after a restart, and if none ran at its hour."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.core.model.events import Configured, ModeAsked, WeekEnded
from bot.core.model.notice_plan import NoticePlan, WeeklyPlan
from bot.core.model.pipeline import Mode
from config.week_times import LATEST, PlannedReport, next_report
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop
from workers import measuring

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

ZONE, DAY = ZoneInfo("Europe/Berlin"), 86_400.0
PLAN = WeeklyPlan(("team",), 1, 8, "Europe/Berlin")


def after_a_change_of_the_clocks() -> PlannedReport:
    """A report that is due within the year, on the day after the clocks of Berlin have changed."""
    found = next_report(PLAN, time.time() + 14 * DAY)
    while offset(found.at) == offset(found.at - 2 * DAY):
        found = next_report(PLAN, found.at)
    return found


def offset(at: float) -> timedelta | None:
    return datetime.fromtimestamp(at, ZONE).utcoffset()


class Received(ThreadingHTTPServer):
    """A channel: what was posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.posts: list[dict[str, Any]] = []
        self.refuses = 0


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Received)
        if self.server.refuses:
            self.server.refuses -= 1
            self.send_response(503)
        else:
            self.server.posts.append(json.loads(body))
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def channel() -> Iterator[Received]:
    with Received() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def due() -> PlannedReport:
    return after_a_change_of_the_clocks()


@dataclass
class Beats:
    """Beats that ask at moments of the test's choice; the worker then does what comes of it."""

    shop: Workshop
    patch: pytest.MonkeyPatch

    def ask(self, at: float, times: int = 1) -> None:
        self.patch.setattr(measuring, "time", SimpleNamespace(time=lambda: at))
        for _ in range(times):
            measuring.report_week(self.shop.context)
        self.shop.work()

    def restart(self) -> None:
        """A new worker goes on."""
        self.shop.reload(self.shop.configuration)


@pytest.fixture
def shop(workshop: Open, channel: Received) -> Workshop:
    address = f"json://127.0.0.1:{channel.server_port}"
    shop = workshop(notify_urls={"team": address}, notices=NoticePlan(weekly=PLAN))
    shop.start()
    return shop


@pytest.fixture
def beats(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Beats:
    return Beats(shop, monkeypatch)


def test_it_comes_at_its_hour_and_not_before(
    shop: Workshop, beats: Beats, channel: Received, due: PlannedReport
) -> None:
    assert datetime.fromtimestamp(due.at, ZONE).strftime("%a %H:%M") == "Mon 08:00"
    beats.ask(due.at - 1)
    assert channel.posts == []
    beats.ask(due.at)
    (post,) = channel.posts
    assert post["title"] == f"{shop.pipeline.name}: week {due.week}: 0 delivered, 0 locks"
    assert "Delivered: 0 runs (0)" in post["message"] and f"/p/{shop.pipeline.name}/statistics" in post["message"]
    assert shop.board.header.reported_week == due.week


def test_two_beats_and_a_restart_send_it_once_and_the_next_week_has_its_own(
    beats: Beats, channel: Received, due: PlannedReport
) -> None:
    beats.ask(due.at + 1, times=2)  # both before the turn that decides
    beats.ask(due.at + 61)
    beats.restart()
    beats.ask(due.at + 2 * DAY)
    assert len(channel.posts) == 1
    following = next_report(PLAN, due.at)
    beats.ask(following.at)
    assert [following.week in post["title"] for post in channel.posts] == [False, True]


def test_where_nobody_ran_at_the_hour_it_comes_late_but_not_later_than_stated(
    beats: Beats, channel: Received, due: PlannedReport
) -> None:
    beats.ask(due.at + LATEST)
    assert channel.posts == []
    beats.ask(due.at + LATEST - 1)
    assert len(channel.posts) == 1


def test_a_channel_that_is_away_gets_it_when_it_is_back(
    shop: Workshop, beats: Beats, channel: Received, due: PlannedReport
) -> None:
    channel.refuses = 1
    beats.ask(due.at)
    deadline = time.monotonic() + 60
    while not channel.posts:
        assert time.monotonic() < deadline, "it is not tried again"
        shop.all_due("people")
        shop.work()
    assert len(channel.posts) == 1 and channel.refuses == 0


def test_while_the_pipeline_observes_nobody_is_told_and_nothing_counts_as_told(
    shop: Workshop, beats: Beats, channel: Received, due: PlannedReport
) -> None:
    shop.tell(ModeAsked(Mode.OBSERVE, "kim", "a trial"))
    beats.ask(due.at)
    shop.tell(WeekEnded(due.week))  # decided before the beat could know
    assert channel.posts == [] and shop.board.header.reported_week == ""
    shop.tell(ModeAsked(Mode.RUN, "kim", "it is good"))
    beats.ask(due.at + DAY)
    assert len(channel.posts) == 1


def test_a_pipeline_that_began_after_the_report_was_due_sends_none(
    shop: Workshop, beats: Beats, channel: Received
) -> None:
    before = datetime.fromtimestamp(shop.board.header.born - 7_200, UTC)
    plan = WeeklyPlan(("team",), before.isoweekday(), before.hour)
    changed = replace(shop.pipeline, notices=NoticePlan(weekly=plan))
    shop.reload(replace(shop.configuration, pipelines=(changed,)))
    shop.tell(Configured(changed))
    beats.ask(time.time())
    assert channel.posts == []


def test_without_the_key_nobody_is_told(workshop: Open, monkeypatch: pytest.MonkeyPatch, due: PlannedReport) -> None:
    shop = workshop()
    shop.start()
    Beats(shop, monkeypatch).ask(due.at)
    assert shop.board.header.reported_week == "" and not shop.due("people")
