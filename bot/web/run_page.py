"""The page of one run, or of a verification: its evidence, kept up to date like the board."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, current_app, render_template

from bot.health import judgement
from bot.reporting.freezes import stages_locked
from bot.runtime import PipelineContext, Runtime
from bot.statistics.parts import Cause
from bot.web import shapes
from bot.web.buttons import run_buttons, run_roles
from bot.web.drawing import Links, steps_of
from bot.web.evidence import describe_run
from bot.web.live import PAUSE, Feed
from bot.web.page import page, stream
from bot.web.shapes import Shape
from bot.web.shared import context_of, runtime

#: The most feeds of single runs that are kept without listeners, so that a viewer who returns soon gets the same feed.
IDLE_FEEDS = 32
#: Seconds between two frames of one run, for each viewed run, so that all of them together take a bounded part of the
#: process, and up to twenty are updated within a second.
PAUSE_FOR_EACH = 0.04
#: The width of the bar of waiting, in the units of its viewBox.
WIDTH = 600
_FEEDS = "interlock-run-feeds"


@page.get("/p/<pipeline>/runs/<run>")
def show_run(pipeline: str, run: str) -> str:
    """Show one run: its place and the reason, every attempt, every decision, its waiting times, its carried merges."""
    context = context_of(pipeline)
    shown = evidence(runtime(), context, run)
    return render_template("run.html", **shown, roles=run_roles(context, shown["shown"]["service"]))


@page.get("/p/<pipeline>/runs/<run>/live")
def stream_run(pipeline: str, run: str) -> Response:
    """Send the run's page as server-sent events, at each change."""
    here, context = runtime(), context_of(pipeline)
    describe_run(here, context, run)  # raises Problem (404), so that no thread starts for an unknown run
    return stream(_feed(here, context, run))


def evidence(here: Runtime, context: PipelineContext, run: str) -> Shape:
    """Return everything that the template of the page shows. Raises Problem (404)."""
    record = describe_run(here, context, run)
    shown = record["tile"] or record["ended"] or record["verification"]
    with context.look() as replica:
        version, configured = replica.version, context.pipeline_of(replica.board)
        locked = stages_locked(replica.board, configured)
        buttons = run_buttons(context.pipeline.name, shown, replica.board) if record["tile"] else []
    links = Links(here.configuration, configured)
    name = context.pipeline.name
    return {
        "pipeline": name,
        "version": version,
        "locked": locked,
        "health": judgement.shape(here.observer.health().of(name)),
        "record": record,
        "shown": shown,
        "steps": steps_of(configured, shown) if record["verification"] is None else [],
        "reason_rule": shapes.rule(shown.get("rule", "")),
        "buttons": buttons,
        "bar": bar(record["waits"]),
        "kinds": KINDS,
        "commit_link": links.commit(shown["service"], shown["sha"]),
        "pull_link": links.pull(shown["service"], shown["pull"]),
        "failed": next((each for each in reversed(record["attempts"]) if each["failed"]), None),
    }


def bar(waits: Shape | None) -> list[dict[str, Any]]:
    """Return the pieces of the bar of waiting, from left to right: each cause that took time, then its builds."""
    if waits is None:
        return []
    pieces = [(each["cause"], each["seconds"]) for each in waits["causes"]] + [("built", waits["built"])]
    whole = sum(seconds for _, seconds in pieces)
    found: list[dict[str, Any]] = []
    left = 0.0
    for kind, seconds in pieces:
        width = seconds / whole * WIDTH if whole > 0 else 0.0
        if width >= 0.5:
            found.append({"kind": kind, "seconds": seconds, "x": round(left), "width": max(1, round(width))})
        left += width
    return found


#: The order of the causes, and the builds, in the legend.
KINDS = (*(str(cause) for cause in Cause), "built")


class RunFeeds:
    """The feeds of single runs with viewers, now or a moment ago. Safe to share between threads."""

    def __init__(self, idle: int = IDLE_FEEDS) -> None:
        self._idle = idle
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._lock = threading.Lock()

    def pause(self) -> float:
        """Return the shortest time from one frame of a feed to the next, in seconds."""
        watched = sum(not feed.idle for feed in list(self._feeds.values()))
        return max(PAUSE, PAUSE_FOR_EACH * watched)

    def get(self, key: tuple[str, str], make: Callable[[], Feed]) -> Feed:
        """Return the feed of the run `key` (pipeline, run); make it if there is none."""
        with self._lock:
            feed = self._feeds.pop(key, None) or make()
            unused = [other for other, each in self._feeds.items() if each.idle]
            for other in unused[: max(0, len(unused) - self._idle)]:
                del self._feeds[other]
            self._feeds[key] = feed
            return feed


def _feed(here: Runtime, context: PipelineContext, run: str) -> Feed:
    """Return the feed of one run; all its viewers share it."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    feeds: RunFeeds = app.extensions.setdefault(_FEEDS, RunFeeds())

    def render() -> tuple[int, str]:
        shown = evidence(here, context, run)
        return shown["version"], app.jinja_env.get_template("evidence.html").render(shown)

    def health() -> object:
        return here.observer.health().of(context.pipeline.name)

    def make() -> Feed:
        return Feed(here.redis, context.keys.changes, render, health, pause=feeds.pause)

    return feeds.get((context.pipeline.name, run), make)
