"""Reads the request of /build and /buildWithParameters. Source: ParameterizedJobMixIn, TimeDuration."""

from __future__ import annotations

import json
import re
from collections import Counter

from standins.jenkins.model import Cause, Job, ParameterDefinition, ParameterValue, RefusedError, Values
from standins.jenkins.pages import HTML, oops_page
from standins.jenkins.signins import Asker
from standins.wire.message import Request


def parameter_values(job: Job, request: Request) -> Values:
    """Return the declared parameters with the request's values or their defaults; drop undeclared ones.

    Raise RefusedError(500) for an illegal choice or a name given twice, as the uncaught exception does.
    """
    given = Counter(name for name, _ in request.query_pairs + request.form_pairs)
    fields = request.fields
    values = []
    for definition in job.parameters:
        if given[definition.name] > 1:
            raise RefusedError(500, oops_page(), HTML)
        values.append(_value(definition, fields.get(definition.name)))
    return tuple(values)


def _value(definition: ParameterDefinition, text: str | None) -> ParameterValue:
    name, kind = definition.name, definition.kind
    if kind == "boolean":
        return ParameterValue(name, (definition.default if text is None else text).lower() == "true", kind)
    if kind == "choice":
        if text is None:
            text = definition.default or next(iter(definition.choices), "")
        if text not in definition.choices:
            raise RefusedError(500, oops_page(), HTML)
    return ParameterValue(name, definition.default if text is None else text, kind)


def submitted_values(job: Job, request: Request) -> Values:
    """Return the values of a submitted form (`json={"parameter": [...]}`): missing ones get no default."""
    text = request.fields.get("json")
    if text is None:
        got_some = bool(request.query_pairs or request.form_pairs)
        raise RefusedError(400, "This page expects a form submission" if got_some else "Nothing is submitted")
    try:
        chosen = json.loads(text)["parameter"]
        pairs = [(one["name"], one["value"]) for one in (chosen if isinstance(chosen, list) else [chosen])]
    except (ValueError, KeyError, TypeError):
        raise RefusedError(500, oops_page(), HTML) from None
    declared = {definition.name: definition for definition in job.parameters}
    if any(name not in declared for name, _ in pairs):
        raise RefusedError(500, oops_page(), HTML)
    return tuple(_value(declared[name], str(value)) for name, value in pairs)


def delay_of(request: Request, job: Job, default: float) -> float:
    """Return the quiet period in whole seconds. A bare number is milliseconds, so `delay=5` is no delay at all."""
    text = request.fields.get("delay")
    if text is None:
        return default if job.quiet_period is None else job.quiet_period
    found = re.fullmatch(r"\s*(\d+)\s*(ms|sec|secs)?\s*", text)
    if found is None:
        raise RefusedError(500, oops_page(), HTML)
    number = int(found[1])
    return float(number if found[2] in ("sec", "secs") else number // 1000)


def cause_of(request: Request, asker: Asker, by_job_token: bool) -> Cause:
    """Return the cause: a remote host with the job's token, or a user."""
    if by_job_token:
        note = request.fields.get("cause")
        text = f"Started by remote host {request.peer}" + (f" with note: {note}" if note else "")
        return Cause("RemoteCause", text, (("addr", request.peer), ("note", note)))
    return Cause("UserIdCause", f"Started by user {asker.label}", (("userId", asker.name), ("userName", asker.label)))
