"""Check settings of a job that only its config.xml shows: concurrency, triggers, number of kept builds, callbacks."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

from bot.doctor import DoctorFinding, Subject
from bot.effect_outcomes import RetryLater
from bot.jenkins.client import JenkinsClient, JenkinsForbidden, JenkinsNotFound
from bot.jenkins.doctor.controller import version_number
from bot.jenkins.job_plan import CALLBACK_RETRIES, CALLBACK_TIMEOUT_MS, JobPlan, credential
from config.configuration import job_path

_SERIAL = "org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty"

_THROTTLE = "hudson.plugins.throttleconcurrents.ThrottleJobProperty"

#: A job that keeps fewer builds may delete one before Interlock has read its result.
KEPT = 10


class SettingsHidden(Exception):
    """An error: the configuration cannot be read. The finding says why."""

    def __init__(self, finding: DoctorFinding) -> None:
        super().__init__(finding.found)
        self.finding = finding


def read(client: JenkinsClient, about: Subject, plan: JobPlan) -> ET.Element:
    """Return the configuration of a job. Raises SettingsHidden."""
    try:
        body = client.ask("GET", f"{job_path(plan.name)}/config.xml").content
        return parsed(body)
    except (JenkinsForbidden, JenkinsNotFound) as error:
        found = "Item/ExtendedRead is missing: the doctor cannot check its callback and its settings"
        mend = "give the user Item/ExtendedRead on it; only the doctor needs it"
        raise SettingsHidden(about.unsure(found, mend)) from error
    except (RetryLater, ET.ParseError) as error:
        raise SettingsHidden(about.unsure(f"the doctor could not read its configuration: {error}")) from error


def parsed(body: bytes) -> ET.Element:
    """Parse a configuration. Jenkins writes XML 1.1, which the parser does not support; it is read as 1.0, which
    differs only in characters that no configuration contains."""
    text = body.decode("utf-8", "replace").replace("<?xml version='1.1'", "<?xml version='1.0'", 1)
    return ET.fromstring(text)  # noqa: S314  our own Jenkins


def examine_settings(about: Subject, plan: JobPlan, root: ET.Element) -> Iterator[DoctorFinding]:
    """Report settings that would disturb a run."""
    yield from _concurrency(about, plan, root)
    triggers = sorted({child.tag.rpartition(".")[2] for holder in root.iter("triggers") for child in holder})
    if triggers:
        found = f"it also starts builds by itself ({', '.join(triggers)})"
        mend = "remove that: a build that no run asked for takes a slot of the stage, and may break it"
        yield about.unsure(found, mend)
    kept = _whole(next(root.iter("numToKeep"), None))
    if 0 < kept < KEPT:
        found = f"it keeps {kept} builds at most"
        mend = (
            f"keep {KEPT} or more: Jenkins may delete a build that ended while Interlock was down "
            "before Interlock reads its result"
        )
        yield about.unsure(found, mend)


def _concurrency(about: Subject, plan: JobPlan, root: ET.Element) -> Iterator[DoctorFinding]:
    serial = next(root.iter(_SERIAL), None)
    if serial is not None and serial.findtext("abortPrevious") == "true":
        mend = "set it to false (disableConcurrentBuilds without abortPrevious)"
        if plan.concurrent:
            yield about.bad(
                "abortPrevious: each build ends the one before it, and the stage has room for several", mend
            )
        else:
            yield about.unsure("abortPrevious: a build that somebody starts by hand ends the build of a run", mend)
    throttle = next(root.iter(_THROTTLE), None)
    if throttle is None or throttle.findtext("throttleEnabled") != "true":
        return
    most = _whole(throttle.find("maxConcurrentTotal"))
    if throttle.findtext("throttleOption") == "category":
        found = "throttle-concurrents limits its builds together with those of other jobs"
        yield about.unsure(
            found, "remove it from the category: a run waits in Jenkins' queue there and keeps its slot meanwhile"
        )
    elif 0 < most < (plan.capacity or most + 1):
        found = f"throttle-concurrents allows {most} builds at once, and the stage has room for more"
        yield about.unsure(found, "raise maxConcurrentTotal, or lower the stage's capacity")


def _whole(element: ET.Element | None) -> int:
    text = "" if element is None else element.text or ""
    return int(text) if text.strip().isdigit() else 0


# -- callbacks: by the notification plugin, or a curl ------------------------------------------------------------------

_PROPERTY = "com.tikal.hudson.plugins.notification.HudsonNotificationProperty"

_ENDPOINT = "com.tikal.hudson.plugins.notification.Endpoint"

_OURS = "interlock-callback-"

_WEBHOOK_PATH = "/webhooks/jenkins"

#: The events of an endpoint that report the end of every build (plugin: `Phase#isRun`).
_ENOUGH = ("all", "completed", "finalized")

#: All events of the plugin. It compares exactly, and sends nothing for others such as `ALL` (seen with 1.19).
_KNOWN = (*_ENOUGH, "queued", "started", "failed", "failedAndFirstSuccess", "manual")

#: The longest acceptable delay of a build by one callback with all its tries, in milliseconds: the plugin waits within
#: the build, twice before the first step and twice at the end.
_LONGEST = 10_000

#: The version since which an endpoint without a branch filter is skipped (`Phase#handle` compares ".*" with null).
_FILTERED = (1, 17)


def examine_callback(
    about: Subject,
    plan: JobPlan,
    root: ET.Element,
    secrets: tuple[str, ...],
    *,
    called: bool,
    public_url: str = "",
) -> Iterator[DoctorFinding]:
    """Report what is wrong with the callbacks. `called`: one from this job arrived recently, so it does call back.
    `public_url`: our address, to compare with that of the callbacks; empty: unknown."""
    holder = next(root.iter(_PROPERTY), None)
    endpoints = [] if holder is None else list(holder.iter(_ENDPOINT))
    ours = [endpoint for endpoint in endpoints if _is_ours(endpoint)]
    if holder is not None and ours:
        plugin = version_number(holder.get("plugin", "").rpartition("@")[2]) or _FILTERED
        for endpoint in ours:
            yield from _address(about, plan, endpoint, secrets)
            yield from _host(about, endpoint, public_url)
            yield from _manner(about, endpoint, plugin)
    elif not called and not _by_script(root):
        yield _none(about, plan, endpoints)


def _none(about: Subject, plan: JobPlan, endpoints: list[ET.Element]) -> DoctorFinding:
    mend = (
        f"add a notification with the credential {credential(plan)} (`interlock jenkins-jobs` prints it), or the curl "
        "of `interlock jenkins-jobs --form jenkinsfile` to its Jenkinsfile; until then Interlock polls its builds"
    )
    secrets = [_url(endpoint) for endpoint in endpoints if _kind(endpoint) == "SECRET"]
    if secrets:
        found = f"it calls the address in the credential {secrets[0]}; the doctor cannot see whether that is Interlock"
        return about.unsure(found, f"if it is, rename the credential to {credential(plan)}")
    return about.unsure("it does not call back when a build starts or ends, as far as the doctor can see", mend)


def _kind(endpoint: ET.Element) -> str:
    return endpoint.findtext("urlInfo/urlType") or "PUBLIC"


def _url(endpoint: ET.Element) -> str:
    """Return address or credential; the element `url` is from old versions (plugin: `Endpoint#readResolve`)."""
    return endpoint.findtext("urlInfo/urlOrId") or endpoint.findtext("url") or ""


def _is_ours(endpoint: ET.Element) -> bool:
    return _url(endpoint).startswith(_OURS) if _kind(endpoint) == "SECRET" else _WEBHOOK_PATH in _url(endpoint)


def _by_script(root: ET.Element) -> bool:
    """Return whether the job's own script calls back: it contains the credential or the address of our webhook."""
    script = root.findtext("definition/script") or ""
    return _OURS in script or _WEBHOOK_PATH in script


