"""Where is my change: what a run's pull request is told, made of the run's state and what happened to it of late.

It is told when the run itself goes on, never because others moved: a queue costs no requests. Everything that may come
from strangers is made harmless here (`markdown`). The performer adds the link to the live page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bot.core import sentences
from bot.core.buttons import FAST_LANE, RETRY
from bot.core.explain import why
from bot.core.markdown import code, plain
from bot.core.model.board import Board
from bot.core.model.effects import Comment, Effect, FindPull, SetStatus
from bot.core.model.pipeline import FastLaneStart, Lane, Step, Track
from bot.core.model.run import End, Ending, Happened, Run, Status
from bot.core.rules import fast_lane, stage_versions
from bot.core.rules.decision import Decision, News
from bot.core.rules.runs import PULL_TOLD

#: How many of the last things that happened are told, and how many failing tests.
STORY, TESTS = 16, 20
#: The longest that one of them, or the name of a test, may be.
WORDS = 600
#: How long the news waits for more, in seconds: a run that goes on at once is told of once. Nobody waits for it, the
#: link leads to what is true now.
DEBOUNCE = 30.0


def tell(decision: Decision) -> None:
    """What the runs of this decision are told: on their pull requests, and with the check runs of their stages."""
    positions = {ended.run.key: position for position, ended in enumerate(decision.ended)}
    summaries = Summaries(decision.board, decision.now)
    for key, news in decision.news.items():
        position = positions.get(key)
        run = decision.board.runs.get(key) if position is None else decision.ended[position].run
        if run is not None:
            told = _with_story(run, news, decision.now)
            if told is not run:
                _keep(decision, told, position)
            _tell(decision, told, news, summaries)
    over = {ended.run.key: ended.run for ended in decision.ended}
    decision.effects = [_explained(decision, effect, over, summaries) for effect in decision.effects]


class Summaries:
    """The summary of each run that is told anything, worked out once: several statuses and comments show it.

    It follows from the board, which does not change any more but for the stories of the runs, and they are no part.
    """

    def __init__(self, board: Board, now: float) -> None:
        self._board, self._now = board, now
        self._found: dict[str, str] = {}

    def of(self, run: Run) -> str:
        """The summary of a run, live or ended."""
        if run.key not in self._found:
            self._found[run.key] = summary(self._board, run, self._now)
        return self._found[run.key]


def _with_story(run: Run, news: News, now: float) -> Run:
    """The run with what happened to it."""
    if not news.what:
        return run
    story = (*run.story, *(Happened(now, what[:WORDS]) for what in news.what))[-STORY:]
    return replace(run, story=story)


def _keep(decision: Decision, run: Run, position: int | None) -> None:
    """Store the story with the run: on the board, or in the history, at its place among those that have ended."""
    if position is None:
        decision.board.put(run)
    else:
        decision.ended[position] = replace(decision.ended[position], run=run)


def _tell(decision: Decision, run: Run, news: News, summaries: Summaries) -> None:
    service = decision.board.pipeline.service(run.service)
    if service is None:
        return
    debounce = run.created + PULL_TOLD - decision.now
    if not run.carries and (run.key in decision.board.runs or debounce <= 0):
        return
    text = comment(decision.board, run, summaries.of(run))
    if not run.carries:  # it has ended before its pull request was told: that hears of it once it is known
        where = (run.service, service.repository, service.branch, run.sha)
        decision.do(FindPull(*where, debounce, run.key, text, run.created))
    for pull in run.carries:
        decision.do(Comment(service.repository, pull, run.key, text, run.created, 0.0 if news.soon else DEBOUNCE))


def _explained(decision: Decision, effect: Effect, over: Mapping[str, Run], summaries: Summaries) -> Effect:
    if not isinstance(effect, SetStatus) or effect.run is None:
        return effect
    run = decision.board.runs.get(effect.run) or over.get(effect.run)
    if run is None:
        return effect
    return replace(effect, summary=summaries.of(run), buttons=buttons(decision.board, run))


# -- the text --------------------------------------------------------------------------------------------------


def comment(board: Board, run: Run, where: str) -> str:
    """The whole text; `where`: its summary, where the run is, what is to be done, its way, and what happened to it."""
    happened = [f"- {sentences.moment(each.at)}: {plain(each.what)}" for each in run.story]
    if len(happened) == STORY:
        happened[0] = f"- … (the last {STORY - 1} things that happened)"
    return "\n\n".join([where, _way(board, run), "\n".join(happened)]).rstrip()


def summary(board: Board, run: Run, now: float) -> str:
    """Where the run is and what is to be done; `run.ending` says how it ended, if it is not on the board any more."""
    gone = run.ending if run.key not in board.runs else None
    parts = [_headline(board, run, now, gone)]
    if run.status is Status.FAILED or (gone is not None and gone.end is End.FAILED):
        parts.append("\n".join(_broken(run)))
    parts.append(plain(_next(board, run, gone)))
    return "\n\n".join(part for part in parts if part)


def _headline(board: Board, run: Run, now: float, gone: Ending | None) -> str:
    """One sentence; the bold part says where."""
    who = plain(sentences.name(run))
    if gone is not None:
        return _ended(run, gone, who, now)
    fast = " on the fast lane" if run.lane is Lane.FAST and run.step.track is Track.REAL else ""
    step = plain(str(run.step))
    match run.status:
        case Status.WAITING:
            return f"**{who} waits for {step}{fast}.** {_capital(plain(why(board, run, now).sentence))}."
        case Status.STARTING:
            return f"**{who} is in {step}{fast}.**"
        case Status.RUNNING:
            until = f", until about {sentences.moment(run.expected)}" if run.expected is not None else ""
            return f"**{who} is in {step}{fast}**: build {run.build} runs{until}."
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
    return f"**{who} {how} {plain(str(run.step))}**: {plain(ending.why)}."


def _broken(run: Run) -> Iterator[str]:
    """What went wrong in the build: the step, and the tests one by one."""
    if run.failed_step:
        yield f"- step {code(run.failed_step[:WORDS])}"
    yield from (f"- {code(name[:WORDS])}" for name in run.failed_tests[:TESTS])
    if len(run.failed_tests) > TESTS:
        yield f"- and {len(run.failed_tests) - TESTS} more"


def _next(board: Board, run: Run, gone: Ending | None) -> str:
    """What people have to do, if anything."""
    if gone is not None:
        return "" if gone.end is End.DELIVERED else sentences.afterwards(gone)
    if run.status is not Status.FAILED:
        return ""
    stages = [lock.stage for lock in board.locks_held_by(run.service) if lock.run == run.key]
    by_itself = board.pipeline.fast_lane.start is not FastLaneStart.MANUAL
    return sentences.fix_wanted(stages, by_itself=by_itself) if stages else sentences.FIX_AGAIN


def _way(board: Board, run: Run) -> str:
    """All the steps of the run's way: passed, the present one, and those to come."""
    steps = fast_lane.route(board.pipeline, run.lane)
    return " → ".join(_step(board, run, step) for step in steps)


