"""The soak works, as small as it can be: nothing grows or goes wrong, and every key has a bound that is listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner
from redis import Redis

from bot.store.keys import FAMILIES, Keys
from chaos.world import World
from soak import store
from soak.__main__ import main
from soak.fill import fill
from soak.soak import Soak, nothing_broke
from soak.store import KeyFamilies
from soak.traffic import Background, Developers
from tests.redis_server import redis, redis_url

__all__ = ["redis", "redis_url"]

#: How long the soak of every build of Interlock works, in seconds.
SECONDS = 12.0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_short_soak_finds_no_growth_and_no_key_without_a_bound(
    tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    soak = Soak(tmp_path, rate=2.0)
    outcome = soak.run(SECONDS)
    record_property("numbers: the soak", json.dumps({"merged": outcome.merged, **outcome.store.keys}, indent=1))
    assert outcome.growing == []
    assert not any(outcome.faults.values()), outcome.faults
    assert outcome.merged >= 5
    assert {where for where, _ in outcome.growths} == {
        *("web", "web 1", "web 2", "worker", "worker-2", "beat", "server", "store")
    }


def test_a_folder_that_holds_an_earlier_soak_is_refused(tmp_path: Path) -> None:
    (tmp_path / "soak.json").write_text("{}")
    found = CliRunner().invoke(main, ["--keep", str(tmp_path)])
    assert found.exit_code == 2
    assert "is not empty: name a new folder" in found.output


def test_a_soak_in_which_nothing_broke_though_it_should_is_told_from_one_that_went_well() -> None:
    developers = Developers(cast("World", None), 1, {"S1": "shop/s1"})
    assert not nothing_broke(developers)
    developers.broken = 10
    assert nothing_broke(developers)
    developers.fixes = 1
    assert not nothing_broke(developers)


def test_every_name_in_the_code_is_listed() -> None:
    families, keys = KeyFamilies(), Keys("shop")
    names = [name for name, kind in vars(Keys).items() if isinstance(kind, property) and name != "posted_prefix"]
    made = [getattr(keys, name) for name in names]
    made += [make(family) for family in FAMILIES for make in (keys.due, keys.claimed, keys.performer_wake_up)]
    made += [keys.posted("S1.1", 1), keys.answering("S1.1", 1), keys.missing("S1.1", 1), keys.seen("github:1")]
    made += [keys.given("mention/x"), keys.wrote("status/x"), keys.webhook("audit"), keys.webhook_lease("audit")]
    assert [key for key in made if families.of(key) is None] == []


def test_a_key_that_is_not_listed_and_one_that_should_expire_are_found(redis: Redis) -> None:
    families, keys = KeyFamilies(), Keys("soaked")
    redis.flushdb()
    redis.set(keys.named("new-idea"), "1")
    redis.set(keys.seen("github:1"), "1")
    redis.set(keys.seen("github:2"), "1", ex=60)
    redis.hset(keys.meta, "version", 1)
    assert store.faults(redis, families) == [
        f"{keys.named('new-idea')}: docs/store.md does not list it",
        f"{keys.seen('github:1')}: it does not expire, though docs/store.md says after 7 d: "
        "`keep: raw_deliveries`; of a form of the page 1 day",
    ]


def test_a_day_passes_for_what_lives_for_days_and_for_nothing_else(redis: Redis) -> None:
    families, keys, day = KeyFamilies(), Keys("aged"), 86_400
    redis.flushdb()
    redis.set(keys.seen("github:new"), "1", ex=7 * day)
    redis.set(keys.seen("github:old"), "1", ex=day - 1)
    redis.set(keys.lease, "me", ex=8)
    redis.set(keys.meta, "lasts")
    assert store.let_a_day_pass(redis, families) == 1
    assert 6 * day - 5 < redis.ttl(keys.seen("github:new")) <= 6 * day
    assert not redis.exists(keys.seen("github:old"))
    assert redis.ttl(keys.lease) > 0
    assert redis.ttl(keys.meta) == -1


def test_what_lasts_is_weighed_and_what_expires_is_counted(redis: Redis) -> None:
    families, keys = KeyFamilies(), Keys("weighed")
    redis.flushdb()
    redis.hset(keys.board, "run/S1.1", "x" * 10_000)
    for number in range(20):
        redis.set(keys.posted(f"S1.{number}", 1), "note", ex=60)
    usage = store.look(redis, families)
    assert usage.bytes["interlock:{<pipeline>}:board"] > 10_000
    assert usage.keys["interlock:{<pipeline>}:posted:<run>:<attempt>"] == 20
    assert "interlock:{<pipeline>}:posted:<run>:<attempt>" not in usage.bytes
    assert store.look(redis, families, everything=True).bytes["interlock:{<pipeline>}:posted:<run>:<attempt>"] > 1_000


def test_who_fails_often_is_a_fault_and_who_fails_once_is_not() -> None:
    background = Background()
    background.done.update({"reader 1": 500, "operator": 0})
    for name, error in (("reader 1", OSError("late")), ("operator", OSError("403")), ("operator", OSError("403"))):
        background.note(name, error)
    assert background.faults() == ["2 times operator: OSError 403"]


def test_a_store_is_filled_to_its_bounds_with_copies(redis: Redis) -> None:
    families, keys, day = KeyFamilies(), Keys("filled"), 86_400
    redis.flushdb()
    for number in range(10):
        redis.set(keys.posted(f"S1.{number}", 1), "note", ex=10 * day)
        redis.hset(keys.ended, f"S1.{number}", "a run")
        redis.hset(keys.stories, mapping={f"S1.{number}": 1, f"S1.{number}#1": "its facts"})
        redis.xadd(keys.facts, {"f": "a fact"})
        redis.xadd(keys.deliveries, {"z": "a pack"})
    redis.hset(keys.statistics, "week/2026-W48/S1", "{}")
    fill(redis, keys, families, days=2.0)
    usage = store.look(redis, families)
    assert usage.keys["interlock:{<pipeline>}:posted:<run>:<attempt>"] == 10 * 14 / 2
    assert (redis.hlen(keys.ended), redis.hlen(keys.stories)) == (5_000, 10_000)
    assert (redis.xlen(keys.facts), redis.xlen(keys.deliveries)) == (50_000, 10 * 7 / 2)
    assert redis.hlen(keys.statistics) == 26
    assert store.faults(redis, families) == []
