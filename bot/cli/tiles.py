"""Going through the API's view of a pipeline: every tile that is shown, and the tiles of a lane or a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

View = dict[str, Any]


def tiles(view: View) -> Iterator[View]:
    """Every tile of the view, each run once, stage by stage: who waits, who is inside, who failed; the fast lane."""
    seen: set[str] = set()
    for stage in view["stages"]:
        for step in filter(None, (stage, stage.get("fast"))):
            for tile in (*step["queue"]["runs"], *step["inside"]["runs"], *step["failed"]):
                if tile["run"] not in seen:
                    seen.add(tile["run"])
                    yield tile


def step_name(tile: View) -> str:
    """Where a run is, as people say it: `pre-production`, `fast pre-production`."""
    return f"fast {tile['stage']}" if tile["track"] == "fast" else str(tile["stage"])


def name(tile: View) -> str:
    """A run as people write it: service, commit."""
    return f"{tile['service']} {tile['short']}"


def whereabouts(tile: View) -> str:
    """Where a run stands, as the end of a sentence: `waits for production`, `runs in build`."""
    status = str(tile["status"])
    words = {"waiting": "waits for", "running": "runs in", "starting": "starts in"}
    return f"{words.get(status, f'is {status} in')} {step_name(tile)}"


def on_the_way(view: View, lock: View) -> list[View]:
    """The runs that may open an automatic lock: the service's fast runs, and its holder while it is being repeated."""
    return [
        tile
        for tile in tiles(view)
        if tile["service"] == lock["service"]
        and tile["status"] != "failed"
        and (tile["lane"] == "fast" or tile["run"] == lock["run"])
    ]
