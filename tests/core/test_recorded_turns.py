"""Replays of a recording in plain steps: equal turns, differences, and gaps."""

from __future__ import annotations

from dataclasses import replace

from bot.core.model.board import Board, build_board
from bot.core.model.board_records import Header
from bot.core.model.events import Configured, Event, LockAsked, Merged
from bot.core.model.pipeline import Pipeline
from bot.core.rules.decide import decide
from bot.core.rules.recorded import BoardSnapshot, DecidedEntry, RecordedTurn
from bot.core.rules.replay import BoardDifferences, Gap, Player, Replayed, Step
from tests.core.world import shop

EVENTS: tuple[Event, ...] = (
    Configured(shop()),
    Merged("S1", "S1a"),
    LockAsked("pre-production", "ann", "maintenance"),
    Merged("S2", "S2a"),
    Merged("S1", "S1b", "S1a"),
)
NAME = shop().name


def recorded() -> tuple[list[RecordedTurn], list[BoardSnapshot]]:
    """A turn for each event, ten seconds apart, and the whole board after each."""
    board: Board = build_board(Header(Pipeline(NAME, (), ())), [])
    turns, snapshots = [], []
    for version, event in enumerate(EVENTS, 1):
        at = 1_000.0 + 10 * version
        decision = decide(board, event, at)
        board.forget_changes()
        entry = DecidedEntry(f"{version}-0", at, (event,), tuple(decision.facts), tuple(decision.effects))
        after = f"{version - 1}" if version > 1 else ""
        turns.append(RecordedTurn(version, after, f"{version}", (entry,)))
        snapshots.append(BoardSnapshot(version, f"{version}", at, tuple(board.records())))
    return turns, snapshots


def differing(steps: list[Step]) -> list[str]:
    return [step.then.entry for step in steps if isinstance(step, Replayed) and step.differs]


def test_a_recording_from_the_first_turn_on_is_decided_alike_and_ends_with_the_same_board() -> None:
    turns, snapshots = recorded()
    player = Player(NAME)
    steps = list(player.play([*turns, snapshots[-1]]))
    assert [type(step) for step in steps] == [Replayed] * len(EVENTS)
    assert differing(steps) == []
    assert player.board is not None
    assert [run.sha for run in player.board.runs.values()] == ["S1a", "S2a", "S1b"]


def test_a_fact_or_an_effect_that_is_another_now_is_a_difference_of_its_entry() -> None:
    turns, _ = recorded()
    for what in ("facts", "effects"):
        (entry,) = turns[1].decided
        changed = replace(turns[1], decided=(replace(entry, **{what: getattr(entry, what)[:-1]}),))
        assert differing(list(Player(NAME).play([turns[0], changed, *turns[2:]]))) == ["2-0"], what


def test_nothing_is_decided_on_a_board_of_which_a_turn_is_missing_until_the_next_snapshot() -> None:
    turns, snapshots = recorded()
    steps = list(Player(NAME).play([turns[0], *turns[2:4], snapshots[3], turns[4]]))
    assert [type(step) for step in steps] == [Replayed, Gap, Replayed]
    assert [(step.at, step.turns) for step in steps if isinstance(step, Gap)] == [(turns[2].at, 2)]
    assert differing(steps) == []


def test_a_turn_that_followed_another_turn_of_that_number_is_not_decided_on_ours() -> None:
    turns, _ = recorded()
    steps = list(Player(NAME).play([turns[0], replace(turns[1], after="another")]))
    assert [type(step) for step in steps] == [Replayed, Gap]


def test_a_recording_that_begins_with_a_snapshot_needs_no_turn_before_it() -> None:
    turns, snapshots = recorded()
    steps = list(Player(NAME).play([turns[1], snapshots[1], *turns[2:]]))
    assert [type(step) for step in steps] == [Gap, Replayed, Replayed, Replayed]
    assert differing(steps) == []


def test_a_snapshot_shows_which_records_the_replay_has_otherwise() -> None:
    turns, snapshots = recorded()
    (snapshot,) = snapshots[1:2]
    kept = tuple(record for record in snapshot.records if getattr(record, "key", "") != "S1.1")
    (found,) = [
        step
        for step in Player(NAME).play([*turns[:2], replace(snapshot, records=kept)])
        if isinstance(step, BoardDifferences)
    ]
    assert [(then, now is not None) for then, now in found.records] == [(None, True)]


def test_the_replay_goes_up_to_and_with_a_moment() -> None:
    turns, snapshots = recorded()
    for until, decided in ((1_020.0, 2), (1_029.9, 2), (1_030.0, 3)):
        player = Player(NAME)
        assert len(list(player.play([turns[0], snapshots[0], *turns[1:]], until))) == decided
        assert player.board is not None
        assert len(player.board.locks) == (1 if decided == 3 else 0)
    player = Player(NAME)
    assert list(player.play([snapshots[0], *turns[1:]], snapshots[0].at)) == []
    assert player.board is not None, "a snapshot of that very moment counts"


def test_a_snapshot_of_another_version_than_the_replay_has_reached_shows_no_differences() -> None:
    turns, snapshots = recorded()
    steps = list(Player(NAME).play([turns[0], snapshots[2], *turns[3:]]))
    assert [type(step) for step in steps] == [Replayed] * 3
    assert differing(steps) == []


def test_the_records_of_a_snapshot_may_stand_in_any_order() -> None:
    turns, (first, *_) = recorded()
    steps = list(Player(NAME).play([replace(first, records=first.records[::-1]), *turns[1:]]))
    assert len(steps) == 4 and differing(steps) == []


def test_a_rule_that_fails_on_what_it_once_decided_is_a_difference_and_changes_nothing() -> None:
    turns, _ = recorded()
    (entry,) = turns[2].decided
    broken = replace(turns[2], decided=(replace(entry, events=(*entry.events, "no event")),))  # type: ignore[arg-type]
    player = Player(NAME)
    *_, last = player.play([*turns[:2], broken])
    assert isinstance(last, Replayed)
    assert last.error.startswith("KeyError: ")
    assert last.differs
    assert player.board is not None
    assert not player.board.locks, "the event before the one that failed counts no more"
    assert [run.sha for run in player.board.runs.values()] == ["S1a"], "the turns before it stand"