def _address(about: Subject, plan: JobPlan, endpoint: ET.Element, secrets: tuple[str, ...]) -> Iterator[DoctorFinding]:
    if _kind(endpoint) == "SECRET":
        if _url(endpoint) != credential(plan):
            found = f"it calls back by the credential {_url(endpoint)}, which belongs to another controller"
            yield about.unsure(found, f"use {credential(plan)}: Interlock ignores callbacks for another controller")
        return
    found = "its callback is a PUBLIC address: Jenkins prints it with its secret in the log of every build"
    mend = f"put the address into a secret text {credential(plan)}, use that credential, and change the secret"
    yield about.unsure(found, mend)
    controller, _, given = _after_webhook_path(_url(endpoint)).partition("/")
    if controller not in ("", plan.controller):
        found = f"its callback names the controller {controller}"
        yield about.unsure(
            found, f"write /webhooks/jenkins/{plan.controller}/SECRET: Interlock ignores other controllers"
        )
    if given and secrets and given not in secrets:
        mend = "write the value of INTERLOCK_JENKINS_WEBHOOK_SECRET into it: Interlock refuses any other"
        yield about.unsure("the secret in its callback's address is not Interlock's", mend)


def _host(about: Subject, endpoint: ET.Element, public_url: str) -> Iterator[DoctorFinding]:
    """Report if a callback with a visible address does not go to us; an address in a credential cannot be read."""
    if _kind(endpoint) == "SECRET" or not public_url:
        return
    theirs, ours = urlsplit(_url(endpoint)), urlsplit(public_url)
    if _host_and_port(theirs) != _host_and_port(ours):
        # Only host and port: the rest may contain the secret.
        found = f"its callback goes to {theirs.hostname or 'nowhere'}, but Interlock is at {ours.hostname}"
        mend = (
            "write the address of web.public_url into it, or correct web.public_url: the other host learns the secret"
        )
        yield about.unsure(found if theirs.hostname != ours.hostname else f"{found} with another port", mend)
    elif (below := theirs.path.partition(_WEBHOOK_PATH)[0]) != ours.path:
        found = f"its callback goes to {theirs.hostname}{below}, but Interlock is at {ours.hostname}{ours.path}"
        yield about.unsure(found, "write the address of web.public_url into it, or correct web.public_url")


