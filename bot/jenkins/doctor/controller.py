"""Check a controller: whether it answers, is a Jenkins, accepts our user, and is in a good state."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from bot.doctor import DoctorFinding, Subject
from bot.jenkins.doctor.probe import NoAnswer, ProbedAddress, probe, shown
from config.configuration import Controller

#: The largest difference of the clocks without a warning, in seconds. Interlock recognizes a build that has just
#: started by its age (`bot.jenkins.differences.NAMELESS_FOR`).
CLOCKS_APART = 5.0

_TREE = "api/json?tree=mode,quietingDown,quietDownReason,useCrumbs,useSecurity"

#: Parts of paths that belong to a sign-in page.
_SIGN_IN = ("login", "signin", "sign-in", "oauth", "oidc", "saml", "sso", "securityrealm", "authorize")

#: The usual context path of a Jenkins, tried if there is none at the configured address.
_USUAL_PATH = "jenkins"


def examine(controller: Controller, token: str) -> Iterator[DoctorFinding]:
    """Yield all findings about one controller. After a BAD one the checks stop."""
    about = Subject.controller(controller.name)
    place = ProbedAddress(controller.url, "url", controller.timeout, controller.ca_bundle)
    auth = (controller.user, token)
    try:
        before = time.time()
        response = probe(place, _TREE, auth=auth)
        after = time.time()
        wrong = _fault(about, controller, place, response, auth)
        if wrong is not None:
            yield wrong
            return
        root = response.json()
        wrong = _not_signed_in(about, controller, root, probe(place, "me/api/json?tree=id", auth=auth))
        if wrong is not None:
            yield wrong
            return
        yield about.good(f"Jenkins {_version(response)} answers {controller.user}")
        yield from _old_version(about, _version(response))
        yield from clocks(about, response.headers.get("Date", ""), before, after)
        yield from _signing_in(about, root, probe(place, "api/json?tree=mode", "POST", auth=auth))
        yield from _state(about, root)
    except NoAnswer as error:
        yield about.bad(str(error), error.mend)


def _version(response: requests.Response) -> str:
    return response.headers.get("X-Jenkins", "of unknown version")


# -- errors in an answer ---------------------------------------------------------------------------------------


def _fault(
    about: Subject,
    controller: Controller,
    place: ProbedAddress,
    response: requests.Response,
    auth: tuple[str, str],
) -> DoctorFinding | None:
    """Return a finding if this is not an answer of our Jenkins, else None."""
    status = response.status_code
    if status == HTTPStatus.OK:
        return _not_jenkins(about, response)
    if 300 <= status < 400:
        return _redirected(about, controller, response.headers.get("Location", ""))
    if status == HTTPStatus.NOT_FOUND:
        return _not_found(about, place)
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(about, controller, place, response, auth)
    say = _STATUSES.get(status)
    if say is not None:
        return say(about, controller, response)
    mend = f"open {shown(controller.url)} and read Jenkins' log"
    return about.bad(f"{shown(controller.url)} answers {status} ({response.reason})", mend)


def _not_jenkins(about: Subject, response: requests.Response) -> DoctorFinding | None:
    try:
        mode = response.json()["mode"]
    except (ValueError, KeyError, TypeError):
        mode = None
    if isinstance(mode, str):
        return None
    mend = "let requests with an Authorization header pass the sign-in page or proxy in front of Jenkins"
    return about.bad("it answers with a page instead of Jenkins' API", mend)


def _redirected(about: Subject, controller: Controller, location: str) -> DoctorFinding:
    ours, theirs = urlsplit(controller.url), urlsplit(location)
    to = shown(location) if theirs.hostname else theirs.path
    if any(word in part.lower() for part in theirs.path.split("/") for word in _SIGN_IN):
        mend = "let requests with an Authorization header pass the sign-in page"
        return about.bad(f"it redirects to a sign-in page at {to}", mend)
    if theirs.hostname in (None, ours.hostname) and theirs.scheme == "https" and ours.scheme == "http":
        return about.bad(f"it redirects to {to}", "write https:// in url")
    return about.bad(f"it redirects to {to}", "write that address into url")


def _not_found(about: Subject, place: ProbedAddress) -> DoctorFinding:
    """Report that there is no API at this address; try whether there is one with or without a context path."""
    parts = urlsplit(place.url)
    origin = f"{parts.scheme}://{parts.netloc}"
    # The origin first: a Jenkins there refuses anonymous users for all paths below as well.
    for url in dict.fromkeys((origin, f"{origin}/{_USUAL_PATH}", f"{place.url}/{_USUAL_PATH}")):
        if url != place.url and _is_jenkins(ProbedAddress(url, place.setting, place.timeout, place.ca_bundle)):
            found = f"there is no Jenkins at {shown(place.url)}, but one at {shown(url)}"
            return about.bad(found, f"write {shown(url)} into url")
    mend = "check the context path: the part before /job/ in the address of a job"
    return about.bad(f"there is no Jenkins at {shown(place.url)} (404)", mend)


def _is_jenkins(place: ProbedAddress) -> bool:
    """Return whether a Jenkins answers there: a header shows it, even to anonymous users. Our token is not sent."""
    try:
        return "X-Jenkins" in probe(place, "api/json?tree=mode").headers
    except NoAnswer:
        return False


def _unauthorised(about: Subject, controller: Controller, response: requests.Response) -> DoctorFinding:
    realm = response.headers.get("WWW-Authenticate", "")
    if realm and "Jenkins" not in realm:
        mend = "let requests with an Authorization header pass the proxy"
        return about.bad(f"a proxy in front of Jenkins asks for a sign-in (401, {realm[:80]})", mend)
    found = f"it refuses the user {controller.user} with this token (401)"
    return about.bad(found, _new_token(controller))


def _new_token(controller: Controller) -> str:
    variable = f"INTERLOCK_JENKINS_TOKEN_{controller.name.upper().replace('-', '_')}"
    return f"create an API token for it (Jenkins: People, {controller.user}, Security) and put it into {variable}"


def _forbidden(
    about: Subject,
    controller: Controller,
    place: ProbedAddress,
    response: requests.Response,
    auth: tuple[str, str],
) -> DoctorFinding:
    if "X-Jenkins" not in response.headers:
        mend = "let the proxy accept requests from the address of Interlock's machine"
        return about.bad("a proxy in front of Jenkins refuses Interlock's requests (403)", mend)
    if _is_anonymous(place, response, auth):
        return _anonymous(about)
    needed = response.headers.get("X-Required-Permission", "hudson.model.Hudson.Read")
    permission = needed.removeprefix("hudson.model.").replace("Hudson.", "Overall/").replace(".", "/")
    found = f"the user {controller.user} lacks {permission} (403)"
    return about.bad(
        found, f"give the user {controller.user} Overall/Read (docs/jenkins.md lists all permissions that it needs)"
    )


def _is_anonymous(place: ProbedAddress, refused: requests.Response, auth: tuple[str, str]) -> bool:
    """Return whether Jenkins treats us as anonymous. `/whoAmI` says so, to everybody (Jenkins: `WhoAmI`).

    If `/whoAmI` cannot be asked, the 403 itself decides: it names the user, but no anonymous one, up to 2.555 at least
    (seen on 2.426.3).
    """
    try:
        who = probe(place, "whoAmI/api/json", auth=auth).json()
        return bool(who["anonymous"])
    except (NoAnswer, ValueError, KeyError, TypeError):
        return refused.headers.get("X-You-Are-Authenticated-As", "anonymous") == "anonymous"


def _anonymous(about: Subject) -> DoctorFinding:
    mend = "let the proxy in front of Jenkins pass on the Authorization header"
    return about.bad("Interlock's sign-in does not reach Jenkins, which treats Interlock as anonymous", mend)


def _starting(about: Subject, controller: Controller, response: requests.Response) -> DoctorFinding:
    found = "Jenkins is starting, or its proxy does not reach it (503)"
    return about.bad(found, "wait a moment and run the doctor again; Interlock waits as well")


def _proxy(about: Subject, controller: Controller, response: requests.Response) -> DoctorFinding:
    found = f"the proxy in front of Jenkins answers, Jenkins does not ({response.status_code})"
    return about.bad(found, "start Jenkins, or correct its address in the proxy")


def _too_many(about: Subject, controller: Controller, response: requests.Response) -> DoctorFinding:
    return about.bad(
        "the proxy in front of Jenkins limits Interlock's requests (429)", "raise the proxy's limit for Interlock"
    )


_STATUSES: dict[int, Callable[[Subject, Controller, requests.Response], DoctorFinding]] = {
    401: _unauthorised,
    429: _too_many,
    502: _proxy,
    503: _starting,
    504: _proxy,
}

# -- the state of the controller -------------------------------------------------------------------------------


def _not_signed_in(
    about: Subject, controller: Controller, root: dict[str, Any], me: requests.Response
) -> DoctorFinding | None:
    """Return a finding if Jenkins treats us as anonymous, which a page that everybody may read does not show."""
    if me.status_code == HTTPStatus.OK or not root.get("useSecurity"):
        return None
    if me.status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):  # Jenkins#getMe: an anonymous user has no page
        return _anonymous(about)
    return about.bad(
        f"it does not name the user that it signs {controller.user} in as ({me.status_code})", _new_token(controller)
    )


def clocks(about: Subject, date: str, before: float, after: float) -> Iterator[DoctorFinding]:
    """Report if the clock of the header `date`, which was written between `before` and `after`, is certainly far from
    ours.

    `before` and `after` are in seconds since the epoch, by our clock. The header has whole seconds and may be from a
    proxy, and a slow answer says little about clocks. So the finding names the least possible difference.
    """
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    behind, ahead = before - (theirs + 1), theirs - after  # lower bounds; negative if there need be no difference
    if max(behind, ahead) > CLOCKS_APART:
        found = (
            f"its clock is at least {max(behind, ahead):.0f} s {'ahead of' if ahead > behind else 'behind'} Interlock's"
        )
        mend = "set both by NTP: Interlock compares the start of a build with its own clock to recognize its builds"
        yield about.unsure(found, mend)


def _signing_in(about: Subject, root: dict[str, Any], posted: requests.Response) -> Iterator[DoctorFinding]:
    """Report how we sign in: a POST without a crumb is accepted only with an API token (Jenkins: `ApiCrumbExclusion`,
    `CrumbFilter`)."""
    if not root.get("useSecurity"):
        yield about.unsure(
            "its security is off: anybody may do anything there",
            "turn security on in Jenkins, with a user for Interlock",
        )
    elif posted.status_code == HTTPStatus.FORBIDDEN and "crumb" in posted.text.lower():
        mend = (
            "use an API token: it needs no crumb, outlives a change of the password, and can be "
            "revoked alone (docs/jenkins.md)"
        )
        yield about.unsure("Interlock signs in with a password", mend)
    elif posted.status_code != HTTPStatus.OK:
        mend = "let the proxy in front of Jenkins pass POST as well as GET: triggers are POST"
        yield about.bad(f"it answers {posted.status_code} to a POST that changes nothing", mend)
    elif root.get("useCrumbs") is False:
        mend = "turn CSRF protection on in Jenkins (Security); with an API token Interlock needs no crumb"
        yield about.unsure("it accepts requests without crumbs from every signed-in browser", mend)


def _state(about: Subject, root: dict[str, Any]) -> Iterator[DoctorFinding]:
    if root.get("quietingDown"):
        reason = str(root.get("quietDownReason") or "")
        found = "it is preparing to shut down" + (f": {reason[:200]}" if reason else "")
        yield about.unsure(
            found, "it accepts triggers and starts nothing until somebody cancels the shutdown or it is done"
        )


# -- older versions ----------------------------------------------------------------------------------------------------

#: The oldest recommended long-term line: the first on Java 17 and Jakarta EE, which today's plugins require.
RECOMMENDED = (2, 479)

#: The versions that changed a behaviour, and the behaviour before (Jenkins: `Queue#doCancelItem`,
#: `ParametersDefinitionProperty#buildWithParameters`, `ParameterizedJobMixIn#doBuildWithParameters`).
_BEFORE = (
    ((2, 211), "it does not report whether it cancelled a queue item, so Interlock asks once more"),
    ((2, 308), "it does not report that it merged a trigger with an equal one in the queue"),
    (
        (2, 524),
        "it answers 500 to a trigger of a job without parameters, so the run waits, and Interlock retries without end",
    ),
)

_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def version_number(text: str) -> tuple[int, int] | None:
    """Convert `2.479.3` or `2.555-SNAPSHOT` to (2, 479) or (2, 555); None if it is not a version."""
    found = _NUMBERS.match(text)
    return None if found is None else (int(found[1]), int(found[2]))


def _old_version(about: Subject, text: str) -> Iterator[DoctorFinding]:
    """Report the known problems of a controller of that version; nothing about a recent one."""
    version = version_number(text)
    if version is None:
        yield about.unsure(
            f"{text!r} is not a version of Jenkins", "let the proxy pass on the header X-Jenkins unchanged"
        )
    elif version < RECOMMENDED:
        peculiar = [f"before {since[0]}.{since[1]} {what}" for since, what in _BEFORE if version < since]
        found = f"Jenkins {text} is older than 2.479 ({'; '.join(peculiar)})"
        yield about.unsure(found, "upgrade it to a long-term version from 2.479.1 on")
