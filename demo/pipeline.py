"""The pipeline of the four pictures, as `config/example.yaml` defines it: for the demo, tests and measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from bot.core.model.pipeline import Job, Pipeline, Policy, Service, Stage

EXAMPLE = Path(__file__).parent.parent / "config" / "example.yaml"
#: The stages as the pipeline file has them.
ROWS: list[dict[str, Any]] = yaml.safe_load(EXAMPLE.read_text("utf-8"))["pipelines"][0]["stages"]

SERVICES = ("S1", "S2", "S3")
#: The jobs of the stages and of the fast lane, by their names.
JOBS = tuple(name for row in ROWS for name in (row["name"], f"fast-{row['name']}" if "fast" in row else "") if name)


def stages(
    job: Callable[[str], Job], *, fast: bool = True, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Stage, ...]:
    """Return the example's stages: names, capacities, policies and fast lane; no retries, timeouts, environments.

    `job` makes the Jenkins job of a name in `JOBS`. `fast`: with the jobs of the fast lane. `changes`: other values of
    a stage's fields, by the stage's name.
    """

    def stage(row: Mapping[str, Any]) -> Stage:
        name, capacity = row["name"], row["capacity"]
        fast_job = job(f"fast-{name}") if fast and "fast" in row else None
        most = None if capacity == "unlimited" else capacity
        return Stage(name, job(name), most, Policy(row["on_failure"]), fast_job=fast_job)

    return tuple(replace(stage(row), **(changes or {}).get(row["name"], {})) for row in ROWS)


def pipeline(
    name: str = "shop",
    job: Callable[[str], Job] | None = None,
    *,
    services: Iterable[Service] | None = None,
    fast: bool = True,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    **more: Any,
) -> Pipeline:
    """Return the whole pipeline. `more`: other values of the pipeline's fields."""
    made = stages(job or shop_job, fast=fast, changes=changes)
    found = services if services is not None else (Service(each, f"shop/{each.lower()}") for each in SERVICES)
    return replace(Pipeline(name, made, tuple(found)), **more)


def shop_job(name: str) -> Job:
    """Return a job of the shop, on its only controller."""
    return Job("cdp", f"shop/{name}")
