"""Finds runs by key, service, commit or pull request, and stages and services by name; a miss lists what there is."""

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

#: How many runs one question finds at most.
MOST = 50
#: How many of the latest finished runs are looked through.
LOOKED_THROUGH = 200

_SHA = re.compile(r"[0-9a-f]{4,40}")
_PULL = re.compile(r"#?([0-9]{1,9})")


def runs(board: Board, question: str) -> tuple[list[Run], bool]:
    """The live runs that `question` may mean, the longest there first, and whether there are more."""
    exact = board.runs.get(question)
    if exact is not None:
        return [exact], False
    heads = carriers(board, question)
    found = list(islice((run for run in board.runs.values() if _means(run, question, heads)), MOST + 1))
    found.sort(key=lambda run: (run.created, run.queue_number))
    return found[:MOST], len(found) > MOST


def verifications(board: Board, question: str) -> list[Verification]:
    """The verifications of pull requests on their way that `question` may mean: a key, a commit, a pull request."""
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
    """The number of the pull request that `question` may mean: `#12` or `12`."""
    found = _PULL.fullmatch(question)
    return None if found is None else int(found.group(1))


def finished(context: PipelineContext, board: Board, question: str) -> list[Ended]:
    """The finished runs that `question` may mean, the last to end first: any by its key, else of the latest few."""
    exact = context.records.ended_run(question)
    if exact is not None:
        return [exact]
    rows, _ = context.records.ended(0, LOOKED_THROUGH)
    heads = carriers(board, question)
    return [row for row in rows if _means(row.run, question, heads)][:MOST]


def carriers(board: Board, question: str) -> frozenset[str]:
    """The heads whose runs carry a commit whose sha begins so: it came to main together with one of them."""
    folded = question.casefold().strip()
    if _SHA.fullmatch(folded) is None:
        return frozenset()
    pushed = (each for state in board.services.values() for each in state.pushed)
    return frozenset(each.head for each in pushed if any(sha.startswith(folded) for sha in each.commits))


def _means(run: Run, question: str, heads: frozenset[str]) -> bool:
    """Whether a run may be meant. `heads`: those whose runs carry the commit that may be meant."""
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
    """The live run called `key`. Raises Problem: 409 with what became of it if it has ended, else 404."""
    found = board.runs.get(key)
    if found is not None:
        return found
    ended = context.records.ended_run(key)
    if ended is not None:
        raise Problem(409, f"{key} is not on the board any more: {ended.ending.end}, {words(ended.ending.why)}")
    raise no_run(board, key)


def no_run(board: Board, key: str) -> Problem:
    """404, with the names of the service's runs, or of some."""
    service = key.rpartition(".")[0]
    names = [r.key for r in board.of_service(service)] or list(islice(board.runs, MOST))
    return unknown("run", key, names)


def stage(pipeline: Pipeline, name: str) -> Stage:
    """The stage called `name`. Raises Problem (404)."""
    found = pipeline.stage(name)
    if found is None:
        raise unknown("stage", name, (s.name for s in pipeline.stages))
    return found


def service(pipeline: Pipeline, name: str) -> str:
    """The service called `name`. Raises Problem (404)."""
    if pipeline.service(name) is None:
        raise unknown("service", name, (s.name for s in pipeline.services))
    return name
