"""The recording: what a commit adds to it, how it is packed, read and bounded, and that it decides the same again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.core.model.effects import Trigger
from bot.core.model.events import BuildSeen, Configured, Event, Merged, TimePassed
from bot.core.model.pipeline import Outcome
from bot.core.rules.recorded import Recorded
from bot.core.rules.replay import Gap, Player, Replayed, Step
from bot.store.recording import BoardNow, Recording, RecordingLimits
from bot.store.recording_line import UnreadableRecording, load_line, unpack_line
from tests.core.world import shop
from tests.state.conftest import StoredPipeline
from workers.turn import decide_all

#: Snapshots neither by time nor by count: the first only.
SELDOM = RecordingLimits(snapshot_entries=10**9, snapshot_seconds=1e9)


def decided(pipeline: StoredPipeline, *events: Event) -> list[Trigger]:
    """One turn about these events, as a worker takes it; returns the triggers that come of it."""
    for event in events:
        pipeline.accept(event=event)
    entries = pipeline.store.begin("turn")
    work = decide_all(pipeline.store.copy.board, entries, pipeline.redis, pipeline.keys)
    assert pipeline.store.commit("turn", entries, work) == []
    return [effect for effect in work.effects if isinstance(effect, Trigger)]


def lives(pipeline: StoredPipeline, merges: range) -> None:
    """So many merges of S1, each of which passes its build."""
    if merges.start == 0:
        decided(pipeline, Configured(shop()))
    for number in merges:
        (trigger,) = decided(pipeline, Merged("S1", f"{number:040x}", f"{number - 1:040x}", push_id=str(number)))[:1]
        seen = BuildSeen(trigger.job.controller, trigger.job.name, number, None, trigger.run, trigger.attempt)
        decided(pipeline, seen, TimePassed())
        decided(pipeline, BuildSeen(seen.controller, seen.job, number, Outcome.SUCCESS, seen.run, seen.attempt))


def now(pipeline: StoredPipeline) -> BoardNow:
    replica = pipeline.reader()
    replica.refresh()
    return BoardNow(replica.version, replica.epoch, list(replica.board.records()))


def recording(pipeline: StoredPipeline) -> Recording:
    return Recording(pipeline.redis, pipeline.keys)


def items(pipeline: StoredPipeline, since: float = 0.0) -> Iterator[Recorded]:
    found = map(load_line, recording(pipeline).lines(since))
    return (item for item in found if item is not None)


def replayed(pipeline: StoredPipeline, since: float = 0.0) -> tuple[Player, list[Replayed], list[Step]]:
    player = Player(pipeline.keys.pipeline)
    found = list(player.play(items(pipeline, since)))
    steps = [each for each in found if isinstance(each, Replayed)]
    return player, steps, [each for each in found if not isinstance(each, Replayed)]


def by_key(player: Player) -> dict[tuple[type, str], object]:
    assert player.board is not None
    return {(type(record), record.key): record for record in player.board.records()}


def stored(pipeline: StoredPipeline) -> dict[tuple[type, str], object]:
    return {(type(record), record.key): record for record in now(pipeline).records}


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_committed_is_decided_alike_once_more_and_leads_to_the_same_board(
    pipeline: StoredPipeline, packed: bool
) -> None:
    lives(pipeline, range(5))
    if packed:
        recording(pipeline).pack(now(pipeline), SELDOM, block=3)
    player, steps, others = replayed(pipeline)
    assert len(steps) == 1 + 5 * 4
    assert sum(len(step.then.facts) for step in steps) >= 5 * 4
    assert not [step for step in steps if step.differs]
    assert not others
    assert by_key(player) == stored(pipeline)


def test_a_snapshot_that_is_on_the_way_shows_the_board_of_the_replay(pipeline: StoredPipeline) -> None:
    lives(pipeline, range(3))
    recording(pipeline).pack(now(pipeline), SELDOM, block=100)
    lives(pipeline, range(3, 6))
    recording(pipeline).pack(now(pipeline), RecordingLimits(snapshot_entries=1), block=100)
    lives(pipeline, range(6, 8))
    assert sum("snapshot" in line[:12] for line in recording(pipeline).lines()) == 2
    player, steps, others = replayed(pipeline)
    assert len(steps) == 1 + 8 * 4
    assert not [step for step in steps if step.differs]
    assert not others
    assert by_key(player) == stored(pipeline)


def test_a_later_moment_is_replayed_from_the_last_snapshot_before_it(pipeline: StoredPipeline) -> None:
    lives(pipeline, range(3))
    recording(pipeline).pack(now(pipeline), SELDOM)
    seconds, micros = pipeline.redis.time()  # type: ignore[misc]
    lives(pipeline, range(3, 5))
    player, steps, others = replayed(pipeline, since=seconds + micros / 1e6)
    assert len(steps) == 2 * 4
    assert not others
    assert by_key(player) == stored(pipeline)


def test_turns_that_are_missing_are_a_gap_until_the_next_snapshot(pipeline: StoredPipeline) -> None:
    lives(pipeline, range(3))
    recording(pipeline).pack(now(pipeline), SELDOM, block=100)
    lives(pipeline, range(3, 5))
    first = pipeline.redis.xrange(pipeline.keys.recorded_turns, count=1)[0][0]
    pipeline.redis.xdel(pipeline.keys.recorded_turns, first)
    recording(pipeline).pack(now(pipeline), SELDOM, block=100)
    lives(pipeline, range(5, 6))
    player, steps, others = replayed(pipeline)
    assert [type(each) for each in others] == [Gap]
    assert others[0].turns == 2 * 3 - 1  # type: ignore[union-attr]
    assert len(steps) == 1 + 3 * 4 + 4
    assert by_key(player) == stored(pipeline)


def test_the_recording_keeps_to_its_size_and_its_age(pipeline: StoredPipeline) -> None:
    lives(pipeline, range(10))
    recording(pipeline).pack(now(pipeline), SELDOM, block=5)
    whole = recording(pipeline).size()
    assert pipeline.redis.xlen(pipeline.keys.recording) == 8  # six full blocks, what is left, the snapshot
    lives(pipeline, range(10, 12))
    recording(pipeline).pack(now(pipeline), RecordingLimits(size=whole // 2), block=5)
    assert recording(pipeline).size() <= whole // 2
    assert replayed(pipeline)[0].board is not None
    recording(pipeline).pack(now(pipeline), RecordingLimits(age=-1.0), block=1)
    assert pipeline.redis.xlen(pipeline.keys.recording) == 0


def test_two_that_pack_at_once_pack_each_turn_once(pipeline: StoredPipeline) -> None:
    lives(pipeline, range(3))
    first, board = recording(pipeline), now(pipeline)
    waiting = first._waiting(5)
    recording(pipeline).pack(board, SELDOM, block=5)
    assert first._add(waiting, None, SELDOM) is False
    assert len(replayed(pipeline)[1]) == 1 + 3 * 4


def test_a_turn_is_small_also_before_it_is_packed(pipeline: StoredPipeline) -> None:
    lives(pipeline, range(20))
    rows = pipeline.redis.xrange(pipeline.keys.recorded_turns)
    assert sum(len(fields[b"t"]) for _, fields in rows) / len(rows) < 250
    recording(pipeline).pack(now(pipeline), SELDOM)
    blocks = [fields[b"d"] for _, fields in pipeline.redis.xrange(pipeline.keys.recording) if fields[b"k"] == b"b"]
    assert sum(map(len, blocks)) / (20 * 4) < 90


def test_what_is_no_recording_is_said_to_be_none() -> None:
    with pytest.raises(UnreadableRecording):
        unpack_line(b"nothing of ours")
    for line in ("", "{}", '{"version":1}', '{"snapshot":{}}', "[]"):
        with pytest.raises(UnreadableRecording):
            load_line(line)
