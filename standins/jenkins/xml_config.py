"""Reads and writes config.xml: kind, description, parameters, quiet period and concurrency of a job."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from standins.jenkins.model import Endpoint, Job, ParameterDefinition

_KINDS = {
    "flow-definition": "pipeline",
    "project": "freestyle",
    "com.cloudbees.hudson.plugins.folder.Folder": "folder",
    "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject": "multibranch",
}
_ENDPOINT = "com.tikal.hudson.plugins.notification.Endpoint"
_TAGS = {kind: tag for tag, kind in _KINDS.items()}
_DEFINITIONS = {
    "hudson.model.StringParameterDefinition": "string",
    "hudson.model.TextParameterDefinition": "text",
    "hudson.model.ChoiceParameterDefinition": "choice",
    "hudson.model.BooleanParameterDefinition": "boolean",
    "hudson.model.PasswordParameterDefinition": "password",
}
_SERIAL = "org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty"
_DEFINITION_TAGS = {kind: tag for tag, kind in _DEFINITIONS.items()}


def read(full_name: str, body: bytes) -> Job:
    """Read a job from its XML; raise ParseError."""
    root = ElementTree.fromstring(body.replace(b"version='1.1'", b"version='1.0'"))  # noqa: S314  tests' own XML
    kind = _KINDS.get(root.tag, "pipeline")
    serial = root.find(".//*[@plugin='workflow-job']/..") is None and (root.find(f".//{_SERIAL}") is not None)
    quiet = root.findtext("quietPeriod")
    return Job(
        full_name.rpartition("/")[2],
        full_name,
        kind=kind,
        parameters=tuple(_definition(e) for e in root.iter() if e.tag in _DEFINITIONS),
        description=root.findtext("description"),
        declared_description=root.findtext("description"),
        display_name=root.findtext("displayName"),
        quiet_period=float(quiet) if quiet else None,
        concurrent=root.findtext("concurrentBuild") == "true" if kind == "freestyle" else not serial,
        disabled=root.findtext("disabled") == "true",
        endpoints=[_endpoint(e) for e in root.iter(_ENDPOINT)],
    )


def write(job: Job) -> bytes:
    root = Element(_TAGS[job.kind])
    SubElement(root, "description").text = job.description or ""
    if job.display_name:
        SubElement(root, "displayName").text = job.display_name
    if job.quiet_period is not None:
        SubElement(root, "quietPeriod").text = f"{job.quiet_period:g}"
    SubElement(root, "disabled").text = str(job.disabled).lower()
    properties = SubElement(root, "properties")
    if job.kind == "freestyle":
        SubElement(root, "concurrentBuild").text = str(job.concurrent).lower()
    elif not job.concurrent:
        SubElement(SubElement(properties, _SERIAL), "abortPrevious").text = str(job.abort_previous).lower()
    if job.endpoints:
        _write_endpoints(properties, job)
    if job.parameters:
        holder = SubElement(properties, "hudson.model.ParametersDefinitionProperty")
        definitions = SubElement(holder, "parameterDefinitions")
        for definition in job.parameters:
            _write_definition(definitions, definition)
    return b"<?xml version='1.0' encoding='UTF-8'?>\n" + ElementTree.tostring(root)


def _write_endpoints(properties: Element, job: Job) -> None:
    """Write them as the notification plugin does (`HudsonNotificationProperty`, `Endpoint`, `UrlInfo`)."""
    holder = SubElement(properties, "com.tikal.hudson.plugins.notification.HudsonNotificationProperty")
    endpoints = SubElement(holder, "endpoints")
    for endpoint in job.endpoints:
        element = SubElement(endpoints, _ENDPOINT)
        info = SubElement(element, "urlInfo")
        SubElement(info, "urlOrId").text = endpoint.credential or endpoint.url
        SubElement(info, "urlType").text = "SECRET" if endpoint.credential else "PUBLIC"
        for name, value in (("protocol", "HTTP"), ("format", "JSON"), ("event", endpoint.event)):
            SubElement(element, name).text = value
        SubElement(element, "timeout").text = f"{endpoint.timeout * 1000:g}"
        SubElement(element, "retries").text = str(endpoint.retries)
        SubElement(element, "loglines").text = str(endpoint.log_lines)
        if endpoint.branch is not None:
            SubElement(element, "branch").text = endpoint.branch


def _endpoint(element: Element) -> Endpoint:
    secret = element.findtext("urlInfo/urlType") == "SECRET"
    address = element.findtext("urlInfo/urlOrId") or element.findtext("url") or ""
    event = element.findtext("event")
    return Endpoint(
        "" if secret else address,
        "all" if event is None else event,
        float(element.findtext("timeout") or 30_000) / 1000,
        int(element.findtext("retries") or 0),
        credential=address if secret else "",
        branch=element.findtext("branch"),
        log_lines=int(element.findtext("loglines") or 0),
        notes="" if element.find("urlInfo") is not None else None,
    )


def _definition(element: Element) -> ParameterDefinition:
    return ParameterDefinition(
        element.findtext("name") or "",
        _DEFINITIONS[element.tag],
        element.findtext("defaultValue") or "",
        element.findtext("description") or "",
        tuple(choice.text or "" for choice in element.iter("string")),
    )


def _write_definition(parent: Element, definition: ParameterDefinition) -> None:
    element = SubElement(parent, _DEFINITION_TAGS[definition.kind])
    SubElement(element, "name").text = definition.name
    SubElement(element, "description").text = definition.description
    SubElement(element, "defaultValue").text = definition.default
    if definition.choices:
        holder = SubElement(SubElement(element, "choices"), "a")
        for choice in definition.choices:
            SubElement(holder, "string").text = choice
