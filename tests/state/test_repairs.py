"""What had to be found by asking is counted, with when it was the last time."""

from __future__ import annotations

import time
import uuid

from redis import Redis

from bot.store.keys import Keys
from bot.store.records import Repair, Repairs


def test_each_kind_is_counted_with_its_last_time(redis: Redis) -> None:
    repairs = Repairs(redis, Keys(f"p{uuid.uuid4().hex[:12]}"))
    assert repairs.found() == []
    for kind in ("push", "build", "build"):
        repairs.count(kind)
    found = {repair.kind: repair for repair in repairs.found()}
    assert repairs.all() == {"build": 2, "push": 1}
    assert [repair.words for repair in repairs.found()] == ["2 changes of builds", "1 push to main"]
    assert all(repair.last is not None and abs(repair.last - time.time()) < 60 for repair in found.values())


def test_what_an_older_version_counted_has_no_time(redis: Redis) -> None:
    keys = Keys(f"p{uuid.uuid4().hex[:12]}")
    redis.hincrby(keys.repairs, "push", 3)
    assert Repairs(redis, keys).found() == [Repair("push", 3, None)]


def test_a_kind_of_a_newer_version_is_named_as_it_is() -> None:
    assert Repair("comet", 2, None).words == "2 comet"
