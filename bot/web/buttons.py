"""Which actions the sender of the present request is offered. What they press is decided anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.access import NEEDED, Action, Role
from bot.core.model.board import Board
from bot.core.model.events import LetThroughAsked
from bot.core.model.run import Status
from bot.core.rules.freezes import why_not_let_through
from bot.runtime import PipelineContext
from bot.web.forms import address
from bot.web.identity import may
from bot.web.shapes import Shape

#: One action that takes each role: whoever may do it sees what the role takes on the board.
_ROLES = {Role.VIEWER: Action.WATCH, Role.DEVELOPER: Action.RETRY, Role.OPERATOR: Action.LOCK, Role.ADMIN: Action.MODE}


@dataclass(frozen=True, slots=True)
class ActionLink:
    """A link to the form of an action; `role`: which one it takes, where the reader's role decides what is seen."""

    href: str
    words: str
    role: str = ""


def board_roles(context: PipelineContext) -> str:
    """The roles of the person as classes of the element around the board, which is drawn once for everybody.

    A developer of one service counts as one: the form says if a run is not theirs.
    """
    return " ".join(f"may-{role}" for role, action in _ROLES.items() if may(action, context))


def run_roles(context: PipelineContext, service: str) -> str:
    """The same for the page of a run of `service`, which is drawn once for everybody, too."""
    return " ".join(f"may-{role}" for role, action in _ROLES.items() if may(action, context, service))


def run_buttons(pipeline: str, run: Shape, board: Board) -> list[ActionLink]:
    """What may be done to a live run, by its shape; the board says whether a freeze would let it through."""
    return [
        ActionLink(address(pipeline, name, run=run["run"]), words, str(NEEDED[action]))
        for name, words, action in (*_on_run(Status(run["status"])), *_on_frozen(board, run["run"]))
    ]


def service_buttons(context: PipelineContext, service: str) -> list[ActionLink]:
    """What the person may do for a service."""
    if not may(Action.FAST_LANE, context, service):
        return []
    return [ActionLink(address(context.pipeline.name, "fast-lane", service=service), "Fast lane…")]


def _on_run(status: Status) -> Iterator[tuple[str, str, Action]]:
    if status is Status.FAILED:
        yield "retry", "Retry…", Action.RETRY
    if status is Status.WAITING:
        yield "move", "Move to the front…", Action.MOVE
    if status is not Status.ENDING:
        yield "cancel", "Cancel…", Action.CANCEL


def _on_frozen(board: Board, run: str) -> Iterator[tuple[str, str, Action]]:
    """In advance, too: a freeze may come before the run does."""
    if why_not_let_through(board, LetThroughAsked(run, "", "")) is None:
        yield "let-through", "Let through freezes…", Action.LET_THROUGH
