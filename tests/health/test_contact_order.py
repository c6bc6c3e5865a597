"""Contacts: the order of good answers and errors, however fast they follow each other."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from redis import Redis

from bot.health.contacts import JENKINS, Contacts
from bot.health.observations import ContactSeen
from bot.store.connection import connect
from launch.embedded import Embedded


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Embedded(tmp_path_factory.mktemp("redis"), fsync="no") as server:
        client = connect(server.url)
        yield client
        client.close()


def seen(contacts: Contacts) -> ContactSeen:
    (found,) = contacts.seen()
    return found


def test_an_error_in_the_millisecond_of_a_good_answer_is_later_than_it(redis: Redis) -> None:
    contacts = Contacts(redis, "order")
    jenkins = contacts.of(JENKINS, "cdp")
    for _ in range(200):
        jenkins.good()
        assert not seen(contacts).failing
        jenkins.bad("503")
        assert seen(contacts).failing
        assert seen(contacts).errors == 1


def test_errors_without_a_good_answer_between_them_add_up(redis: Redis) -> None:
    for process in range(3):
        Contacts(redis, "sums").of(JENKINS, "cdp").bad(f"error of process {process}")
    found = seen(Contacts(redis, "sums"))
    assert (found.errors, found.error) == (3, "error of process 2")


def test_errors_that_were_not_noted_are_counted_with_the_next_one(redis: Redis) -> None:
    contacts = Contacts(redis, "between", every=0.05)
    jenkins, told = contacts.of(JENKINS, "cdp"), 0
    deadline = time.monotonic() + 30
    while not told or seen(contacts).errors < 2:
        assert time.monotonic() < deadline
        jenkins.bad("503")
        told += 1
    assert seen(contacts).errors == told > 2
