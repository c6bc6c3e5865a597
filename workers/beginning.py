"""The start of a worker and the beginning of a board.

A worker works only on a schema of its own, and tells the boards of a new configuration. A turn that finds no board
begins one. Whether that is a first start, or the store was emptied, a worker that has run since before knows from its
copy of the board (`BoardReplica.lost`). After a restart of everything only Jenkins can tell: a banner of ours over a
job, or builds that carry our parameters, from before this board began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from bot.core.model.board import Board
from bot.core.model.events import Configured, Event, FirstStart, StateLost
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job
from bot.core.model.run import version_stamp
from bot.core.rules.configuration import remembered
from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.jenkins import builds
from bot.jenkins.banners import locks_in_banner
from bot.jenkins.client import JenkinsForbidden, JenkinsNotFound, client_for
from bot.jenkins.differences import CLOCKS_APART
from bot.runtime import PipelineContext, Runtime
from bot.store.replica import BoardReplica
from config import settings
from config.logs import Once
from workers import freezes

# -- the start of a worker ---------------------------------------------------------------------------------------------

log = structlog.get_logger()


def check_store(runtime: Runtime) -> None:
    """Migrate what an older version stored, and say what the environment lacks.

    Raises NewerSchema if a newer version wrote what is stored.
    """
    runtime.migrate()
    for sentence in (*settings.missing(runtime.configuration, runtime.settings), *settings.unknown_variables()):
        log.warning("configuration", what=sentence)


def configure_boards(runtime: Runtime) -> list[str]:
    """Tell each board whose configuration differs from the file's; returns the pipelines that need a turn.

    A mode that is new in the file takes effect; while it stands there unchanged, a person's word counts, and a restart
    does not undo it.
    """
    return [
        name
        for name, context in runtime.pipelines.items()
        if any([_configure(runtime, name, context), freezes.plan(context)])
    ]


def _configure(runtime: Runtime, name: str, context: PipelineContext) -> bool:
    with context.look() as copy:
        header, mode = copy.board.header, runtime.configuration.mode(name)
        if header.pipeline == context.pipeline and header.configured_mode is mode:
            return False
        event = Configured(context.pipeline, mode=mode if header.configured_mode is not mode else None)
        context.inbox.add(event, f"configured:{runtime.configuration.digest}:{copy.version}")
    return True


# -- the beginning of a board ------------------------------------------------------------------------------------------

#: How many of the newest builds of a job are looked at for one of ours from before.
BUILDS = 20

_said = Once()


def first_events(context: PipelineContext, copy: BoardReplica) -> list[Event]:
    """What must be decided before anything else on the board that this copy has; mostly nothing."""
    header = copy.board.header
    found: list[Event] = []
    if not header.born:
        found.append(Configured(context.pipeline, mode=context.mode))
        found += [freezes.planned(context)] if context.freezes else []
    before = copy.lost()
    if before is not None and header.lost is not None:
        copy.settled()  # another worker has dealt with it
    elif before is not None:
        found.append(remembered(before, "the store was emptied while Interlock ran"))
    return found


def without_memory(begun: Sequence[Event]) -> list[Event]:
    """The same without what is remembered: should that not fit any more, what locks is closed all the same."""
    return [StateLost(event.why) if isinstance(event, StateLost) else event for event in begun]


def prove_first_start(runtime: Runtime, context: PipelineContext) -> int:
    """Ask Jenkins whether this board is the first; returns how many events went into the inbox.

    It is asked once, and again as long as a controller does not answer and the others show nothing.
    """
    with context.look() as copy:
        board = copy.board
        if not board.header.unproven:
            return 0
        jobs, born = _jobs(board), board.header.born
    shown: list[_Shown] = []
    silent = False
    for stage, job in jobs:
        try:
            shown += _shown(runtime, board, stage, job)
        except (RetryLater, JenkinsForbidden, PermanentFailure) as error:
            silent = True
            if _said.is_new((context.pipeline.name, job), str(error)):
                log.warning("first-start-unproven", job=job.name, controller=job.controller, why=str(error))
        except JenkinsNotFound:
            continue  # no job, so nothing of ours in it
    if not shown and silent:
        return 0
    event = _lost(shown) if shown else FirstStart()
    if shown:
        context.store.note_unacknowledged_writes()
    return 1 if context.inbox.add(event, f"proven:{born}") else 0


#: What one job shows from before: the stage and the lines of a banner, or (with the stage empty) a sentence of a build.
_Shown = tuple[str, str]


def _jobs(board: Board) -> list[tuple[str, Job]]:
    """Every job of the pipeline, with the stage whose banner it would carry; empty: none."""
    real = {stage.job: stage.name for stage in board.pipeline.stages}
    return [(real.get(job, ""), job) for job in board.jobs()]


def _shown(runtime: Runtime, board: Board, stage: str, job: Job) -> Iterator[_Shown]:
    answer = builds.read_job(client_for(runtime, job), job, BUILDS, description=True)
    description = answer.get("description")
    locks = locks_in_banner(description) if stage and isinstance(description, str) else []
    yield from ((stage, line) for line in locks)
    for build in answer.get("builds") or []:
        carried = builds.parameters(build)
        if carried.get(builds.RUN) and _is_older(board, carried.get(builds.VERSION, ""), build):
            yield "", f"build #{build.get('number')} of {job.name} was started for {carried[builds.RUN]}"
            return


def _is_older(board: Board, version: str, build: builds.Build) -> bool:
    """Whether a build was asked for before this board began: its version says when, or else when it started."""
    stamp, born = version.rpartition("-")[2], board.header.born
    if stamp.isdecimal():
        return stamp < version_stamp(born)
    return float(build.get("timestamp") or 0) / 1000 < born - CLOCKS_APART


def _lost(shown: list[_Shown]) -> StateLost:
    locked = tuple((stage, Verbatim(line)) for stage, line in shown if stage)
    builds = [line for stage, line in shown if not stage]
    first = builds[0] if builds else f"the banner over {locked[0][0]} says that it is locked"
    return StateLost(f"Jenkins shows what the store does not: {first}", locked)
