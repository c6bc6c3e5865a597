"""Words as GitHub takes them: cut to its limits without breaking anything; and where a status leads to."""

from __future__ import annotations

import re

from bot.core.model.effects import SetStatus
from bot.runtime import PipelineContext, Runtime

#: GitHub's limits, in characters (GitHub docs: statuses, comments, check runs).
DESCRIPTION, COMMENT, SUMMARY = 140, 65_536, 65_535
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_MORE = "…"


def shortened(text: str, most: int = DESCRIPTION) -> str:
    """`text` on one line, cut to `most` characters, with an ellipsis where something is missing."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + _MORE


def cut(markdown: str, most: int) -> str:
    """Markdown cut to `most` characters: after a whole line if there is one, and an open code block is closed."""
    if len(markdown) <= most:
        return markdown
    room = most - len(_MORE) - 1
    kept = markdown[:room]
    kept = kept[: kept.rfind("\n")] if "\n" in kept else kept
    fence = _open_fence(kept)
    while fence and len(kept) + len(fence) + 1 > room and "\n" in kept:
        kept = kept[: kept.rfind("\n")]
        fence = _open_fence(kept)
    return f"{kept}\n{fence}\n{_MORE}"[:most] if fence else f"{kept}\n{_MORE}"


def _open_fence(markdown: str) -> str:
    """What closes the code block that is open at the end; empty if none is."""
    opened = ""
    for found in _FENCE.finditer(markdown):
        fence = found[1]
        if not opened:
            opened = fence
        elif fence[0] == opened[0] and len(fence) >= len(opened):
            opened = ""
    return opened


def leads_to(runtime: Runtime, context: PipelineContext, effect: SetStatus) -> str:
    """Where a status leads to: a run's page, or a build in Jenkins, or the pipeline."""
    controller = runtime.configuration.controllers.get(effect.job.controller) if effect.job is not None else None
    if effect.run is None and effect.job is not None and controller is not None and effect.build is not None:
        return controller.build_url(effect.job.name, effect.build)
    return runtime.page_of(context.pipeline.name, effect.run or "")
