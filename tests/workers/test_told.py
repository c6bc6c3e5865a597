"""The texts for people when a stage is locked: the mail, and the mention at GitHub."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from bot.core.model.events import Merged, UnlockAsked
from bot.core.model.notice_plan import AUTHORS, NoticePlan, Route
from tests.github.test_commands import told
from tests.workers.conftest import Open
from tests.workers.test_people import Mailbox, address, mailbox
from tests.workers.workshop import Workshop

__all__ = ["address", "mailbox"]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")]

PRE = "pre-production"
REPO = "shop/s1"
PLAN = NoticePlan((Route((AUTHORS,), ("locked", "unlocked")),))


def merge(shop: Workshop, service: str = "S1") -> int:
    """A pull request of dana's is merged."""
    repository = f"shop/{service.lower()}"
    number = int(shop.github.control.open_pull(repository, title="Round prices", quiet=True))
    commit = str(shop.github.control.pull(repository, number)["head"]["sha"])
    head = shop.board.service(service).history.head
    before = head.sha if head else None
    shop.tell(Merged(service, commit, before, pull=number, title="Round prices", author="dana"))
    return number


def go_on(shop: Workshop, *stages: str) -> None:
    for stage in stages:
        shop.poll()
        shop.release(stage)
    shop.poll()
    shop.poll()


def break_stage(shop: Workshop) -> int:
    shop.start()
    number = merge(shop)
    go_on(shop, "build", "acceptance")
    shop.release(PRE, "FAILURE")
    shop.poll()
    return number


def read(mail: EmailMessage) -> str:
    """The text of a mail."""
    return str(mail.get_content()).replace("\r\n", "\n")


def mentions(shop: Workshop, repository: str, number: int) -> list[str]:
    """The comments on a pull request that name somebody."""
    rows = shop.github.control.comments(repository)
    return [str(row["body"]) for row in rows if row["number"] == number and "\n@" in str(row["body"])]


def test_the_mail_of_a_lock_leads_to_log_and_run_and_says_what_to_type(
    workshop: Open, mailbox: Mailbox, address: str
) -> None:
    shop = workshop(notify_urls={"mail": address})
    break_stage(shop)
    (mail,) = mailbox.mails
    text = read(mail)
    page = f"http://localhost:8080/p/{shop.pipeline.name}"
    assert f"The log of the failing build:\n  {shop.jenkins.url}/job/shop/job/pre-production/1/console\n" in text
    assert f"The run S1.1:\n  {page}/runs/S1.1\n" in text
    assert "  interlock retry S1.1 --reason '...'\n" in text
    assert f"  interlock unlock {PRE} --lock {PRE}/S1.1 --reason '...'\n" in text
    assert f"  /interlock unlock {PRE}/S1.1 the reason\n" in text
    shop.tell(UnlockAsked(PRE, "ann", "it is fine"))
    assert f"  {page}/locks/{PRE}/S1.1\n" in read(mailbox.mails[-1]), "the report of the lock"


def test_a_notice_says_what_the_lock_holds_up(workshop: Open, mailbox: Mailbox, address: str) -> None:
    shop = workshop(notify_urls={"mail": address}, changes={PRE: {"capacity": 2}})
    shop.start()
    merge(shop, "S2")
    go_on(shop, "build", "acceptance")
    merge(shop)
    go_on(shop, "build", "acceptance")
    merge(shop, "S3")
    go_on(shop, "build", "acceptance")
    match = {"INTERLOCK_SERVICE": "S2"}
    shop.release(PRE, "FAILURE", match=match)
    shop.poll()
    assert "It holds up 1 run.\n" in read(mailbox.mails[-1])


def test_the_author_is_named_once_on_the_pull_request(workshop: Open) -> None:
    shop = workshop(notices=PLAN)
    number = break_stage(shop)
    (named,) = mentions(shop, REPO, number)
    assert f"\n@dana **{PRE} is locked: S1 " in named
    assert f"{shop.jenkins.url}/job/shop/job/pre-production/1/console" in named
    assert f"- `/interlock unlock {PRE}/S1.1 the reason`" in named
    shop.tell(UnlockAsked(PRE, "ann", "it is fine"))
    assert len(mentions(shop, REPO, number)) == 2
    assert f"@dana **{PRE} is open**" in mentions(shop, REPO, number)[-1]


def test_whoever_comments_watch_is_told_there_when_the_stage_opens(workshop: Open) -> None:
    shop = workshop()
    shop.github.control.set_collaborators(REPO, {"kim": "write"})
    break_stage(shop)
    number = int(shop.github.control.open_pull(REPO, title="Waits", quiet=True))
    reactions, words = told(shop, number, "/interlock watch", "kim")
    assert (reactions, f"gets a notice when {PRE} opens" in words) == (["+1"], True)
    assert mentions(shop, REPO, number) == []
    shop.tell(UnlockAsked(PRE, "ann", "it is fine"))
    (named,) = mentions(shop, REPO, number)
    assert f"\n@kim **{PRE} is open**" in named
    assert "You asked for this notice" in named
