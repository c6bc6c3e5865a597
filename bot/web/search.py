"""What a few words may mean, in all pipelines: services and runs, live before ended."""

from __future__ import annotations

from typing import Any

from bot.runtime import PipelineContext, Runtime
from bot.web.problems import Problem
from bot.web.run_list import LONGEST, RunFilter, list_runs, services_like

Shape = dict[str, Any]

#: How many runs, and how many services, are shown of one pipeline.
RUNS, SERVICES = 20, 10


def find(here: Runtime, question: str) -> Shape:
    """The services and the runs that `question` may mean, by pipeline. Raises Problem (400)."""
    asked = question.strip()
    if not asked or len(asked) > LONGEST:
        raise Problem(400, "find with q=: a service, a run, the beginning of a sha, #12, an author, words of a title")
    found = [_in_pipeline(context, asked) for context in here.pipelines.values()]
    return {"q": asked, "pipelines": [each for each in found if each["services"] or each["total"]]}


def _in_pipeline(context: PipelineContext, question: str) -> Shape:
    with context.look() as replica:
        services = [service.name for service in context.pipeline_of(replica.board).services]
    found = list_runs(context, RunFilter(q=question), 0, RUNS)
    return {
        "pipeline": context.pipeline.name,
        "services": services_like(services, question)[:SERVICES],
        "runs": found["runs"],
        "total": found["total"],
    }


def only_hit(found: Shape) -> str | None:
    """The page of what was meant, where it can be one thing only: a service by its name, or a single run."""
    if len(found["pipelines"]) != 1:
        return None
    (one,) = found["pipelines"]
    folded = found["q"].casefold()
    base = f"/p/{one['pipeline']}"
    if [name.casefold() for name in one["services"]] == [folded]:
        return f"{base}/services/{one['services'][0]}"
    runs = [run["run"] for run in one["runs"]]
    exact = [run for run in runs if run.casefold() == folded]
    if exact or (one["total"] == 1 and not one["services"]):
        return f"{base}/runs/{(exact or runs)[0]}"
    return None
