"""What stands over a locked stage's Jenkins job: derived from the board, and put up anew whenever it changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core import sentences
from bot.core.model.board import Board
from bot.core.model.effects import Banner, LockShown
from bot.core.model.events import BannerOverwritten
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Job, Mode, Step
from bot.core.model.run import Run
from bot.core.model.stage_state import Lock
from bot.core.rules.decision import Decision
from bot.core.rules.fast_lane import fixes

#: How many locks of one stage, and fixes of one service, a banner names.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class StageBanner:
    """What a banner follows from: cheap to compare, so that it is only worked out where something has changed."""

    stage: str
    locks: tuple[Lock, ...]
    #: By service that holds one of the locks: what is on its way to open it.
    coming: tuple[tuple[str, tuple[Run, ...]], ...]


def standing(board: Board) -> dict[Job, StageBanner]:
    """What stands over the job of every locked stage; nothing while the pipeline only observes."""
    if not board.locks or board.header.mode is Mode.OBSERVE:
        return {}
    locked = ((stage, tuple(board.locks_of(stage.name))) for stage in board.pipeline.stages)
    return {stage.job: StageBanner(stage.name, locks, _coming(board, locks)) for stage, locks in locked if locks}


def banners(board: Board) -> dict[Job, Banner]:
    """The banner of every locked stage, by its job; none while the pipeline only observes."""
    return {job: _banner(job, each) for job, each in standing(board).items()}


def changed(before: dict[Job, StageBanner], after: dict[Job, StageBanner]) -> Iterator[Banner]:
    """What must be put up, put up anew or taken away, in a fixed order."""
    if before == after:
        return
    for job in sorted({**before, **after}, key=lambda job: (job.controller, job.name)):
        if job not in after:
            yield Banner(job, before[job].stage)
            continue
        shown = _banner(job, after[job])
        if job not in before or _banner(job, before[job]) != shown:
            yield shown


def put_back(decision: Decision, event: BannerOverwritten) -> None:
    """Somebody has overwritten what stands over a job, or left there what we had taken away."""
    job = Job(event.controller, event.job)
    stage = next((stage for stage in decision.board.pipeline.stages if stage.job == job), None)
    if stage is None:
        return
    shown = banners(decision.board).get(job)
    what = "the banner had been overwritten: it is put back" if shown else "a banner of ours was left: it is taken away"
    decision.tell(FactKind.BANNER_PUT_BACK, f"on {event.job} {what}", step=Step(stage.name))
    decision.do(shown or Banner(job, stage.name))


def _banner(job: Job, standing: StageBanner) -> Banner:
    """What is shown over the job of a locked stage."""
    locks = tuple(_shown(lock) for lock in standing.locks[:SHOWN])
    return Banner(job, standing.stage, locks, tuple(_told(standing)))


def _shown(lock: Lock) -> LockShown:
    return LockShown(lock.reason, lock.by, lock.since, lock.until)


def _coming(board: Board, locks: Iterable[Lock]) -> tuple[tuple[str, tuple[Run, ...]], ...]:
    services = dict.fromkeys(lock.service for lock in locks if lock.service is not None)
    return tuple((service, tuple(fixes(board, service)[-SHOWN:])) for service in services)


def _told(standing: StageBanner) -> Iterator[str]:
    """What is on its way to open the stage, or what has to be done for it."""
    for service, coming in standing.coming:
        yield from (sentences.coming(run) for run in coming)
        if not coming:
            yield sentences.nothing_coming(service)
