"""The stage versions: the last commit of a service in each stage, its run and its time, and whether it is whole.

Every rule that depends on whether a commit is in a stage or past it uses this module. Four things change the answer: a
build that passes, a build that does not, a force-push (a commit dropped from main contains nothing any more), and the
start of another run's build there.

A stage that rolls out has one run of a service at a time, and no older one after a newer one (F11). So its version is
the commit of the last build: `whole` if that passed, else `broken`, on top of the last whole version. A step that rolls
nothing out (the build, acceptance, the fast lane's own jobs) takes several at once; there the newest commit counts,
whenever its build ended, so that it is known whether the head of main has failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.pipeline import Pipeline, Step, Track
from bot.core.model.replaced import replace
from bot.core.model.run import Run, Status
from bot.core.model.stage_state import StageVersion, Version

if TYPE_CHECKING:
    from bot.core.model.board import Board
    from bot.core.model.board_records import ServiceState
    from bot.core.model.history import CommitHistory, Position


def rolls_out(pipeline: Pipeline, step: Step) -> bool:
    """Return whether a build of this step changes the environment.

    These are the real stages from the first that locks, and always the last one.
    """
    return step.track is Track.REAL and step.stage in pipeline.roll_outs


def is_rolling_out(pipeline: Pipeline, run: Run) -> bool:
    """Return whether the run may be half rolled out: its build is there, or failed there and the run stays."""
    return rolls_out(pipeline, run.step) and (run.holds_slot or run.status is Status.FAILED)


def off_main(board: Board, service: str, position: Position) -> bool | None:
    """Return whether a force-push took the commit off main: a later forced head lacks it, and main stands on that.

    None: GitHub must be asked (`containment.ask_about_main`). A commit that came back to main, by itself or in a later
    head, is on it, even if no report told of the force-push that brought it back.
    """
    state = board.service(service)
    if not state.forced_heads:
        return False
    history, latest = state.history, state.history.latest(position)
    since = history.on_main_by(latest)
    later = [forced_head for forced_head in state.forced_heads if forced_head.segment > since]
    later = [forced_head for forced_head in later if not _came_back(state, forced_head, latest)]
    lacking = [forced_head for forced_head in later if history.contains(forced_head, latest) is False]
    if lacking:
        return True if _stands_on(history, lacking, latest) else None
    return None if any(history.contains(forced_head, latest) is None for forced_head in later) else False


def _stands_on(history: CommitHistory, lacking: list[Position], latest: Position) -> bool:
    """Return whether main is proven to lack the commit too, by an answer, or by pushes onto a head that lacks it.

    After a detour (a lost push, another force-push) main may have got the commit back.
    """
    head = history.head
    return head is not None and (
        history.contains(head, latest) is False or any(forced_head.segment == head.segment for forced_head in lacking)
    )


def may_be_off_main(board: Board, run: Run) -> bool:
    """Return whether the known head lacks the commit, and GitHub must still confirm that head."""
    state = board.service(run.service)
    head = state.history.head
    return (
        head is not None and state.unconfirmed_head == head.sha and state.history.contains(head, run.position) is False
    )


def drops(state: ServiceState, forced_head: Position, position: Position) -> bool:
    """Return whether `forced_head` came after `position`, is proven to lack it, and main has not got it back."""
    history = state.history
    latest = history.latest(position)
    lacks = forced_head.segment > history.on_main_by(latest) and history.contains(forced_head, latest) is False
    return lacks and not _came_back(state, forced_head, latest)


def _came_back(state: ServiceState, forced_head: Position, position: Position) -> bool:
    """Return whether the commit was on main again after `forced_head`.

    That is so if a later push, forced or not, or the known head contains it. A push that was only reported later, and
    was on main before the force-push, brings nothing back.
    """
    history = state.history
    if history.head is not None and history.contains(history.head, position):
        return True
    since = forced_head.segment
    pushed = {root.segment for root in history.roots if root.segment > since}
    tips = {each.segment: each for each in history.positions if each.segment in pushed}
    # The force-push began segment `since`: a commit that was on main by it, and is in no earlier segment, followed.
    later = [tip for tip in tips.values() if history.on_main_by(tip) >= since]
    later += [forced for forced in state.forced_heads if forced.segment > since]
    return any(history.contains(tip, position) for tip in later)


class RunAhead(NamedTuple):
    """A run (and its commit) that was in a stage before another one, and whether it contains that one's commit.

    `contains` None: GitHub must be asked. `broken`: its build did not pass.
    """

    run: str
    position: Position
    contains: bool | None
    broken: bool = False


# -- changes of a version --------------------------------------------------------------------------------------


def passed(board: Board, run: Run, now: float, *, cleans_up: bool) -> None:
    """Record the commit of a run that passed its step as the whole version; `cleans_up`: it is a fix (F8).

    Where several builds run at once, a newer version than the one that ended stays.
    """
    before, mine = board.version(run.service, run.step), Version(run.position, run.key, run.lane, now)
    alone = rolls_out(board.pipeline, run.step)
    stays = None if alone else _ahead_of(board, before.broken, run)
    if not alone and _ahead_of(board, before.whole, run) is not None:
        whole, replaced = before.whole, before.replaced
    else:
        is_other = before.whole is not None and before.whole.position.sha != run.position.sha
        whole, replaced = mine, before.whole if is_other else before.replaced
    fix = mine if cleans_up else before.fix
    board.put(replace(before, whole=whole, broken=stays, fix=fix, replaced=replaced))


def failed(board: Board, run: Run, now: float) -> None:
    """Record the commit of a run that did not pass as the broken version.

    Where it rolls out, the state of the version before is unknown; elsewhere a newer broken version stays.
    """
    before = board.version(run.service, run.step)
    if rolls_out(board.pipeline, run.step) or _ahead_of(board, before.broken, run) is None:
        board.put(replace(before, broken=Version(run.position, run.key, run.lane, now)))


def _ahead_of(board: Board, version: Version | None, run: Run) -> Version | None:
    """Return the version if its commit is on main, is another one, and contains that of the run; else None."""
    if version is None or version.position.sha == run.position.sha or off_main(board, run.service, version.position):
        return None
    return version if board.service(run.service).history.contains(version.position, run.position) else None


# -- questions about versions ----------------------------------------------------------------------------------


def ahead(board: Board, run: Run, step: Step) -> RunAhead | None:
    """Return the run that is or was in a stage and contains this run (True), or may contain it (None).

    This run must not enter then. An admitted run whose build has not begun does not count: see `inside`.
    """
    unproven: RunAhead | None = None
    for found in (*_running(board, run, step), *_left_there(board, run, step)):
        if found.contains:
            return found
        if found.contains is None:
            unproven = unproven or found
    return unproven


def inside(board: Board, run: Run, step: Step) -> Run | None:
    """Return another run of the same service that has a slot of the step: a stage rolls out one at a time."""
    return next((other for other in board.inside(step) if other.service == run.service and other.key != run.key), None)


def _running(board: Board, run: Run, step: Step) -> Iterator[RunAhead]:
    """Yield the runs of the same service whose build has begun in the stage."""
    for other in board.inside(step):
        begun = other.attempt.build is not None and other.status is not Status.ENDING
        if other.service == run.service and other.key != run.key and begun:
            yield RunAhead(other.key, other.position, _covers(board, other.position, other.key, run))


def _left_there(board: Board, run: Run, step: Step) -> Iterator[RunAhead]:
    """Yield the versions that builds have left in the stage."""
    version = board.version(run.service, step)
    for each in (version.broken, version.whole):
        if each is None:
            continue
        broken = each is version.broken
        if each.position.sha == run.position.sha and version.broken is not None:
            continue  # it will be rolled out again
        if off_main(board, run.service, each.position):
            yield from _forced_since(board, run)
        elif each.run != run.key:
            yield RunAhead(each.run, each.position, _covers(board, each.position, each.run, run), broken)


def _forced_since(board: Board, run: Run) -> Iterator[RunAhead]:
    """Yield the forced heads in place of a dropped version, while a run carries them."""
    state = board.service(run.service)
    for forced in state.forced_heads:
        live = [other for other in board.of_commit(run.service, forced.sha) if other.status is not Status.ENDING]
        if live and forced.sha != run.position.sha and not off_main(board, run.service, forced):
            yield RunAhead(live[-1].key, forced, state.history.contains(forced, run.position))


def covers(board: Board, version: Version, run: Run) -> bool | None:
    """Return whether a version in a stage makes the run needless; None: GitHub must be asked."""
    return version.run != run.key and _covers(board, version.position, version.run, run)


def _covers(board: Board, position: Position, key: str, run: Run) -> bool | None:
    """Return whether `position`, which the run `key` brought, contains the commit of `run`.

    A commit off main contains nothing any more. The same commit counts only while the other run is on the board: else
    the head of main might never be delivered, when main comes back to a commit that has passed once.
    """
    if position.sha == run.position.sha:
        return key in board.runs
    dropped = off_main(board, run.service, position)
    if dropped:
        return False
    contains = board.service(run.service).history.contains(position, run.position)
    return None if contains and dropped is None else contains


def opens(version: StageVersion) -> Version | None:
    """Return the version that may open locks of the stage: the present one, if it is whole (F9); else None."""
    return version.whole if version.broken is None and version.step.track is Track.REAL else None


def has_failed(board: Board, service: str, sha: str) -> bool:
    """Return whether a commit has failed in a step, and no live run of it may still pass."""
    going = (run.status not in (Status.FAILED, Status.ENDING) for run in board.of_commit(service, sha))
    broken = (version.broken for version in board.versions_of(service))
    return any(each is not None and each.position.sha == sha for each in broken) and not any(going)


def is_through(board: Board, service: str, sha: str) -> bool:
    """Return whether a commit is the whole version of the last stage: nothing is left to deliver."""
    last = board.version(service, Step(board.pipeline.stages[-1].name))
    return last.broken is None and last.whole is not None and last.whole.position.sha == sha
