"""What a job's config.xml says that the API does not: concurrency, who starts it, how many builds it keeps."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from bot.doctor.finding import About, Finding
from bot.effect_outcomes import RetryLater
from bot.jenkins.client import JenkinsClient, NotAllowed, NotThere, job_path
from bot.jenkins.job_plan import JobPlan

_SERIAL = "org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty"
_THROTTLE = "hudson.plugins.throttleconcurrents.ThrottleJobProperty"
#: A job that keeps fewer builds may have thrown one away before anybody has read its result.
KEPT = 10


class Hidden(Exception):
    """It cannot be read; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.found)
        self.finding = finding


def read(client: JenkinsClient, about: About, plan: JobPlan) -> ET.Element:
    """The configuration of a job. Raises Hidden."""
    try:
        body = client.ask("GET", f"{job_path(plan.name)}/config.xml").content
        return parsed(body)
    except (NotAllowed, NotThere) as error:
        found = "whether it calls back, and what else it is set to, cannot be seen: Item/ExtendedRead is missing"
        mend = "give the user Item/ExtendedRead on it; only the doctor needs it"
        raise Hidden(about.unsure(found, mend)) from error
    except (RetryLater, ET.ParseError) as error:
        raise Hidden(about.unsure(f"its configuration could not be read: {error}")) from error


def parsed(body: bytes) -> ET.Element:
    """Jenkins writes XML 1.1, which the parser does not know; the two differ in what no configuration has."""
    text = body.decode("utf-8", "replace").replace("<?xml version='1.1'", "<?xml version='1.0'", 1)
    return ET.fromstring(text)  # noqa: S314  our own Jenkins


def examine(about: About, plan: JobPlan, root: ET.Element) -> Iterator[Finding]:
    """What in it would surprise a run."""
    yield from _concurrency(about, plan, root)
    triggers = sorted({child.tag.rpartition(".")[2] for holder in root.iter("triggers") for child in holder})
    if triggers:
        found = f"it also starts by itself ({', '.join(triggers)})"
        mend = "take that out of it: a build that no run asked for takes a slot of the stage, and may break it"
        yield about.unsure(found, mend)
    kept = _number(next(root.iter("numToKeep"), None))
    if 0 < kept < KEPT:
        found = f"it keeps no more than {kept} builds"
        mend = f"keep {KEPT} or more: one that ended while Interlock was away may be gone before its result is read"
        yield about.unsure(found, mend)


def _concurrency(about: About, plan: JobPlan, root: ET.Element) -> Iterator[Finding]:
    serial = next(root.iter(_SERIAL), None)
    if serial is not None and serial.findtext("abortPrevious") == "true":
        mend = "set it to false (disableConcurrentBuilds without abortPrevious)"
        if plan.concurrent:
            yield about.bad(
                "abortPrevious: each build ends the one before it, and the stage has room for several", mend
            )
        else:
            yield about.unsure("abortPrevious: a build that somebody starts by hand ends that of a run", mend)
    throttle = next(root.iter(_THROTTLE), None)
    if throttle is None or throttle.findtext("throttleEnabled") != "true":
        return
    most = _number(throttle.find("maxConcurrentTotal"))
    if throttle.findtext("throttleOption") == "category":
        found = "throttle-concurrents holds its builds back together with those of other jobs"
        yield about.unsure(found, "a run then waits in Jenkins, with its slot taken: leave the waiting to Interlock")
    elif 0 < most < (plan.capacity or most + 1):
        found = f"throttle-concurrents allows {most} builds at once, and the stage has room for more"
        yield about.unsure(found, "raise maxConcurrentTotal, or lower the stage's capacity")


def _number(element: ET.Element | None) -> int:
    text = "" if element is None else element.text or ""
    return int(text) if text.strip().isdigit() else 0
