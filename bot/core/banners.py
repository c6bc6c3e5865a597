"""What stands over a locked stage's Jenkins job: derived from the board, and put up anew whenever it changes."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core import sentences
from bot.core.board import Board
from bot.core.decision import Decision
from bot.core.effects import Banner, LockShown
from bot.core.events import BannerAmiss
from bot.core.facts import FactKind
from bot.core.pipeline import Job, Mode
from bot.core.run import Lock, Step
from bot.core.standing import fixes

#: How many locks of one stage, and fixes of one service, a banner names.
SHOWN = 5

Banners = dict[Job, Banner]


def banners(board: Board) -> Banners:
    """The banner of every locked stage, by its job; none while the pipeline only observes."""
    if not board.locks or board.header.mode is Mode.OBSERVE:
        return {}
    stages = (stage for stage in board.pipeline.stages if board.locks_of(stage.name))
    return {stage.job: _banner(board, stage.job, stage.name) for stage in stages}


def changed(before: Banners, after: Banners) -> Iterator[Banner]:
    """What must be put up, put up anew or taken away, in a fixed order."""
    for job in sorted({**before, **after}, key=lambda job: (job.controller, job.name)):
        if job not in after:
            yield Banner(job, before[job].stage)
        elif before.get(job) != after[job]:
            yield after[job]


def put_back(decision: Decision, event: BannerAmiss) -> None:
    """Somebody has overwritten what stands over a job, or left there what we had taken away."""
    job = Job(event.controller, event.job)
    stage = next((stage for stage in decision.board.pipeline.stages if stage.job == job), None)
    if stage is None:
        return
    shown = banners(decision.board).get(job)
    what = "the banner had been overwritten: it is put back" if shown else "a banner of ours was left: it is taken away"
    decision.tell(FactKind.BANNER_PUT_BACK, f"on {event.job} {what}", step=Step(stage.name))
    decision.do(shown or Banner(job, stage.name))


def _banner(board: Board, job: Job, stage: str) -> Banner:
    locks = board.locks_of(stage)
    return Banner(job, stage, tuple(_shown(lock) for lock in locks[:SHOWN]), tuple(_coming(board, locks)))


def _shown(lock: Lock) -> LockShown:
    return LockShown(lock.reason, lock.by, lock.since, lock.until)


def _coming(board: Board, locks: list[Lock]) -> Iterator[str]:
    """What is on its way to open the stage, or what has to be done for it."""
    for service in dict.fromkeys(lock.service for lock in locks if lock.service is not None):
        coming = fixes(board, service)
        yield from (sentences.coming(run) for run in coming[-SHOWN:])
        if not coming:
            yield sentences.nothing_coming(service)
