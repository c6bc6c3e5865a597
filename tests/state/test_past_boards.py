"""The board at any moment: what it was then, from any beginning, and at a bounded cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.events import LockAsked, UnlockAsked
from bot.store.past_boards import NotRecorded, PastBoards, ReplayTooLong
from bot.store.recording import BoardNow, Recording
from tests.state.conftest import StoredPipeline
from tests.state.test_recording import SELDOM, decided, lives, now, recording

Shown = dict[tuple[type, str], object]


def milliseconds(pipeline: StoredPipeline) -> int:
    seconds, micros = pipeline.redis.time()  # type: ignore[misc]
    return int(seconds * 1_000 + micros // 1_000)


def shown(board: BoardNow) -> Shown:
    return {(type(record), record.key): record for record in board.records}


def past(pipeline: StoredPipeline, most_turns: int = 1_000) -> PastBoards:
    return PastBoards(pipeline.redis, pipeline.keys, most_turns)


def at(boards: PastBoards, moment: int) -> Shown:
    return {(type(record), record.key): record for record in boards.at(moment).board.records()}


def story(pipeline: StoredPipeline) -> list[tuple[int, Shown]]:
    """Merges and locks, packed now and then in blocks of three with a snapshot every seven turns; what was when."""
    found = []
    for number in range(9):
        lives(pipeline, range(number, number + 1))
        found.append((milliseconds(pipeline), shown(now(pipeline))))
        wait_for_next_millisecond(pipeline)
        if number % 2:
            decided(pipeline, LockAsked("production", "sam", f"the fair {number}"))
            found.append((milliseconds(pipeline), shown(now(pipeline))))
            wait_for_next_millisecond(pipeline)
        if number % 3 == 2:
            recording(pipeline).pack(now(pipeline), replace(SELDOM, recent_turns=7), block=3)
    decided(pipeline, UnlockAsked("production", "sam", "over"))
    found.append((milliseconds(pipeline), shown(now(pipeline))))
    return found


def wait_for_next_millisecond(pipeline: StoredPipeline) -> None:
    """Two turns of one millisecond are one moment."""
    begin = milliseconds(pipeline)
    while milliseconds(pipeline) == begin:
        pass


def test_each_moment_has_the_board_that_was_then_in_whatever_order_they_are_asked_for(
    pipeline: StoredPipeline,
) -> None:
    moments = story(pipeline)
    assert pipeline.redis.xlen(pipeline.keys.recent_snapshots) >= 2
    one = past(pipeline)
    for moment, board in [*moments, *reversed(moments), *moments[::3]]:
        assert at(one, moment) == board
        assert at(past(pipeline), moment) == board
        assert not one.at(moment).differs


def test_a_snapshot_is_read_once_while_somebody_moves_near_it(
    pipeline: StoredPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = story(pipeline)
    read: list[str] = []
    really = Recording.read_recent
    monkeypatch.setattr(Recording, "read_recent", lambda here, which: read.append(which) or really(here, which))
    one = past(pipeline)
    for moment, board in [*moments, *moments[-4:], *moments[-4:]]:
        assert at(one, moment) == board
    assert len(read) == pipeline.redis.xlen(pipeline.keys.recent_snapshots) == len({*read})


def test_without_recent_snapshots_the_recording_does(pipeline: StoredPipeline) -> None:
    moments = story(pipeline)
    pipeline.redis.delete(pipeline.keys.recent_snapshots)
    for moment, board in moments:
        assert at(past(pipeline), moment) == board


def test_a_moment_before_the_recording_and_one_in_a_gap_are_not_known_and_when_it_goes_on_is(
    pipeline: StoredPipeline,
) -> None:
    before = milliseconds(pipeline) - 1
    assert recording(pipeline).first_board() is None
    lives(pipeline, range(2))
    assert before < (recording(pipeline).first_board() or 0) <= milliseconds(pipeline)
    recording(pipeline).pack(now(pipeline), SELDOM, block=2)
    pipeline.redis.delete(pipeline.keys.recent_snapshots)
    with pytest.raises(NotRecorded):
        past(pipeline).at(before)
    wait_for_next_millisecond(pipeline)
    lives(pipeline, range(2, 4))
    pipeline.redis.xdel(pipeline.keys.recorded_turns, pipeline.redis.xrange(pipeline.keys.recorded_turns)[0][0])
    gap = milliseconds(pipeline)
    with pytest.raises(NotRecorded) as refused:
        past(pipeline).at(gap)
    assert refused.value.again is None
    wait_for_next_millisecond(pipeline)
    recording(pipeline).pack(now(pipeline), SELDOM, block=2)
    with pytest.raises(NotRecorded) as refused:
        past(pipeline).at(gap)
    assert gap < (refused.value.again or 0) <= milliseconds(pipeline)
    assert at(past(pipeline), refused.value.again or 0) == shown(now(pipeline))


def test_a_moment_too_far_from_a_snapshot_is_refused(pipeline: StoredPipeline) -> None:
    lives(pipeline, range(4))
    with pytest.raises(ReplayTooLong):
        past(pipeline, most_turns=5).at(milliseconds(pipeline))


def test_recent_snapshots_are_bounded_in_number_and_in_size(pipeline: StoredPipeline) -> None:
    often = replace(SELDOM, recent_turns=1, recent=3)
    for number in range(6):
        lives(pipeline, range(number, number + 1))
        recording(pipeline).pack(now(pipeline), often)
        recording(pipeline).pack(now(pipeline), often)
    assert pipeline.redis.xlen(pipeline.keys.recent_snapshots) == 3
    lives(pipeline, range(6, 7))
    recording(pipeline).pack(now(pipeline), replace(often, size=100))
    assert pipeline.redis.xlen(pipeline.keys.recent_snapshots) == 0
