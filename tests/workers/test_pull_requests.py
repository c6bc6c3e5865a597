"""Pull requests from GitHub's webhook to the commit status: real builds and aborts, with stand-ins outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from werkzeug.serving import make_server

from bot.core.model.effects import Trigger
from bot.core.model.events import Configured, PullClosed, PullMoved, TriggerAccepted, VerifyAsked
from bot.core.model.pipeline import Job, Lane, Track, Verify
from bot.core.model.run import Status
from bot.web.app import create_app
from tests.workers.conftest import Open
from tests.workers.workshop import PARAMETERS, Workshop, sha, twice

JOB = "shop/verify"
SECRET = "what GitHub and the door know"


@pytest.fixture
def open_shop(workshop: Open) -> Open:
    """Open a workshop whose pull requests are verified; `how`: of `Verify`."""

    def opened(**how: Any) -> Workshop:
        shop = workshop(verify=Verify(Job("cdp", JOB), **how))
        declared = [*PARAMETERS, "INTERLOCK_PULL"]
        shop.control.create_job(JOB, parameters=declared, quiet_period=0, duration_seconds=3600)
        shop.start()
        return shop

    return opened


@pytest.fixture
def shop(open_shop: Open) -> Workshop:
    return open_shop()


def pushed(letter: str, pull: int = 12, **how: Any) -> PullMoved:
    return PullMoved("S1", pull, sha(letter), at=time.time(), **how)


def verifying(shop: Workshop) -> dict[str, Status]:
    return {v.key: v.status for v in shop.board.verifications.values()}


def built(shop: Workshop) -> list[tuple[str, str | None]]:
    """Run and result of each build of the job."""
    return [(row["params"]["INTERLOCK_RUN"], row["result"]) for row in shop.control.builds(JOB)]


# -- the effects -----------------------------------------------------------------------------------------------


def test_a_trigger_carries_the_number_of_the_pull_request_and_nothing_that_a_stranger_wrote(shop: Workshop) -> None:
    trigger = Trigger(
        "S1.pr12-3", "verify", Track.VERIFY, 1, Job("cdp", JOB), "S1", "shop/s1", sha("a"), Lane.MAIN, "S1-pr12-1", 12
    )
    (event,) = shop.do(trigger)
    assert isinstance(event, TriggerAccepted)
    (build,) = shop.control.builds(JOB)
    assert build["params"] == {
        "INTERLOCK_RUN": "S1.pr12-3",
        "INTERLOCK_ATTEMPT": "1",
        "INTERLOCK_STAGE": "verify",
        "INTERLOCK_LANE": "main",
        "INTERLOCK_SERVICE": "S1",
        "INTERLOCK_REPOSITORY": "shop/s1",
        "INTERLOCK_SHA": sha("a"),
        "INTERLOCK_VERSION": "S1-pr12-1",
        "INTERLOCK_PULL": "12",
    }


def test_the_trigger_of_a_run_names_no_pull_request(shop: Workshop) -> None:
    shop.merge("S1", "a")
    (build,) = shop.builds("build")
    assert "INTERLOCK_PULL" not in build["params"]


# -- the whole way, polling alone ------------------------------------------------------------------------------


def test_polling_alone_carries_a_pull_request_to_its_result(shop: Workshop) -> None:
    shop.tell(pushed("a"))
    assert shop.poll() == 1
    assert verifying(shop) == {"S1.pr12-1": Status.RUNNING}
    assert [shop.poll() for _ in range(2)] == [0, 0]
    shop.release("verify", "FAILURE", tests=["CheckoutTest.pays"])
    shop.poll()
    assert verifying(shop) == {}
    assert "CheckoutTest.pays" in shop.facts("build-failed")[0]


def test_a_newer_push_aborts_the_build_in_jenkins_and_starts_at_once(shop: Workshop) -> None:
    shop.tell(pushed("a"))
    shop.poll()
    shop.tell(pushed("b", before=sha("a")))
    (row,) = shop.control.wait_builds(JOB, state="done", seconds=5)
    assert (row["params"]["INTERLOCK_SHA"], row["result"]) == (sha("a"), "ABORTED")
    shop.poll()
    assert verifying(shop) == {"S1.pr12-2": Status.RUNNING}
    assert twice(shop.control.builds(JOB)) == []


def test_one_that_still_waits_in_jenkins_queue_is_cancelled_there(shop: Workshop) -> None:
    shop.control.quiet_down()
    shop.tell(pushed("a"))
    shop.tell(pushed("b", before=sha("a")))
    assert [item["params"]["INTERLOCK_SHA"] for item in shop.control.queue()] == [sha("b")]
    assert verifying(shop) == {"S1.pr12-2": Status.STARTING}


def test_a_lost_answer_is_looked_for_and_never_built_twice(shop: Workshop) -> None:
    shop.control.fault("drop_reply", route="POST job/buildWithParameters", count=1)
    shop.tell(pushed("a"))
    shop.poll()
    assert built(shop) == [("S1.pr12-1", None)]
    assert verifying(shop) == {"S1.pr12-1": Status.RUNNING}


def test_a_job_that_refuses_is_asked_again_as_another_attempt(shop: Workshop) -> None:
    shop.control.change_job(JOB, {"disabled": True})
    shop.tell(pushed("a"))
    assert verifying(shop) == {"S1.pr12-1": Status.WAITING}
    shop.control.change_job(JOB, {"disabled": False})
    shop.later()
    shop.poll()
    assert verifying(shop) == {"S1.pr12-1": Status.RUNNING}
    (row,) = shop.control.builds(JOB)
    assert int(row["params"]["INTERLOCK_ATTEMPT"]) >= 2


def test_what_the_configuration_no_longer_verifies_is_aborted_where_it_was_sent(shop: Workshop) -> None:
    shop.tell(pushed("a"))
    shop.poll()
    shop.tell(Configured(replace(shop.pipeline, verify=None)))
    shop.control.wait_builds(JOB, state="done", seconds=5)
    shop.poll()
    assert verifying(shop) == {}
    assert built(shop) == [("S1.pr12-1", "ABORTED")]


def test_a_build_started_by_hand_is_seen_where_slots_are_few(open_shop: Open) -> None:
    shop = open_shop(capacity=1)
    shop.start_by_hand("verify", INTERLOCK_SHA="x")
    shop.poll()
    shop.tell(pushed("a"))
    assert verifying(shop) == {"S1.pr12-1": Status.WAITING}
    shop.release("verify")
    shop.poll()
    assert verifying(shop) == {"S1.pr12-1": Status.STARTING}


def test_verifications_outlive_a_worker(shop: Workshop) -> None:
    shop.tell(pushed("a"), pushed("c", pull=13, fork=True))
    shop.poll()
    before = dict(shop.board.verifications), dict(shop.board.pulls)
    shop.reload(shop.configuration)
    assert (shop.board.verifications, shop.board.pulls) == before
    shop.tell(VerifyAsked("S1", 13, "ann", sha("c")), PullClosed("S1", 12, sha("a"), at=time.time()))
    shop.control.wait_builds(JOB, state="done", seconds=5)
    shop.poll()
    assert verifying(shop) == {"S1.pr13-2": Status.RUNNING}


def test_the_status_leads_to_the_build_in_jenkins(shop: Workshop) -> None:
    number = shop.github.control.open_pull("shop/s1", quiet=True)
    head = shop.github.control.pull("shop/s1", number)["head"]["sha"]
    shop.tell(PullMoved("S1", number, head, at=1.0))
    shop.poll()
    shop.release("verify")
    shop.poll()
    rows = shop.github.control.statuses("shop/s1", head)
    assert [(row["context"], row["state"], row["description"]) for row in rows] == [
        ("interlock/verify", "pending", "waits for its build"),
        ("interlock/verify", "pending", "build #1 runs in verify"),
        ("interlock/verify", "success", "build #1 has passed"),
    ]
    assert rows[0]["target_url"] == f"http://localhost:8080/p/{shop.pipeline.name}"
    assert rows[-1]["target_url"] == f"{shop.jenkins.url}/job/shop/job/verify/1/"


# -- from the webhook to the status ----------------------------------------------------------------------------


@contextmanager
def door(shop: Workshop) -> Iterator[str]:
    """The ingress over real HTTP, before the same Redis; it sends no wake-up, the story does the work itself."""
    secret = SecretStr(SECRET)
    settings = shop.settings.model_copy(
        update={
            "github_webhook_secrets": (secret,),
            "jenkins_webhook_secret": (secret,),
            "api_tokens": {"ann": SecretStr("a token of Ann")},
        }
    )
    server = make_server("127.0.0.1", 0, create_app(settings, shop.configuration, lambda _: None), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


class Author:
    """Who works on pull requests of shop/s1; the webhooks of GitHub come through the ingress."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.control = shop.github.control

    def open(self, **how: Any) -> tuple[int, str]:
        """A new pull request; its number and head."""
        number = self.control.open_pull("shop/s1", **how)
        self.arrives()
        return number, self.head(number)

    def head(self, number: int) -> str:
        return str(self.control.pull("shop/s1", number)["head"]["sha"])

    def push(self, number: int) -> str:
        self.control.push_to_pull("shop/s1", number)
        self.arrives()
        return self.head(number)

    def arrives(self) -> None:
        """What GitHub sends has arrived, and all that follows of it is done."""
        self.control.wait_idle()
        self.shop.work()
        self.shop.poll()

    def status(self, head: str) -> tuple[str, str] | None:
        """What GitHub shows of a commit in the end."""
        rows = self.control.statuses("shop/s1", head)
        assert {row["context"] for row in rows} <= {"interlock/verify"}
        return (rows[-1]["state"], rows[-1]["description"]) if rows else None


