"""Makes and changes jobs from JSON, and reports mistakes in words."""

from __future__ import annotations

import dataclasses
from typing import Any

from standins.jenkins.model import Endpoint, Job, ParameterDefinition
from standins.jenkins.notification import PHASES
from standins.jenkins.questions import Question
from standins.jenkins.settings import Settings

_KINDS = ("string", "text", "choice", "boolean", "password")
_CHANGEABLE = (
    "description",
    "quiet_period",
    "concurrent",
    "disabled",
    "abort_previous",
    "display_name",
    "refuses_queue",
)
_JOB_KINDS = ("pipeline", "freestyle", "folder", "multibranch")


def make(
    full_name: str,
    *,
    kind: str,
    parameters: list[Any],
    callbacks: list[dict[str, Any]],
    quiet_period: float | None,
    concurrent: bool | None,
    description: str | None,
    disabled: bool,
    abort_previous: bool,
    permissions: dict[str, list[str]],
    token: str | None,
    late_parameters: bool,
    refuses_queue: bool,
    asks: dict[str, Any] | None,
) -> Job:
    """Make a job; raise ValueError for a setup that Jenkins does not allow."""
    if kind not in _JOB_KINDS:
        raise ValueError(f"a job's kind is one of {', '.join(_JOB_KINDS)}, not {kind!r}")
    declared = tuple(_definition(one) for one in parameters)
    return Job(
        full_name.rpartition("/")[2],
        full_name,
        kind=kind,
        parameters=() if late_parameters else declared,
        late_parameters=declared if late_parameters else (),
        refuses_queue=refuses_queue,
        asks=Question.from_json(asks),
        description=description,
        declared_description=description,
        quiet_period=quiet_period,
        concurrent=kind != "freestyle" if concurrent is None else concurrent,
        abort_previous=abort_previous,
        disabled=disabled,
        endpoints=[_endpoint(one) for one in callbacks],
        permissions={who: frozenset(what) for who, what in permissions.items()},
        token=token,
    )


def change(job: Job, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if name == "duration_seconds":
            job.outcome.duration = value
        elif name == "callbacks":
            job.endpoints = [_endpoint(one) for one in value]
        elif name == "parameters":
            job.parameters = tuple(_definition(one) for one in value)
        elif name == "asks":
            job.asks = Question.from_json(value)
        elif name in _CHANGEABLE:
            setattr(job, name, value)
        else:
            raise ValueError(f"a job has no {name!r} to change; there are: {', '.join(_CHANGEABLE)}")


def change_settings(settings: Settings, changes: dict[str, Any]) -> None:
    read = Settings.from_json(changes)
    for field in dataclasses.fields(Settings):
        if field.name in changes:
            setattr(settings, field.name, getattr(read, field.name))


def _definition(given: Any) -> ParameterDefinition:
    if isinstance(given, str):
        return ParameterDefinition(given)
    kind = given.get("type", "choice" if given.get("choices") else "string")
    if kind not in _KINDS:
        raise ValueError(f"a parameter's type is one of {', '.join(_KINDS)}, not {kind!r}")
    default = given.get("default", "")
    return ParameterDefinition(
        given["name"],
        kind,
        str(default).lower() if isinstance(default, bool) else str(default),
        given.get("description", ""),
        tuple(given.get("choices", ())),
    )


def _endpoint(given: dict[str, Any]) -> Endpoint:
    if not str(given.get("url", "")).startswith(("http://", "https://") if "credential" not in given else ""):
        raise ValueError(f"a callback's url begins with http:// or https://, not {given.get('url')!r}")
    events = given.get("events", "all")
    phases: tuple[str, ...] = ()
    if isinstance(events, list):
        phases, events = tuple(str(event).upper() for event in events), "all"
        unknown = [phase for phase in phases if phase not in PHASES]
        if unknown:
            raise ValueError(f"a phase is one of {', '.join(PHASES)}, not {unknown[0]!r}")
    return Endpoint(
        given.get("url", ""),
        events,
        given.get("timeout", 30.0),
        given.get("retries", 0),
        phases,
        given.get("credential", ""),
        given.get("branch", ".*"),
        given.get("log_lines", 0),
        given.get("notes", ""),
    )
