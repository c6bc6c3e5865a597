"""Verifying pull requests: one build for each head, begun as soon as there is room; its result is a commit status.

A verification never locks anything and waits for no run. Which heads are verified is decided in `pulls`; what Jenkins
says of their builds comes through `builds`, as for runs.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core import sentences
from bot.core.model.board import Board
from bot.core.model.effects import SetStatus
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Outcome, Verify
from bot.core.model.run import VERIFY, Pull, Status, Verification
from bot.core.rules.decision import Decision
from bot.core.rules.leaving import withdraw
from bot.core.rules.queue import stage_blocked_by, start_build

#: What a build says of the commit. Any other outcome says nothing of it: the status is then an error.
_VERDICTS = {Outcome.SUCCESS: "success", Outcome.UNSTABLE: "failure", Outcome.FAILURE: "failure"}


def current(board: Board, service: str, pull: int) -> Verification | None:
    """The verification of a pull request that is not on its way out."""
    return next((v for v in board.of_pull(service, pull) if v.status is not Status.ENDING), None)


def start(
    decision: Decision, verify: Verify, service: str, pull: Pull, *, queue_number: int | None, by: str | None
) -> None:
    """Have the head of a pull request verified; what replaces one that waits takes over its `seat`."""
    board = decision.board
    state = board.pulls_of(service)
    number = state.number + 1
    board.put(replace(state, number=number))
    stamp = sentences.stamp(decision.now)
    verification = Verification(
        key=f"{service}.pr{pull.number}-{number}",
        service=service,
        pull=pull.number,
        sha=pull.sha,
        status=Status.WAITING,
        queue_number=board.queue_number() if queue_number is None else queue_number,
        created=decision.now,
        since=decision.now,
        version=f"{service}-pr{pull.number}-{stamp}",
        job=verify.job,
    )
    board.put(verification)
    asked = f": {by} has asked for it" if by is not None else ""
    text = f"{sentences.name(verification)} is to be verified{asked}"
    decision.tell(FactKind.VERIFICATION_ASKED, text, verification, by=by)
    decision.status(verification, VERIFY, "pending", "waits for its build")


def admit_waiting(decision: Decision) -> None:
    """Begin as many as there is room for, first come first served. Called once after every event."""
    board = decision.board
    while (first := next(board.verifying(), None)) is not None:
        if start_build(decision, first, stage_blocked_by(board, first.step, decision.now)) is None:
            return


def recall(decision: Decision, verification: Verification, why: str) -> None:
    """Take back the build that has not started; the verification is at the head of its queue again after that."""
    recalled = decision.update(verification, status=Status.RECALLED)
    text = f"{why}: the build of {sentences.name(verification)}, not started yet, is taken back"
    decision.tell(FactKind.RUN_RECALLED, text, recalled)
    withdraw(decision, recalled, abort=False, why=why)


def leave(decision: Decision, verification: Verification, why: str) -> None:
    """Take a verification back; its build keeps the slot until it has ended, and its result says nothing any more."""
    taken = "; its build is taken back" if verification.holds_slot else ""
    text = f"{sentences.name(verification)} is not verified any more: {why}{taken}"
    decision.tell(FactKind.VERIFICATION_ENDED, text, verification)
    if not is_shared(decision.board, verification.service, verification.pull, verification.sha):
        decision.status(verification, VERIFY, "error", why)
    if not verification.holds_slot:
        decision.board.drop(verification)
        return
    ending = decision.update(verification, status=Status.ENDING, ending=why)
    withdraw(decision, ending, abort=True, why=why)


def hold(decision: Decision, service: str, pull: Pull) -> None:
    """Say that a head from a fork is built only after a person has asked for it: anybody may have written it."""
    text = f"{service} #{pull.number} {sentences.short(pull.sha)} comes from a fork: it is verified when somebody asks"
    decision.tell(FactKind.VERIFICATION_HELD, text, service=service, sha=pull.sha, step=VERIFY)
    configured = decision.board.pipeline.service(service)
    if configured is not None and not is_shared(decision.board, service, pull.number, pull.sha):
        text = f"from a fork: a maintainer looks at it, then says /interlock verify {pull.sha}"
        decision.do(SetStatus(configured.repository, pull.sha, VERIFY.stage, "pending", text, None))


def is_shared(board: Board, service: str, pull: int, sha: str) -> bool:
    """Whether another open pull request has the same head: a commit has one status, and that one's word counts.

    Otherwise anybody could undo what was said of a commit, by opening a pull request of it and closing it again.
    """
    return any(p.sha == sha and p.number != pull and p.open for p in board.pulls_of(service).seen)


# -- what Jenkins says -----------------------------------------------------------------------------------------


def give_back(decision: Decision, verification: Verification) -> None:
    """It has no build: gone if it was on its way out, else in line again, where it stood."""
    if verification.status is Status.ENDING:
        decision.board.drop(verification)
    else:
        decision.update(verification, status=Status.WAITING, queue_item=None)  # no build: nothing is noted of one


def ended(decision: Decision, verification: Verification, outcome: Outcome) -> None:
    """Its build has ended: the commit is told. What nobody waits for any more says nothing."""
    board = decision.board
    board.drop(verification)
    if verification.status is Status.ENDING:
        return
    passed = outcome is Outcome.SUCCESS
    text = f"{sentences.name(verification)} has passed {VERIFY}" if passed else sentences.failed(verification, outcome)
    decision.tell(FactKind.BUILD_PASSED if passed else FactKind.BUILD_FAILED, text, verification)
    decision.status(verification, VERIFY, _VERDICTS.get(outcome, "error"), sentences.verdict(verification, outcome))
    pull = board.pull(verification.service, verification.pull)
    if pull is not None and pull.sha == verification.sha:
        remember(board, verification.service, replace(pull, done=True))


# -- what is remembered ----------------------------------------------------------------------------------------

#: How many pull requests of one service are remembered. One that is forgotten is taken for new when it moves.
PULLS = 64


def remember(board: Board, service: str, pull: Pull) -> None:
    """Keep what is known of a pull request now; of too many, a closed one is forgotten first, then the oldest."""
    state = board.pulls_of(service)
    if state.find(pull.number) == pull:
        return
    seen = [*(p for p in state.seen if p.number != pull.number), pull]
    if len(seen) > PULLS:
        seen.remove(next((p for p in seen if not p.open), seen[0]))
    board.put(replace(state, seen=tuple(seen)))