@pytest.fixture
def author(shop: Workshop) -> Iterator[Author]:
    with door(shop) as url:
        hook = {"url": f"{url}/webhooks/github", "secret": SECRET, "events": ["push", "pull_request"]}
        shop.github.control.add_hook("shop/s1", hook)
        yield Author(shop)


def test_a_pull_request_from_its_opening_to_its_merge(shop: Workshop, author: Author) -> None:
    number, first = author.open(title="Mend the till", branch="mend/$(reboot)")
    assert author.status(first) == ("pending", "build #1 runs in verify")
    second = author.push(number)
    shop.control.wait_builds(JOB, state="done", seconds=5)
    shop.poll()
    assert author.status(first) == ("error", f"superseded by a newer push ({second[:7]})")
    assert author.status(second) == ("pending", "build #2 runs in verify")
    shop.release("verify")
    shop.poll()
    assert author.status(second) == ("success", "build #2 has passed")
    landed = author.control.merge("shop/s1", number)
    author.arrives()
    assert shop.run_of(landed).merge.pull == number
    assert author.status(second) == ("success", "build #2 has passed")
    assert [(row["params"]["INTERLOCK_SHA"], row["result"]) for row in shop.control.builds(JOB)] == [
        (first, "ABORTED"),
        (second, "SUCCESS"),
    ]
    assert "reboot" not in str(shop.control.builds())


