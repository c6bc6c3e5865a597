"""The pull request of a long-waiting run gets one comment with the reason and the estimate of its entry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.events import LockAsked, Merged, UnlockAsked
from bot.core.model.run import Run
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop

pytestmark = pytest.mark.slow

PRE, REPO = "pre-production", "shop/s2"
POST, PATCH = "POST /repos/*/*/issues/*/comments", "PATCH /repos/*/*/issues/comments/*"


def go_on(shop: Workshop, *stages: str) -> None:
    for stage in stages:
        shop.poll()
        shop.release(stage)
    shop.poll()
    shop.poll()


def merge(shop: Workshop) -> Run:
    """A pull request of S2 is merged."""
    number = shop.github.control.open_pull(REPO, title="Change of S2", quiet=True)
    commit = str(shop.github.control.pull(REPO, number)["head"]["sha"])
    head = shop.board.service("S2").history.head
    shop.tell(Merged("S2", commit, head.sha if head else None, pull=number, title="Change"))
    return shop.run_of(commit)


def tell_after(shop: Workshop, seconds: float | None) -> None:
    """Go on as a new process that tells of waits after so long; everything that was put off is looked at again."""
    github = replace(shop.configuration.github, comment_after=seconds)
    shop.reload(replace(shop.configuration, github=github))
    look_again(shop)


def look_again(shop: Workshop) -> None:
    shop.all_due("github")
    shop.work()


def comments(shop: Workshop) -> list[str]:
    return [row["body"].replace("\\", "") for row in shop.github.control.comments(REPO)]


def writes(shop: Workshop) -> tuple[int, int]:
    """How many comments were made, and how often one was changed."""
    found = shop.github.control.requests()
    return found.get(POST, 0), found.get(PATCH, 0)


@pytest.fixture
def waiting(workshop: Open) -> Workshop:
    """A run of S2 waits before pre-production, which a person has locked."""
    shop = workshop()
    shop.start()
    shop.tell(LockAsked(PRE, "ann", "the database moves"))
    merge(shop)
    go_on(shop, "build", "acceptance")
    (run,) = shop.board.runs.values()
    assert (str(run.step), str(run.status)) == (PRE, "waiting")
    return shop


def test_a_run_that_waits_for_long_is_told_of_once_and_the_text_is_of_its_moment(waiting: Workshop) -> None:
    shop = waiting
    look_again(shop)
    assert writes(shop) == (0, 0), "it has not waited for a quarter of an hour"
    tell_after(shop, 0.001)
    (told,) = comments(shop)
    assert "had waited 0 min for pre-production when this was written, 20" in told
    assert "What it waited for: pre-production is locked: the database moves (locked by ann)" in told
    assert "When it was expected to enter: not before a person opens the lock" in told
    shop.tell(UnlockAsked(PRE, "ann", "done"))
    go_on(shop, PRE)
    look_again(shop)
    assert (comments(shop), writes(shop)) == ([told], (1, 0)), "that it goes on is not written"
    go_on(shop, "production")
    look_again(shop)
    (ended,) = comments(shop)
    assert "is in production** since" in ended
    assert writes(shop) == (1, 1), "one more than without the wait"


def test_a_run_that_waits_nowhere_for_long_gets_one_comment_as_it_ends(workshop: Open) -> None:
    shop = workshop()
    shop.start()
    merge(shop)
    for stage in ("build", "acceptance", PRE):
        go_on(shop, stage)
        look_again(shop)
    assert comments(shop) == []
    go_on(shop, "production")
    assert (len(comments(shop)), writes(shop)) == (1, (1, 0))


def test_nothing_is_told_where_that_is_off(waiting: Workshop) -> None:
    tell_after(waiting, None)
    assert (comments(waiting), waiting.context.outbox.has(f"comment/{REPO}/1")) == ([], False)


def test_a_second_long_wait_changes_the_comment_once(waiting: Workshop) -> None:
    shop = waiting
    tell_after(shop, 0.001)
    shop.tell(LockAsked("production", "ann", "the fair"), UnlockAsked(PRE, "ann", "done"))
    go_on(shop, PRE)
    look_again(shop)
    (told,) = comments(shop)
    assert "for production when this was written" in told
    assert "the fair" in told
    look_again(shop)
    assert writes(shop) == (1, 1)


@pytest.mark.parametrize("kind", ["drop_reply", "drop_request"])
def test_a_lost_reply_makes_no_second_comment(waiting: Workshop, kind: str) -> None:
    shop = waiting
    shop.github.control.fault(kind, route=r"POST /repos/.*/comments", count=1)
    tell_after(shop, 0.001)
    shop.later()
    look_again(shop)
    (told,) = comments(shop)
    assert "waited" in told or "waits for" in told


def test_whoever_waits_behind_a_failure_reads_which_fix_is_on_its_way(workshop: Open) -> None:
    shop = workshop()
    shop.start()
    shop.merge("S1", "a")
    go_on(shop, "build", "acceptance")
    merge(shop)
    go_on(shop, "build", "acceptance")
    shop.release(PRE, "FAILURE")
    shop.poll()
    shop.merge("S1", "b")
    tell_after(shop, 0.001)
    (told,) = comments(shop)
    assert "pre-production is locked: S1" in told
    assert "the fix S1" in told
