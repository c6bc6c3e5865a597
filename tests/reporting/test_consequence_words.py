"""What would happen, in words: one and several of each kind, and how the list is cut."""

from __future__ import annotations

import pytest

from bot.core.model.messages import Superseded, Verbatim, Who
from bot.core.model.pipeline import Mode, Step, Track
from bot.core.model.refusals import No, Refusal
from bot.core.model.run import End, Ending
from bot.core.model.stage_state import Lock
from bot.core.rules.consequences import AffectedRun, Consequences
from bot.reporting.consequences import clauses, sentence
from tests.reporting.examples import LET_IN, MANUAL, OTHER
from tests.reporting.test_messages import compared

PRE, FAST = Step("pre-production"), Step("acceptance", Track.FAST)


def runs(*keys: str, step: Step = PRE, build: int | None = None, end: End | None = None) -> tuple[AffectedRun, ...]:
    """Runs with these keys, all of one kind."""
    ending = None if end is None else Ending(end, Superseded("f5d0a6e", "S1.9"))
    return tuple(AffectedRun(key, Who(key.partition(".")[0], "b22c32c"), step, build, ending) for key in keys)


MANY = ("S1.1", "S1.2", "S2.1", "S2.2", "S3.1")
EXAMPLES = [
    Consequences(),
    Consequences(refusal=Refusal(No.NOT_LIVE, "S1.1")),
    *(Consequences(mode=mode) for mode in Mode),
    Consequences(
        opens=(MANUAL, LET_IN, OTHER),
        loses_lane=runs("S1.5"),
        enters=runs("S2.3"),
    ),
    Consequences(opens=(MANUAL,), stays_locked=(LET_IN, OTHER)),
    Consequences(opens=(MANUAL, Lock("production/3", "production", Verbatim("fair"), "ann", 0.0))),
    Consequences(locks=(MANUAL, LET_IN)),
    Consequences(starts=runs("S1.5")),
    Consequences(starts=runs("S1.5", "S2.3")),
    Consequences(gains_lane=runs("S1.5")),
    Consequences(gains_lane=runs("S1.5", "S2.3"), loses_lane=runs(*MANY)),
    Consequences(permits=runs("S1.5")),
    Consequences(permits=runs("S1.5", "S2.3")),
    Consequences(let_through=runs("S1.5")),
    Consequences(moves=runs("S1.5")),
    Consequences(enters=runs(*MANY[:4]) + runs("S3.1", "S3.2", "S3.3", step=FAST)),
    Consequences(queues=runs("S1.5") + runs("S2.1", "S2.2", step=FAST)),
    Consequences(called_back=runs("S1.5") + runs("S2.1", "S2.2", step=FAST)),
    Consequences(stops=runs("S1.5", build=7), locks_next=("pre-production",), leaves=runs("S1.5")),
    Consequences(stops=runs("S1.5", "S2.1", build=7), leaves=runs("S1.5", "S2.1")),
    Consequences(ends=runs("S1.5", end=End.SUPERSEDED)),
    Consequences(ends=runs("S1.5", end=End.FAILED) + runs(*MANY, end=End.SUPERSEDED)),
]


def test_each_reads_as_its_snapshot(request: pytest.FixtureRequest) -> None:
    compared(request, "consequences.txt", "".join(f"{sentence(each)}\n" for each in EXAMPLES))


def test_nothing_and_a_refusal_are_one_clause() -> None:
    assert clauses(Consequences()) == ["nothing changes"]
    assert clauses(Consequences(refusal=Refusal(No.NOT_LIVE, "S1.1"), mode=Mode.PAUSE)) == [
        "refused: S1.1 is not on the board"
    ]