def test_one_that_is_sent_to_main_is_verified_and_one_that_is_sent_elsewhere_is_not_any_more(
    shop: Workshop, author: Author
) -> None:
    author.control.push("shop/s1", branch="next")
    pull, head = author.open(base="next")
    assert built(shop) == []
    author.control.edit_pull("shop/s1", pull, base="main")
    author.arrives()
    assert built(shop) == [(f"S1.pr{pull}-1", None)]
    author.control.edit_pull("shop/s1", pull, base="next")
    author.arrives()
    shop.control.wait_builds(JOB, state="done", seconds=5)
    assert built(shop) == [(f"S1.pr{pull}-1", "ABORTED")]
    assert author.status(head) == ("error", "the pull request targets another branch now")


def test_a_draft_a_fork_and_one_that_is_closed(shop: Workshop, author: Author) -> None:
    draft, _ = author.open(draft=True)
    fork, theirs = author.open(fork="mallory")
    assert built(shop) == []
    held = "from a fork: a maintainer must look at it, then comment /interlock verify"
    assert author.status(theirs) == ("pending", f"{held} {theirs}")
    author.control.ready_for_review("shop/s1", draft)
    author.arrives()
    assert [run for run, _ in built(shop)] == [f"S1.pr{draft}-1"]
    shop.tell(VerifyAsked("S1", fork, "ann", theirs))
    shop.poll()
    assert [run for run, _ in built(shop)] == [f"S1.pr{draft}-1", f"S1.pr{fork}-2"]
    newer = author.push(fork)
    assert author.status(newer) == ("pending", f"{held} {newer}")
    shop.tell(VerifyAsked("S1", fork, "ann", theirs))
    author.control.close_pull("shop/s1", draft)
    author.arrives()
    shop.control.wait_builds(JOB, state="done", count=2, seconds=5)
    shop.poll()
    assert built(shop) == [(f"S1.pr{draft}-1", "ABORTED"), (f"S1.pr{fork}-2", "ABORTED")]
    assert verifying(shop) == {}
    assert author.status(author.head(draft)) == ("error", "the pull request is closed")