def _step(board: Board, run: Run, step: Step) -> str:
    name = plain(str(step))
    if _has_passed(board, run, step):
        return f"{name} ✓"
    failed = run.status is Status.FAILED or (run.ending is not None and run.ending.end is End.FAILED)
    return f"**{name}**{' ✗' if failed else ''}" if step == run.step else name


def _has_passed(board: Board, run: Run, step: Step) -> bool:
    """Before the stage where the fast lane rejoins, either job of a stage counts (F3)."""
    early = board.pipeline.index(step.stage) < board.pipeline.rejoins_at or step.track is Track.FAST
    return step in run.passed or (early and any(passed.stage == step.stage for passed in run.passed))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


# -- the buttons -----------------------------------------------------------------------------------------------


def buttons(board: Board, run: Run) -> tuple[str, ...]:
    """What may be pressed on the check run: to repeat the failed build, to send the head of main past everyone."""
    if run.key not in board.runs or run.status is not Status.FAILED:
        return ()
    return (RETRY.identifier, FAST_LANE.identifier) if _may_send_fast(board, run) else (RETRY.identifier,)


def _may_send_fast(board: Board, run: Run) -> bool:
    """Whether main has moved to a commit that has not failed, and nobody has sent it yet."""
    state = board.service(run.service)
    head = state.history.head
    if (
        head is None
        or stage_versions.has_failed(board, run.service, head.sha)
        or not fast_lane.is_open(board, run.service)
    ):
        return False
    return all(live.lane is Lane.MAIN for live in board.of_commit(run.service, head.sha))
