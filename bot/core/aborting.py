"""Aborting a build ever more firmly: stop, term, kill, each when the one before has not helped in its time.

Where a build rolls out, nothing firmer than stop is done: a script that is killed half-way leaves behind what nobody
knows. There, and after a kill that did not help, people are told, and the build keeps its slot until it ends.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core import sentences
from bot.core.decision import Decision
from bot.core.effects import AbortDuplicate, Notify, Withdraw
from bot.core.events import AbortTaken
from bot.core.facts import FactKind
from bot.core.pipeline import Force, Job
from bot.core.run import Abort, Built, Foreign, Step
from bot.core.standing import rolls_out

_FIRMER = {Force.STOP: Force.TERM, Force.TERM: Force.KILL}


def press_on(decision: Decision) -> None:
    """Ask more firmly, where a build was asked to end and has taken too long about it."""
    for run in decision.board.aborting():
        if run.abort is not None and run.build is not None and _is_late(decision, run.abort):
            _press_run(decision, run, run.abort, run.build)
    for stranger in decision.board.duplicates():
        if stranger.abort is not None and _is_late(decision, stranger.abort):
            _press_duplicate(decision, stranger, stranger.abort)


def abort_taken(decision: Decision, event: AbortTaken) -> None:
    """Jenkins took the request: from now on the build has its time. What it did not take helps nothing."""
    board, job = decision.board, Job(event.controller, event.job)
    for built in board.aborting():
        told = (built.key, built.attempt) == (event.run, event.attempt) if event.run else board.job_of(built) == job
        if told and built.build == event.number and _waits_for(built.abort, event):
            decision.update(built, abort=_taken(decision, event))
    stranger = board.foreign.get(f"{event.controller}/{event.job}/{event.number}")
    if stranger is not None and _waits_for(stranger.abort, event):
        board.put(replace(stranger, abort=_taken(decision, event)))


def _taken(decision: Decision, event: AbortTaken) -> Abort:
    return Abort(event.force, decision.now, taken=True, only_stop=event.only_stop)


def _waits_for(abort: Abort | None, event: AbortTaken) -> bool:
    return abort is not None and abort.force is event.force and not abort.taken


def _is_late(decision: Decision, abort: Abort) -> bool:
    due = abort.asked + decision.board.pipeline.patience(abort.force)
    return abort.taken and not abort.stuck and due <= decision.now


def _firmer(decision: Decision, step: Step, force: Force) -> Force | None:
    return None if rolls_out(decision.board.pipeline, step) else _FIRMER.get(force)


def _press_run(decision: Decision, run: Built, abort: Abort, build: int) -> None:
    force, job = _firmer(decision, run.step, abort.force), decision.board.job_of(run)
    if force is None or job is None:
        decision.update(run, abort=replace(abort, stuck=True))
        _tell_stuck(decision, run.step, build, sentences.name(run), run)
        return
    decision.update(run, abort=Abort(force, decision.now))
    text = sentences.aborted_firmly(build, sentences.name(run), run.step, abort.force, force)
    decision.tell(FactKind.BUILD_ABORTED_FIRMLY, text, run)
    decision.do(
        Withdraw(
            run.key, run.attempt, job, run.queue_item, build, abort=True, why=text, force=force, version=run.version
        )
    )


def _press_duplicate(decision: Decision, stranger: Foreign, abort: Abort) -> None:
    force, job = _firmer(decision, stranger.step, abort.force), decision.board.job(stranger.step)
    whose = f"a second build of {stranger.repeats}"
    if force is None or job is None:
        decision.board.put(replace(stranger, abort=replace(abort, stuck=True)))
        _tell_stuck(decision, stranger.step, stranger.number, whose, None)
        return
    decision.board.put(replace(stranger, abort=Abort(force, decision.now)))
    text = sentences.aborted_firmly(stranger.number, whose, stranger.step, abort.force, force)
    decision.tell(FactKind.BUILD_ABORTED_FIRMLY, text, step=stranger.step, build=stranger.number)
    decision.do(AbortDuplicate(job, stranger.number, stranger.repeats or "", force))


def _tell_stuck(decision: Decision, step: Step, build: int, whose: str, run: Built | None) -> None:
    text = sentences.stuck(build, whose, step, rolls_out=rolls_out(decision.board.pipeline, step))
    decision.tell(FactKind.BUILD_STUCK, text, run, step=step, build=build)
    key = f"{step}/{build}/stuck/{decision.now:.3f}"
    decision.do(Notify("stuck", step.stage, f"{step}: build #{build} does not end", text + "\n", key))
