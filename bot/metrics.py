"""Metrics for Prometheus: those that a process measures itself, and those read from the store. Times are in seconds.

The web processes of one gunicorn share a folder (`PROMETHEUS_MULTIPROC_DIR`, see `bot/web/gunicorn_conf.py`), so that
each of them can answer for all. The metrics from the store are computed at each request of Prometheus and are the same
in every process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from bot.core.model.pipeline import Lane, Step, Track
from bot.health.contacts import GITHUB
from bot.health.judgement import HealthStatus
from bot.runtime import PipelineContext, Runtime
from bot.statistics.parts import Foretold
from bot.statistics.statistics import Statistics
from bot.store.github import Allowance
from bot.store.inbox import read_backlog
from bot.store.keys import FAMILIES
from bot.store.records import Repairs
from bot.store.scripts import OtherSchema, Scripts

#: The variable that names the folder shared by the processes of one gunicorn.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUESTS = Counter(
    "interlock_http_requests_total",
    "Number of requests that the web processes answered",
    ["endpoint", "method", "status"],
)
REQUEST_SECONDS = Histogram(
    "interlock_http_request_seconds",
    "Seconds that the web processes took to answer, without live pages",
    ["endpoint"],
    buckets=_FAST,
)
EFFECT_SECONDS = Histogram(
    "interlock_effect_seconds", "Seconds that one try of an effect took", ["pipeline", "kind"], buckets=_SLOW
)


def process_registry() -> CollectorRegistry:
    """Return the registry of this process, or of all processes of its gunicorn if they share a folder."""
    if not os.environ.get(FOLDER):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


_STAGE = ("pipeline", "stage")
#: Each metric: its description, its labels, and whether it is a counter.
METRICS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "interlock_up": (
        "1 if the store answers, 0 if not; without it all other metrics of the store are missing",
        (),
        False,
    ),
    "interlock_health": ("Health of Interlock: 0 ok, 1 degraded, 2 down", (), False),
    "interlock_contact_up": (
        "1 if the last answer of this Jenkins, GitHub identity or channel was good, 0 if not",
        ("kind", "name"),
        False,
    ),
    "interlock_github_requests_remaining": ("Number of requests left of GitHub's hourly limit", ("identity",), False),
    "interlock_github_requests_limit": ("Number of requests that GitHub allows in an hour", ("identity",), False),
    "interlock_github_paused_seconds": (
        "Seconds until Interlock sends requests again after a rate limit; 0: no limit is in force",
        ("identity",),
        False,
    ),
    "interlock_queue_length": ("Number of runs that wait for a step", ("pipeline", "step", "lane"), False),
    "interlock_slots_used": ("Number of slots of a step in use", ("pipeline", "step"), False),
    "interlock_runs_live": ("Number of live runs", ("pipeline",), False),
    "interlock_stage_locks": ("Number of locks of a stage", _STAGE, False),
    "interlock_stage_frozen_until": (
        "End of the last freeze in force, in seconds since the epoch; 0: none is in force",
        _STAGE,
        False,
    ),
    "interlock_lock_seconds": (
        "Seconds that locks kept a stage closed, present locks included",
        ("pipeline", "stage", "service"),
        True,
    ),
    "interlock_waiting_seconds": (
        "Seconds that runs waited, by cause; counted when a run stops waiting",
        ("pipeline", "step", "cause"),
        True,
    ),
    "interlock_runs_ended": ("Number of runs that ended", ("pipeline", "end"), True),
    "interlock_turns": ("Number of committed turns", ("pipeline",), True),
    "interlock_deliveries_undecided": ("Number of deliveries that no turn has decided yet", ("pipeline",), False),
    "interlock_oldest_delivery_seconds": ("Seconds since the oldest undecided delivery came in", ("pipeline",), False),
    "interlock_effects_waiting": ("Number of effects that are not done", ("pipeline", "family"), False),
    "interlock_oldest_effect_seconds": ("Seconds since the oldest effect became due", ("pipeline", "family"), False),
    "interlock_effects_failing": (
        "Number of effects that have failed so far and that Interlock retries",
        ("pipeline",),
        False,
    ),
    "interlock_dead_letters": ("Number of effects that Interlock gave up (dead letters)", ("pipeline",), False),
    "interlock_parked_deliveries": (
        "Number of deliveries that Interlock could not decide (parked)",
        ("pipeline",),
        False,
    ),
    "interlock_webhook_deliveries": (
        "Number of posts that an outbound webhook accepted",
        ("pipeline", "webhook"),
        True,
    ),
    "interlock_webhook_failures": ("Number of failed posts to an outbound webhook", ("pipeline", "webhook"), True),
    "interlock_webhook_given_up": (
        "Number of facts that Interlock gave up sending to an outbound webhook",
        ("pipeline", "webhook"),
        True,
    ),
    "interlock_webhook_behind_seconds": (
        "Seconds since the first fact that an outbound webhook has not accepted; 0: it has accepted all",
        ("pipeline", "webhook"),
        False,
    ),
    "interlock_repairs": ("Number of changes that only polling found", ("pipeline", "kind"), True),
    "interlock_estimates_in_range": (
        "Share of the last estimates whose range contained the real time",
        ("pipeline", "kind"),
        False,
    ),
}

_HEALTH = {HealthStatus.OK: 0, HealthStatus.DEGRADED: 1, HealthStatus.DOWN: 2}
#: A function that takes one value of a metric: its name, its labels in order, the value.
Put = Callable[..., None]


class StoredMetrics(Collector):
    """The metrics of `contexts`, read from the store; with `shared`, also the metrics of the whole installation."""

    def __init__(self, runtime: Runtime, contexts: Sequence[PipelineContext], *, shared: bool) -> None:
        self._runtime = runtime
        self._contexts = contexts
        self._shared = shared
        self._scripts = Scripts(runtime.redis)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; if the store cannot be reached, only `interlock_up` with the value 0."""
        found = {name: _family(name, *about) for name, about in METRICS.items()}

        def put(name: str, labels: tuple[str, ...], value: float) -> None:
            found[name].add_metric(list(labels), value)

        try:
            if self._shared:
                self._installation(put)
            for context in self._contexts:
                self._pipeline(put, context.pipeline.name, context)
            put("interlock_up", (), 1)
        except (RedisError, OtherSchema):
            found = {name: _family(name, *about) for name, about in METRICS.items() if name == "interlock_up"}
            put("interlock_up", (), 0)
        yield from found.values()

    def _installation(self, put: Put) -> None:
        health = self._runtime.observer.health()
        put("interlock_health", (), _HEALTH[health.status])
        identities = []
        for contact in self._runtime.contacts.seen():
            put("interlock_contact_up", (contact.kind, contact.name), int(not contact.failing))
            if contact.kind == GITHUB:
                identities.append(contact.name)
        for identity in identities:
            state = Allowance(self._runtime.redis, identity).standing()
            put("interlock_github_paused_seconds", (identity,), state.paused_for)
            if state.remaining is not None and state.limit is not None:
                put("interlock_github_requests_remaining", (identity,), state.remaining)
                put("interlock_github_requests_limit", (identity,), state.limit)

    def _pipeline(self, put: Put, name: str, context: PipelineContext) -> None:
        statistics = context.statistics.current()
        seconds, micros = context.redis.time()
        now = seconds + micros / 1e6
        self._board(put, name, context)
        self._waiting(put, name, context, now)
        self._webhooks(put, name, context)
        _statistics(put, name, statistics, now)

    def _board(self, put: Put, name: str, context: PipelineContext) -> None:
        with context.look() as replica:
            board = replica.board
            put("interlock_turns", (name,), replica.version)
            put("interlock_runs_live", (name,), len(board.runs))
            for step in board.steps():
                fast = sum(run.lane is Lane.FAST for run in board.queue(step))
                put("interlock_queue_length", (name, str(step), "fast"), fast)
                put("interlock_queue_length", (name, str(step), "main"), board.queue_length(step) - fast)
                put("interlock_slots_used", (name, str(step)), board.occupied(step))
                if step.track is Track.REAL:
                    locks = board.locks_of(step.stage)
                    put("interlock_stage_locks", (name, step.stage), len(locks))
                    ends = max((lock.until or 0.0 for lock in locks if lock.freeze), default=0.0)
                    put("interlock_stage_frozen_until", (name, step.stage), ends)

    def _waiting(self, put: Put, name: str, context: PipelineContext, now: float) -> None:
        keys, redis = context.keys, context.redis
        backlog = read_backlog(self._scripts, keys)
        put("interlock_deliveries_undecided", (name,), backlog.undecided)
        put("interlock_oldest_delivery_seconds", (name,), max(0.0, now - backlog.oldest_at) if backlog.oldest_at else 0)
        put("interlock_dead_letters", (name,), backlog.dead_letters)
        put("interlock_parked_deliveries", (name,), backlog.parked)
        put("interlock_effects_failing", (name,), len(context.delays.all()))
        for family in FAMILIES:
            put("interlock_effects_waiting", (name, family), redis.zcard(keys.due(family)))
            first: Any = redis.zrange(keys.due(family), 0, 0, withscores=True)
            late = now - first[0][1] / 1000 if first else 0.0
            put("interlock_oldest_effect_seconds", (name, family), max(0.0, late))
        for kind, count in Repairs(redis, keys).all().items():
            put("interlock_repairs", (name, kind), count)

    def _webhooks(self, put: Put, name: str, context: PipelineContext) -> None:
        for webhook in self._runtime.configuration.webhooks_of(name):
            labels, state = (name, webhook.name), context.webhooks.state(webhook.name)
            put("interlock_webhook_deliveries", labels, state.delivered)
            put("interlock_webhook_failures", labels, state.failed)
            put("interlock_webhook_given_up", labels, state.given_up)
            put("interlock_webhook_behind_seconds", labels, context.webhooks.behind(state.cursor))


def _statistics(put: Put, name: str, statistics: Statistics, now: float) -> None:
    totals = statistics.totals()
    locked = dict(totals.locked)
    for rest, _ in statistics.of("clock"):
        clock = statistics.clock(rest)
        for lock in clock.locks if clock is not None else ():
            key = f"{Step(rest).stage} {lock.service or ''}"
            locked[key] = locked.get(key, 0.0) + max(0.0, now - lock.since)
    for key, seconds in locked.items():
        stage, _, service = key.rpartition(" ")
        put("interlock_lock_seconds", (name, stage, service), seconds)
    for key, seconds in totals.waits.items():
        step, _, cause = key.rpartition(" ")
        put("interlock_waiting_seconds", (name, step, cause), seconds)
    for end, count in totals.ends.items():
        put("interlock_runs_ended", (name, end), count)
    for kind in Foretold:
        inside = statistics.errors(kind).inside
        if inside:
            put("interlock_estimates_in_range", (name, str(kind)), sum(inside) / len(inside))


def _family(name: str, about: str, labels: tuple[str, ...], grows: bool) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if grows else GaugeMetricFamily
    return kind(name, about, labels=list(labels))
