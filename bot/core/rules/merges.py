"""Moves of main: a new run on the lane that is open to it, and the commits that a force-push takes off main."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from bot.core.model.board_records import ServiceState
from bot.core.model.effects import Comment, Notify
from bot.core.model.events import ContainmentKnown, DefaultBranchChanged, HeadSeen, Merged, PullFound
from bot.core.model.facts import FactKind
from bot.core.model.github_messages import (
    BaselineTaken,
    CommitKnown,
    CommitOnMain,
    ContainmentAnswer,
    DefaultBranchMoved,
    ForcePushUnplaced,
)
from bot.core.model.history import CommitHistory, Position
from bot.core.model.messages import Phrase
from bot.core.model.pipeline import Lane
from bot.core.model.refusals import No, Refusal
from bot.core.model.replaced import replace
from bot.core.model.run import Merge, PullAuthor, Run, Status
from bot.core.rules import containment, fast_lane, stage_versions
from bot.core.rules.cleanup import leave, superseded
from bot.core.rules.decision import Decision
from bot.core.rules.freezes import labelled
from bot.core.rules.queue import start_run

#: How many forced heads a service remembers, and how many pull requests a run keeps.
FORCED_HEADS, PULLS = 4, 20


def accept_merge(decision: Decision, event: Merged) -> None:
    """Take a push or a merged pull request: a new commit, or the other report of a known one (invariant 6)."""
    board = decision.board
    if board.pipeline.service(event.service) is None:
        no = Refusal(No.SERVICE_NOT_CONFIGURED, service=event.service)
        decision.tell(FactKind.REQUEST_REFUSED, no, service=event.service, sha=event.sha)
        return
    state = board.service(event.service)
    if event.push_id and event.push_id in state.pushes:
        _known(decision, event, Phrase.SAME_PUSH)
        return
    position, head = _known_position(decision, state, event), _carried_by(state, event)
    if position is None and head is None and not _began_elsewhere(state.history, event):
        _accept(decision, state, event)
        _absorb(decision, event)
        return
    state = containment.remember_push(decision, state, event)
    if position is not None:
        if event.forced:
            _rewritten(decision, state, position, event.before)
        elif event.before is not None:
            _keep(decision, state, state.history.join(event.before, event.sha))
        if not _start_undecided(decision, event):
            _known(decision, event, Phrase.PUSH_AND_PULL)
        _absorb(decision, event)
    elif head is not None:
        _carry(decision, event, head)
    else:
        main = state.history.head.sha if state.history.head is not None else ""
        told = ForcePushUnplaced(event.sha, event.before or "", main)
        decision.tell(FactKind.FORCE_PUSH_UNPLACED, told, service=event.service, sha=event.sha)


def _start_undecided(decision: Decision, event: Merged) -> bool:
    """Start an undecided head that is the head of main and has no run yet. Return whether it was started."""
    board = decision.board
    state = board.service(event.service)
    head = state.history.head
    carried = board.of_commit(state.key, event.sha) or stage_versions.is_through(board, state.key, event.sha)
    if head is None or not state.undecided_head == event.sha == head.sha or carried:
        return False
    board.put(replace(state, undecided_head="", number=state.number + 1))
    _start(decision, event, head)
    return True


def _carried_by(state: ServiceState, event: Merged) -> str | None:
    """Return the head that came to main together with the commit of a pull request; None: it came alone."""
    return None if event.before is not None or event.forced else state.head_over(event.sha)


def _carry(decision: Decision, event: Merged, head: str) -> None:
    """Add a pull request that landed in one push with others to the run of that push's head."""
    for run in decision.board.of_commit(event.service, head)[-1:]:
        _add_pull(decision, run, event)
    told = CommitKnown(event.sha, carried_by=head)
    decision.tell(FactKind.MERGE_KNOWN, told, service=event.service, sha=event.sha)


def _absorb(decision: Decision, event: Merged) -> None:
    """Let the run of the head carry the pull requests that were reported before the push that brought them together.

    Their own runs, if they have passed nothing, are superseded by it.
    """
    board = decision.board
    state = board.service(event.service)
    position = state.history.find(event.sha)
    if not event.commits or position is None:
        return
    state = _keep(decision, state, state.history.include(position, event.commits))
    for run in [run for sha in event.commits for run in board.of_commit(event.service, sha)]:
        carriers = [head for head in board.of_commit(event.service, event.sha) if _stays(head)]
        head = carriers[-1] if carriers else None
        if head is not None and _has_only_begun(decision, run) and not state.history.was_pushed(run.position):
            pulls = tuple(dict.fromkeys((*head.merge.pulls, *run.merge.pulls)))[:PULLS]
            named = head.merge if head.merge.pull is not None or run.merge.pull is None else run.merge
            labels = tuple({each.pull: each for each in (*run.merge.labels, *head.merge.labels)}.values())
            merge = replace(named, pulls=pulls, labels=labels).with_authors(*_authors(head.merge), *_authors(run.merge))
            decision.note(decision.update(head, merge=merge))
            leave(decision, run, superseded(head.key, event.sha))


