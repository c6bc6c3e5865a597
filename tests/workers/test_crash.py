"""A worker killed by SIGKILL after each of its steps: whatever the moment, the story ends the same.

The steps are those that leave a trace: every script on Redis (begin, commit, claim, renew, finish, ...), the note of a
post, every POST. After each kill a fresh worker goes on.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

import pytest

from bot.core.model.events import FirstStart, Merged
from bot.core.model.notice_plan import EscalationLevel, NoticePlan
from bot.core.model.run import Status
from bot.store.records import Records
from tests.workers.mortal import Life
from tests.workers.nursery import Nursery
from tests.workers.test_people import Mailbox, address, mailbox
from tests.workers.workshop import OWNERS_TEXT, Workshop, twice
from workers import beginning

__all__ = ["address", "mailbox"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


class Town:
    """A workshop whose worker is mortal: the world acts, then workers live until all is quiet."""

    def __init__(self, stack: ExitStack, redis_url: str, nursery: Nursery, mail: str = "", **changes: Any) -> None:
        self.shop = Workshop(stack, redis_url, timeout=1.0, **changes)
        self.mail = mail
        self.redis_url = redis_url
        self.nursery = nursery
        self.steps: list[str] = []
        self.kills: list[str] = []
        #: After which step, counted over all lives, a worker is killed; and after how many more the next one.
        self.kill_at = 0
        self.every = 0
        #: Whether the store is emptied in this story.
        self.emptied = False
        beginning.configure_boards(self.shop.runtime)
        self.names: dict[str, str] = {}

    def lives(self) -> None:
        """Workers live, one after the other, until one has nothing left to do."""
        while True:
            left = self.kill_at - len(self.steps) if self.kill_at else 0
            said = self.nursery.live(
                Life(
                    self.redis_url,
                    self.shop.jenkins.url,
                    self.shop.github.url,
                    self.shop.pipeline.name,
                    kill_at=max(left, 0),
                    emptied=self.emptied,
                    mail=self.mail,
                )
            )
            assert said["ended"] in ("quiet", "killed"), said
            if said["ended"] == "quiet":
                self.steps += said["names"]
                return
            self.steps += ["?"] * said["steps"]
            self.kills.append(said["after"])
            self.kill_at = self.kill_at + self.every if self.every else 0

    def merge(self, service: str, name: str) -> None:
        repository = f"shop/{service.lower()}"
        before = self.shop.github.control.head(repository)
        number = self.shop.github.control.open_pull(repository, title=name, quiet=True)
        landed = self.shop.github.control.merge(repository, number, order="none")
        self.names[name] = landed
        event = Merged(service, landed, before, pull=number, title=name, author="kim")
        self.shop.context.inbox.add(event, name)
        self.lives()

    def end_build(self, stage: str, name: str, result: str = "SUCCESS") -> None:
        match = {"INTERLOCK_SHA": self.names[name]}
        self.shop.control.release(f"shop/{stage}", match=match, result=result)
        self.lives()

    # -- what must be so in the end ----------------------------------------------------------------------------

    def built(self) -> Counter[tuple[str, str]]:
        """How often each commit was built in each job."""
        titles = {landed: name for name, landed in self.names.items()}
        rows = self.shop.builds()
        assert twice(rows) == []
        return Counter((row["job"].removeprefix("shop/"), titles[row["params"]["INTERLOCK_SHA"]]) for row in rows)

    def ended(self) -> dict[str, str]:
        rows, _ = Records(self.shop.context.redis, self.shop.context.keys).ended()
        assert len({row.run.key for row in rows}) == len(rows)
        return {row.run.merge.title: row.ending.end.value for row in rows}

    def inside(self) -> dict[str, str]:
        return {
            run.merge.title: run.step.stage for run in self.shop.board.runs.values() if run.status is Status.RUNNING
        }

    def told_once(self) -> None:
        """Nobody was told anything twice: one comment for each pull request, no status twice in a row."""
        for service in ("shop/s1", "shop/s2"):
            on = Counter(row["number"] for row in self.shop.github.control.comments(service))
            assert not [number for number, count in on.items() if count > 1], on
            rows: dict[tuple[str, str], list[tuple[str, str]]] = {}
            for row in self.shop.github.control.statuses(service):
                rows.setdefault((row["sha"], row["context"]), []).append((row["state"], row["description"]))
            for where, have in rows.items():
                assert all(one != other for one, other in pairwise(have)), (where, have)

    def states(self, service: str, name: str) -> dict[str, str]:
        rows = self.shop.github.control.statuses(service, self.names[name])
        return {row["context"].removeprefix("interlock/"): row["state"] for row in rows}


@contextmanager
def town(redis_url: str, nursery: Nursery, mail: str = "", **changes: Any) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(stack, redis_url, nursery, mail, **changes)


def delivery(town: Town) -> None:
    """Merge, build, acceptance, pre-production, production."""
    town.merge("S1", "S1a")
    for stage in ("build", "acceptance", "pre-production", "production"):
        town.end_build(stage, "S1a")
    assert town.ended() == {"S1a": "delivered"}
    assert town.built() == {(stage, "S1a"): 1 for stage in ("build", "acceptance", "pre-production", "production")}
    assert town.states("shop/s1", "S1a") == dict.fromkeys(
        ("build", "acceptance", "pre-production", "production"), "success"
    )
    assert town.shop.dead() == []
    town.told_once()


def fix(town: Town) -> None:
    """S1a breaks pre-production, which locks; the fix S1b passes S2a; the lock opens and S2a enters."""
    town.shop.context.inbox.add(FirstStart(), "first start")
    town.merge("S1", "S1a")
    town.merge("S2", "S2a")
    for name in ("S1a", "S2a"):
        for stage in ("build", "acceptance"):
            town.end_build(stage, name)
    town.end_build("pre-production", "S1a", "FAILURE")
    assert [lock.service for lock in town.shop.board.locks.values()] == ["S1"]
    assert "LOCKED" in str(town.shop.control.description("shop/pre-production"))
    town.merge("S1", "S1b")
    for stage in ("build", "fast-acceptance", "fast-pre-production", "pre-production"):
        town.end_build(stage, "S1b")
    assert town.inside() == {"S1b": "production", "S2a": "pre-production"}
    assert town.shop.board.locks == {}
    assert town.shop.control.description("shop/pre-production") == OWNERS_TEXT
    assert town.ended() == {"S1a": "superseded"}
    stages = {
        "S1a": ("build", "acceptance", "pre-production"),
        "S2a": ("build", "acceptance", "pre-production"),
        "S1b": ("build", "fast-acceptance", "fast-pre-production", "pre-production", "production"),
    }
    assert town.built() == {(stage, name): 1 for name, passed in stages.items() for stage in passed}
    assert town.shop.dead() == []
    town.told_once()


def play(redis_url: str, nursery: Nursery, story: Callable[[Town], None], first: int, every: int) -> list[str]:
    """Play a story, killing a worker after its step number `first` and after every so many; returns after which."""
    with town(redis_url, nursery) as one:
        one.kill_at, one.every = first, every
        story(one)
        return one.kills


def told(capsys: pytest.CaptureFixture[str], story: str, kills: list[str]) -> None:
    kinds = Counter(name.partition("/job")[0].strip() for name in kills)
    with capsys.disabled():
        sys.stdout.write(f"\n{story}: {len(kills)} kills, after {dict(kinds.most_common())}\n")


def test_killed_after_any_of_its_steps_a_delivery_ends_the_same(
    redis_url: str, nursery: Nursery, capsys: pytest.CaptureFixture[str]
) -> None:
    """Together the plays kill after every step of the story; between two kills a worker has time to recover."""
    apart = 25
    kills = [name for first in range(1, apart + 1) for name in play(redis_url, nursery, delivery, first, apart)]
    told(capsys, "delivery", kills)
    assert {"begin", "commit", "claim", "intent", "finish"} <= set(kills)
    assert any(name.endswith("buildWithParameters") for name in kills)
    assert len(kills) >= 100


def escalation(town: Town) -> None:
    """S1a breaks pre-production, and nobody mends it: the team gets a notice after a while, and others after that."""
    town.merge("S1", "S1a")
    for stage in ("build", "acceptance"):
        town.end_build(stage, "S1a")
    town.end_build("pre-production", "S1a", "FAILURE")
    assert [lock.service for lock in town.shop.board.locks.values()] == ["S1"]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_wherever_a_worker_dies_each_level_of_an_escalation_is_one_notice(
    redis_url: str, nursery: Nursery, capsys: pytest.CaptureFixture[str], mailbox: Mailbox, address: str
) -> None:
    plan = NoticePlan(escalation=(EscalationLevel(0.1, ("mail",)), EscalationLevel(0.3, ("mail",))))
    kills: list[str] = []
    for first in range(1, 12, 3):
        mailbox.mails.clear()
        with town(redis_url, nursery, address, notices=plan) as one:
            one.kill_at, one.every = first, 11
            escalation(one)
            kills += one.kills
        names = {str(mail["X-Interlock-Notice"]) for mail in mailbox.mails}
        assert {name.split("/")[2] for name in names} == {"escalation"}
        assert len(names) in (1, 2), "a worker that comes late tells both levels at once"
        assert {str(mail["Subject"]).partition(":")[0] for mail in mailbox.mails} == {"pre-production is still locked"}
    told(capsys, "escalation", kills)
    assert {"begin", "commit", "claim", "finish"} <= set(kills)


def test_killed_again_and_again_the_lock_and_its_fix_end_the_same(
    redis_url: str, nursery: Nursery, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = 17
    kills = [name for first in range(1, apart + 1, 2) for name in play(redis_url, nursery, fix, first, apart)]
    told(capsys, "lock and fix", kills)
    assert {"begin", "commit", "claim", "intent", "finish"} <= set(kills)
    assert len(kills) >= 60


def test_wherever_a_worker_dies_after_the_store_was_emptied_no_stage_that_locks_is_left_open(
    redis_url: str, nursery: Nursery
) -> None:
    """Every worker is a fresh process: what Jenkins shows is all that is left."""
    with ExitStack() as stack:
        town = Town(stack, redis_url, nursery)
        town.shop.context.inbox.add(FirstStart(), "first start")
        town.lives()
        town.merge("S1", "S1a")
        for stage in ("build", "acceptance"):
            town.end_build(stage, "S1a")
        town.end_build("pre-production", "S1a", "FAILURE")
        assert [lock.run for lock in town.shop.board.locks_of("pre-production")] == ["S1.1"]
        town.emptied = True
        kills = 0
        for step in range(1, 40):
            empty(town.shop)
            town.steps, town.kills, town.kill_at = [], [], step
            town.lives()
            closed = {lock.stage for lock in town.shop.board.locks.values()}
            assert closed == {"pre-production", "production"}, (step, town.kills)
            assert len(town.shop.facts("state-lost")) == 1
            assert "state was lost" in town.shop.control.description("shop/pre-production")
            kills += len(town.kills)
            if not town.kills:
                break
        assert kills > 5


def empty(shop: Workshop) -> None:
    """All that is stored of the pipeline is gone."""
    redis = shop.context.redis
    redis.delete(*redis.scan_iter(match=f"*{{{shop.pipeline.name}}}*", count=1000))
