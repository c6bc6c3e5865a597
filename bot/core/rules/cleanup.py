"""The removal of runs: a waiting run at once, a run with a slot after Jenkins has confirmed the end of its build.

Runs are removed because a fix contains them (F8), a newer fix replaces them (F6), or a force-push took them off main.

A build that must end is asked by stop, term and kill, each after the time of the level before has passed. Where it
rolls out, stop is the only level, because a script that is killed half-way leaves an unknown state behind. There, and
after a kill without effect, people are told, and the build keeps its slot until it ends.
"""

from __future__ import annotations

from bot.core.model.board_records import CleanUp
from bot.core.model.effects import AbortDuplicate, Notify, Withdraw
from bot.core.model.events import AbortTaken
from bot.core.model.facts import FactKind
from bot.core.model.messages import AbortedMoreFirmly, BuildStuck, DroppedFromMain, RunEnding, Superseded, Who
from bot.core.model.pipeline import AbortLevel, Job, Step
from bot.core.model.replaced import replace
from bot.core.model.run import Abort, Buildable, End, Ending, Run, Status
from bot.core.model.stage_state import UnmanagedBuild
from bot.core.rules import fast_lane, stage_versions
from bot.core.rules.containment import ask_about_main, ask_whether_contained
from bot.core.rules.decision import Decision
from bot.core.rules.stage_versions import rolls_out


def leave(decision: Decision, run: Run, ending: Ending, *, abort: bool = False) -> None:
    """Remove a run. A run that holds a slot keeps it until its build has ended (F8).

    `abort`: abort its running build in any stage; without it `may_abort` decides.
    """
    if run.status is Status.ENDING:
        return
    if not run.holds_slot:
        decision.end(run, ending)
        return
    run = decision.update(run, status=Status.ENDING, ending=ending)
    decision.tell(FactKind.RUN_LEAVING, RunEnding(ending.why, run.step), run)
    decision.note(run, ending.why)
    withdraw(decision, run, abort=abort or may_abort(decision, run))


def may_abort(decision: Decision, run: Buildable) -> bool:
    """Return whether a running build may be aborted without a request: not where it rolls out.

    There an incomplete roll-out would be worse.
    """
    return not rolls_out(decision.board.pipeline, run.step)


def withdraw(decision: Decision, run: Buildable, *, abort: bool) -> None:
    """Ask Jenkins to cancel the present attempt in its queue, and to abort its running build if `abort` is set."""
    job = decision.board.job_of(run)
    if job is None:
        return
    if abort:
        decision.update_attempt(run, abort=Abort(AbortLevel.STOP, decision.now))
    attempt = run.attempt
    decision.do(Withdraw(run.key, attempt.number, job, attempt.queue_item, attempt.build, abort, version=run.version))


def superseded(by: str, sha: str, rule: str = "") -> Ending:
    """Return the ending of a run that commit `sha` of the run `by` contains; `rule`: the rule, such as F8."""
    return Ending(End.SUPERSEDED, Superseded(sha, by, rule), by)


def dropped(run: Run) -> Ending:
    """Return the ending of a run whose commit a force-push took off main."""
    return Ending(End.DROPPED, DroppedFromMain(run.sha))


# -- removal ---------------------------------------------------------------------------------------------------


def clean_up(decision: Decision, service: str) -> None:
    """F8: remove the runs that a passed fast run contains; where that is unknown, keep them and ask GitHub.

    One decision removes `DecisionLimits.removed_at_once` runs; the next ones, due at once, remove the rest.
    """
    board, removed = decision.board, 0
    for run in board.of_service(service):
        found = fast_lane.cleaned_up_by(board, run)
        if found is None:
            continue
        version, contained = found
        if not contained:
            ask_whether_contained(decision, run, version.position)
        elif removed == decision.limits.removed_at_once:
            board.put(CleanUp(service))
            return
        else:
            leave(decision, run, superseded(version.run, version.position.sha, "F8"))
            removed += 1
    board.drop(CleanUp(service))


def newest_fix(decision: Decision, newer: Run) -> None:
    """F6: remove the older fixes that this one replaces while it waits for its first fast job."""
    for older in fast_lane.replaced_by(decision.board, newer):
        leave(decision, older, superseded(newer.key, newer.position.sha, "F6"))


def drop_unmerged(decision: Decision, service: str) -> None:
    """End the live runs that a force-push took off main, except those that roll out now.

    The newest is checked first, because the proof about it usually settles the older ones.
    """
    board = decision.board
    for run in reversed(board.of_service(service)):
        verdict = stage_versions.off_main(board, service, run.position)
        if verdict is None:
            ask_about_main(decision, service, run.position)
            return  # its answer usually settles all earlier ones
        if verdict:
            drop(decision, run)


