"""Run, pause, observe: what is made up for when a pipeline that only observed begins to act."""

from __future__ import annotations

from bot.core.admission import trigger
from bot.core.builds import give_back
from bot.core.decision import Decision
from bot.core.leaving import may_abort, withdraw
from bot.core.locking import recall_run
from bot.core.pipeline import Mode
from bot.core.run import End, Run, Status


def mode_changed(decision: Decision, before: Mode) -> None:
    """Send what was decided while observing and still stands: triggers, withdrawals."""
    board = decision.board
    if before is not Mode.OBSERVE or board.header.mode is Mode.OBSERVE:
        return
    inside = (run for run in board.runs.values() if run.holds_slot)
    for run in sorted(inside, key=lambda r: (r.seat, r.key)):
        _make_up(decision, run)
    for verification in sorted(board.verifications.values(), key=lambda v: (v.seat, v.key)):
        if verification.status is Status.ENDING or verification.timed_out:
            withdraw(decision, verification, abort=True, why="it was decided while the pipeline only observed")


def _make_up(decision: Decision, run: Run) -> None:
    if decision.board.job(run.step) is None and run.build is None:
        give_back(decision, run)  # its stage is gone from the configuration: nothing was sent, nothing will be
        return
    leaving = run.status in (Status.ENDING, Status.RECALLED) or run.cancelled_by is not None or run.timed_out
    if leaving:
        asked = run.cancelled_by is not None or (run.ending is not None and run.ending.end is End.CANCELLED)
        abort = asked or run.timed_out or (run.status is Status.ENDING and may_abort(decision, run))
        withdraw(decision, run, abort=abort, why="it was decided while the pipeline only observed")
    elif run.status is Status.STARTING and run.queue_item is None:
        _begin(decision, run)


def _begin(decision: Decision, run: Run) -> None:
    """Ask for the build that was only decided; paused, nothing is triggered: the run goes back to its queue."""
    if decision.board.header.mode is Mode.PAUSE:
        recall_run(decision, run, "the pipeline is paused")
    else:
        trigger(decision, run, look_first=True)