def _authors(merge: Merge) -> tuple[PullAuthor, ...]:
    return (PullAuthor(merge.pull or 0, merge.author), *merge.authors)


def _stays(run: Run) -> bool:
    """Return whether the run can carry others: it is not ending, and no person has cancelled it."""
    return run.status is not Status.ENDING and not run.taken_out


def _has_only_begun(decision: Decision, run: Run) -> bool:
    """Return whether the run may be removed without loss: it has passed nothing, and rolls nothing out."""
    inside = stage_versions.is_rolling_out(decision.board.pipeline, run)
    early = run.status in (Status.WAITING, Status.STARTING, Status.RUNNING) and not run.passed
    return early and not inside and run.lane is Lane.MAIN


def _add_pull(decision: Decision, run: Run, event: Merged | PullFound, *, carried: bool = False) -> None:
    """Add a pull request to a run, with news for it; the first one gives the run its title and author.

    `carried`: it gives none, because GitHub may yet name the pull request of the run's own commit. Without a pull
    request, the event adds the authors of its commits.
    """
    known = run.merge
    if event.pull is None:
        merge = known.with_authors(*_of_commits(event))
        if merge != known:
            decision.update(run, merge=merge)
        return
    if event.pull in known.pulls:
        merge = labelled(known, event.labels)
        if merge != known:
            decision.update(run, merge=merge)
        return
    pulls = (*known.pulls, event.pull)[:PULLS]
    if known.pull is not None or carried:
        merge = replace(known, pulls=pulls).with_authors(PullAuthor(event.pull, event.author))
    else:
        title, author = event.title or known.title, event.author or known.author
        merge = replace(known, pull=event.pull, pulls=pulls, title=title, author=author).with_authors()
    decision.note(decision.update(run, merge=labelled(merge, event.labels)))


def _of_commits(event: Merged) -> Iterator[PullAuthor]:
    return (PullAuthor(0, login) for login in event.authors if login != event.author)


def _known_position(decision: Decision, state: ServiceState, event: Merged) -> Position | None:
    """Return the position of a commit that is no news; None: it is new, or came back by or after a force-push.

    That force-push may be unreported: then it is enough that the commit is known to be off main.
    """
    head, position = state.history.head, state.history.find(event.sha)
    if head is None or position is None:
        return None
    off_main = position.segment < state.history.forced or stage_versions.off_main(decision.board, state.key, position)
    comes_again = event.before == head.sha and off_main
    comes_back = not _is_late(state.history, head, position, event) if event.forced else comes_again
    return None if comes_back and event.sha != head.sha else position


def _is_late(history: CommitHistory, head: Position, position: Position, event: Merged) -> bool:
    """Return whether a forced push is from before the present head: main has moved on from its commit since."""
    told = event.before is not None and history.find(event.before) is not None
    return told and event.before != head.sha and history.contains(head, position) is True


def _began_elsewhere(history: CommitHistory, event: Merged) -> bool:
    """Return whether a force-push moved main from a known commit that is not the known head.

    Its report may be late: then main has moved on since, and to take its commit as the head would drop what is there.
    Or main went back to that commit unreported. Nothing follows until GitHub names a head.
    """
    before = history.find(event.before) if event.forced and event.before is not None else None
    if before is None or history.head is None or before.sha == history.head.sha:
        return False
    was_passed = any(root.before == event.sha for root in history.roots)  # a push onto its commit is known
    return not was_passed and history.contains(before, history.head) is not True


def _rewritten(decision: Decision, state: ServiceState, position: Position, before: str | None = None) -> None:
    """Record that a known head was put in place by force; `before`: the head of main before that.

    If it is an older known commit, the dropped commits follow it in the same segment. Then the first commit that was
    pushed onto it since is the forced head, which tells the dropped ones apart.
    """
    position = state.history.successor(position)
    if position not in state.forced_heads:
        history = state.history.rewritten(position).left_by_force(before, position)
        forced_heads = (*state.forced_heads, position)[-FORCED_HEADS:]
        decision.board.put(replace(state, history=history, forced_heads=forced_heads))


