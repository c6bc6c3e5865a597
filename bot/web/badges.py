"""Status badges: the state of a pipeline, a stage or a service as a small picture for a README or a wall screen.

A badge contains a state and the name that was asked for, and nothing else: no run, no person, no title, and no name
that its reader has not typed. So it may be shown to everybody (`web: badge: public`) even if the rest requires a
sign-in.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, request
from markupsafe import escape

from bot.core.model.board import Board
from bot.core.model.pipeline import Mode, Pipeline
from bot.core.model.run import Status
from bot.core.model.stage_state import Lock
from bot.core.rules.freeze_windows import last_freeze
from bot.reporting.freezes import closed
from bot.web.api_operation import Parameter, operation
from bot.web.problems import Problem
from bot.web.shared import runtime

badges = Blueprint("badges", __name__)

#: For how many seconds a badge may be cached. GitHub's image proxy obeys this.
FRESH = 30
_GREEN, _RED, _BLUE, _GREY = "#1a7f45", "#b3261e", "#2458b8", "#5b6470"
#: The width of a letter and of the space beside a text, in the units of the picture.
_LETTER, _BESIDE = 7, 8


@dataclass(frozen=True, slots=True)
class Badge:
    """A badge: its label, the state, and the colour of the state."""

    label: str
    state: str
    colour: str

    def svg(self) -> str:
        """Return the picture. It refers to nothing outside and contains no script."""
        left, right = (len(text) * _LETTER + 2 * _BESIDE for text in (self.label, self.state))
        label, state = escape(self.label), escape(self.state)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
            f'aria-label="{label}: {state}"><title>{label}: {state}</title>'
            f'<rect width="{left + right}" height="20" rx="3" fill="#333"/>'
            f'<rect x="{left}" width="{right}" height="20" rx="3" fill="{self.colour}"/>'
            '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
            f'<text x="{left / 2:g}" y="14" textLength="{left - 2 * _BESIDE}">{label}</text>'
            f'<text x="{left + right / 2:g}" y="14" textLength="{right - 2 * _BESIDE}">{state}</text></g></svg>'
        )


@badges.get("/p/<pipeline>/badge.svg")
@operation(
    "image/svg+xml",
    parameters=(Parameter("stage", "Of this stage."), Parameter("service", "Of this service.")),
)
def show_badge(pipeline: str) -> Response:
    """Return the state of a pipeline, or of one of its stages or services, as a picture.

    A pipeline and a stage are `open`, `locked`, `frozen`, `paused` or `observing`. A pipeline's badge also shows how
    many of its stages are locked, and a stage's badge until when only freezes close it. A service is `failed` if a
    failed run of it is still on the board, `in progress`, or `up to date`; with a stage, its runs in this stage count,
    and those that wait for it.
    """
    context = runtime().pipelines.get(pipeline)
    stage, service = request.args.get("stage"), request.args.get("service")
    if context is None:
        raise _unknown()
    with context.look() as replica:
        board = replica.board
        configured = context.pipeline_of(board)
        if stage is not None and configured.stage(stage) is None:
            raise _unknown()
        found = _of_stages(board, configured, stage)
        if service is not None:
            found = _of_service(board, configured, service, stage)
    response = Response(found.svg(), mimetype="image/svg+xml")
    web = runtime().configuration.web
    response.headers["Cache-Control"] = (
        f"{'private' if web.private and not web.open_badges else 'public'}, max-age={FRESH}"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    return response


def _of_stages(board: Board, configured: Pipeline, stage: str | None) -> Badge:
    """Return the badge of one stage, or of all."""
    asked = [each.name for each in configured.stages] if stage is None else [stage]
    label = configured.name if stage is None else stage
    locks = [lock for name in asked for lock in board.locks_of(name)]
    if locks:
        return Badge(label, _closed(locks, len(asked)), _RED)
    match board.header.mode:
        case Mode.PAUSE:
            return Badge(label, "paused", _GREY)
        case Mode.OBSERVE:
            return Badge(label, "observing", _GREY)
        case Mode.RUN:
            return Badge(label, "open", _GREEN)


def _closed(locks: list[Lock], asked: int) -> str:
    """Return the state of locked stages: their number, or for a single stage until when only freezes close it."""
    if asked == 1:
        return closed(locks)
    frozen = last_freeze(locks)
    return f"{len({lock.stage for lock in locks})} of {asked} {'frozen' if frozen is not None else 'locked'}"


def _of_service(board: Board, configured: Pipeline, service: str, stage: str | None) -> Badge:
    """Return the badge of a service. Raises Problem (404)."""
    if configured.service(service) is None:
        raise _unknown()
    states = {run.status for run in board.of_service(service) if stage in (None, run.step.stage)}
    if Status.FAILED in states:
        return Badge(service, "failed", _RED)
    return Badge(service, "in progress", _BLUE) if states else Badge(service, "up to date", _GREEN)


def _unknown() -> Problem:
    """Return a 404 that does not list the valid names, because people without read access may see badges."""
    return Problem(404, "there is no such pipeline, stage or service: look at its name in the pipeline file")
