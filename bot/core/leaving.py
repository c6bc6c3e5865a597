"""How a run leaves: at once where it only waits; where a build may run, after Jenkins has confirmed its end."""

from __future__ import annotations

from bot.core.decision import Decision
from bot.core.effects import Withdraw
from bot.core.facts import FactKind
from bot.core.pipeline import Job, Track
from bot.core.run import Ending, Run, Status


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
    withdraw(decision, run, abort=abort or may_abort(decision, run), why=ending.why)


def may_abort(decision: Decision, run: Run) -> bool:
    """Whether a running build may be aborted by itself: not in a real lock-policy stage, half a roll-out is worse."""
    stage = decision.board.pipeline.stage(run.step.stage)
    return run.step.track is Track.FAST or stage is None or not stage.locks


def withdraw(decision: Decision, run: Run, *, abort: bool, why: str) -> None:
    """Have the present attempt cancelled in Jenkins' queue, and its running build aborted if `abort`."""
    job = job_of(decision, run)
    if job is not None:
        decision.do(Withdraw(run.key, run.attempt, job, run.queue_item, run.build, abort, why))


def job_of(decision: Decision, run: Run) -> Job | None:
    """The Jenkins job of the step that a run is in; None if it is no longer configured."""
    stage = decision.board.pipeline.stage(run.step.stage)
    if stage is None:
        return None
    return stage.job if run.step.track is Track.REAL else stage.fast_job
