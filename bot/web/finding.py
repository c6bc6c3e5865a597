"""Finds runs by key, service, commit or pull request, and stages and services by name.

If nothing is found, the error lists the valid names.
"""

from __future__ import annotations

import re
from itertools import islice

from bot.core.model.board import Board
from bot.core.model.pipeline import Pipeline, Stage
from bot.core.model.run import Run, Verification
from bot.core.rules.decision import Ended
from bot.reporting.messages import words
from bot.runtime import PipelineContext
from bot.web.problems import Problem, unknown

#: The most runs that one question finds.
MOST = 50
#: How many of the latest ended runs are searched.
LOOKED_THROUGH = 200

_SHA = re.compile(r"[0-9a-f]{4,40}")
_PULL = re.compile(r"#?([0-9]{1,9})")


def runs(board: Board, question: str) -> tuple[list[Run], bool]:
    """Return the live runs that match `question`, the oldest first, and whether there are more."""
    exact = board.runs.get(question)
    if exact is not None:
        return [exact], False
    heads = carriers(board, question)
    found = list(islice((run for run in board.runs.values() if _matches(run, question, heads)), MOST + 1))
    found.sort(key=lambda run: (run.created, run.queue_number))
    return found[:MOST], len(found) > MOST


def verifications(board: Board, question: str) -> list[Verification]:
    """Return the live verifications that match `question`: a key, a commit, a pull request."""
    folded, pull = question.casefold(), _PULL.fullmatch(question)
    found = (
        each
        for each in board.verifications.values()
        if each.key.casefold() == folded
        or (_SHA.fullmatch(folded) is not None and each.sha.startswith(folded))
        or (pull is not None and int(pull.group(1)) == each.pull)
    )
    return sorted(islice(found, MOST), key=lambda each: (each.created, each.queue_number))


def pull_of(question: str) -> int | None:
    """Return the number of the pull request in `question`, `#12` or `12`, or None."""
    found = _PULL.fullmatch(question)
    return None if found is None else int(found.group(1))


def finished(context: PipelineContext, board: Board, question: str) -> list[Ended]:
    """Return the ended runs that match `question`, the last to end first: any by its key, else of the latest few."""
    exact = context.records.ended_run(question)
    if exact is not None:
        return [exact]
    rows, _ = context.records.ended(0, LOOKED_THROUGH)
    heads = carriers(board, question)
    return [row for row in rows if _matches(row.run, question, heads)][:MOST]


def carriers(board: Board, question: str) -> frozenset[str]:
    """Return the heads whose runs carry a commit with this beginning of a sha.

    Such a commit came to main together with one of the heads.
    """
    folded = question.casefold().strip()
    if _SHA.fullmatch(folded) is None:
        return frozenset()
    pushed = (each for state in board.services.values() for each in state.pushed)
    return frozenset(each.head for each in pushed if any(sha.startswith(folded) for sha in each.commits))


def _matches(run: Run, question: str, heads: frozenset[str]) -> bool:
    """Return whether a run matches. `heads`: the commits whose runs carry the commit in question."""
    folded = question.casefold()
    pull = _PULL.fullmatch(question)
    return (
        run.key.casefold() == folded
        or run.service.casefold() == folded
        or (_SHA.fullmatch(folded) is not None and run.position.sha.startswith(folded))
        or run.position.sha in heads
        or (pull is not None and int(pull.group(1)) in run.merge.pulls)
    )


def run(context: PipelineContext, board: Board, key: str) -> Run:
    """Return the live run called `key`. Raises Problem: 409 with its ending if it has ended, else 404."""
    found = board.runs.get(key)
    if found is not None:
        return found
    ended = context.records.ended_run(key)
    if ended is not None:
        raise Problem(409, f"{key} is not on the board any more: {ended.ending.end}, {words(ended.ending.why)}")
    raise no_run(board, key)


def no_run(board: Board, key: str) -> Problem:
    """Return a 404 with the names of the service's runs, or of some runs."""
    service = key.rpartition(".")[0]
    names = [r.key for r in board.of_service(service)] or list(islice(board.runs, MOST))
    return unknown("run", key, names)


def stage(pipeline: Pipeline, name: str) -> Stage:
    """Return the stage called `name`. Raises Problem (404)."""
    found = pipeline.stage(name)
    if found is None:
        raise unknown("stage", name, (s.name for s in pipeline.stages))
    return found


def service(pipeline: Pipeline, name: str) -> str:
    """Return the name of the service called `name`. Raises Problem (404)."""
    if pipeline.service(name) is None:
        raise unknown("service", name, (s.name for s in pipeline.services))
    return name
