"""The picture of a pipeline for the terminal: stages from left to right if they fit, else from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bot.cli.common import clean, clock, count, duration
from bot.cli.sentences import (
    View,
    finding_sentence,
    lock_estimate_sentence,
    on_the_way,
    run_name,
    whereabouts,
)

#: The columns of the terminal that a stage needs when stages are side by side.
NARROWEST = 29
#: The most runs of a queue, or of a stage, that are drawn.
DRAWN = 10

_MODES = {"run": ("running", "green"), "pause": ("PAUSED", "bold yellow"), "observe": ("OBSERVING", "bold yellow")}
_HEALTH = {"down": "bold red", "degraded": "bold yellow"}
_STATES = {"starting": "starting", "recalled": "recalled", "ending": "leaving"}


def picture(view: View, width: int) -> RenderableType:
    """Return the whole pipeline, for a terminal of `width` columns."""
    stages = view["stages"]
    beside = len(stages) * NARROWEST + max(0, len(stages) - 1) <= width
    panels = [_panel(view, stage, titles=not beside) for stage in stages]
    if not stages:
        return Group(_head(view), Text("It has no stages yet: no worker has loaded the configuration."))
    if not beside:
        return Group(_head(view), *panels, *_removed(view), *_revision(view), *_repairs(view))
    grid = Table.grid(expand=True)
    for number in range(len(stages)):
        if number:
            grid.add_column(width=1)
        grid.add_column(ratio=1)
    row: list[RenderableType] = []
    for number, panel in enumerate(panels):
        row += [Padding(Text("→", "dim"), (3, 0, 0, 0)), panel] if number else [panel]
    grid.add_row(*row)
    return Group(_head(view), grid, *_removed(view), *_revision(view), *_repairs(view))


def _removed(view: View) -> Iterator[RenderableType]:
    """Yield the stages that are no longer configured and still have builds."""
    for step in view.get("removed") or []:
        yield Text(clean(f"{step['name']} is no longer configured, {count(step['count'], 'run')} left in it"), "yellow")
        yield _rows(step["runs"], step["count"], view["at"], titles=True)


def _revision(view: View) -> Iterator[Text]:
    """Yield the revision that the pipeline decides with."""
    found = view.get("revision")
    if found:
        since = clock(found["since"], view["at"])
        yield Text(clean(f"configuration {found['digest'][:8]}, in force since {since}"), "dim")


def _repairs(view: View) -> Iterator[Text]:
    """Yield the repairs. If a number grows, webhooks or callbacks get lost."""
    found = view.get("repairs") or []
    repairs = [f"{r['words']}, last {clock(r['last'], view['at'])}" if r["last"] else str(r["words"]) for r in found]
    if repairs:
        yield Text(clean(f"found by polling: {'; '.join(repairs)}"), "dim")


def _head(view: View) -> Text:
    word, style = _MODES.get(view["mode"], (clean(view["mode"]), "bold"))
    head = Text.assemble((clean(view["pipeline"]), "bold"), "  ", (word, style))
    if view["mode"] != "run" and view.get("mode_by"):
        head.append(clean(f" by {view['mode_by']}: {view['mode_why']}"))
    head.append(
        f"  {count(view['live'], 'run')}, {_verified(view)}version {view['version']}, {clock(view['at'], view['at'])}",
        "dim",
    )
    health = view.get("health") or {"status": "ok", "findings": []}
    if health["status"] != "ok":
        head.append(f"\nInterlock is {clean(health['status'])}", _HEALTH.get(health["status"], "bold"))
    for finding in health["findings"]:
        head.append(
            f"\n{clean(finding_sentence(finding, view['at']))}",
            _HEALTH.get(finding["status"], "").removeprefix("bold "),
        )
        for detail in finding["details"]:
            head.append(f"\n  {clean(detail['what'])}, since {clock(detail['since'], view['at'])}", "dim")
    return head


def _verified(view: View) -> str:
    """Return how many pull requests are verified, if any: `3 pull requests (1 of a fork, unasked), `."""
    found = view.get("verifications")
    if not found or not found["count"] + found["held"]:
        return ""
    held = f" ({found['held']} of a fork, unasked)" if found["held"] else ""
    return f"{count(found['count'] + found['held'], 'pull request')}{held}, "


def _panel(view: View, stage: View, *, titles: bool) -> Panel:
    locks = stage["locks"]
    title = Text(clean(stage["name"]), "bold red" if locks else "bold")
    if locks:
        title.append(" FROZEN" if all(lock.get("freeze") for lock in locks) else " LOCKED")
    parts: list[RenderableType] = []
    for lock in locks:
        parts += [*_lock(view, lock), Text()]
    if stage.get("closes"):
        parts += [Text(clean(stage["closes"]["sentence"]), "yellow")]
    parts += _step(stage, view["at"], titles=titles)
    fast = stage.get("fast")
    if fast and (fast["queue"]["count"] or fast["inside"]["count"] or fast["failed"] or fast["unmanaged"]):
        parts += [Text("fast lane", "bold cyan"), *_step(fast, view["at"], titles=titles)]
    return Panel(Group(*parts), title=title, title_align="left", border_style="red" if locks else "dim")


def _lock(view: View, lock: View) -> Iterator[Text]:
    """Yield a lock in words: reason, owner, beginning, end, and the runs that may open it."""
    frozen = bool(lock.get("freeze"))  # the reason tells until when, in the freeze's time zone
    label = " FROZEN " if frozen else " LOCKED "
    yield Text.assemble((label, "bold white on red"), " ", (clean(lock["reason"]), "red"))
    since = f"by {lock['by']} since {clock(lock['since'], view['at'])} ({duration(view['at'] - lock['since'])})"
    if lock["until"] and not frozen:
        since += f", until {clock(lock['until'], view['at'])}"
    yield Text(clean(since), "red")
    when = lock_estimate_sentence(lock, view["at"])
    if when:
        yield Text(clean(when), "red")
    for test in lock.get("flaky", ()):
        yield Text(clean(test), "yellow")
    if not lock["automatic"]:
        fixes = "fixes may enter" if lock["let_fixes_in"] else "fixes do not enter either"
        yield Text(clean(f"{fixes}; opens with: interlock unlock {lock['stage']} --lock {lock['key']}"))
        return
    coming = on_the_way(view, lock)
    for tile in coming:
        yield Text(clean(f"on the way: {run_name(tile)} {whereabouts(tile)}"), "cyan")
    if not coming:
        yield Text(clean(f"nothing on the way: merge the fix to {lock['service']}, or retry {lock['run']}"))


def _step(step: View, now: float, *, titles: bool) -> Iterator[RenderableType]:
    """Yield one job: its queue, the runs inside, the failed ones, unmanaged builds and the backoff."""
    queue, inside = step["queue"], step["inside"]
    yield Text(f"queue {queue['count']}", "bold" if queue["count"] else "dim")
    if queue["runs"]:
        yield _rows(queue["runs"], queue["count"], now, titles=titles)
    room = "" if step["capacity"] is None else f" of {step['capacity']}"
    yield Text(f"running {inside['count'] + len(step['unmanaged'])}{room}", "bold" if inside["count"] else "dim")
    if inside["runs"]:
        yield _rows(inside["runs"], inside["count"], now, titles=titles)
    for unmanaged in step["unmanaged"][:DRAWN]:
        yield Text(f"  build #{unmanaged['number']}, started by hand", "yellow")
    if step["failed"]:
        yield Text(f"failed {len(step['failed'])}", "bold red")
        yield _rows(step["failed"], len(step["failed"]), now, titles=titles)
    if step["backoff"]:
        yield Text(clean(f"Jenkins did not start the build: {step['backoff']['why']}; Interlock tries again"), "yellow")


def _rows(runs: list[View], total: int, now: float, *, titles: bool) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    grid.add_column(justify="right", no_wrap=True, min_width=2)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(no_wrap=True, width=7)
    if titles:
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    grid.add_column(no_wrap=True, justify="right", overflow="ellipsis", ratio=None if titles else 1)
    for tile in runs[:DRAWN]:
        fast = tile["lane"] == "fast"
        style = "red" if tile["status"] == "failed" else "bold cyan" if fast else ""
        mark = f"{tile.get('position') or ('' if fast else '•')}{'»' if fast else ''}"
        cells = [Text(mark, "dim"), Text(clean(tile["service"]), style), Text(clean(tile["short"]), style)]
        if titles:
            pull = f" #{tile['pull']}" if tile["pull"] else ""
            cells.append(Text(clean(f"{tile['title']}{pull}{', fast lane' if fast else ''}"), "dim"))
        grid.add_row(
            *cells, Text(_detail(tile, now, units=2 if titles else 1), "green" if tile["status"] == "running" else "")
        )
    if total > DRAWN:
        return Group(grid, Text(f"   and {total - DRAWN} more", "dim"))
    return grid


def _detail(tile: View, now: float, units: int) -> str:
    long = duration(now - tile["since"], units)
    if tile["status"] in _STATES:
        return _STATES[tile["status"]]
    enters = (tile.get("eta") or {}).get("enters")
    if enters and units > 1:
        return f"{long}, enters ~{clock(enters['at'], now)}"
    return f"build #{tile['build']}, {long}" if tile["build"] and units > 1 else long
