"""The locks that stand and the runs on their way to open them, as banners and lock notices depend on them."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core.model.pipeline import Pipeline
from bot.core.model.run import Run
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