def drop(decision: Decision, run: Run) -> None:
    """End a run that is no longer on main, unless it rolls out at this moment: that build is finished first."""
    if run.status is not Status.ENDING and not stage_versions.is_rolling_out(decision.board.pipeline, run):
        leave(decision, run, dropped(run))


# -- builds that must end --------------------------------------------------------------------------------------


_FIRMER = {AbortLevel.STOP: AbortLevel.TERM, AbortLevel.TERM: AbortLevel.KILL}


def abort_more_firmly(decision: Decision) -> None:
    """Abort builds at the next level if they did not end within the time of the present one."""
    for run in decision.board.aborting():
        if (
            run.attempt.abort is not None
            and run.attempt.build is not None
            and _abort_is_late(decision, run.attempt.abort)
        ):
            _press_run(decision, run, run.attempt.abort, run.attempt.build)
    for unmanaged in decision.board.duplicates():
        if unmanaged.abort is not None and _abort_is_late(decision, unmanaged.abort):
            _press_duplicate(decision, unmanaged, unmanaged.abort)


def take_abort(decision: Decision, event: AbortTaken) -> None:
    """Note that Jenkins took the request to end a build: the time that the build has to end counts from now.

    A request that Jenkins did not take does not count.
    """
    board, job = decision.board, Job(event.controller, event.job)
    for built in board.aborting():
        told = (
            (built.key, built.attempt.number) == (event.run, event.attempt) if event.run else board.job_of(built) == job
        )
        if told and built.attempt.build == event.number and _waits_for(built.attempt.abort, event):
            decision.update_attempt(built, abort=_taken(decision, event))
    unmanaged = board.unmanaged.get(f"{event.controller}/{event.job}/{event.number}")
    if unmanaged is not None and _waits_for(unmanaged.abort, event):
        board.put(replace(unmanaged, abort=_taken(decision, event)))


def _taken(decision: Decision, event: AbortTaken) -> Abort:
    return Abort(event.level, decision.now, taken=True, only_stop=event.only_stop)


def _waits_for(abort: Abort | None, event: AbortTaken) -> bool:
    return abort is not None and abort.level is event.level and not abort.taken


def _abort_is_late(decision: Decision, abort: Abort) -> bool:
    due = abort.asked + decision.board.pipeline.patience(abort.level)
    return abort.taken and not abort.stuck and due <= decision.now


def _firmer(decision: Decision, step: Step, level: AbortLevel) -> AbortLevel | None:
    return None if rolls_out(decision.board.pipeline, step) else _FIRMER.get(level)


def _press_run(decision: Decision, run: Buildable, abort: Abort, build: int) -> None:
    level, job = _firmer(decision, run.step, abort.level), decision.board.job_of(run)
    if level is None or job is None:
        decision.update_attempt(run, abort=replace(abort, stuck=True))
        _tell_stuck(decision, run.step, build, run.who, run=run)
        return
    decision.update_attempt(run, abort=Abort(level, decision.now))
    told = AbortedMoreFirmly(build, run.who, "", run.step, abort.level, level)
    decision.tell(FactKind.BUILD_ABORTED_FIRMLY, told, run)
    where = (run.key, run.attempt.number, job, run.attempt.queue_item, build)
    decision.do(Withdraw(*where, abort=True, level=level, version=run.version))


def _press_duplicate(decision: Decision, unmanaged: UnmanagedBuild, abort: Abort) -> None:
    level, job = _firmer(decision, unmanaged.step, abort.level), decision.board.job(unmanaged.step)
    repeats = unmanaged.repeats or ""
    if level is None or job is None:
        decision.board.put(replace(unmanaged, abort=replace(abort, stuck=True)))
        _tell_stuck(decision, unmanaged.step, unmanaged.number, None, repeats)
        return
    decision.board.put(replace(unmanaged, abort=Abort(level, decision.now)))
    told = AbortedMoreFirmly(unmanaged.number, None, repeats, unmanaged.step, abort.level, level)
    decision.tell(FactKind.BUILD_ABORTED_FIRMLY, told, step=unmanaged.step, build=unmanaged.number)
    decision.do(AbortDuplicate(job, unmanaged.number, repeats, level))


def _tell_stuck(
    decision: Decision, step: Step, build: int, who: Who | None, repeats: str = "", run: Buildable | None = None
) -> None:
    told = BuildStuck(build, who, repeats, step, rolls_out(decision.board.pipeline, step))
    decision.tell(FactKind.BUILD_STUCK, told, run, step=step, build=build)
    decision.notify([Notify("stuck", step.stage, told, f"{step}/{build}/stuck/{decision.now:.3f}")])
