"""Each request to Jenkins, GitHub and a channel, polls included, updates the record of that contact."""

from __future__ import annotations

import pytest

from bot.core.model.effects import Notify, SetStatus
from bot.core.model.messages import Verbatim
from bot.core.model.stage_messages import WrittenNotice
from bot.health.contacts import Contacts
from bot.health.observations import ContactSeen
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop, sha
from workers import reconcile
from workers.performer import perform

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    opened = workshop(notify_urls={"chat": "json://127.0.0.1:1/"})
    opened.context.redis.delete(opened.runtime.contacts.key)
    opened.start()
    return opened


def known(shop: Workshop, kind: str) -> ContactSeen:
    """What is known of a contact after one more request, noted at once."""
    (found,) = (each for each in Contacts(shop.context.redis).seen() if each.kind == kind)
    return found


def poll(shop: Workshop) -> None:
    """Ask Jenkins as a process does that has noted nothing yet."""
    shop.reload(shop.configuration)
    reconcile.builds(shop.runtime, shop.context)


def test_a_poll_of_jenkins_says_how_it_answers(shop: Workshop) -> None:
    poll(shop)
    assert known(shop, "jenkins").name == "cdp"
    assert known(shop, "jenkins").good_at is not None
    assert known(shop, "jenkins").error_at is None
    shop.control.fault("status", status=401)
    poll(shop)
    first = known(shop, "jenkins")
    poll(shop)
    later = known(shop, "jenkins")
    assert "401" in later.error
    assert not later.forbidden
    assert later.since == first.since == first.error_at
    assert later.error_at is not None and first.error_at is not None and later.error_at > first.error_at
    shop.control.clear_faults()
    poll(shop)
    well = known(shop, "jenkins")
    assert well.good_at is not None and well.error_at is not None and well.good_at > well.error_at


@pytest.mark.parametrize(("status", "bad"), [(403, True), (404, False), (503, True), (302, True), (500, True)])
def test_which_answers_of_jenkins_are_good(shop: Workshop, status: int, bad: bool) -> None:
    shop.control.fault("status", status=status)
    poll(shop)
    found = known(shop, "jenkins")
    assert (found.error_at is not None) is bad
    assert found.forbidden is (status == 403)


@pytest.mark.parametrize(
    ("status", "body", "bad"),
    [
        (401, '{"message": "Bad credentials"}', True),
        (403, '{"message": "Resource not accessible by integration"}', True),
        (404, '{"message": "Not Found"}', False),
        (422, '{"message": "Validation Failed"}', False),
        (502, "", True),
    ],
)
def test_which_answers_of_github_are_good(shop: Workshop, status: int, body: str, bad: bool) -> None:
    shop.reload(shop.configuration)
    shop.context.redis.delete(shop.runtime.contacts.key)
    shop.github.control.fault("status", status=status, body=body)
    shop.ask(SetStatus("shop/s1", sha("S1a"), "interlock/build", "success", Verbatim("it passed"), None))
    shop.all_due("github")
    claim, _ = shop.context.outbox.claim("github", limit=9)
    assert claim is not None
    perform(shop.runtime, shop.context, claim)
    found = known(shop, "github")
    assert found.name == "token"
    assert (found.error_at is not None) is bad
    assert found.forbidden is (status == 403)


def test_a_poll_of_github_says_how_it_answers(shop: Workshop) -> None:
    shop.reload(shop.configuration)
    reconcile.heads(shop.runtime, shop.context)
    assert known(shop, "github").good_at is not None
    shop.reload(shop.configuration)
    shop.github.control.fault("drop_request")
    reconcile.heads(shop.runtime, shop.context)
    assert "cannot be reached" in known(shop, "github").error


def test_a_channel_that_takes_nothing_is_noted(shop: Workshop) -> None:
    notice = Notify("locked", "production", WrittenNotice("locked", "it is locked"), "locked/1")
    shop.ask(notice)
    shop.try_once(notice)
    assert known(shop, "channel").name == "chat"
    assert known(shop, "channel").error_at is not None
