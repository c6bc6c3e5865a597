"""Mail to people: one per notice and channel, repeated after a refusal, recognisable as a duplicate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from bot.core.model.effects import Notify
from bot.core.model.stage_messages import WrittenNotice
from launch import free_port
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop

#: apprise imports a module of the standard library that is on its way out.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")]

NOTICE = Notify(
    "locked", "pre-production", WrittenNotice("pre-production is locked:\nS1 failed", "Merge the fix.\n"), "S1.1/locked"
)


class Mailbox:
    """Takes mails, or refuses the first few."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        if self.refuse:
            self.refuse -= 1
            return "451 try again later"
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def address(mailbox: Mailbox) -> Iterator[str]:
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    server.start()
    yield f"mailto://127.0.0.1:{server.port}?from=interlock@shop.test&to=release@shop.test&mode=insecure"
    server.stop()


@pytest.fixture
def shop(workshop: Open, address: str) -> Workshop:
    return workshop(notify_urls={"mail": address})


def test_a_notice_arrives_with_its_subject_text_and_a_link(shop: Workshop, mailbox: Mailbox) -> None:
    shop.do(NOTICE)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "pre-production is locked: S1 failed"
    assert mail["To"] == "release@shop.test"
    text = mail.get_content()
    assert "Merge the fix." in text
    assert f"/p/{shop.pipeline.name}" in text


def test_a_mail_that_was_not_taken_is_sent_again_under_the_same_name(shop: Workshop, mailbox: Mailbox) -> None:
    mailbox.refuse = 1
    shop.do(NOTICE)
    shop.context.redis.delete(
        shop.context.keys.given(f"{NOTICE.slot}/mail")
    )  # as after a crash between the mail and the note of it
    shop.do(NOTICE)
    names = [mail["X-Interlock-Notice"] for mail in mailbox.mails]
    assert names == [NOTICE.key] * 2


def test_a_channel_that_took_a_notice_does_not_hear_it_again_while_another_is_away(
    workshop: Open, mailbox: Mailbox, address: str
) -> None:
    away = f"mailto://127.0.0.1:{free_port()}?from=i@shop.test&to=r@shop.test&mode=insecure"
    shop = workshop(notify_urls={"away": away, "mail": address})
    shop.give_up_after("people", 3.0)
    shop.do(NOTICE)
    assert len(mailbox.mails) == 1
    (dead,) = shop.dead()
    assert dead.startswith("could not notify away (")


def test_a_topic_that_no_channel_wants_is_done_at_once(workshop: Open, mailbox: Mailbox) -> None:
    shop = workshop()
    shop.do(NOTICE)
    assert mailbox.mails == []
    assert shop.dead() == []


def test_a_mail_server_that_stays_away_is_given_up_visibly(workshop: Open) -> None:
    shop = workshop(
        notify_urls={"mail": f"mailto://127.0.0.1:{free_port()}?from=i@shop.test&to=r@shop.test&mode=insecure"}
    )
    shop.give_up_after("people", 0.2)
    shop.do(NOTICE)
    (dead,) = shop.dead()
    assert dead.startswith("could not notify mail (")
    assert "mailto" not in dead


# -- in order --------------------------------------------------------------------------------------------------

FIRST = replace(NOTICE, about=WrittenNotice("first", "Merge the fix.\n"), key="000000000001/pre-production/locked")
SECOND = replace(
    NOTICE,
    about=WrittenNotice("second", "Merge the fix.\n"),
    key="000000000002/pre-production/unlocked",
    topic="unlocked",
)


def test_a_later_notice_waits_until_the_earlier_one_was_taken(shop: Workshop, mailbox: Mailbox) -> None:
    mailbox.refuse = 1
    shop.ask(FIRST, SECOND)
    assert shop.try_once(FIRST) == []
    assert shop.try_once(SECOND) == []
    assert mailbox.mails == [], "the first was refused, and the second has to wait for it"
    shop.see_through(FIRST)
    shop.see_through(SECOND)
    assert [mail["Subject"] for mail in mailbox.mails] == ["first", "second"]


def test_it_does_not_wait_for_one_that_the_channel_has_or_does_not_want(
    workshop: Open, mailbox: Mailbox, address: str
) -> None:
    away = f"mailto://127.0.0.1:{free_port()}?from=i@shop.test&to=r@shop.test&mode=insecure"
    shop = workshop(notify_urls={"away": away, "mail": address})
    shop.ask(FIRST, SECOND)
    shop.try_once(FIRST)
    shop.try_once(SECOND)
    assert [mail["Subject"] for mail in mailbox.mails] == ["first", "second"]


def test_a_notice_about_two_things_is_told_once_to_whoever_wants_to_know_of_either(
    shop: Workshop, mailbox: Mailbox
) -> None:
    shop.do(replace(NOTICE, topic="fix-failed", also=("locked",)))
    shop.do(replace(NOTICE, key="2", topic="stuck", also=("locked",)))
    assert len(mailbox.mails) == 2
