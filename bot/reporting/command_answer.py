"""The comment that answers commands on a pull request: short, bounded, and safe to show whatever it quotes.

Questions about the pipeline or a run are answered when the comment is written, from the board at that time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.core.model.board import Board
from bot.core.model.effects import Answer, CommandReply
from bot.core.model.github_messages import HelpAsked, NotAllowed, NotUnderstood, StatusAsked, WhyAsked
from bot.core.model.messages import Message
from bot.core.model.pipeline import Mode, Stage, Step
from bot.core.model.refusals import Refusal, SeveralLocks
from bot.core.model.stage_state import Lock
from bot.reporting import sentences
from bot.reporting.explain import why
from bot.reporting.markdown import code, plain
from bot.reporting.messages import words

#: The most runs or locks that one answer names.
NAMED = 5

#: No line of the help begins like a command, so that a quoted help text is not obeyed.
HELP = """the commands, each on a line of its own, at most three in a comment:

| command | does |
|---|---|
| `/interlock status` | shows the state of the pipeline |
| `/interlock why` | shows where this pull request's run is, and why |
| `/interlock retry [reason]` | repeats its failed build, without a new commit |
| `/interlock cancel [reason]` | takes its run out |
| `/interlock fast-lane [stage] [reason]` | sends the head of main on the fast lane, into `stage` even if it is locked |
| `/interlock move [reason]` | puts its waiting run at the front of the queue |
| `/interlock let-through [reason]` | lets its run into stages that are frozen, where the freeze allows that |
| `/interlock watch [stage]` | tells you here when the stage opens, once; without one: the stage its run waits for |
| `/interlock lock <stage> [--until <time>] [--let-fixes-in] <reason>` | closes a stage; `16:00` (UTC) or `2h` ends it |
| `/interlock unlock <stage> [<lock> or --all] <reason>` | opens the lock of a stage; of several the one that is named |
| `/interlock verify [commit]` | verifies the head of this pull request; on a fork, name the commit, all 40 digits |
| `/interlock help` | shows this list |

The first two and the last are for everybody, the others need a role in the pipeline."""

_MODES = {
    Mode.RUN: "runs",
    Mode.PAUSE: "is paused: nothing is triggered",
    Mode.OBSERVE: "only observes: nothing is sent outside",
}


def answer(effect: Answer, board: Board, now: float) -> str:
    """Return one Markdown comment that answers all commands of a comment. `now`: seconds since the epoch."""
    replies = [(reply.command, _reply(reply, board, now)) for reply in effect.replies]
    rows = [f"`{command}`: {text}" if command else text for command, text in replies]
    if effect.more:
        left = "1 more was" if effect.more == 1 else f"{effect.more} more were"
        rows.append(f"Three commands of a comment count: {left} left out.")
    return "\n\n".join(rows)


def _reply(reply: CommandReply, board: Board, now: float) -> str:
    match reply.outcome:
        case "said":
            return _answer_question(reply.text, board, now)
        case "done":
            return f"{plain(words(reply.text))}."
        case "not-done" if isinstance(reply.text, SeveralLocks):
            return "\n".join(_lock_choices(reply.text))
        case "not-done":
            return f"not done: {_why_refused(reply.text)}."


def _answer_question(asked: Message, board: Board, now: float) -> str:
    match asked:
        case HelpAsked():
            return HELP
        case StatusAsked():
            return _status(board)
        case WhyAsked():
            return _why_all(board, asked.runs, now)
        case NotUnderstood():
            return _not_understood(asked)
        case Refusal():
            return f"{_why_refused(asked)}."
        case _:
            return words(asked)


def _why_refused(why_not: Message) -> str:
    """Return the reason for a refusal, in Markdown.

    A refusal quotes people in `told` only; the rest may contain code spans with commands to write.
    """
    if isinstance(why_not, Refusal):
        return words(replace(why_not, told=plain(why_not.told)))
    if isinstance(why_not, NotAllowed):
        return why_not.why
    return plain(words(why_not))


def _lock_choices(of: SeveralLocks) -> Iterator[str]:
    """Yield the lines that tell which command opens each of the locks, and all of them."""
    yield f"not done: {of.stage} has {len(of.locks)} locks. Name the one to open:\n"
    for lock in of.locks[:NAMED]:
        yield f"- {code(f'/interlock unlock {of.stage} {lock.key} <reason>')}: {_cause(lock)}"
    yield from _rest(len(of.locks), "lock")
    yield f"- {code(f'/interlock unlock {of.stage} --all <reason>')}: all of them"


def _not_understood(of: NotUnderstood) -> str:
    meant = f"did you mean `/interlock {of.meant}`?" if of.meant else "there is no such command."
    return f"Not understood: {meant} `/interlock help` names all there are."


def _status(board: Board) -> str:
    """Return the state of the pipeline: its mode, each stage, its locks."""
    count = len(board.runs)
    head = f"**{board.pipeline.name}** {_MODES[board.header.mode]}; {count} live {'run' if count == 1 else 'runs'}."
    return "\n".join([head, "", *(row for stage in board.pipeline.stages for row in _stage(board, stage))])


def _stage(board: Board, stage: Stage) -> list[str]:
    step, locks = Step(stage.name), board.locks_of(stage.name)
    words = f"{len(board.inside(step))} inside, {board.queue_length(step)} waiting"
    rows = [f"- {stage.name}: {'**locked**, ' if locks else ''}{words}"]
    return rows + [_lock(lock) for lock in locks[:NAMED]] + _rest(len(locks), "lock")


def _lock(lock: Lock) -> str:
    return f"  - {code(lock.key)}: {_cause(lock)}"


def _cause(lock: Lock) -> str:
    return f"{plain(words(lock.reason))}, by {plain(lock.by)} since {sentences.moment(lock.since)}"


def _why_all(board: Board, keys: Sequence[str], now: float) -> str:
    """Return where the runs of a pull request are, each with its reason. A run may have ended since the question."""
    return "\n".join([_why(board, key, now) for key in keys[-NAMED:]] + _rest(len(keys), "run"))


def _why(board: Board, key: str, now: float) -> str:
    run = board.runs.get(key)
    if run is None:
        return f"{key} has ended."
    return f"{run.key} ({sentences.name(run)}): {plain(why(board, run, now).sentence)}."


def _rest(count: int, what: str) -> list[str]:
    more = count - NAMED
    return [f"  - and {more} more {what if more == 1 else what + 's'}"] if more > 0 else []
