"""The locks that stand and the runs on their way to open them, as banners and lock notices depend on them."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core.model.pipeline import Lane, Pipeline
from bot.core.model.run import Buildable, Run
from bot.core.model.stage_state import Lock


@dataclass(frozen=True, slots=True)
class Standing:
    """The state that banners and lock notices depend on. A board keeps it until it changes (`Board.standing`)."""

    pipeline: Pipeline
    locks: tuple[Lock, ...] = ()
    #: By service that holds a lock: the runs on their way to open it.
    fixes: dict[str, list[Run]] = field(default_factory=dict)
    #: Jenkins was not asked yet for earlier banners of ours, so none is written over them.
    unproven: bool = False


def may_open_lock(built: Buildable | None) -> bool:
    """Return whether it can be one of `Standing.fixes`: a run that is on the fast lane, or repeats a build."""
    return built is not None and built.verifies is None and (built.lane is Lane.FAST or built.retrying)