def _known(decision: Decision, event: Merged, why: Phrase) -> None:
    """Add the pull request to the runs of a known commit, and record that the commit is no news."""
    for run in decision.board.of_commit(event.service, event.sha):
        _add_pull(decision, run, event)
    decision.tell(FactKind.MERGE_KNOWN, CommitKnown(event.sha, why), service=event.service, sha=event.sha)


def find_pull(decision: Decision, event: PullFound) -> None:
    """Add the found pull request to the runs of its commit, or to their carrier; comment on it if they have ended."""
    board = decision.board
    own = board.of_commit(event.service, event.sha)
    for run in own:
        if run.merge.pull is None:
            _add_pull(decision, run, event)
    head = None if own else board.service(event.service).head_over(event.sha)
    carriers = board.of_commit(event.service, head)[-1:] if head is not None else []
    for run in carriers:
        _add_pull(decision, run, event, carried=True)
    service = board.pipeline.service(event.service)
    if event.run and not own and not carriers and service is not None:  # it ended before its pull request was known
        decision.do(Comment(service.repository, event.pull, event.run, event.text, event.began))


def _accept(decision: Decision, state: ServiceState, event: Merged) -> None:
    """Store a new commit and its push, and start its run."""
    # A forced head without a previous head was found by polling: perhaps main has moved on since.
    history, position = state.history.push(event.before, event.sha, forced=event.forced and event.before is not None)
    if event.forced:
        history = history.left_by_force(event.before, position)
    is_head = history.head == position
    forced = event.forced and (is_head or event.before is not None)
    forced_heads = (*state.forced_heads, history.forced_to(position))[-FORCED_HEADS:] if forced else state.forced_heads
    changes = containment.push_of(state, event)
    changes |= {"history": history, "forced_heads": forced_heads, "unconfirmed_head": ""}
    decision.board.put(replace(state, moves=state.moves + 1, number=state.number + 1, **changes))
    if event.forced == (event.before is None):  # polled, or an ordinary push; a pull request waits for its push
        containment.ask_what_was_missed(decision, state, event.before, event.sha)
    _start(decision, event, position)


def _start(decision: Decision, event: Merged, position: Position) -> None:
    """Start the run of a merge, on the fast lane if it is the head of main and the lane is open to it.

    The record of the service has the number of the run already: a merge stores that record once.
    """
    told = CommitOnMain(event.sha, event.service, event.pull, _how(event))
    decision.tell(FactKind.MERGE_ACCEPTED, told, service=event.service, sha=event.sha)
    state = decision.board.service(event.service)
    is_head = state.history.head == position
    lane = Lane.FAST if is_head and fast_lane.merge_enters(decision.board, event.service) else Lane.MAIN
    pulls = () if event.pull is None else (event.pull,)
    merge = labelled(Merge(event.pull, pulls, event.title, event.author), event.labels)
    merge = merge.with_authors(*_of_commits(event))
    start_run(decision, event.service, position, lane, merge=merge, number=state.number)


def _keep(decision: Decision, state: ServiceState, history: CommitHistory) -> ServiceState:
    """Store the new history of main. If the head has moved, GitHub's answers about the earlier time are outdated."""
    moved = history.head != state.history.head
    kept = replace(
        state, history=history, moves=state.moves + moved, unconfirmed_head="" if moved else state.unconfirmed_head
    )
    decision.board.put(kept)
    return kept


def _how(event: Merged) -> Literal["pushed", "force-pushed", "polled"]:
    """Return how a commit came to main.

    A head that polling found may have been pushed in any way: only a push event tells whether it was forced.
    """
    if not event.forced:
        return "pushed"
    return "force-pushed" if event.before is not None else "polled"


def see_head(decision: Decision, event: HeadSeen) -> None:
    """Take GitHub's answer about the head of main: the first is the baseline, a later unknown head a missed push.

    The baseline starts no run. An answer from before the last known move of main is ignored; GitHub is asked again.
    """
    board = decision.board
    state = board.service(event.service)
    if board.pipeline.service(event.service) is None or event.moves != state.moves:
        return
    if state.history.head is None:
        history, _ = state.history.push(None, event.sha, forced=False)
        _keep(decision, state, history)
        told = BaselineTaken(event.sha, event.service)
        decision.tell(FactKind.BASELINE_TAKEN, told, service=event.service, sha=event.sha)
    elif (position := state.history.find(event.sha)) is None:
        # It may have been a force-push: the commits that it lacks were dropped from main then, and GitHub can tell.
        _accept(decision, state, Merged(event.service, event.sha, before=None, forced=True))
    elif position.sha != state.history.head.sha:
        _head_is_known(decision, state, position, state.history.head)
    elif state.unconfirmed_head:
        board.put(replace(state, unconfirmed_head=""))
        if state.unconfirmed_head == event.sha:
            _found_off_main(decision, board.service(event.service), position)


