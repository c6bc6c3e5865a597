"""wfapi: the stages of a Pipeline and the steps in them. Source: pipeline-rest-api (RunExt, StageNodeExt, ErrorExt).

Every stage has one step, a shell script. A failure is shown at the step and, because it ended the block, at the stage.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from standins.jenkins.model import Build

#: The default stages of a build.
_STAGES = ("Prepare", "Run", "Report")
_STATUS = {
    "SUCCESS": "SUCCESS",
    "UNSTABLE": "UNSTABLE",
    "FAILURE": "FAILED",
    "NOT_BUILT": "NOT_EXECUTED",
    "ABORTED": "ABORTED",
}
#: Numbers of flow nodes: a stage takes five; the first is the start of its body, the next its step.
_FIRST, _PER_STAGE = 6, 5

Json = dict[str, Any]


class _Stage(NamedTuple):
    id: int
    name: str
    status: str
    error: Json | None
    start: int
    duration: int

    @property
    def step_id(self) -> int:
        return self.id + 1


def describe(build: Build, now_ms: int, path: str, *, full: bool = False) -> Json:
    """Return `wfapi/describe`, which says FAILED, never FAILURE. `path`: the build's path on the server."""
    start = int(build.timestamp * 1000)
    duration = build.duration_ms or max(0, now_ms - start)
    return {
        "_links": {"self": {"href": f"{path}wfapi/describe"}},
        "id": str(build.number),
        "name": build.display_name or f"#{build.number}",
        "status": _status(build),
        "startTimeMillis": start,
        "endTimeMillis": start + duration,
        "durationMillis": duration,
        "queueDurationMillis": int(build.queued_for * 1000),
        "pauseDurationMillis": 0,
        "stages": [_shown_stage(stage, path, full=full) for stage in _stages(build, now_ms)],
    }


def node(build: Build, now_ms: int, path: str, number: int) -> Json | None:
    """Return a stage with its steps, or a step; None for any other node."""
    for stage in _stages(build, now_ms):
        if stage.id == number:
            return _shown_stage(stage, path, full=True)
        if stage.step_id == number:
            return _shown_step(stage, path)
    return None


def log(build: Build, now_ms: int, path: str, number: int) -> Json | None:
    """Return the log of a step; None for a node that is not a step."""
    stage = next((one for one in _stages(build, now_ms) if one.step_id == number), None)
    if stage is None:
        return None
    text = f"+ {_script(stage)}\n"
    return {
        "nodeId": str(number),
        "nodeStatus": stage.status if stage.error else "SUCCESS",
        "length": len(text),
        "hasMore": False,
        "text": text,
        "consoleUrl": f"{path}execution/node/{number}/log",
    }


def _status(build: Build) -> str:
    """Return the status; a newer build's abort goes before the result. A killed build is NOT_EXECUTED."""
    if build.killed:
        return "NOT_EXECUTED"
    if build.in_progress:
        return "IN_PROGRESS"
    return "ABORTED" if build.superseded else _STATUS[str(build.result)]


def _stages(build: Build, now_ms: int) -> list[_Stage]:
    """Return the stages that have begun: a failure ends the Pipeline, an unstable result does not."""
    if build.killed:
        return []
    status, step = _status(build), build.outcome.failing_step
    names = list(build.outcome.stages or _STAGES)
    if step and step not in names:
        names.insert(1, step)
    at = names.index(step) if step and status in ("FAILED", "UNSTABLE") else min(1, len(names) - 1)
    shown = names if status in ("SUCCESS", "UNSTABLE") else names[: at + 1]
    start = int(build.timestamp * 1000)
    each = (build.duration_ms or max(0, now_ms - start)) // len(shown)
    return [
        _Stage(
            _FIRST + _PER_STAGE * index,
            name,
            status if index == at else "SUCCESS",
            _error(build, status) if index == at else None,
            start + index * each,
            each,
        )
        for index, name in enumerate(shown)
    ]


def _error(build: Build, status: str) -> Json | None:
    """Return the exception that ended the step; an unstable build has none."""
    if status == "FAILED":
        return {"message": build.outcome.error, "type": "hudson.AbortException"}
    if status == "ABORTED":
        said = ", ".join(f"Aborted by {user}" for user in build.interruptions)
        return {"message": said, "type": "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException"}
    return None


def _shown_stage(stage: _Stage, path: str, *, full: bool) -> Json:
    shown = _shown(stage, stage.id, stage.name, path)
    if full:
        step = _shown_step(stage, path)
        step["_links"]["console"] = {"href": f"{path}execution/node/{stage.step_id}/log"}
        shown["stageFlowNodes"] = [step]
    return shown


def _shown_step(stage: _Stage, path: str) -> Json:
    shown = _shown(stage, stage.step_id, "Shell Script", path)
    shown["_links"]["log"] = {"href": f"{path}execution/node/{stage.step_id}/wfapi/log"}
    return shown | {"parameterDescription": _script(stage), "parentNodes": [str(stage.id)]}


def _shown(stage: _Stage, number: int, name: str, path: str) -> Json:
    error = {} if stage.error is None else {"error": stage.error}
    return {
        "_links": {"self": {"href": f"{path}execution/node/{number}/wfapi/describe"}},
        "id": str(number),
        "name": name,
        "execNode": "",
        "status": stage.status,
        **error,
        "startTimeMillis": stage.start,
        "durationMillis": stage.duration,
        "pauseDurationMillis": 0,
    }


def _script(stage: _Stage) -> str:
    return f"./{'-'.join(stage.name.lower().split())}.sh"
