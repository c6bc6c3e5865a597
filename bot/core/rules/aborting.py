"""Aborting a build ever more firmly: stop, term, kill, each when the one before has not helped in its time.

Where a build rolls out, nothing firmer than stop is done: a script that is killed half-way leaves behind what nobody
knows. There, and after a kill that did not help, people are told, and the build keeps its slot until it ends.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core import sentences
from bot.core.model.effects import AbortDuplicate, Notify, Withdraw
from bot.core.model.events import AbortTaken
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import AbortLevel, Job
from bot.core.model.run import Abort, Buildable, Step, UnmanagedBuild
from bot.core.rules.decision import Decision
from bot.core.rules.standing import rolls_out

_FIRMER = {AbortLevel.STOP: AbortLevel.TERM, AbortLevel.TERM: AbortLevel.KILL}


def press_on(decision: Decision) -> None:
    """Ask more firmly, where a build was asked to end and has taken too long about it."""
    for run in decision.board.aborting():
        if run.abort is not None and run.build is not None and _is_late(decision, run.abort):
            _press_run(decision, run, run.abort, run.build)
    for unmanaged in decision.board.duplicates():
        if unmanaged.abort is not None and _is_late(decision, unmanaged.abort):
            _press_duplicate(decision, unmanaged, unmanaged.abort)


def abort_taken(decision: Decision, event: AbortTaken) -> None:
    """Jenkins took the request: from now on the build has its time. What it did not take helps nothing."""
    board, job = decision.board, Job(event.controller, event.job)
    for built in board.aborting():
        told = (built.key, built.attempt) == (event.run, event.attempt) if event.run else board.job_of(built) == job
        if told and built.build == event.number and _waits_for(built.abort, event):
            decision.update(built, abort=_taken(decision, event))
    unmanaged = board.unmanaged.get(f"{event.controller}/{event.job}/{event.number}")
    if unmanaged is not None and _waits_for(unmanaged.abort, event):
        board.put(replace(unmanaged, abort=_taken(decision, event)))


def _taken(decision: Decision, event: AbortTaken) -> Abort:
    return Abort(event.level, decision.now, taken=True, only_stop=event.only_stop)


def _waits_for(abort: Abort | None, event: AbortTaken) -> bool:
    return abort is not None and abort.level is event.level and not abort.taken


def _is_late(decision: Decision, abort: Abort) -> bool:
    due = abort.asked + decision.board.pipeline.patience(abort.level)
    return abort.taken and not abort.stuck and due <= decision.now


def _firmer(decision: Decision, step: Step, level: AbortLevel) -> AbortLevel | None:
    return None if rolls_out(decision.board.pipeline, step) else _FIRMER.get(level)


def _press_run(decision: Decision, run: Buildable, abort: Abort, build: int) -> None:
    level, job = _firmer(decision, run.step, abort.level), decision.board.job_of(run)
    if level is None or job is None:
        decision.update(run, abort=replace(abort, stuck=True))
        _tell_stuck(decision, run.step, build, sentences.name(run), run)
        return
    decision.update(run, abort=Abort(level, decision.now))
    text = sentences.aborted_firmly(build, sentences.name(run), run.step, abort.level, level)
    decision.tell(FactKind.BUILD_ABORTED_FIRMLY, text, run)
    decision.do(
        Withdraw(
            run.key, run.attempt, job, run.queue_item, build, abort=True, why=text, level=level, version=run.version
        )
    )


def _press_duplicate(decision: Decision, unmanaged: UnmanagedBuild, abort: Abort) -> None:
    level, job = _firmer(decision, unmanaged.step, abort.level), decision.board.job(unmanaged.step)
    whose = f"a second build of {unmanaged.repeats}"
    if level is None or job is None:
        decision.board.put(replace(unmanaged, abort=replace(abort, stuck=True)))
        _tell_stuck(decision, unmanaged.step, unmanaged.number, whose, None)
        return
    decision.board.put(replace(unmanaged, abort=Abort(level, decision.now)))
    text = sentences.aborted_firmly(unmanaged.number, whose, unmanaged.step, abort.level, level)
    decision.tell(FactKind.BUILD_ABORTED_FIRMLY, text, step=unmanaged.step, build=unmanaged.number)
    decision.do(AbortDuplicate(job, unmanaged.number, unmanaged.repeats or "", level))


def _tell_stuck(decision: Decision, step: Step, build: int, whose: str, run: Buildable | None) -> None:
    text = sentences.stuck(build, whose, step, rolls_out=rolls_out(decision.board.pipeline, step))
    decision.tell(FactKind.BUILD_STUCK, text, run, step=step, build=build)
    key = f"{step}/{build}/stuck/{decision.now:.3f}"
    decision.do(Notify("stuck", step.stage, f"{step}: build #{build} does not end", text + "\n", key))