def _found_off_main(decision: Decision, state: ServiceState, head: Position) -> None:
    """Record an unreported force-push: main stands at the known head, which lacks commits that were on main.

    If the head is not known to contain a commit of its own or a later segment, it gets a new position, after that
    commit.
    """
    history, position = state.history, state.history.first(head)
    told_since = [each for each in history.positions if each.segment >= head.segment]
    if any(not history.contains(head, each) for each in told_since):
        history, position = history.push(None, head.sha, forced=False)
        state = _keep(decision, state, replace(history, head=position))
    _rewritten(decision, state, position)


def _head_is_known(decision: Decision, state: ServiceState, position: Position, head: Position) -> None:
    """Take another known commit as the head of main: reports came in the wrong order, or one is missing.

    If it contains the known head, main has moved on; but if it had been dropped from main, it was pushed again, which
    is news. If it lacks the known head, it came back by force, which is news as well. If that is unknown, GitHub is
    asked.
    """
    contains = state.history.contains(position, head)
    if contains is None:
        decision.board.put(replace(state, unconfirmed_head=position.sha))
        containment.ask_containment(decision, state.key, base=head.sha, head=position.sha, listed=True)
    elif contains and position.segment >= state.history.forced:
        _move_on(decision, state, position, head)
    elif contains:  # pushed again in an unreported push, which may have brought back commits that the known head lacks
        _accept(decision, state, Merged(state.key, position.sha, before=None))
    else:
        _accept(decision, state, Merged(state.key, position.sha, before=head.sha, forced=True))


def _move_on(decision: Decision, state: ServiceState, position: Position, head: Position) -> None:
    """Move the head to a known commit that contains it.

    Commits that became known later and that it lacks were pushed before it, and an unreported force-push dropped them.
    It also dropped every commit that contains this one.
    """
    history = state.history
    others = [each for each in history.positions if each.sha != position.sha]
    later = any(each.segment > position.segment and not history.contains(position, each) for each in others)
    beyond = any(history.contains(each, position) for each in others)
    carried = any(run.status is not Status.ENDING for run in decision.board.of_commit(state.key, position.sha))
    if not later and not beyond:
        _keep(decision, state, replace(history, head=position))
    elif carried or stage_versions.is_through(decision.board, state.key, position.sha):
        _found_off_main(decision, _keep(decision, state, replace(history, head=position)), position)
    else:
        _accept(decision, state, Merged(state.key, position.sha, before=head.sha, forced=True))


def tell_default_branch(decision: Decision, event: DefaultBranchChanged) -> None:
    """Tell people that the default branch has changed, because Interlock follows the configured one."""
    service = decision.board.pipeline.service(event.service)
    if service is None or service.branch == event.now or service.branch != event.before:
        return
    told = DefaultBranchMoved(service.name, service.repository, service.branch, event.now)
    decision.tell(FactKind.DEFAULT_BRANCH_CHANGED, told, service=event.service)
    key = f"{service.name}/default-branch/{decision.now:.3f}"
    decision.notify([Notify("stuck", decision.board.pipeline.stages[0].name, told, key)])


def learn_containment(decision: Decision, event: ContainmentKnown) -> None:
    """Record GitHub's answer as a proof about the two commits, wherever they are."""
    board = decision.board
    state = board.service(event.service)
    asked = tuple(pair for pair in state.asked if pair != (event.base, event.head))
    base = containment.position_of(decision, event.service, event.base)
    head = containment.position_of(decision, event.service, event.head)
    history = state.history
    if base is not None and head is not None and history.contains(head, base) is None:
        history = history.learn(base, head, contains=event.contains)
    lost = (
        not event.contains
        and base is not None
        and head is not None
        and containment.seems_taken_off_main(history, base, head)
    )
    unconfirmed = state.unconfirmed_head or (event.head if lost else "")
    board.put(replace(state, asked=asked, history=history, unconfirmed_head=unconfirmed))
    told = ContainmentAnswer(event.head, event.base, event.contains)
    decision.tell(FactKind.CONTAINMENT_KNOWN, told, service=event.service, sha=event.base)
    if asked != state.asked:  # else it was answered before, and pushes since may be forgotten
        containment.carry_missed(decision, event)
    about_main = history.head is not None and (history.head.sha, state.unconfirmed_head) == (event.base, event.head)
    if state.unconfirmed_head and about_main:
        see_head(decision, HeadSeen(event.service, state.unconfirmed_head, state.moves))
