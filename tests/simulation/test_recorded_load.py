"""What a recording tells of what came from outside."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from bot.core.model.board_records import Header
from bot.core.model.events import LockAsked
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Outcome
from bot.core.rules.recorded import DecidedEntry, Recorded
from bot.simulation.recorded_load import Failure, Reaction, RecordedLoad, UnusableRecording, read_load
from bot.store.pseudonyms import Pseudonyms, pipelines_in
from bot.store.recording_line import load_line, snapshot_line
from demo.past import MONDAY, lines, past, shop


def recorded(entries: Iterable[DecidedEntry], first: int = 1) -> list[Recorded]:
    return [item for item in map(load_line, lines(entries, first)) if item is not None]


@pytest.fixture(scope="module")
def load() -> RecordedLoad:
    return read_load(recorded(past()))


def test_every_merge_that_started_a_run_is_told_with_its_time(load: RecordedLoad) -> None:
    accepted = [(at, fact.sha) for at, fact in load.facts if fact.kind is FactKind.MERGE_ACCEPTED]
    assert [(merge.at, merge.event.sha) for merge in load.merges] == accepted
    assert len(accepted) > 90


def test_every_build_that_came_to_its_end_is_told_by_its_commit(load: RecordedLoad) -> None:
    ends = [fact for _, fact in load.facts if fact.kind in (FactKind.BUILD_PASSED, FactKind.BUILD_FAILED)]
    assert sum(map(len, load.builds.values())) == len(ends)
    failed = next(fact for fact in ends if fact.kind is FactKind.BUILD_FAILED)
    build = load.builds[(failed.service or "", failed.sha or ""), str(failed.step)][0]
    assert build.outcome is Outcome.FAILURE
    started, ended = (
        next(at for at, fact in load.facts if fact.kind is kind and fact.run == failed.run and fact.step == failed.step)
        for kind in (FactKind.BUILD_STARTED, FactKind.BUILD_FAILED)
    )
    assert build.seconds == ended - started


def test_a_merge_of_who_holds_a_lock_follows_the_failure(load: RecordedLoad) -> None:
    fixes = [merge for merge in load.merges if merge.event.title == "a fix"]
    assert fixes
    for fix in fixes:
        assert isinstance(fix.reaction, Reaction)
        failed = load.failed[fix.reaction.failure.commit, fix.reaction.failure.stage]
        assert fix.reaction.failure.commit[0] == fix.event.service
        assert fix.at == pytest.approx(failed + fix.reaction.after)


def test_what_people_did_is_told_a_retry_with_the_failure_that_it_followed(load: RecordedLoad) -> None:
    retries = [each for each in load.requests if each.what is FactKind.RUN_RETRIED]
    assert retries
    assert all(isinstance(each.reaction, Reaction) and each.reaction.failure.number == 1 for each in retries)
    locks = [each for each in load.requests if each.what is FactKind.STAGE_LOCKED]
    assert [(each.at, each.stage, each.by) for each in locks] == [(MONDAY + 12 * 3600, "production", "ann")]
    assert isinstance(locks[0].event, LockAsked)
    assert locks[0].event.until == MONDAY + 14 * 3600
    (unlock,) = (each for each in load.requests if each.what is FactKind.STAGE_UNLOCKED)
    assert (unlock.holder, unlock.reaction) == ("ann", None)


def test_a_recording_under_pseudonyms_tells_the_same(load: RecordedLoad) -> None:
    text = list(lines(past()))
    found = Pseudonyms(b"secret", (each for line in text for each in pipelines_in(line)))
    other = read_load(item for item in map(load_line, map(found.line, text)) if item is not None)
    assert [merge.at for merge in other.merges] == [merge.at for merge in load.merges]
    assert [bool(merge.reaction) for merge in other.merges] == [bool(merge.reaction) for merge in load.merges]
    assert list(other.builds.values()) == list(load.builds.values())
    assert other.merges[0].event.service.startswith("service-")
    assert len(other.requests) == len(load.requests)


def test_failures_of_a_commit_are_counted_by_stage() -> None:
    assert Failure(("S1", "a"), "acceptance", 1) != Failure(("S1", "a"), "acceptance", 2)


# -- what cannot be used -----------------------------------------------------------------------------------------


def test_where_turns_are_missing_what_follows_the_next_configuration_or_snapshot_counts() -> None:
    entries = past()
    snapshot = load_line(snapshot_line(600, str(int(entries[599].at * 1e6)), entries[599].at, [Header(shop())]))
    assert snapshot is not None
    whole = recorded(entries)
    found = read_load([*whole[:400], *whole[450:600], snapshot, *whole[600:]])
    assert found.gap is not None
    assert found.began == entries[599].at
    assert all(merge.at >= found.began for merge in found.merges)
    with pytest.raises(UnusableRecording, match="no configuration that this version reads"):
        read_load([*whole[:400], *whole[450:]])


def test_a_recording_without_turns_and_one_without_merges_are_refused() -> None:
    with pytest.raises(UnusableRecording, match="it has no turns"):
        read_load([])
    with pytest.raises(UnusableRecording, match="has no merge"):
        read_load(recorded(past()[:1]))


def test_a_snapshot_of_another_schema_is_none() -> None:
    """What then begins with a turn that follows nothing has no configuration."""
    line = json.loads(snapshot_line(1, "1", MONDAY, [Header(shop())]))
    line["snapshot"]["schema"] = 1
    assert load_line(json.dumps(line)) is None
    with pytest.raises(UnusableRecording, match="no configuration"):
        read_load(recorded(past()[5:20], first=6))


def test_of_several_recordings_in_one_file_the_last_one_counts() -> None:
    whole = recorded(past())
    found = read_load([*whole[:300], *whole])
    assert found.gap is not None
    assert len(found.merges) == len(read_load(whole).merges)
