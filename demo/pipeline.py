"""The pipeline of the four pictures, defined once: for the demo, the tests and the measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from bot.core.model.pipeline import Job, Pipeline, Policy, Service, Stage

SERVICES = ("S1", "S2", "S3")
#: The jobs of the stages and of the fast lane, by their names.
JOBS = ("build", "acceptance", "fast-acceptance", "pre-production", "fast-pre-production", "production")


def stages(
    job: Callable[[str], Job], *, fast: bool = True, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Stage, ...]:
    """Build as many as come; acceptance, three at a time; pre-production and production, one at a time, and they lock.

    `job` makes the Jenkins job of a name in `JOBS`. `fast`: acceptance and pre-production have a job of the fast lane's
    own. `changes`: other values of a stage's fields, by the stage's name.
    """
    made = (
        Stage("build", job("build")),
        Stage("acceptance", job("acceptance"), 3, fast_job=job("fast-acceptance") if fast else None),
        Stage(
            "pre-production",
            job("pre-production"),
            1,
            Policy.LOCK,
            fast_job=job("fast-pre-production") if fast else None,
        ),
        Stage("production", job("production"), 1, Policy.LOCK),
    )
    return tuple(replace(stage, **(changes or {}).get(stage.name, {})) for stage in made)


def pipeline(
    name: str = "shop",
    job: Callable[[str], Job] | None = None,
    *,
    services: Iterable[Service] | None = None,
    fast: bool = True,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    **more: Any,
) -> Pipeline:
    """The whole pipeline. `more`: other values of the pipeline's fields."""
    made = stages(job or shop_job, fast=fast, changes=changes)
    found = services if services is not None else (Service(each, f"shop/{each.lower()}") for each in SERVICES)
    return replace(Pipeline(name, made, tuple(found)), **more)


def shop_job(name: str) -> Job:
    """A job of the shop on the one controller that it has for all of them."""
    return Job("cdp", f"shop/{name}")
