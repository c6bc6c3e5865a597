"""The answers to commands at GitHub: short, bounded, and safe to show whoever they quote."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core import sentences
from bot.core.explain import why
from bot.core.markdown import code, plain
from bot.core.model.board import Board
from bot.core.model.events import Command, CommandAllowed
from bot.core.model.pipeline import Mode, Stage, Step
from bot.core.model.run import Run
from bot.core.model.stage_state import Lock

#: How many runs and locks one answer names.
NAMED = 5

#: No line of it begins as a command does: whoever reads it aloud must not be obeyed.
HELP = """what can be said, a command on a line of its own, three in a comment:

| command | does |
|---|---|
| `/interlock status` | says how the pipeline stands |
| `/interlock why` | says where this pull request's run is, and why |
| `/interlock retry [reason]` | repeats its failed build, without a new commit |
| `/interlock cancel [reason]` | takes its run out |
| `/interlock fast-lane [stage] [reason]` | sends the head of main on the fast lane, into `stage` even if it is locked |
| `/interlock lock <stage> <reason>` | closes a stage |
| `/interlock unlock <stage> <reason>` | opens the lock of a stage; of several give the key of one instead, or `--all` |
| `/interlock verify [commit]` | has the head of this pull request built; on a fork, name the commit, all 40 digits |
| `/interlock help` | says this |

The first two and the last are for everybody, the others for those who may write to this repository."""

_MODES = {
    Mode.RUN: "runs",
    Mode.PAUSE: "is paused: nothing is triggered",
    Mode.OBSERVE: "only observes: nothing is sent outside",
}


def not_understood(command: Command) -> str:
    """No such command; perhaps another was meant."""
    meant = f"did you mean `/interlock {command.meant}`?" if command.meant else "there is no such command."
    return f"Not understood: {meant} `/interlock help` names all there are."


def status(board: Board) -> str:
    """How the pipeline stands: its mode, each stage, its locks."""
    count = len(board.runs)
    head = f"**{board.pipeline.name}** {_MODES[board.header.mode]}; {count} live {'run' if count == 1 else 'runs'}."
    return "\n".join([head, "", *(row for stage in board.pipeline.stages for row in _stage(board, stage))])


def _stage(board: Board, stage: Stage) -> list[str]:
    step, locks = Step(stage.name), board.locks_of(stage.name)
    words = f"{len(board.inside(step))} inside, {board.queue_length(step)} waiting"
    rows = [f"- {stage.name}: {'**locked**, ' if locks else ''}{words}"]
    return rows + [_lock(lock) for lock in locks[:NAMED]] + _more(len(locks), "lock")


def _lock(lock: Lock) -> str:
    return f"  - {code(lock.key)}: {plain(lock.reason)}, by {plain(lock.by)} since {sentences.moment(lock.since)}"


def why_all(board: Board, runs: Sequence[Run], event: CommandAllowed, now: float) -> str:
    """Where the runs of a pull request stand, each with its reason."""
    if not runs:
        return f"{no_run(event)}."
    rows = [f"{run.key} ({sentences.name(run)}): {plain(why(board, run, now).sentence)}." for run in runs[-NAMED:]]
    return "\n".join(rows + _more(len(runs), "run"))


def _more(count: int, what: str) -> list[str]:
    more = count - NAMED
    return [f"  - and {more} more {what if more == 1 else what + 's'}"] if more > 0 else []


def no_run(event: CommandAllowed) -> str:
    """Nothing on the board belongs to the pull request, and what is known instead."""
    which = "this check" if event.said.comment is None else f"#{event.said.pull}"
    if event.past:
        return f"no run of {which} is live any more: {plain(event.past)}"
    if event.said.comment is not None and not event.merged:
        return f"{which} is not merged, so it has no run"
    return f"no run of {which} is on the board, nor among the latest that have ended"
