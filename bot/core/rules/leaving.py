"""How a run leaves: at once where it only waits; where a build may run, after Jenkins has confirmed its end."""

from __future__ import annotations

from bot.core.model.effects import Withdraw
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import AbortLevel
from bot.core.model.run import Abort, Buildable, Ending, Run, Status
from bot.core.rules.decision import Decision
from bot.core.rules.standing import rolls_out


def leave(decision: Decision, run: Run, ending: Ending, *, abort: bool = False) -> None:
    """Remove a run wherever it stands; one that holds a slot keeps it until its build has ended (F8).

    `abort` has its running build aborted whatever the stage; without it `may_abort` decides.
    """
    if run.status is Status.ENDING:
        return
    if not run.holds_slot:
        decision.end(run, ending)
        return
    run = decision.update(run, status=Status.ENDING, ending=ending)
    decision.tell(FactKind.RUN_LEAVING, f"{ending.why}; its build in {run.step} is taken back", run)
    decision.note(run, ending.why)
    withdraw(decision, run, abort=abort or may_abort(decision, run), why=ending.why)


def may_abort(decision: Decision, run: Buildable) -> bool:
    """Whether a running build may be aborted without anybody asking: not where it rolls out, half of one is worse."""
    return not rolls_out(decision.board.pipeline, run.step)


def withdraw(decision: Decision, run: Buildable, *, abort: bool, why: str) -> None:
    """Have the present attempt cancelled in Jenkins' queue, and its running build aborted if `abort`."""
    job = decision.board.job_of(run)
    if job is None:
        return
    if abort:
        decision.update(run, abort=Abort(AbortLevel.STOP, decision.now))
    decision.do(Withdraw(run.key, run.attempt, job, run.queue_item, run.build, abort, why, version=run.version))
