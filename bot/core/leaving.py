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
    """Whether a running build may be aborted without anybody asking: not where it rolls out, half of one is worse."""
    return not rolls_out(decision, run)


def rolls_out(decision: Decision, run: Run) -> bool:
    """Whether the run's step is the first real lock-policy stage, or one behind it."""
    pipeline = decision.board.pipeline
    return run.step.track is Track.REAL and pipeline.index(run.step.stage) >= pipeline.locks_at


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
