"""What a merge writes is what it brought, however much is remembered of its service and of others."""

from __future__ import annotations

from bot.core.model.board import build_board
from bot.core.model.board_records import Change, Header, ServiceState
from bot.core.model.events import HeadSeen, Merged
from bot.core.rules.decide import decide
from bot.store.parts import changed_fields
from tests.core.world import shop

#: How many bytes of the board one merge may write: its run, the head of its service, one place, one push, the counters.
MERGE = 2_000


def sha(number: int) -> str:
    return f"{number:040x}"


def merge_after(pushes: int, services: int) -> list[Change]:
    """What one merge changes on a board, each service of which has had so many pushes of three commits each."""
    names = tuple(f"S{number}" for number in range(1, services + 1))
    board = build_board(Header(shop(services=names)), [])
    for name in names:
        decide(board, HeadSeen(name, sha(1)), 1.0)
        for number in range(2, pushes + 2):
            event = _push(name, number)
            for run in list(decide(board, event, float(number)).board.runs.values()):
                board.drop(run)
    board.take_changes()
    decide(board, _push("S1", pushes + 2), 99_999.0)
    return board.take_changes()


def _push(service: str, number: int) -> Merged:
    before, after = sha(number - 1), sha(number)
    commits = (sha(number + 1_000_000), sha(number + 2_000_000))
    return Merged(service, after, before, push_id=f"{before}..{after}@1557933657", commits=commits)


def size(changes: list[Change]) -> int:
    return sum(len(field) + len(text) for change in changes for field, text in changed_fields(change))


def test_a_merge_writes_little_and_no_more_when_much_is_remembered() -> None:
    young, old = size(merge_after(1, 1)), size(merge_after(200, 5))
    assert old <= MERGE
    assert old - young <= 200  # longer numbers, and the names of what is forgotten


def test_of_what_is_remembered_of_a_service_only_what_came_is_written() -> None:
    fields = [
        field
        for change in merge_after(100, 1)
        if isinstance(change.after, ServiceState)
        for field, text in changed_fields(change)
        if text
    ]
    assert fields == ["service/S1", "position/S1/102", "push/S1/101", "pushed/S1/101"]
