"""The small exported objects: parameters, causes, definitions; and the ball and permalinks of a job."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import Any

from standins.jenkins.api_json import ABSENT, Bean, Export
from standins.jenkins.model import Build, Cause, Job, ParameterDefinition, ParameterValue, QueueItem

_VALUE_CLASS = {
    "string": "hudson.model.StringParameterValue",
    "choice": "hudson.model.StringParameterValue",
    "text": "hudson.model.TextParameterValue",
    "boolean": "hudson.model.BooleanParameterValue",
    "password": "hudson.model.PasswordParameterValue",
}
_COLOURS = {"SUCCESS": "blue", "UNSTABLE": "yellow", "FAILURE": "red", "ABORTED": "aborted", "NOT_BUILT": "notbuilt"}


def plain(kind: str | None, visibility: int, /, **values: Any) -> Bean:
    """Return a small object whose properties all have the same visibility."""
    return Bean(kind, {name: Export(visibility, itemgetter(name)) for name in values}, values)


def constants(values: dict[str, Any]) -> dict[str, Export]:
    """Return properties that are the same on every object."""
    return {name: Export(1, partial(_constant, value)) for name, value in values.items()}


def _constant(value: Any, _source: Any) -> Any:
    return value


_VALUE = {
    "name": Export(3, lambda v: v.name),
    "value": Export(4, lambda v: ABSENT if v.kind == "password" else v.value),
}
_PARAMETERS = {"parameters": Export(2, lambda values: [_value(value) for value in values])}
_CAUSES = {"causes": Export(2, lambda causes: [_cause(cause) for cause in causes])}


def _value(value: ParameterValue) -> Bean:
    return Bean(_VALUE_CLASS[value.kind], _VALUE, value)


def _cause(cause: Cause) -> Bean:
    return plain(f"hudson.model.Cause${cause.kind}", 3, shortDescription=cause.description, **dict(cause.details))


def common_actions(source: QueueItem | Build) -> list[Bean]:
    actions = [Bean("hudson.model.CauseAction", _CAUSES, source.causes)]
    if source.values:
        actions.insert(0, Bean("hudson.model.ParametersAction", _PARAMETERS, source.values))
    return actions


PERMALINKS = {
    "lastBuild": "any",
    "lastCompletedBuild": "completed",
    "lastFailedBuild": "FAILURE",
    "lastStableBuild": "SUCCESS",
    "lastSuccessfulBuild": "successful",
    "lastUnstableBuild": "UNSTABLE",
    "lastUnsuccessfulBuild": "unsuccessful",
}


def permalink(job: Job, name: str) -> Build | None:
    """Return the current build of `lastBuild`, `lastFailedBuild`..."""
    if name == "firstBuild":
        return next(iter(job.builds.values()), None)
    build = job.newest.get(PERMALINKS[name])
    return build if build is not None and build.number in job.builds else None


def colour(job: Job) -> str:
    """Return the colour of the ball: the last result's colour, with `_anime` while a build runs."""
    if job.disabled:
        return "disabled"
    base = _COLOURS.get(job.last_result or "", "notbuilt")
    return f"{base}_anime" if job.running else base


def full_display(job: Job) -> str:
    return " » ".join([*job.full_name.split("/")[:-1], job.shown_name])


def estimate(build: Build) -> int:
    return estimate_of(build.job)


def estimate_of(job: Job) -> int:
    """Return the estimated duration in milliseconds; -1 before the first success."""
    last = job.newest.get("successful")
    return last.duration_ms if last is not None else -1


def properties(job: Job) -> list[Bean]:
    if not job.parameters:
        return []
    definitions = [_definition(definition) for definition in job.parameters]
    return [plain("hudson.model.ParametersDefinitionProperty", 2, parameterDefinitions=definitions)]


_DEFINITION = {
    "string": "StringParameterDefinition",
    "text": "TextParameterDefinition",
    "choice": "ChoiceParameterDefinition",
    "boolean": "BooleanParameterDefinition",
    "password": "PasswordParameterDefinition",
}


def _definition(definition: ParameterDefinition) -> Bean:
    kind = definition.kind
    default: str | bool = definition.default
    if kind == "boolean":
        default = definition.default.lower() == "true"
    if kind == "choice" and definition.choices:
        default = definition.default or definition.choices[0]
    value = _value(ParameterValue(definition.name, default, kind))
    values: dict[str, Any] = {
        "defaultParameterValue": value,
        "description": definition.description,
        "name": definition.name,
        "type": _DEFINITION[kind],
    }
    if kind == "choice":
        values["choices"] = list(definition.choices)
    return plain(f"hudson.model.{_DEFINITION[kind]}", 3, **values)
