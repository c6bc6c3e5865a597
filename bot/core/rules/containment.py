"""Proofs of containment, from pushes or from one question each to GitHub; and merges without a webhook."""

from __future__ import annotations

from typing import Any

from bot.core.model.board_records import PushedCommits, ServiceState
from bot.core.model.effects import Compare, FindPull
from bot.core.model.events import ContainmentKnown, Merged
from bot.core.model.facts import FactKind
from bot.core.model.github_messages import ContainmentQuestion
from bot.core.model.history import CommitHistory, Position
from bot.core.model.replaced import replace
from bot.core.model.run import Run
from bot.core.rules.decision import Decision
from bot.core.rules.stage_versions import off_main

#: How many pushes a service remembers, how many pushes of several commits, and how many commits of each.
PUSHES, PUSHED, COMMITS = 64, 8, 50
#: For how many commits without a webhook GitHub is asked for the pull request, each time that main is found ahead.
ASKED = 10
#: How many questions may be open per service; further ones are asked after answers have arrived.
QUESTIONS = 32


def remember_push(decision: Decision, state: ServiceState, event: Merged) -> ServiceState:
    """Store a push, and its commits if there are several."""
    changes = push_of(state, event)
    if not changes:
        return state
    state = replace(state, **changes)
    decision.board.put(state)
    return state


def push_of(state: ServiceState, event: Merged) -> dict[str, Any]:
    """Return the fields of the state that change with a push: its key, and its commits if there are several."""
    changes: dict[str, Any] = {}
    if event.push_id:
        changes = {"pushes": (*state.pushes, event.push_id)[-PUSHES:], "push_count": state.push_count + 1}
    if event.commits and not any(pushed.head == event.sha for pushed in state.pushed):
        changes |= _with_pushed(state, event.sha, event.commits)
    return changes


def _with_pushed(state: ServiceState, head: str, commits: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of the state that change with the commits that came to main together with `head`."""
    pushed = (*state.pushed, PushedCommits(head, commits[-COMMITS:]))[-PUSHED:]
    return {"pushed": pushed, "pushed_count": state.pushed_count + 1}


def ask_containment(decision: Decision, service: str, *, base: str, head: str, listed: bool = False) -> None:
    """Ask GitHub whether `head` contains `base`, unless that question is open or too many are.

    `listed`: ask also for the commits between the two.
    """
    state = decision.board.service(service)
    configured = decision.board.pipeline.service(service)
    if (base, head) in state.asked or configured is None or len(state.asked) >= QUESTIONS:
        return
    decision.board.put(replace(state, asked=(*state.asked, (base, head))))
    decision.do(Compare(service, configured.repository, base, head, listed))
    told = ContainmentQuestion(head, base)
    decision.tell(FactKind.CONTAINMENT_ASKED, told, service=service, sha=base)


def ask_whether_contained(decision: Decision, run: Run, position: Position) -> None:
    """Ask GitHub for the missing proofs that the commit at `position`, on main, contains the run.

    For a run of a later segment the first question is whether it contains `position`: mostly it does, which answers
    both.
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
    """Ask GitHub whether a force-push took the commit off main.

    If a forced head lacks it, the question about the present head follows.
    """
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
    """Return whether an unreported force-push seems to have taken `base` off main: the head lacks it.

    If GitHub names the same head again, that is certain, because both have been on main.
    """
    is_head = history.head is not None and history.head.sha == head.sha
    return is_head and history.forced <= base.segment != head.segment


def position_of(decision: Decision, service: str, sha: str) -> Position | None:
    """Return the position of a commit by the history, a live run, a stage version, a lock or a forced head.

    None: none of them has it.
    """
    board = decision.board
    state = board.service(service)
    named = [v.position for each in board.versions_of(service) for v in each.all] + list(state.forced_heads)
    named += [k.position for k in board.locks_held_by(service) if k.position is not None]
    named += [run.position for run in board.of_commit(service, sha)]
    return state.history.find(sha) or next((position for position in named if position.sha == sha), None)


# -- merges without a webhook ----------------------------------------------------------------------------------------


def ask_what_was_missed(decision: Decision, state: ServiceState, before: str | None, sha: str) -> None:
    """Ask GitHub for the commits since the known head, if main moved to `sha` from an unknown commit.

    `before`: that commit; None: GitHub named `sha` as the head, and no push has reported it.
    """
    head = state.history.head
    if head is not None and (before is None or state.history.find(before) is None):
        ask_containment(decision, state.key, base=head.sha, head=sha, listed=True)


def carry_missed(decision: Decision, event: ContainmentKnown) -> None:
    """Let the run of the head carry the commits without a webhook, and ask GitHub for their pull requests."""
    board = decision.board
    state, configured = board.service(event.service), board.pipeline.service(event.service)
    told = {event.head, *(sha for pushed in state.pushed for sha in pushed.commits)}
    told.update(position.sha for position in state.history.positions)
    missed = tuple(sha for sha in event.commits if sha not in told and not board.of_commit(event.service, sha))
    if configured is None or not missed:
        return
    board.put(replace(state, **_with_pushed(state, event.head, missed)))
    for sha in missed[-ASKED:]:
        where = (event.service, configured.repository, configured.branch, sha)
        decision.do(FindPull(*where, decision.limits.pull_told, carried_by=event.head))
