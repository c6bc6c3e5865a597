"""Builds of our jobs that move nothing: duplicates, builds started by hand, news of builds that are long over."""

from __future__ import annotations

from dataclasses import replace

from bot.core import sentences
from bot.core.model.effects import AbortDuplicate, Look
from bot.core.model.events import BuildSeen
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import AbortLevel, Job, Outcome
from bot.core.model.run import Abort, Buildable, Step, UnmanagedBuild
from bot.core.rules import ended_builds
from bot.core.rules.decision import Decision


def step_of(decision: Decision, job: Job) -> Step | None:
    """The step whose job this is."""
    return decision.board.jobs().get(job)


def stranger(decision: Decision, event: BuildSeen, twin_of: Buildable | None) -> None:
    """A build that moves nothing: it occupies a slot while it runs; a duplicate of ours is stopped (invariant 5)."""
    job = Job(event.controller, event.job)
    step = step_of(decision, job)
    if step is None:
        return
    key = f"{event.controller}/{event.job}/{event.number}"
    known = decision.board.unmanaged.get(key)
    if event.result is not None:
        if known is not None:
            decision.board.drop(known)
            _ended(decision, known, event.result)
        return
    if known is not None or ended_builds.has_ended(decision.board, event):
        return
    seen = UnmanagedBuild(key, step, event.number, decision.now)
    decision.do(Look(job, event.number))  # it may be old news, overtaken by the word that the build has ended
    repeats = twin_of.key if twin_of is not None else _late(decision, event)
    if repeats is not None:
        seen = replace(seen, repeats=repeats, abort=Abort(AbortLevel.STOP, decision.now))
        decision.do(AbortDuplicate(job, event.number, repeats))
    if twin_of is not None:
        text = f"build #{event.number} repeats build #{twin_of.build} of {sentences.name(twin_of)}: it is asked to stop"
        decision.tell(FactKind.BUILD_DUPLICATED, text, twin_of)
    elif repeats is not None:
        text = (
            f"build #{event.number} in {step} is one of {repeats} that nobody waits for any more: it is asked to stop"
        )
        decision.tell(FactKind.BUILD_DUPLICATED, text, step=step, build=event.number)
    else:
        whose = f"belongs to no present attempt of {event.run}" if event.run else "was not started by Interlock"
        text = f"build #{event.number} in {step} {whose}: it takes a slot, nothing more"
        decision.tell(FactKind.UNMANAGED_BUILD_SEEN, text, step=step, build=event.number)
    decision.board.put(seen)


def _ended(decision: Decision, known: UnmanagedBuild, result: Outcome) -> None:
    """What became of a build of ours that was asked to stop; only Jenkins knows whether that came in time."""
    if known.repeats is None:
        return
    how = "was stopped" if result is Outcome.ABORTED else f"was not stopped in time: it ended as {result}"
    text = f"build #{known.number} in {known.step}, one of {known.repeats} that nobody waited for, {how}"
    decision.tell(FactKind.BUILD_DUPLICATED, text, step=known.step, build=known.number)


def _late(decision: Decision, event: BuildSeen) -> str | None:
    """The run that a build names, if it is one of ours: live, or gone.

    Its attempt is over, so nobody waits for this build: its trigger arrived when it was no longer looked for, or
    Jenkins built it twice after a crash. In a stage that rolls out it would roll out an old commit. A build that an
    older installation started is not ours, whatever it is called.
    """
    if event.run is None:
        return None
    live = decision.board.runs.get(event.run)
    if live is not None:
        return event.run if event.version in ("", live.version) and event.sha in ("", live.sha) else None
    service, _, number = event.run.rpartition(".")
    known = decision.board.services.get(service)
    gone = known is not None and number.isdecimal() and 0 < int(number) <= known.number
    return event.run if gone and _is_of_this_board(decision, event.version) else None


def _is_of_this_board(decision: Decision, version: str) -> bool:
    """Whether a version was made since the board began: its stamp says when (`sentences.stamp`)."""
    stamp = version.rpartition("-")[2]
    return not stamp.isdecimal() or stamp >= sentences.stamp(decision.board.header.born)
