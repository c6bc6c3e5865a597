"""Mode changes. Whatever was asked of Jenkins and not confirmed is called back; what is still wanted starts again as
every build does. On leaving observe, the withdrawals are sent that were decided meanwhile.
"""

from __future__ import annotations

from bot.core.model.pipeline import Mode
from bot.core.model.run import Buildable, Run, Status
from bot.core.rules import verifications
from bot.core.rules.builds import give_back
from bot.core.rules.decision import Decision
from bot.core.rules.leaving import may_abort, withdraw
from bot.core.rules.stage_locks import recall_run

_OBSERVED = "it was decided while the pipeline only observed"
_WHY = {
    Mode.PAUSE: "the pipeline is paused",
    Mode.OBSERVE: "the pipeline only observes from now on",
    Mode.RUN: "it may not have been asked for while the pipeline observed",
}


def mode_changed(decision: Decision, before: Mode) -> None:
    """What follows when the pipeline is to run, to pause or to observe from now on."""
    board = decision.board
    mode = board.header.mode
    if mode is before:
        return
    everything: list[Buildable] = [*board.runs.values(), *board.verifications.values()]
    for built in sorted(everything, key=lambda built: (built.queue_number, built.key)):
        if before is Mode.OBSERVE and _is_leaving(built):
            _send_withdrawal(decision, built)
        elif built.status is Status.STARTING and built.queue_item is None and not _is_leaving(built):
            _call_back(decision, built, _WHY[mode])


def _is_leaving(built: Buildable) -> bool:
    """Whether its build is to end, or was called back already."""
    if not built.holds_slot:
        return False
    cancelled = isinstance(built, Run) and built.cancelled_by is not None
    return built.status in (Status.ENDING, Status.RECALLED) or built.timed_out or cancelled


def _call_back(decision: Decision, built: Buildable, why: str) -> None:
    """Take back a build that is asked for, perhaps not posted yet, and not known to be in Jenkins' queue."""
    if decision.board.job_of(built) is None:
        give_back(decision, built)
    elif isinstance(built, Run):
        recall_run(decision, built, why)
    else:
        verifications.recall(decision, built, why)


def _send_withdrawal(decision: Decision, built: Buildable) -> None:
    if decision.board.job_of(built) is None and built.build is None:
        give_back(decision, built)  # its stage is gone from the configuration: nothing was sent, nothing will be
        return
    withdraw(decision, built, abort=_is_aborted(decision, built), why=_OBSERVED)


def _is_aborted(decision: Decision, built: Buildable) -> bool:
    if not isinstance(built, Run):
        return built.status is not Status.RECALLED
    return built.taken_out or built.timed_out or (built.status is Status.ENDING and may_abort(decision, built))
