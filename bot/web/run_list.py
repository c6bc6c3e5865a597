"""Lists of live and ended runs with filters, in memory and in pages; and a search."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bot.core.model.board import Board
from bot.core.model.run import End, Run, Status, Verification
from bot.reporting.estimates import add_to_tiles
from bot.reporting.versions import SHORT
from bot.reporting.view import tile
from bot.runtime import PipelineContext
from bot.store.records import EndedRow
from bot.web import shapes
from bot.web.api_operation import LONGEST, ListFilter, one_of, text
from bot.web.evidence import ended_verifications
from bot.web.finding import carriers
from bot.web.problems import Problem, unknown_value
from bot.web.shapes import Shape

#: The default number of runs on one page.
PAGE = 50
#: The most of a person's own waiting runs that are shown above the board.
OWN = 5
#: The values of a filter's state: all live runs, all ended ones, or one particular state.
STATES = ("live", "ended", *map(str, Status), *(str(end) for end in End if end != "failed"))

_SHA = re.compile(r"[0-9a-f]{4,40}")
_PULL = re.compile(r"#?([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class RunFilter(ListFilter):
    """A filter of runs; an empty field matches everything. Names are compared without regard to case."""

    q: str = text("A service, a run, the beginning of a sha, #12, an author, or words of a title.")
    service: str = text("Runs of this service.")
    state: str = one_of(STATES, "Runs in this state.")
    stage: str = text("Runs that are in this stage, wait for it, or ended there.")
    lane: str = text("Runs on this lane.")
    author: str = text("Runs of this author.")

    def check(self) -> None:
        """Raise Problem (400) if the state is unknown."""
        if self.state and self.state not in STATES:
            raise unknown_value("state", self.state, STATES)


@dataclass(frozen=True, slots=True)
class _Known:
    """The values by which live and ended runs are found."""

    run: str
    service: str
    sha: str
    title: str
    author: str
    pulls: tuple[int, ...]
    lane: str
    stage: str
    states: tuple[str, ...]


def list_runs(context: PipelineContext, wanted: RunFilter, offset: int = 0, limit: int = PAGE) -> Shape:
    """Return a page of the matching runs: first the live ones, then the ended ones, each newest first.

    Runs that wait for one stage are in the order in which they will enter it.
    """
    now, statistics = time.time(), context.statistics.current()
    with context.look() as replica:
        board = replica.board
        fits = matcher(wanted, carriers(board, wanted.q))
        live = [run for run in board.runs.values() if not wanted.query or fits(_of_live(run))]
        in_line = wanted.state == Status.WAITING and bool(wanted.stage)
        live.sort(key=_queue_order(board) if in_line else lambda run: (-run.created, -run.queue_number))
        tiles = [_live_shape(board, run, now) for run in live[offset : offset + limit]]
        rows = add_to_tiles(tiles, board, statistics, now)
    ended = [row for row in context.records.index.rows() if fits(_of_ended(row))]
    first = max(0, offset - len(live))
    page = ended[first : first + limit - len(rows)]
    kept = context.records.ended_runs([row.run for row in page])
    rows += [_ended_shape(shapes.ended(kept[row.run])) for row in page if row.run in kept]
    total = len(live) + len(ended)
    following = offset + limit if offset + limit < total else None
    return {"runs": rows, "live": len(live), "ended": len(ended), "total": total, "next": following}


def waiting_of(context: PipelineContext, author: str, most: int = OWN) -> Shape:
    """Return the waiting runs of one author: `total`, and in `runs` the first `most` of them to enter."""
    folded, now, statistics = author.casefold(), time.time(), context.statistics.current()
    with context.look() as replica:
        board = replica.board
        runs = board.runs.values()
        own = [run for run in runs if run.status is Status.WAITING and run.merge.author.casefold() == folded]
        own.sort(key=_queue_order(board))
        tiles = [_live_shape(board, run, now) for run in own[:most]]
        return {"runs": add_to_tiles(tiles, board, statistics, now), "total": len(own)}


def matcher(wanted: RunFilter, heads: frozenset[str] = frozenset()) -> Callable[[_Known], bool]:
    """Return a check whether a run matches. `heads`: the commits whose runs carry the commit in question."""
    tests: list[Callable[[_Known], bool]] = []
    if wanted.service:
        tests.append(_same("service", wanted.service))
    if wanted.stage:
        tests.append(_same("stage", wanted.stage))
    if wanted.lane:
        tests.append(_same("lane", wanted.lane))
    if wanted.author:
        tests.append(_same("author", wanted.author))
    if wanted.state:
        tests.append(lambda known: wanted.state in known.states)
    if wanted.q:
        tests.append(means(wanted.q, heads))
    return lambda known: all(test(known) for test in tests)


def means(question: str, heads: frozenset[str] = frozenset()) -> Callable[[_Known], bool]:
    """Return a check whether a run matches a question.

    It matches by its key, service, pull request or author, by its sha or that of a commit that it carries (then its own
    is one of `heads`), or by all words of its title.
    """
    folded = question.casefold().strip()
    pull, sha = _PULL.fullmatch(folded), _SHA.fullmatch(folded)
    words = folded.split()

    def found(known: _Known) -> bool:
        if known.run.casefold() == folded or known.service.casefold() == folded or known.author.casefold() == folded:
            return True
        if sha is not None and (known.sha.startswith(folded) or known.sha in heads):
            return True
        if pull is not None:
            return int(pull[1]) in known.pulls
        text = f"{known.service} {known.title} {known.author}".casefold()
        return all(word in text for word in words)

    return found


def _same(name: str, wanted: str) -> Callable[[_Known], bool]:
    folded = wanted.casefold()
    return lambda known: getattr(known, name).casefold() == folded


def _queue_order(board: Board) -> Callable[[Run], tuple[bool, int]]:
    return lambda run: (run.step.track != "real", board.ahead_of(run))


def _of_live(run: Run) -> _Known:
    merge = run.merge
    pulls = merge.pulls or ((merge.pull,) if merge.pull is not None else ())
    states = ("live", str(run.status))
    return _Known(
        run.key, run.service, run.sha, merge.title, merge.author, pulls, str(run.lane), run.step.stage, states
    )


def _of_ended(row: EndedRow) -> _Known:
    states = ("ended", row.end)
    return _Known(row.run, row.service, row.sha, row.title, row.author, row.pulls, row.lane, row.stage, states)


def _live_shape(board: Board, run: Run, now: float) -> Shape:
    position = board.ahead_of(run) + 1 if run.status is Status.WAITING else None
    return {**tile(board, run, now, position), "state": str(run.status), "live": True, "at": run.since}


def _ended_shape(shape: Shape) -> Shape:
    return {**shape, "state": shape["end"], "live": False}


def services_like(names: Iterable[str], question: str) -> list[str]:
    """Return the services whose name begins with the question or contains it; only the exact one if there is one."""
    folded = question.casefold().strip()
    found = [name for name in names if folded in name.casefold()]
    exact = [name for name in found if name.casefold() == folded]
    return exact or sorted(found, key=lambda name: (not name.casefold().startswith(folded), name))


# -- the search in all pipelines ---------------------------------------------------------------------------------------

#: The most runs, services, and pull requests that are shown of one pipeline.
RUNS_FOUND, SERVICES_FOUND, PULLS_FOUND = 20, 10, 10


def find(contexts: Iterable[PipelineContext], question: str) -> Shape:
    """Return the services, verified pull requests and runs that match `question`, by pipeline.

    Raises Problem (400).
    """
    asked = question.strip()
    if not asked or len(asked) > LONGEST:
        raise Problem(400, "find with q=: a service, a run, the beginning of a sha, #12, an author, words of a title")
    found = [_in_pipeline(context, asked) for context in contexts]
    return {"q": asked, "pipelines": [each for each in found if each["services"] or each["total"] or each["pulls"]]}


def _in_pipeline(context: PipelineContext, question: str) -> Shape:
    with context.look() as replica:
        board = replica.board
        services = [service.name for service in context.pipeline_of(board).services]
        pulls = [_pull(each) for each in board.verifications.values() if _matches(each, question)]
        pulls += [{name: each[name] for name in _OF_A_PULL} for each in ended_verifications(context, board, question)]
    found = list_runs(context, RunFilter(q=question), 0, RUNS_FOUND)
    return {
        "pipeline": context.pipeline.name,
        "services": services_like(services, question)[:SERVICES_FOUND],
        "pulls": pulls[:PULLS_FOUND],
        "runs": found["runs"],
        "total": found["total"],
    }


_OF_A_PULL = ("run", "service", "pull", "sha", "short", "status")


def _matches(verification: Verification, question: str) -> bool:
    """Return whether a live verification matches by its pull request, its head or its service."""
    folded = question.casefold()
    pull, sha = _PULL.fullmatch(folded), _SHA.fullmatch(folded)
    if sha is not None and verification.sha.startswith(folded):
        return True
    return folded == verification.service.casefold() or (pull is not None and int(pull[1]) == verification.pull)


def _pull(verification: Verification) -> Shape:
    return {
        "run": verification.key,
        "service": verification.service,
        "pull": verification.pull,
        "sha": verification.sha,
        "short": verification.sha[:SHORT],
        "status": str(verification.status),
    }


def only_hit(found: Shape) -> str | None:
    """Return the page of the result if there is only one: a service by its name, or a single run."""
    if len(found["pipelines"]) != 1:
        return None
    (one,) = found["pipelines"]
    folded = found["q"].casefold()
    base = f"/p/{one['pipeline']}"
    if [name.casefold() for name in one["services"]] == [folded]:
        return f"{base}/services/{one['services'][0]}"
    runs = [run["run"] for run in one["runs"]]
    exact = [run for run in runs if run.casefold() == folded]
    if exact or (one["total"] == 1 and not one["services"] and not one["pulls"]):
        return f"{base}/runs/{(exact or runs)[0]}"
    return None
