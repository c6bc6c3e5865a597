"""One run as evidence: attempts with their logs, decisions with their rules, waiting times, and carried merges.

The same values serve the page and the API. A verification has only some of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from bot.core.model.board import Board
from bot.core.model.pipeline import VERIFY, Pipeline
from bot.core.model.run import End, Run, Status, Verification, verified_pull
from bot.core.rules.decision import Ended
from bot.reporting import rules
from bot.reporting.attempts import PastAttempt, attempts, numbered
from bot.reporting.estimates import add_to_tiles
from bot.reporting.explain import why_of_verification
from bot.reporting.sentences import short
from bot.reporting.view import tile
from bot.runtime import PipelineContext, Runtime
from bot.statistics.parts import Cause, MeasuredRun
from bot.statistics.waiting import account_of
from bot.store.codec import RecordedFact
from bot.store.records import EndedRow
from bot.web import finding, shapes
from bot.web.drawing import Links
from bot.web.shapes import Shape

#: The most merges carried by a run that are named, and the most runs superseded by it.
CARRIED, SUPERSEDED = 50, 50
#: The most ended verifications that are named for one question.
VERIFICATIONS = 5
#: How often a run is described again because something was decided meanwhile; after that it is shown as it is.
TRIES = 3

Facts = Sequence[tuple[str, RecordedFact]]


def describe_run(here: Runtime, context: PipelineContext, key: str) -> Shape:
    """Return the place or the ending of a run or verification, and its evidence. Raises Problem (404).

    Board and facts are read one after the other, and again if something was decided in between, so that the place of
    the run does not contradict its attempts.
    """
    found: Shape = {}
    for _ in range(TRIES):
        with context.look() as replica:
            version, configured = replica.version, context.pipeline_of(replica.board)
            is_run = verified_pull(key) is None or key in replica.board.runs
        links = Links(here.configuration, configured)
        found = (_describe_run if is_run else _describe_verification)(context, configured, links, key)
        with context.look() as replica:
            if replica.version == version:
                break
    return found


def _describe_run(context: PipelineContext, configured: Pipeline, links: Links, key: str) -> Shape:
    statistics, rows, now = context.statistics.current(), context.records.index.rows(), time.time()
    ended = context.records.ended_run(key)
    with context.look() as replica:
        board = replica.board
        live = board.runs.get(key)
        if live is not None:
            run, shape = live, tile(board, live, now, position_of(board, live))
            add_to_tiles([shape], board, statistics, now)
        elif ended is not None:
            run, (shape,) = ended.run, ended_shapes(context, board, [ended])
        else:
            raise finding.no_run(board, key)
        own = [row for row in rows if row.service == run.service]
        carried = _carried(board, run, own)
        superseded = list(_superseded(board, run, own))
    facts = context.records.facts_of(key)
    return {
        "run": key,
        "state": "live" if live is not None else "ended",
        "tile": shape if live is not None else None,
        "ended": None if live is not None else shape,
        "verification": None,
        "facts": fact_shapes(facts),
        "attempts": _attempts(facts, run.attempt.number, configured, links),
        "waits": waits(account_of(statistics, now, key), now),
        "superseded_by": run.ending.by if run.ending is not None else None,
        "supersedes": superseded,
        "carries": _linked(carried, run, links),
    }


def position_of(board: Board, run: Run) -> int | None:
    """Return its place in the queue, from 1; None if it does not wait."""
    return board.ahead_of(run) + 1 if run.status is Status.WAITING else None


def ended_shapes(context: PipelineContext, board: Board, rows: Sequence[Ended]) -> list[Shape]:
    """Return ended runs; `newer`: the latest run of the service merged after it that is live or was delivered."""
    services = {row.run.service for row in rows}
    newest: dict[str, tuple[float, str]] = {}
    for known in context.records.index.rows() if rows else ():
        if known.service in services and known.end == End.DELIVERED:
            newest.setdefault(known.service, (known.created, known.run))
    for service in services:
        for live in board.of_service(service)[-1:]:
            newest[service] = (live.created, live.key)
    found = []
    for row in rows:
        created, key = newest.get(row.run.service, (0.0, None))
        found.append({**shapes.ended(row), "newer": key if created > row.run.created else None})
    return found


# -- decisions and attempts ----------------------------------------------------------------------------------------


def fact_shapes(facts: Facts) -> list[Shape]:
    """Return the facts of one run, oldest first, each with its rule."""
    found = rules.rules_of([recorded.fact for _, recorded in facts])
    return [{**shapes.fact(*row), **shapes.rule(rule)} for row, rule in zip(facts, found, strict=True)]


def _attempts(facts: Facts, last: int, configured: Pipeline, links: Links) -> list[Shape]:
    found = attempts((recorded.at, recorded.fact) for _, recorded in facts)
    return [_attempt(number, each, configured, links) for number, each in numbered(found, last)]


def _attempt(number: int, each: PastAttempt, configured: Pipeline, links: Links) -> Shape:
    """Return one attempt; `build_link` and `log_link` use the job that is configured for the step now."""
    job = configured.job(each.step.stage, each.step.track)
    return {
        "number": number,
        "stage": each.step.stage,
        "track": str(each.step.track),
        "outcome": each.outcome,
        "goes_on": each.goes_on,
        "failed": each.failed,
        "asked": each.asked,
        "started": each.started,
        "ended": each.ended,
        "seconds": each.seconds,
        "build": each.build,
        "build_link": links.build(job, each.build) if job is not None else None,
        "log_link": links.log(job, each.build),
        "tests": list(each.tests),
        "failed_step": each.failed_step,
        "why": each.why,
    }


# -- waiting -----------------------------------------------------------------------------------------------------


def waits(account: MeasuredRun | None, now: float) -> Shape | None:
    """Return the waiting times by cause and the building time of a run in seconds; None if not known.

    They run up to now, or to the end of the run.
    """
    if account is None:
        return None
    causes = [{"cause": str(cause), "seconds": account.waits.get(cause, 0.0)} for cause in Cause]
    return {
        "began": account.began,
        "until": account.ended or now,
        "causes": causes,
        "waited": sum(account.waits.values()),
        "built": account.built,
    }


# -- carried and replaced runs -----------------------------------------------------------------------------------------


def _superseded(board: Board, run: Run, rows: Sequence[EndedRow]) -> Iterator[Shape]:
    """Yield the runs that it replaced: first those still ending, then those that have ended, the last to end first."""
    leaving = [each for each in board.of_service(run.service) if each.ending is not None and each.ending.by == run.key]
    for each in leaving:
        yield {"run": each.key, "sha": each.sha, "short": short(each.sha), "title": each.merge.title}
    for row in [row for row in rows if row.by == run.key][:SUPERSEDED]:
        yield {"run": row.run, "sha": row.sha, "short": short(row.sha), "title": row.title}


def _carried(board: Board, run: Run, rows: Sequence[EndedRow]) -> Shape:
    """Return the merges of its service that the run contains and that were not delivered before it, its own first.

    `rows`: the ended runs of the service. In the result, `since` is the run that was delivered last before it, and
    `unknown` the number of merges for which containment is unknown.
    """
    earlier = [_of_live(each) for each in board.of_service(run.service) if each.created <= run.created]
    earlier += [_of_ended(row) for row in rows if row.created <= run.created]
    others = sorted((each for each in earlier if each["run"] != run.key), key=lambda each: -each["created"])
    found, unknown, since = [_of_live(run)], 0, None
    for each in others:
        contained = _contains(board, run, each)
        if each["state"] == End.DELIVERED and contained is not False:
            since = each
            break
        unknown += contained is None
        if contained:
            found.append(each)
    return {"since": since, "merges": found[:CARRIED], "count": len(found), "unknown": unknown}


def _contains(board: Board, run: Run, other: Shape) -> bool | None:
    history = board.service(run.service).history
    known = history.find(other["sha"])
    return True if other["by"] == run.key else history.contains(run.position, known) if known is not None else None


def _of_live(run: Run) -> Shape:
    state = str(run.ending.end if run.ending is not None else run.status)
    by = run.ending.by if run.ending is not None else None
    return _merge(run.key, run.sha, run.merge.title, run.merge.author, run.merge.pulls, run.created, state, by)


def _of_ended(row: EndedRow) -> Shape:
    return _merge(row.run, row.sha, row.title, row.author, row.pulls, row.created, row.end, row.by)


def _merge(
    run: str, sha: str, title: str, author: str, pulls: Sequence[int], created: float, state: str, by: str | None
) -> Shape:
    named = {"run": run, "sha": sha, "short": short(sha), "title": title, "author": author}
    return {**named, "pulls": list(pulls), "created": created, "state": state, "by": by}


def _linked(carried: Shape, run: Run, links: Links) -> Shape:
    """Return the carried merges with their links to GitHub."""
    for each in [*carried["merges"], *([carried["since"]] if carried["since"] else [])]:
        each["commit_link"] = links.commit(run.service, each["sha"])
        each["pull_links"] = [{"pull": pull, "link": links.pull(run.service, pull)} for pull in each["pulls"]]
    since = carried["since"]
    return {**carried, "compare": links.compare(run.service, since["sha"], run.sha) if since else None}


# -- verifications -------------------------------------------------------------------------------------------------


def _describe_verification(context: PipelineContext, configured: Pipeline, links: Links, key: str) -> Shape:
    facts = context.records.facts_of(key)
    with context.look() as replica:
        board, now = replica.board, time.time()
        live = board.verifications.get(key)
        shape = verification_shape(board, live, now) if live is not None else _ended_verification(key, facts)
        if shape is None:
            raise finding.no_run(board, key)
    last = live.attempt.number if live is not None else len(facts)
    found = attempts((recorded.at, recorded.fact) for _, recorded in facts)
    others = context.records.verified(shape["service"], shape["pull"])
    return {
        "run": key,
        "state": "live" if live is not None else "ended",
        "tile": None,
        "ended": None,
        "verification": {**shape, "others": [each for each in others if each != key]},
        "facts": fact_shapes(facts),
        "attempts": _attempts(facts, last if live is not None else len(found), configured, links),
        "waits": None,
        "superseded_by": None,
        "supersedes": [],
        "carries": None,
    }


def verification_shape(board: Board, live: Verification, now: float) -> Shape:
    """Return a live verification: its identity, its place, and the reason in words."""
    reason = why_of_verification(board, live, now)
    return {
        **_identity(live.key, live.service, live.pull, live.sha),
        "status": str(live.status),
        "build": live.attempt.build,
        "since": live.since,
        "why": str(reason.why),
        "reason": reason.sentence,
        **shapes.rule(rules.rule_of_reason(reason.why, fast=False)),
    }


def ended_verifications(context: PipelineContext, board: Board, question: str) -> list[Shape]:
    """Return the ended verifications that match `question`, a key or a pull request; the latest first."""
    pull = finding.pull_of(question)
    keys = [question] if pull is None else context.records.verified(None, pull)
    over = [key for key in keys if key not in board.verifications][:VERIFICATIONS]
    found = (_ended_verification(key, context.records.facts_of(key)) for key in over)
    return [each for each in found if each is not None]


def _ended_verification(key: str, facts: Facts) -> Shape | None:
    """Return an ended verification, as far as its facts are kept; None without any."""
    named, last = verified_pull(key), facts[-1][1] if facts else None
    if named is None or last is None:
        return None
    status = {"build-passed": "passed", "build-failed": "failed"}.get(str(last.fact.kind), "stopped")
    return {
        **_identity(key, *named, last.fact.sha or ""),
        "status": status,
        "build": last.fact.build,
        "since": last.at,
        "why": status,
        "reason": shapes.fact("", last)["why"],
        **shapes.rule(""),
    }


def _identity(key: str, service: str, pull: int, sha: str) -> dict[str, Any]:
    return {
        "run": key,
        "service": service,
        "pull": pull,
        "sha": sha,
        "short": short(sha),
        "stage": VERIFY.stage,
        "track": str(VERIFY.track),
    }
