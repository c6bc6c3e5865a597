"""A Redis that was emptied: while workers run, and while nothing ran; and a first start, which is neither."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bot.core.model.effects import Banner
from bot.core.model.events import LockAsked, Merged, UnlockAsked
from bot.core.model.pipeline import Job
from bot.core.model.stage_messages import ClosedAfterLoss
from bot.core.rules import state_lost
from bot.health.observing import Observer
from bot.jenkins.banners import locks_in_banner, with_banner
from bot.store.codec import load_event
from bot.store.records import stored_loss
from bot.store.store import Outdated
from config.model import Markup
from launch.embedded import Embedded
from tests.texts import lock_for, text_of
from tests.workers.workshop import OWNERS_TEXT, Workshop, sha
from workers import beginning, reconcile
from workers.turn import take_turns

#: Why a stage is closed after a loss.
REASON = text_of(ClosedAfterLoss())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """A workshop with a server of its own, which may be emptied."""
    with Embedded(tmp_path, fsync="no") as server, ExitStack() as stack:
        yield Workshop(stack, server.url)


def proven(shop: Workshop) -> int:
    found = beginning.prove_first_start(shop.runtime, shop.context)
    shop.work()
    return found


def broken(shop: Workshop) -> None:
    """S1a has failed in pre-production; S1b waits there; S2a is in acceptance."""
    shop.start()
    for letter in "ab":
        shop.merge("S1", letter)
        for stage in ("build", "acceptance"):
            shop.poll()
            shop.release(stage)
            shop.poll()
    shop.poll()
    shop.release("pre-production", "FAILURE")
    shop.poll()
    shop.merge("S2", "a")
    shop.poll()
    assert [lock.run for lock in shop.board.locks_of("pre-production")] == ["S1.1"]


def restarted(shop: Workshop) -> None:
    """All processes begin anew, with nothing in memory."""
    shop.reload(shop.configuration)
    beginning.configure_boards(shop.runtime)
    shop.work()


def reasons(shop: Workshop) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for lock in shop.board.locks.values():
        found.setdefault(lock.stage, []).append(text_of(lock.reason))
    return found


# -- emptied while workers run ---------------------------------------------------------------------------------


def test_the_first_delivery_after_the_loss_is_decided_on_a_board_that_knows_its_services(shop: Workshop) -> None:
    broken(shop)
    shop.context.redis.flushall()
    shop.tell(Merged("S2", sha("S2b"), sha("S2a")))
    assert shop.board.pipeline == shop.pipeline
    assert {"S2a", "S1b"} <= set(shop.live())
    assert shop.run("S2b").status == "starting"
    assert len(shop.facts("state-lost")) == 1
    assert set(reasons(shop)) == {"pre-production", "production"}
    again, closed = sorted(reasons(shop)["pre-production"])
    assert again.startswith(f"S1 {sha('S1a')[:7]} failed in pre-production")
    assert closed == REASON


def test_a_store_that_was_emptied_while_nothing_happens_is_noticed_by_the_next_turn(shop: Workshop) -> None:
    broken(shop)
    shop.context.redis.flushall()
    assert not shop.context.store.is_configured()  # what the clock looks at: it asks for a turn
    take_turns(shop.context)
    assert shop.context.store.is_configured()
    assert shop.context.began.is_set()  # GitHub and Jenkins are asked at once
    assert set(reasons(shop)) == {"pre-production", "production"}


def test_the_banner_stays_over_the_job_and_says_why(shop: Workshop) -> None:
    broken(shop)
    shop.context.redis.flushall()
    take_turns(shop.context)
    shop.work()
    for _ in range(2):
        shop.poll()
        description = shop.control.description("shop/pre-production")
        assert REASON in description
        assert "failed in pre-production" in description


def test_a_merge_that_was_accepted_and_lost_with_the_store_is_found(shop: Workshop) -> None:
    broken(shop)
    shop.context.redis.flushall()
    take_turns(shop.context)
    head = shop.board.service("S3").history.head
    assert head is not None, "where main stood is forgotten: the next head would be taken for the baseline"
    reconcile.heads(shop.runtime, shop.context)
    shop.work()
    assert shop.board.of_service("S3"), "main of S3 stands elsewhere than when the state was lost"


def until(shop: Workshop, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline, (shop.live(), reasons(shop))
        shop.poll()


def test_nothing_enters_a_stage_that_locks_until_a_person_has_looked_and_nothing_is_built_twice(shop: Workshop) -> None:
    broken(shop)
    built = len(shop.builds())
    _stamp_passes(shop)
    shop.context.redis.flushall()
    take_turns(shop.context)
    until(shop, lambda: str(shop.run("S1b").step) == "pre-production")
    assert shop.run("S1b").status == "waiting"
    assert len(shop.builds()) == built  # what it had passed is found in Jenkins
    shop.tell(UnlockAsked("pre-production", "alex", "looked", every=True))
    until(shop, lambda: len(shop.builds("pre-production")) == 2)


def test_a_turn_that_failed_on_the_way_forgets_nothing(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis goes away, and comes back empty: the turn that met it away has dropped its copy of the board."""
    broken(shop)
    real = shop.context.store.begin

    def away(token: str) -> object:
        raise RedisConnectionError("away")

    monkeypatch.setattr(shop.context.store, "begin", away)
    with pytest.raises(RedisConnectionError):
        take_turns(shop.context)
    monkeypatch.setattr(shop.context.store, "begin", real)
    shop.context.redis.flushall()
    take_turns(shop.context)
    assert len(reasons(shop)["pre-production"]) == 2


