"""The statistics in Redis: folded once by whoever comes first, and up to date for every reader."""

from __future__ import annotations

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Step
from bot.statistics.statistics import Statistics
from bot.store.statistics import StatisticsStore, dump_part
from bot.store.store import Work
from tests.state.conftest import StoredPipeline


def store_facts(pipeline: StoredPipeline, *facts: Fact) -> None:
    """A turn that decides these facts."""
    pipeline.accept()
    entries = pipeline.store.begin("t")
    pipeline.store.commit("t", entries, Work([], [(entries[-1], fact) for fact in facts], [], [], None))


def fact(kind: FactKind, run: str = "S1.1", step: str = "build") -> Fact:
    return Fact(kind, Verbatim("x"), run=run, service="S1", sha="a", step=Step(step))


def statistics_of(pipeline: StoredPipeline) -> StatisticsStore:
    return StatisticsStore(pipeline.redis, pipeline.keys, pipeline.records)


def same(one: Statistics, other: Statistics) -> bool:
    return {key: dump_part(key, part) for key, part in one.parts.items()} == {
        key: dump_part(key, part) for key, part in other.parts.items()
    }


def test_what_is_stored_is_what_a_reader_folds_itself(pipeline: StoredPipeline) -> None:
    worker, reader = statistics_of(pipeline), statistics_of(pipeline)
    store_facts(pipeline, fact(FactKind.RUN_QUEUED), fact(FactKind.RUN_ADMITTED), fact(FactKind.BUILD_STARTED))
    found = reader.current()
    assert found.run("S1.1") is not None and found.cursor != "0-0"
    assert worker.advance() == 3
    assert same(worker.load(), found) and worker.load().cursor == found.cursor
    store_facts(pipeline, fact(FactKind.BUILD_PASSED), fact(FactKind.RUN_DELIVERED))
    run = reader.current().run("S1.1")
    assert run is not None and run.ended > 0  # though no worker has come yet
    assert worker.advance() == 2 and worker.advance() == 0
    assert same(statistics_of(pipeline).current(), reader.current())


def test_of_two_that_fold_the_same_facts_one_stores(pipeline: StoredPipeline) -> None:
    store_facts(pipeline, fact(FactKind.RUN_QUEUED))
    first, second = statistics_of(pipeline), statistics_of(pipeline)

    def meanwhile(_: Statistics) -> None:
        store_facts(pipeline, fact(FactKind.RUN_QUEUED, "S1.2"))
        second.advance()

    first.advance(meanwhile)
    assert {key for key, _ in second.load().of("run")} == {"S1.1", "S1.2"}
    assert same(second.load(), statistics_of(pipeline).current())


def test_two_workers_in_turns_store_what_one_would(pipeline: StoredPipeline) -> None:
    first, second = statistics_of(pipeline), statistics_of(pipeline)
    kinds = (FactKind.RUN_QUEUED, FactKind.RUN_ADMITTED, FactKind.BUILD_STARTED, FactKind.BUILD_PASSED)
    for number in range(8):
        store_facts(pipeline, *(fact(kind, f"S1.{number}") for kind in kinds))
        (first, second)[number % 2].advance()
    first.advance()  # it may have come second to what it held
    first.advance()
    stored = second.load()
    assert same(stored, statistics_of(pipeline).current()) and stored.outcomes("build").passed == 8


def test_more_facts_than_a_page_are_folded(pipeline: StoredPipeline) -> None:
    for start in range(0, 600, 100):
        store_facts(pipeline, *(fact(FactKind.RUN_QUEUED, f"S1.{start + n}") for n in range(100)))
    assert statistics_of(pipeline).advance() == 600
    assert len(list(statistics_of(pipeline).load().of("run"))) == 600


def test_what_one_reader_holds_does_not_change_while_another_reads_on(pipeline: StoredPipeline) -> None:
    reader = statistics_of(pipeline)
    store_facts(pipeline, fact(FactKind.RUN_QUEUED), fact(FactKind.RUN_ADMITTED))
    held = reader.current()
    before = {key: dump_part(key, part) for key, part in held.parts.items()}
    store_facts(pipeline, fact(FactKind.BUILD_STARTED), fact(FactKind.BUILD_PASSED), fact(FactKind.RUN_QUEUED, "S1.2"))
    assert reader.current().outcomes("build").passed == 1
    assert {key: dump_part(key, part) for key, part in held.parts.items()} == before
    assert same(reader.current(), statistics_of(pipeline).current())
