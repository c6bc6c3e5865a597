"""Each message about a failed build has a direct link to its log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests
from pydantic import SecretStr

from bot.core.model.events import Merged, PullMoved
from config.model import Markup, ReportKind
from tests.github.app_key import pem
from tests.workers.conftest import Open
from tests.workers.test_people import Mailbox, address, mailbox
from tests.workers.test_pull_requests import open_shop
from tests.workers.workshop import Workshop

__all__ = ["address", "mailbox", "open_shop"]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")]

REPO = "shop/s1"
BUILD = "/job/shop/job/pre-production/1/"
LOG = re.compile(r"https?://[^\s)\"<>]+/console\b")


def break_pre_production(shop: Workshop) -> str:
    """Merge a pull request whose run fails in pre-production; returns its commit."""
    shop.start()
    number = shop.github.control.open_pull(REPO, title="Round prices", quiet=True)
    commit = str(shop.github.control.pull(REPO, number)["head"]["sha"])
    head = shop.board.service("S1").history.head
    shop.tell(Merged("S1", commit, head.sha if head else None, pull=number, title="Round prices"))
    for stage in ("build", "acceptance"):
        shop.poll()
        shop.release(stage)
    shop.poll()
    shop.poll()
    shop.release("pre-production", "FAILURE")
    shop.poll()
    return commit


def opened(text: str) -> Iterator[str]:
    """The logs that a text leads to, as Jenkins shows them."""
    for link in LOG.findall(text):
        yield requests.get(link, timeout=30).text


def leads_to_the_log(shop: Workshop, text: str) -> bool:
    assert f"{shop.jenkins.url}{BUILD}console" in text
    return all("Finished: FAILURE" in log for log in opened(text)) and bool(LOG.search(text))


def test_banner_mail_comment_and_status_lead_to_the_log(workshop: Open, mailbox: Mailbox, address: str) -> None:
    shop = workshop(notify_urls={"mail": address})
    commit = break_pre_production(shop)
    (mail,) = mailbox.mails
    assert leads_to_the_log(shop, mail.get_content())
    assert leads_to_the_log(shop, str(shop.control.description("shop/pre-production")))
    (comment,) = shop.github.control.comments(REPO)
    assert leads_to_the_log(shop, comment["body"])
    status = [row for row in shop.github.control.statuses(REPO, commit) if row["state"] == "failure"]
    assert [row["target_url"] for row in status] == [f"{shop.jenkins.url}{BUILD}console"]


def test_a_banner_of_html_and_a_check_run_lead_to_the_log(workshop: Open) -> None:
    shop = workshop()
    app = {"github_app_id": "1", "github_app_private_key": SecretStr(pem())}
    shop.settings = shop.settings.model_copy(update=app)
    cdp = replace(shop.configuration.controllers["cdp"], markup=Markup.HTML)
    github = replace(shop.configuration.github, report=ReportKind.CHECKS)
    shop.reload(replace(shop.configuration, controllers={"cdp": cdp}, github=github))
    commit = break_pre_production(shop)
    assert leads_to_the_log(shop, str(shop.control.description("shop/pre-production")))
    failed = [row for row in shop.github.control.check_runs(REPO, commit) if row["name"].endswith("pre-production")]
    assert [row["details_url"] for row in failed] == [f"{shop.jenkins.url}{BUILD}console"]
    assert leads_to_the_log(shop, failed[0]["output"]["summary"])
    assert "/runs/S1.1)" in failed[0]["output"]["summary"]


def test_the_status_of_a_pull_request_leads_to_the_log_when_its_build_has_failed(open_shop: Open) -> None:
    shop = open_shop()
    number = shop.github.control.open_pull(REPO, quiet=True)
    head = shop.github.control.pull(REPO, number)["head"]["sha"]
    shop.tell(PullMoved("S1", number, head, at=1.0))
    shop.poll()
    shop.release("verify", "FAILURE")
    shop.poll()
    last = shop.github.control.statuses(REPO, head)[-1]
    assert (last["state"], last["target_url"]) == ("failure", f"{shop.jenkins.url}/job/shop/job/verify/1/console")