def test_a_store_that_is_emptied_in_the_middle_of_a_turn_is_in_doubt_about_what_was_posted(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit of that turn is refused, and the copy of the board is dropped: the worker remembers all the same."""
    broken(shop)
    real = shop.context.store.commit

    def emptied_before(*given: Any) -> Any:
        monkeypatch.setattr(shop.context.store, "commit", real)
        shop.context.redis.flushall()
        return real(*given)

    monkeypatch.setattr(shop.context.store, "commit", emptied_before)
    shop.context.inbox.add(LockAsked("production", "alex", "trade fair"), "lost with the rest")
    take_turns(shop.context)
    take_turns(shop.context)
    assert len(reasons(shop)["pre-production"]) == 2
    assert shop.context.redis.hexists(shop.context.keys.meta, "changed")


def test_a_worker_that_loads_the_board_anew_has_lost_nothing(shop: Workshop) -> None:
    broken(shop)
    shop.context.store.copy.forget()
    shop.tell(LockAsked("production", "alex", "trade fair"))
    assert shop.facts("state-lost") == []
    assert shop.context.store.copy.lost() is None


def test_a_second_worker_that_remembers_as_well_tells_nothing_twice(shop: Workshop) -> None:
    broken(shop)
    first = shop.context
    shop.reload(shop.configuration)
    take_turns(shop.context)
    shop.context.redis.flushall()
    take_turns(first)
    take_turns(shop.context)
    shop.tell(LockAsked("production", "alex", "trade fair"))
    assert len(shop.facts("state-lost")) == 1


def test_a_memory_that_cannot_be_used_does_not_keep_the_board_from_beginning(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(shop)

    def broken_memory(*_: object) -> object:
        raise KeyError("of another version")

    monkeypatch.setattr(state_lost, "_start_again", broken_memory)
    real = beginning.without_memory

    def bare(begun: object) -> object:
        monkeypatch.undo()
        return real(begun)  # type: ignore[arg-type]

    monkeypatch.setattr(beginning, "without_memory", bare)
    shop.context.redis.flushall()
    take_turns(shop.context)
    assert reasons(shop) == {"pre-production": [REASON], "production": [REASON]}


# -- emptied, and everything restarted -------------------------------------------------------------------------


def test_after_a_restart_the_banner_over_a_job_tells_that_state_was_lost_and_what_had_locked_it(shop: Workshop) -> None:
    broken(shop)
    _stamp_passes(shop)
    shop.context.redis.flushall()
    restarted(shop)
    assert shop.board.header.unproven
    assert proven(shop) == 1
    assert reasons(shop)["production"] == [REASON]
    again, closed = sorted(reasons(shop)["pre-production"])
    assert again.startswith(f"S1 {sha('S1a')[:7]} failed in pre-production")
    assert again.endswith("(read from the banner of shop/pre-production after state was lost)")
    assert closed == REASON
    assert len(shop.facts("state-lost")) == 1
    (lock,) = [lock for lock in shop.board.locks_of("pre-production") if lock.automatic]
    assert (lock.run, lock.service) == ("S1.1", "S1")
    assert shop.run("S1a").status == "failed"


def test_after_a_restart_what_was_on_its_way_goes_on_with_its_builds_and_is_not_built_twice(shop: Workshop) -> None:
    """S2a is being built, S1b has passed acceptance: both start again, and what Jenkins has of them counts."""
    broken(shop)
    _stamp_passes(shop)
    shop.context.redis.flushall()
    restarted(shop)
    proven(shop)
    started = {run.sha: run.key for run in shop.board.runs.values()}
    assert started == {sha("S1a"): "S1.1", sha("S1b"): "S1.3", sha("S2a"): "S2.2"}
    passed = [str(each.step) for each in shop.board.versions_of("S1") if each.whole is not None]
    assert passed == ["build", "acceptance"]
    (until_ms,) = shop.context.redis.hmget(shop.context.keys.meta, "unacknowledged_until")
    assert int(until_ms) / 1000 > time.time() + 13 * 86_400
    until(shop, lambda: str(shop.run("S1b").step) == "pre-production")
    shop.release("build")
    until(shop, lambda: str(shop.run("S2a").step) == "acceptance")
    rows = [(row["job"], row["params"]["INTERLOCK_SHA"]) for row in shop.builds()]
    assert len(rows) == len(set(rows))


def test_a_job_about_which_jenkins_does_not_answer_is_named(shop: Workshop) -> None:
    broken(shop)
    _stamp_passes(shop)
    shop.context.redis.flushall()
    restarted(shop)
    shop.control.fault("status", status=503, path="/job/shop/job/production/")
    proven(shop)
    (lost,) = (each for each in recorded(shop) if each.kind == "state-lost")
    assert "shop/production" in lost.silent and "shop/pre-production" not in lost.silent


def recorded(shop: Workshop) -> list[Any]:
    """The events of our own in the inbox."""
    rows = shop.context.redis.xrange(shop.context.keys.inbox)
    return [load_event(fields[b"b"]) for _, fields in rows if fields[b"s"] == b"event"]


def test_until_that_is_known_no_banner_is_taken_away(shop: Workshop) -> None:
    broken(shop)
    shown = shop.control.description("shop/pre-production")
    assert shown != OWNERS_TEXT
    shop.context.redis.flushall()
    restarted(shop)
    shop.poll()
    assert shop.control.description("shop/pre-production") == shown
    proven(shop)
    shop.poll()
    assert REASON in shop.control.description("shop/pre-production")
    for stage in ("pre-production", "production"):
        shop.tell(UnlockAsked(stage, "alex", "looked", every=True))
    shop.poll()
    assert shop.control.description("shop/pre-production") == OWNERS_TEXT


def test_builds_of_ours_tell_it_as_well(shop: Workshop) -> None:
    shop.start()
    shop.merge("S1", "a")
    shop.poll()
    shop.context.redis.flushall()
    _stamp_passes(shop)
    restarted(shop)
    proven(shop)
    assert set(reasons(shop)) == {"pre-production", "production"}
    assert "of shop/build was started for S1.1" in shop.facts("state-lost")[0]


def _stamp_passes(shop: Workshop) -> None:
    """Versions tell installations apart by the second: wait for the next one."""
    second = shop.context.redis.time()[0]
    while shop.context.redis.time()[0] == second:
        pass


def test_a_first_start_locks_nothing(shop: Workshop) -> None:
    restarted(shop)
    assert shop.board.header.unproven
    assert proven(shop) == 1
    assert not shop.board.header.unproven
    assert reasons(shop) == {}
    assert shop.facts("state-lost") == []
    assert proven(shop) == 0


def test_a_first_turn_that_is_not_stored_is_no_sign_of_a_loss(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers begin the board of a new installation. The one whose commit comes second had stored nothing."""
    second, real = shop.context, shop.context.store.commit

    def the_other_was_faster(*given: Any) -> Any:
        monkeypatch.undo()
        second.redis.delete(second.keys.lease)
        shop.reload(shop.configuration)
        take_turns(shop.context)
        return real(*given)

    monkeypatch.setattr(second.store, "commit", the_other_was_faster)
    second.inbox.add(Merged("S1", sha("S1a"), None, title="S1a"), "merge")
    take_turns(second)
    assert shop.context is not second
    assert shop.facts("state-lost") == []
    assert reasons(shop) == {}
    assert shop.live() == ["S1a"]


def test_a_first_turn_that_is_refused_and_taken_again_is_no_sign_of_a_loss(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> Any:
        monkeypatch.undo()
        raise Outdated(shop.pipeline.name)

    monkeypatch.setattr(shop.context.store, "commit", refused)
    shop.context.inbox.add(Merged("S1", sha("S1a"), None, title="S1a"), "merge")
    take_turns(shop.context)
    assert shop.facts("state-lost") == []
    assert reasons(shop) == {}
    assert shop.live() == ["S1a"]


def test_what_this_board_has_built_itself_is_no_sign_of_a_loss(shop: Workshop) -> None:
    restarted(shop)
    reconcile.heads(shop.runtime, shop.context)
    shop.work()
    shop.merge("S1", "a")
    shop.poll()
    proven(shop)
    assert reasons(shop) == {}


def test_as_long_as_jenkins_does_not_answer_it_is_asked_again(shop: Workshop) -> None:
    restarted(shop)
    shop.control.fault("status", status=503)
    assert proven(shop) == 0
    assert shop.board.header.unproven
    shop.control.clear_faults()
    assert proven(shop) == 1
    assert not shop.board.header.unproven


def test_another_installation_that_was_here_before_with_an_equal_number_is_not_adopted(shop: Workshop) -> None:
    """The build of S1.1 from before must not move the S1.1 of now."""
    shop.start()
    shop.merge("S1", "a")
    shop.poll()
    shop.release("build")
    shop.context.redis.flushall()
    _stamp_passes(shop)
    restarted(shop)
    shop.start()
    run = shop.merge("S1", "b")
    assert run.key == "S1.1"
    shop.poll()
    assert str(shop.run("S1b").step) == "build"
    assert len(shop.builds("build")) == 2


# -- what a banner says ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("markup", list(Markup))
def test_what_a_banner_says_can_be_read_again(markup: Markup) -> None:
    locks = (lock_for("S1 a <b> & c failed", "S1.1", 1.0), lock_for("trade fair", "alex", 2.0))
    text = with_banner(OWNERS_TEXT, Banner(Job("cdp", "x"), "production", locks), "http://x/p/shop", markup)
    assert locks_in_banner(text) == ["S1 a <b> & c failed", "trade fair"]
    assert locks_in_banner(OWNERS_TEXT) == []


# -- what is told ----------------------------------------------------------------------------------------------


def test_health_tells_of_it_until_every_stage_has_been_unlocked(shop: Workshop) -> None:
    broken(shop)
    assert stored_loss(shop.context.redis, shop.context.keys) is None
    shop.context.redis.flushall()
    take_turns(shop.context)
    observer = Observer(shop.context.redis, shop.configuration)
    (seen,) = observer.observe()[0].pipelines
    assert (seen.lost_why, seen.closed) == (
        "the store was emptied while Interlock ran",
        ("pre-production", "production"),
    )
    assert seen.lost_at == shop.board.header.lost
    for stage in seen.closed:
        shop.tell(UnlockAsked(stage, "alex", "looked", every=True))
    (seen,) = observer.observe()[0].pipelines
    assert seen.closed == ()
