"""The lock reports of one pipeline: made from the log, and kept as long as the history of runs.

A worker stores the report of each lock that has opened (`keep`). For a lock that still stands, or whose report is not
stored yet, `find` makes the report from the log at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from pydantic import TypeAdapter

from bot.core.model.facts import Fact, FactKind
from bot.reporting.lock_report import LockReport, markdown, report
from bot.runtime import PipelineContext, Runtime
from bot.statistics.parts import LockAccount
from bot.statistics.statistics import Statistics, cost_so_far

#: The most facts that one report is made of, so that a lock that stood for weeks does not cost minutes.
MOST = 50_000
_REPORT: TypeAdapter[LockReport] = TypeAdapter(LockReport)


def keep(context: PipelineContext, statistics: Statistics, kept: int) -> None:
    """Store the report of each lock that has opened, and delete the reports of the oldest locks beyond `kept`."""
    keys, redis = context.keys, context.redis
    for key, account in [(key, part) for key, part in statistics.of("account") if isinstance(part, LockAccount)]:
        made = report(key, _facts(context, key, account.since), account, MOST)
        if made is not None:
            with redis.pipeline() as pipe:
                pipe.hset(keys.lock_reports, key, _REPORT.dump_json(made))
                pipe.zadd(keys.lock_reports_order, {key: account.opened})
                pipe.execute()
        statistics.drop(f"account/{key}")
    surplus = int(redis.zcard(keys.lock_reports_order)) - kept
    if surplus > 0:
        gone = cast("list[tuple[bytes, float]]", redis.zpopmin(keys.lock_reports_order, surplus))
        redis.hdel(keys.lock_reports, *(key for key, _ in gone))


def find(context: PipelineContext, key: str) -> LockReport | None:
    """Return the report of a lock, open or standing; None if nothing (or nothing any more) is known of the lock."""
    stored = cast("bytes | None", context.redis.hget(context.keys.lock_reports, key))
    if stored is not None:
        return _REPORT.validate_json(stored)
    account = _account(context, key)
    return None if account is None else report(key, _facts(context, key, account.since), account, MOST)


def last(context: PipelineContext, limit: int) -> list[LockReport]:
    """Return the reports of the locks that opened last, newest first."""
    keys: Any = context.redis.zrevrange(context.keys.lock_reports_order, 0, limit - 1)
    rows = cast("list[bytes | None]", context.redis.hmget(context.keys.lock_reports, keys)) if keys else []
    return [_REPORT.validate_json(row) for row in rows if row is not None]


def text(runtime: Runtime, context: PipelineContext, found: LockReport) -> str:
    """Return the report as Markdown, with its links."""
    with context.look() as replica:
        stage = context.pipeline_of(replica.board).stage(found.stage)
    log = runtime.log_of(stage.job if stage is not None else None, found.build)
    return markdown(found, time.time(), f"{runtime.page_of(context.pipeline.name)}/runs/", log)


def _account(context: PipelineContext, key: str) -> LockAccount | None:
    """Return the account of a lock: the final one, or the one so far if the lock still stands."""
    statistics, now = context.statistics.current(), time.time()
    part = statistics.parts.get(f"account/{key}")
    if isinstance(part, LockAccount):
        return part
    clock = statistics.clock(key.partition("/")[0])
    standing = next((lock for lock in clock.locks if lock.key == key), None) if clock is not None else None
    if clock is None or standing is None:
        return None
    return LockAccount(
        key.partition("/")[0], standing.since, now, cost_so_far(clock, standing, now), dict(standing.held)
    )


def _facts(context: PipelineContext, key: str, since: float) -> Iterator[tuple[float, Fact]]:
    """Yield the facts, with their times, from the beginning of a lock to its end."""
    for recorded in islice(context.records.facts_from(since), MOST):
        yield recorded.at, recorded.fact
        if recorded.fact.kind is FactKind.STAGE_UNLOCKED and recorded.fact.lock == key:
            return
