"""Asking GitHub for the proofs of containment that the pushes do not give, each once; and what its answers prove."""

from __future__ import annotations

from bot.core.model.effects import Compare
from bot.core.model.facts import FactKind
from bot.core.model.github_messages import ContainmentQuestion
from bot.core.model.history import CommitHistory, Position
from bot.core.model.replaced import replace
from bot.core.model.run import Run
from bot.core.rules.decision import Decision
from bot.core.rules.stage_versions import off_main

#: How many questions may be open per service; those beyond are asked when answers have come in.
QUESTIONS = 32


def ask_containment(decision: Decision, service: str, *, base: str, head: str) -> None:
    """Have GitHub asked whether `head` contains `base`; nothing happens if that question is open already."""
    state = decision.board.service(service)
    configured = decision.board.pipeline.service(service)
    if (base, head) in state.asked or configured is None or len(state.asked) >= QUESTIONS:
        return
    decision.board.put(replace(state, asked=(*state.asked, (base, head))))
    decision.do(Compare(service, configured.repository, base, head))
    told = ContainmentQuestion(head, base)
    decision.tell(FactKind.CONTAINMENT_ASKED, told, service=service, sha=base)


def ask_whether_contained(decision: Decision, run: Run, position: Position) -> None:
    """Have asked what is missing to say whether what is on main at `position` contains the run.

    Of a run that was told later it is asked first whether that contains `position`: mostly it does, which tells both.
    """
    history = decision.board.service(run.service).history
    if history.contains(position, run.position) is None:
        if run.position.segment > position.segment and history.contains(run.position, position) is None:
            ask_containment(decision, run.service, base=position.sha, head=run.sha)
        else:
            ask_containment(decision, run.service, base=run.sha, head=position.sha)
    if off_main(decision.board, run.service, position) is None:
        ask_about_main(decision, run.service, position)


def ask_about_main(decision: Decision, service: str, position: Position) -> None:
    """Have asked whether a force-push took the commit off main; and if main has left the forced head, whether the
    present head has the commit."""
    state = decision.board.service(service)
    history, latest = state.history, state.history.latest(position)
    since = history.on_main_by(latest)
    asked = [forced for forced in state.forced_heads if forced.segment > since]
    if history.head is not None and any(history.contains(forced, latest) is False for forced in asked):
        asked.append(history.head)
    for head in asked:
        if history.contains(head, latest) is None:
            ask_containment(decision, service, base=latest.sha, head=head.sha)


def seems_taken_off_main(history: CommitHistory, base: Position, head: Position) -> bool:
    """Whether main seems to have lost `base` by a force-push that nobody told: our head lacks it.

    If GitHub names the same head, that is so: both have been on main.
    """
    is_head = history.head is not None and history.head.sha == head.sha
    return is_head and history.forced <= base.segment != head.segment


def position_of(decision: Decision, service: str, sha: str) -> Position | None:
    """Where a commit stands: by the history, a live run, a stage, a lock or a forced head that still names it."""
    board = decision.board
    state = board.service(service)
    named = [v.position for each in board.versions_of(service) for v in each.all] + list(state.forced_heads)
    named += [k.position for k in board.locks_held_by(service) if k.position is not None]
    named += [run.position for run in board.of_commit(service, sha)]
    return state.history.find(sha) or next((position for position in named if position.sha == sha), None)
