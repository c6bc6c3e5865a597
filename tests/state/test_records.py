"""Facts and finished runs are bounded and paged; what a newer version wrote is not touched; the commands are known."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

import bot.store
from bot.core.model.effects import Look
from bot.core.model.facts import Fact, FactKind
from bot.core.model.history import Position
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job, Lane, Step
from bot.core.model.run import End, Ending, Run, Status
from bot.core.rules.decision import Ended
from bot.store.inbox import PARKED_BYTES, PARKED_KEPT, InboxEntry, park, parked, read_backlog
from bot.store.records import PAGE, Records
from bot.store.scripts import SCHEMA, Scripts
from bot.store.store import STORY_KEPT, Store, Work
from tests.state.conftest import StoredPipeline, fact, put
from tests.texts import text_of

LUA = sorted((Path(bot.store.__file__).parent / "lua").glob("*.lua"))


def ended(number: int) -> Ended:
    position = Position(1, number, f"{number:040x}")
    run = Run(f"S1.{number}", "S1", position, Lane.MAIN, Status.RUNNING, Step("build"), number, 1.0, 1.0, "S1-1")
    return Ended(run, Ending(End.DELIVERED, Verbatim("it is in production")), float(number))


def decided(pipeline: StoredPipeline, facts: int = 0, runs: range = range(0), store: Store | None = None) -> None:
    """Commit a turn that tells so many facts and ends these runs."""
    store = store or pipeline.store
    pipeline.accept()
    entries = store.begin("me")
    told = [(entries[0], fact(f"fact {n}", run=f"S1.{n % 3}")) for n in range(facts)]
    store.commit("me", entries, Work([], told, [], [ended(n) for n in runs], None))


def test_facts_come_page_by_page_newest_first_each_once(pipeline: StoredPipeline) -> None:
    decided(pipeline, facts=25)
    page = pipeline.records.facts(limit=10)
    found = [text_of(told.fact.why) for _, told in page.facts]
    sizes = [len(page.facts)]
    while page.next is not None:
        page = pipeline.records.facts(page.next, limit=10)
        sizes.append(len(page.facts))
        found += [text_of(told.fact.why) for _, told in page.facts]
    assert found == [f"fact {n}" for n in reversed(range(25))]
    assert sizes == [10, 10, 5]


def test_a_page_holds_at_most_so_many_whatever_is_asked_for(pipeline: StoredPipeline) -> None:
    decided(pipeline, facts=PAGE + 20, runs=range(PAGE + 20))
    assert len(pipeline.records.facts(limit=10_000).facts) == PAGE
    assert len(pipeline.records.facts(limit=-5).facts) == 1
    assert len(pipeline.records.ended(limit=10_000)[0]) == PAGE


def test_the_log_is_read_back_in_pages_and_only_what_is_wanted_is_told(pipeline: StoredPipeline) -> None:
    here, passed = Step("pre-production"), FactKind.BUILD_PASSED
    told = [
        Fact(passed, Verbatim("0"), step=here),
        Fact(FactKind.BUILD_FAILED, Verbatim("1"), step=here),
        Fact(passed, Verbatim("2"), step=Step("production")),
        Fact(FactKind.RUN_QUEUED, Verbatim('"kind":"build-passed"'), step=here),
        Fact(passed, Verbatim("4"), step=here),
    ]
    pipeline.accept()
    entries = pipeline.store.begin("me")
    pipeline.store.commit("me", entries, Work([], [(entries[0], each) for each in told], [], [], None))
    pages = list(pipeline.records.facts_back([passed], ["pre-production"], page=2))
    assert [[text_of(each.fact.why) for each in found] for _, found in pages] == [["4"], [], ["0"]]
    assert {at for at, _ in pages} == {entries[0].at}


def test_facts_can_be_followed(pipeline: StoredPipeline) -> None:
    decided(pipeline, facts=3)
    seen = pipeline.records.facts_after("0-0")
    assert pipeline.records.facts_after(seen[-1][0]) == []
    decided(pipeline, facts=2)
    assert [text_of(told.fact.why) for _, told in pipeline.records.facts_after(seen[-1][0])] == ["fact 0", "fact 1"]


def told_of(pipeline: StoredPipeline, run: str) -> list[str]:
    return [text_of(told.fact.why) for _, told in pipeline.records.facts_of(run)]


def told(
    pipeline: StoredPipeline, whys: list[str], run: str, store: Store | None = None, work: Work | None = None
) -> None:
    """Commit a turn that tells these facts of one run."""
    store = store or pipeline.store
    pipeline.accept()
    entries = store.begin("me")
    work = work or Work([], [], [], [], None)
    store.commit("me", entries, replace(work, facts=[(entries[0], fact(why, run)) for why in whys]))


def test_the_facts_of_one_run_are_found_oldest_first(pipeline: StoredPipeline) -> None:
    decided(pipeline, facts=9, runs=range(3))
    assert told_of(pipeline, "S1.1") == ["fact 1", "fact 4", "fact 7"]
    in_the_log = dict(pipeline.records.facts().facts)
    assert all(in_the_log[identity] == told for identity, told in pipeline.records.facts_of("S1.1"))


def test_the_story_of_a_run_stays_when_the_log_has_forgotten_it(pipeline: StoredPipeline) -> None:
    """The log of a run stays as long as the run is in the history, however many facts of others follow."""
    store = Store(pipeline.redis, pipeline.keys, facts_kept=50)
    decided(pipeline, facts=3, runs=range(3), store=store)
    for _ in range(10):
        told(pipeline, ["another"] * 100, "S1.2", store)
    assert "fact 1" not in [text_of(row.fact.why) for _, row in pipeline.records.facts_after("0-0", 2_000)]
    assert told_of(pipeline, "S1.1") == ["fact 1"]


def test_a_run_that_lives_has_its_story(pipeline: StoredPipeline) -> None:
    told(pipeline, ["queued"], "S1.7", work=Work([put(ended(7).run)], [], [], [], None))
    told(pipeline, ["admitted"], "S1.7")
    assert told_of(pipeline, "S1.7") == ["queued", "admitted"]


def test_of_a_story_only_what_the_last_turns_told_is_kept(pipeline: StoredPipeline) -> None:
    decided(pipeline, runs=range(1, 2))
    whys = [str(n) for n in range(STORY_KEPT + 30)]
    for why in whys:
        told(pipeline, [why], "S1.1")
    assert told_of(pipeline, "S1.1") == whys[-STORY_KEPT:]
    assert pipeline.redis.hlen(pipeline.keys.stories) == STORY_KEPT + 1


def test_a_story_goes_with_its_run_and_does_not_come_back(pipeline: StoredPipeline) -> None:
    """Late news of a run that the history has forgotten stand in the log alone."""
    store = Store(pipeline.redis, pipeline.keys, ended_kept=2)
    for number in range(20):
        told(pipeline, ["x"] * 5, f"S1.{number}", store, Work([], [], [], [ended(number)], None))
        told(pipeline, ["y"], f"S1.{number}", store)
    told(pipeline, ["late"], "S1.3", store)
    fields = {field.decode().partition("#")[0] for field in pipeline.redis.hkeys(pipeline.keys.stories)}
    assert fields == {"S1.18", "S1.19"}
    assert told_of(pipeline, "S1.18") == ["x"] * 5 + ["y"]
    assert pipeline.redis.hlen(pipeline.keys.stories) == 2 * (2 + 1)
    assert told_of(pipeline, "S1.3") == []


def test_of_the_verifications_the_last_have_their_story(pipeline: StoredPipeline) -> None:
    store = Store(pipeline.redis, pipeline.keys, verified_kept=2)
    for number in range(1, 5):
        told(pipeline, ["asked", "runs"], f"S1.pr3-{number}", store)
    told(pipeline, ["passed"], "S1.pr3-3", store)
    told(pipeline, ["asked"], "S1.pr33-5", store)
    assert told_of(pipeline, "S1.pr3-3") == ["asked", "runs", "passed"]
    assert [told_of(pipeline, f"S1.pr3-{number}") for number in (1, 2, 4)] == [[], [], []]
    assert (pipeline.records.verified("S1", 3), pipeline.records.verified("S1", 33)) == (["S1.pr3-3"], ["S1.pr33-5"])
    assert pipeline.redis.hlen(pipeline.keys.stories) == 2 + 1 + 1 + 1


def test_the_fact_log_is_bounded(pipeline: StoredPipeline) -> None:
    store = Store(pipeline.redis, pipeline.keys, facts_kept=50)
    for _ in range(10):
        decided(pipeline, facts=100, store=store)
    assert 50 <= pipeline.redis.xlen(pipeline.keys.facts) <= 50 + 200  # trimmed by whole nodes of 100


def test_finished_runs_come_page_by_page_the_last_to_end_first(pipeline: StoredPipeline) -> None:
    decided(pipeline, runs=range(25))
    pages = [pipeline.records.ended(offset, 10) for offset in (0, 10, 20, 30)]
    assert [e.run.key for rows, _ in pages for e in rows] == [f"S1.{n}" for n in reversed(range(25))]
    assert {total for _, total in pages} == {25}


def test_the_history_is_bounded_and_the_oldest_goes_first(pipeline: StoredPipeline) -> None:
    store = Store(pipeline.redis, pipeline.keys, ended_kept=10)
    for first in (0, 10, 20):
        decided(pipeline, runs=range(first, first + 10), store=store)
    rows, total = pipeline.records.ended(0, 50)
    assert total == pipeline.redis.hlen(pipeline.keys.ended) == 10
    assert [e.run.key for e in rows] == [f"S1.{n}" for n in range(29, 19, -1)]
    assert pipeline.records.ended_run("S1.5") is None
    assert pipeline.records.ended_run("S1.25") == ended(25)


def test_parked_deliveries_are_bounded_by_size_and_the_newest_stays_however_large_it_is(
    pipeline: StoredPipeline,
) -> None:
    def park_one(number: int, size: int) -> None:
        entry = InboxEntry(f"{number}-0", "github", "push", str(number), b"x" * size)
        park(pipeline.redis, pipeline.keys, entry, ValueError("no"))

    for number in range(9):
        park_one(number, PARKED_BYTES // 6)
    assert [each.delivery for each in parked(pipeline.redis, pipeline.keys)] == ["8", "7", "6", "5", "4"]
    park_one(9, 2 * PARKED_BYTES)
    assert [each.delivery for each in parked(pipeline.redis, pipeline.keys)] == ["9"]


def test_parked_deliveries_are_listed_newest_first_and_bounded(pipeline: StoredPipeline) -> None:
    for number in range(PARKED_KEPT + 3):
        park(
            pipeline.redis,
            pipeline.keys,
            InboxEntry(f"{number}-0", "github", "push", "guid", b"\xff"),
            ValueError("no"),
        )
    assert [each.entry for each in parked(pipeline.redis, pipeline.keys, 2)] == [
        f"{PARKED_KEPT + 2}-0",
        f"{PARKED_KEPT + 1}-0",
    ]
    assert pipeline.redis.llen(pipeline.keys.parked) == PARKED_KEPT


# -- keys and scripts ------------------------------------------------------------------------------------------


def test_what_waits_is_counted_and_the_oldest_delivery_is_dated(pipeline: StoredPipeline) -> None:
    scripts = Scripts(pipeline.redis)
    empty = read_backlog(scripts, pipeline.keys)
    assert (empty.undecided, empty.oldest_at, empty.version, empty.schema) == (0, None, 0, None)
    before = time.time()
    pipeline.accept()
    pipeline.accept()
    waiting = read_backlog(scripts, pipeline.keys)
    assert waiting.undecided == 2
    assert waiting.oldest_at == pytest.approx(before, abs=5)
    pipeline.turn(effects=(Look(Job("cdp", "shop/build"), 1),))
    decided = read_backlog(scripts, pipeline.keys)
    assert (decided.undecided, decided.oldest_at, decided.effects, decided.due, decided.version) == (0, None, 1, 1, 1)
    assert decided.schema == SCHEMA


def test_pipelines_and_installations_on_one_server_do_not_meet(pipeline: StoredPipeline, redis: Redis) -> None:
    decided(pipeline, facts=1)
    other = type(pipeline.keys)(pipeline.keys.pipeline, prefix="another")
    assert Records(redis, other).facts().facts == []
    names = list(redis.scan_iter(match=f"*{pipeline.keys.pipeline}*", count=1000))
    assert names
    assert all(f"{{{pipeline.keys.pipeline}}}".encode() in name for name in names)


def commands(text: str) -> set[str]:
    return set(re.findall(r"redis\.call\('(\w+)'", text))


@pytest.mark.parametrize("script", LUA, ids=lambda path: path.stem)
def test_the_scripts_use_no_command_that_came_after_redis_6_2(script: Path, redis: Redis) -> None:
    """The server itself says since when it knows a command (COMMAND DOCS)."""
    used = commands(script.read_text())
    assert used
    for name in used:
        row = redis.execute_command("COMMAND DOCS", name)
        flat = row[1] if isinstance(row, list) else next(iter(row.values()))
        docs = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
        since = docs.get(b"since", docs.get("since"))
        version = tuple(int(part) for part in (since.decode() if isinstance(since, bytes) else since).split("."))
        assert version <= (6, 2, 99), f"{name} is known since {version}"


@pytest.mark.parametrize("script", LUA, ids=lambda path: path.stem)
def test_a_script_touches_only_keys_that_it_was_given(script: Path) -> None:
    """On a cluster a script may use no other: the first argument of every call is one of KEYS, or TIME has none."""
    calls = re.findall(r"redis\.call\('(\w+)'\s*[,)]\s*([A-Z]*)", script.read_text())
    assert {key for name, key in calls if name != "TIME"} <= {"KEYS"}
    assert calls
