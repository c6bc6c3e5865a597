"""The steps of a pipeline, and whose job is which: they follow from the configuration alone, and every event asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bot.core.model.pipeline import Job, Pipeline, Track
from bot.core.model.run import VERIFY, Step


@dataclass(frozen=True, slots=True)
class Layout:
    """`steps` in the order of the stages, the fast one of a stage first; `jobs`: the step that each job is for."""

    pipeline: Pipeline | None = None
    steps: tuple[Step, ...] = ()
    jobs: dict[Job, Step] = field(default_factory=dict)


def lay_out(pipeline: Pipeline) -> Layout:
    """The layout of a configuration."""
    steps = tuple(_steps(pipeline))
    verify = [VERIFY] if pipeline.verify is not None else []
    jobs = {job: step for step in [*steps, *verify] if (job := pipeline.job(step.stage, step.track)) is not None}
    return Layout(pipeline, steps, jobs)


def _steps(pipeline: Pipeline) -> Iterator[Step]:
    for stage in pipeline.stages:
        if stage.fast_job is not None:
            yield Step(stage.name, Track.FAST)
        yield Step(stage.name)
