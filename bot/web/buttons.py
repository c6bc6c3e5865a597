"""The actions that are offered to the sender of the present request. Pressing a button is authorized again."""

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

#: One action for each role; a person who may do it sees what the role may press on the board.
_ROLES = {Role.VIEWER: Action.WATCH, Role.DEVELOPER: Action.RETRY, Role.OPERATOR: Action.LOCK, Role.ADMIN: Action.MODE}


@dataclass(frozen=True, slots=True)
class ActionLink:
    """A link to the form of an action; `role`: the role it needs, if the reader's role decides whether it is shown."""

    href: str
    words: str
    role: str = ""


def board_roles(context: PipelineContext) -> str:
    """Return the roles of the person as classes of the element around the board, which is drawn once for everybody.

    A developer of one service counts as a developer; the form refuses runs of other services.
    """
    return " ".join(f"may-{role}" for role, action in _ROLES.items() if may(action, context))


def run_roles(context: PipelineContext, service: str) -> str:
    """Return the roles as classes for the page of a run of `service`, which is drawn once for everybody, too."""
    return " ".join(f"may-{role}" for role, action in _ROLES.items() if may(action, context, service))


def run_buttons(pipeline: str, run: Shape, board: Board) -> list[ActionLink]:
    """Return the actions possible on a live run; the board tells whether a freeze would let it through."""
    return [
        ActionLink(address(pipeline, name, run=run["run"]), words, str(NEEDED[action]))
        for name, words, action in (*_on_run(Status(run["status"])), *_on_frozen(board, run["run"]))
    ]


def service_buttons(context: PipelineContext, service: str) -> list[ActionLink]:
    """Return the actions that the person may take on a service."""
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
    """Yield the button to let a run through freezes, also in advance: a freeze may begin before the run gets there."""
    if why_not_let_through(board, LetThroughAsked(run, "", "")) is None:
        yield "let-through", "Let through freezes…", Action.LET_THROUGH