def _host_and_port(parts: SplitResult) -> tuple[str | None, int | None]:
    try:
        return parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None, None  # an impossible port


def _after_webhook_path(url: str) -> str:
    return unquote(urlsplit(url).path.partition(_WEBHOOK_PATH)[2].strip("/"))


def _manner(about: Subject, endpoint: ET.Element, plugin: tuple[int, int]) -> Iterator[DoctorFinding]:
    event = endpoint.findtext("event")
    if event is not None and event not in _KNOWN:
        found = f"it calls back for the event {event!r}, which the plugin does not have, so it sends nothing"
        yield about.unsure(found, "set the event to all, in lower case")
    elif event is not None and event not in _ENOUGH:
        found = f"it calls back for the event {event} only, so Interlock finds the end of a build by polling"
        yield about.unsure(found, "set the event to all")
    form = (endpoint.findtext("protocol") or "HTTP", endpoint.findtext("format") or "JSON")
    if form != ("HTTP", "JSON"):
        yield about.unsure(f"it calls back by {form[0]} in {form[1]}", "set protocol HTTP and format JSON")
    timeout, retries = _number(endpoint, "timeout", 30_000), _number(endpoint, "retries", 0)
    if timeout * (retries + 1) > _LONGEST:
        tries = f" ({retries + 1} times {timeout / 1000:g} s)" if retries else ""
        found = f"each of its callbacks may delay the build by {timeout * (retries + 1) / 1000:g} s{tries}"
        mend = f"set the retries to {CALLBACK_RETRIES} and the time-out to {CALLBACK_TIMEOUT_MS} (milliseconds)"
        yield about.unsure(f"{found} if nobody answers", f"{mend}: polling finds the change of a lost callback")
    lines = _number(endpoint, "loglines", 0)
    if lines:
        what = "the whole log of the build" if lines < 0 else f"{lines} lines of the build's log"
        mend = "set the log lines to 0: Interlock does not read them, and a log may be large or contain secrets"
        yield about.unsure(f"each of its callbacks contains {what}", mend)
    yield from _filter(about, endpoint.findtext("branch"), plugin)


def _number(endpoint: ET.Element, name: str, default: int) -> int:
    """Return a whole number of the endpoint, or the plugin's default if it is not set."""
    try:
        return int(endpoint.findtext(name) or default)
    except ValueError:
        return default


def _filter(about: Subject, branch: str | None, plugin: tuple[int, int]) -> Iterator[DoctorFinding]:
    if branch == ".*" or (branch is None and plugin < _FILTERED):
        return
    if branch is None:
        found = "it has no branch filter, so the plugin sends nothing outside multibranch jobs"
        yield about.unsure(
            found, "save the job's configuration once by hand, or add <branch>.*</branch> to the endpoint"
        )
    else:
        found = f"its branch filter is {branch!r}, so the plugin sends nothing outside multibranch jobs"
        yield about.unsure(found, "set the branch filter to .*")
