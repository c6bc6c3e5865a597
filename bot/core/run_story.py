"""Keeps what happened to a run with it, and updates the comment on its pull requests.

That others moved is no news for it, except that a fix has passed it: a long queue must not cost requests. The words are
made when the comment is written (`bot.reporting.run_report`).
"""

from __future__ import annotations

from dataclasses import replace

from bot.core.model.effects import Comment, FindPull
from bot.core.model.run import STORY, Happened, Run
from bot.core.rules.decision import Decision, News


def tell(decision: Decision) -> None:
    """Keep what happened to the runs of this decision with them, and have their pull requests told."""
    positions = {ended.run.key: position for position, ended in enumerate(decision.ended)}
    for key, news in decision.news.items():
        position = positions.get(key)
        run = decision.board.runs.get(key) if position is None else decision.ended[position].run
        if run is not None:
            told = _with_story(run, news, decision.now)
            if told is not run:
                _keep(decision, told, position)
            _tell(decision, told, news)


def _with_story(run: Run, news: News, now: float) -> Run:
    """The run with what happened to it."""
    if not news.what:
        return run
    story = (*run.story, *(Happened(now, what) for what in news.what))[-STORY:]
    return replace(run, story=story)


def _keep(decision: Decision, run: Run, position: int | None) -> None:
    """Store the story with the run: on the board, or in the history, at its place among those that have ended."""
    if position is None:
        decision.board.put(run)
    else:
        decision.ended[position] = replace(decision.ended[position], run=run)


def _tell(decision: Decision, run: Run, news: News) -> None:
    service = decision.board.pipeline.service(run.service)
    if service is None:
        return
    debounce = run.created + decision.limits.pull_told - decision.now
    if not run.merge.pulls and (run.key in decision.board.runs or debounce <= 0):
        return
    if not run.merge.pulls:  # it has ended before its pull request was told: that hears of it once it is known
        where = (run.service, service.repository, service.branch, run.sha)
        decision.do(FindPull(*where, debounce, run.key, began=run.created))
    for pull in run.merge.pulls:
        debounce = 0.0 if news.soon else decision.limits.comment_debounce
        decision.do(Comment(service.repository, pull, run.key, began=run.created, debounce=debounce))
