"""The comment on a run's pull request, and the summary and buttons of its check runs.

They are rendered when they are written, from the board at that time. Text of unknown origin is escaped here
(`markdown`). The performer adds the link to the live page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core.model.board import Board
from bot.core.model.pipeline import FastLaneStart, Lane, Step, Track
from bot.core.model.run import STORY, End, Ending, Run, Status
from bot.forecast.forecast import RunForecast
from bot.reporting import sentences
from bot.reporting.estimates import expected_then
from bot.reporting.explain import may_send_fast, way, why
from bot.reporting.markdown import code, plain
from bot.reporting.messages import words

#: The reason why a run waits changes without an event of the run, so a text that stays until the next one must not
#: contain the reason.
WHY = "The page below shows the present reason; so does a comment with `/interlock why`."
#: The most failing tests that are named.
TESTS = 20
#: The longest text of one event, step or test, in characters.
WORDS = 600


def comment(board: Board, run: Run, now: float, expected: str = "", log: str = "") -> str:
    """Return the whole comment: the summary, the run's way, and its story. `now`: when it ended, if it has.

    `expected`: the estimated entry into its step, from `bot.reporting.estimates`. `log`: the address of its build's
    log.
    """
    happened = [f"- {sentences.moment(each.at)}: {plain(words(each.what)[:WORDS])}" for each in run.story]
    if len(happened) == STORY:
        happened[0] = f"- … (the last {STORY - 1} events)"
    return "\n\n".join([summary(board, run, now, expected, log), _way(board, run), "\n".join(happened)]).rstrip()


def waiting_comment(board: Board, run: Run, now: float, forecast: RunForecast) -> str:
    """Return the comment on a run that has waited for long, as of `now`.

    It is not updated until the run fails or ends, so every statement in it refers to the time of writing.
    """
    who, step, minutes = plain(sentences.name(run)), plain(str(run.step)), round((now - run.queued) / 60)
    written = f"when this was written, {sentences.moment(now)}"
    known = [
        f"**{who} had waited {minutes} min for {step} {written}.**",
        f"- What it waited for: {plain(why(board, run, now).sentence)}",
        f"- When it was expected to enter: {plain(expected_then(forecast, now))}",
    ]
    kept = "This comment changes when the run fails or ends, or has waited so long again."
    return "\n\n".join([known[0], "\n".join(known[1:]), _way(board, run), kept])


def summary(board: Board, run: Run, now: float, expected: str = "", log: str = "") -> str:
    """Return where the run is and what to do.

    `run.ending` has the ending of a run that is not on the board any more.
    """
    gone = run.ending if run.key not in board.runs else None
    parts = [_headline(board, run, now, gone)]
    if _has_failed(run, gone):
        parts.append("\n".join(_failure_details(run, log)))
    parts += [plain(_what_to_do(board, run, gone)), plain(expected)]
    return "\n\n".join(part for part in parts if part)


def buttons(board: Board, run: Run) -> tuple[Button, ...]:
    """Return the buttons of the check run: to retry the failed build, and to send the head of main on the fast lane."""
    if run.key not in board.runs or run.status is not Status.FAILED:
        return ()
    return (RETRY, FAST_LANE) if may_send_fast(board, run) else (RETRY,)


def _headline(board: Board, run: Run, now: float, gone: Ending | None) -> str:
    """Return one sentence with the place of the run in bold."""
    who = plain(sentences.name(run))
    if gone is not None:
        return _ended(run, gone, who, now)
    fast = " on the fast lane" if run.lane is Lane.FAST and run.step.track is Track.REAL else ""
    step = plain(str(run.step))
    match run.status:
        case Status.WAITING:
            return f"**{who} waits for {step}{fast}.** {WHY}"
        case Status.STARTING:
            return f"**{who} is in {step}{fast}.**"
        case Status.RUNNING:
            until = (
                f", until about {sentences.moment(run.attempt.expected)}" if run.attempt.expected is not None else ""
            )
            return f"**{who} is in {step}{fast}**: build {run.attempt.build} runs{until}."
        case Status.FAILED:
            return f"**{who} has failed in {step}.**"
        case Status.RECALLED:
            return f"**{who} is called back from {step}**, before its build has started."
        case Status.ENDING:
            return f"**{who} leaves {step}.** {_capital(plain(why(board, run, now).sentence))}."


def _ended(run: Run, ending: Ending, who: str, now: float) -> str:
    if ending.end is End.DELIVERED:
        return f"**{who} is in {plain(str(run.step))}** since {sentences.moment(now)}."
    how = {
        End.FAILED: "has failed in",
        End.SUPERSEDED: "has been superseded in",
        End.CANCELLED: "has been taken out of",
        End.DROPPED: "has been dropped from",
    }[ending.end]
    return f"**{who} {how} {plain(str(run.step))}**: {plain(words(ending.why))}."


def _has_failed(run: Run, gone: Ending | None) -> bool:
    return run.status is Status.FAILED or (gone is not None and gone.end is End.FAILED)


def _failure_details(run: Run, log: str) -> Iterator[str]:
    """Yield the details of the failed build: its log, the step, and the tests."""
    if log:
        yield f"- [log of build {run.attempt.build}]({log})"
    if run.attempt.failed_step:
        yield f"- step {code(run.attempt.failed_step[:WORDS])}"
    yield from (f"- {code(name[:WORDS])}" for name in run.attempt.failed_tests[:TESTS])
    if len(run.attempt.failed_tests) > TESTS:
        yield f"- and {len(run.attempt.failed_tests) - TESTS} more"


def _what_to_do(board: Board, run: Run, gone: Ending | None) -> str:
    """Return what people have to do, if anything."""
    if gone is not None:
        return "" if gone.end is End.DELIVERED else _after_ending(gone)
    if run.status is not Status.FAILED:
        return ""
    stages = [lock.stage for lock in board.locks_held_by(run.service) if lock.run == run.key]
    by_itself = board.pipeline.fast_lane.start is not FastLaneStart.MANUAL
    return _fix_wanted(stages, by_itself=by_itself) if stages else FIX_AGAIN


def _after_ending(ending: Ending) -> str:
    """Return what to do after a run has ended without being delivered."""
    match ending.end:
        case End.FAILED:
            return "Merge a fix to start a new run."
        case End.SUPERSEDED if ending.by is not None:
            return f"Nothing to do: {ending.by} carries it on."
        case End.DROPPED:
            return "If that was not meant, merge it again."
        case _:
            return "Merge again to start a new run."


def _fix_wanted(stages: Iterable[str], *, by_itself: bool) -> str:
    """Return what to do about a run that holds locks."""
    lane = "it takes the fast lane past everyone" if by_itself else "then ask for the fast lane"
    return (
        f"Nobody passes {' and '.join(stages)} until it is fixed: merge the fix, {lane}. "
        f"If the environment was at fault, retry: that repeats the build without a commit."
    )


FIX_AGAIN = "Merge another fix, or retry this one: that repeats its build without a commit."


def _way(board: Board, run: Run) -> str:
    """Return all steps of the run's way: those passed, the present one, and those to come."""
    failed = _has_failed(run, run.ending)
    return " → ".join(_step(run, step, passed=passed, failed=failed) for step, passed in way(board, run))


def _step(run: Run, step: Step, *, passed: bool, failed: bool) -> str:
    name = plain(str(step))
    if passed:
        return f"{name} ✓"
    return f"**{name}**{' ✗' if failed else ''}" if step == run.step else name


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


@dataclass(frozen=True, slots=True)
class Button:
    """A button of a check run.

    GitHub accepts at most 20, 20 and 40 characters (GitHub docs: check runs, `actions`).
    """

    identifier: str
    label: str
    description: str


RETRY = Button("retry", "Retry", "Repeat the build, without a new commit")
FAST_LANE = Button("fast-lane", "Fast lane", "Send the head of main past everyone")
#: By identifier, which `requested_action` of the event `check_run` contains.
BUTTONS = {button.identifier: button for button in (RETRY, FAST_LANE)}


def external_id(pipeline: str, run: str) -> str:
    """Return the external id by which a check run is recognized."""
    return f"{pipeline}/{run}"


def run_of(external_id: str) -> tuple[str, str] | None:
    """Return the pipeline and run of a check run's external id; None if it is not one of ours."""
    pipeline, separator, run = external_id.partition("/")
    return (pipeline, run) if separator and pipeline and run else None
