"""Is a controller there, is it a Jenkins, does it know us, and how is it?"""

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

#: How far the clocks may be apart, in seconds. Interlock recognizes a build that has just
#: started by its age (`bot.jenkins.differences.NAMELESS_FOR`).
CLOCKS_APART = 5.0

_TREE = "api/json?tree=mode,quietingDown,quietDownReason,useCrumbs,useSecurity"

#: Parts of addresses that people are sent to for signing in.
_SIGN_IN = ("login", "signin", "sign-in", "oauth", "oidc", "saml", "sso", "securityrealm", "authorize")

#: Where a Jenkins often is, if not where one looked for it.
_USUAL_PATH = "jenkins"


def examine(controller: Controller, token: str) -> Iterator[DoctorFinding]:
    """Everything about one controller. After a BAD one there is nothing more to say."""
    about = Subject.controller(controller.name)
    place = ProbedAddress(controller.url, "url", controller.timeout, controller.ca_bundle)
    auth = (controller.user, token)
    try:
        before = time.time()
        response = probe(place, _TREE, auth=auth)
        after = time.time()
        wrong = _wrong(about, controller, place, response, auth)
        if wrong is not None:
            yield wrong
            return
        root = response.json()
        wrong = _unknown(about, controller, root, probe(place, "me/api/json?tree=id", auth=auth))
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


# -- what is wrong with an answer ------------------------------------------------------------------------------


def _wrong(
    about: Subject,
    controller: Controller,
    place: ProbedAddress,
    response: requests.Response,
    auth: tuple[str, str],
) -> DoctorFinding | None:
    """Why this answer is not that of our Jenkins; None if it is."""
    status = response.status_code
    if status == HTTPStatus.OK:
        return _no_jenkins(about, response)
    if 300 <= status < 400:
        return _redirected(about, controller, response.headers.get("Location", ""))
    if status == HTTPStatus.NOT_FOUND:
        return _elsewhere(about, place)
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(about, controller, place, response, auth)
    say = _STATUSES.get(status)
    if say is not None:
        return say(about, controller, response)
    mend = f"open {shown(controller.url)} and read Jenkins' log"
    return about.bad(f"{shown(controller.url)} answers {status} ({response.reason})", mend)


def _no_jenkins(about: Subject, response: requests.Response) -> DoctorFinding | None:
    try:
        mode = response.json()["mode"]
    except (ValueError, KeyError, TypeError):
        mode = None
    if isinstance(mode, str):
        return None
    mend = (
        "is there a sign-in page in front of Jenkins? Requests with an Authorization header must reach Jenkins itself"
    )
    return about.bad("it answers a page where Jenkins' API should be", mend)


def _redirected(about: Subject, controller: Controller, location: str) -> DoctorFinding:
    ours, theirs = urlsplit(controller.url), urlsplit(location)
    to = shown(location) if theirs.hostname else theirs.path
    if any(word in part.lower() for part in theirs.path.split("/") for word in _SIGN_IN):
        mend = "let requests with an Authorization header reach Jenkins without the sign-in page"
        return about.bad(f"it redirects to a sign-in at {to}", mend)
    if theirs.hostname in (None, ours.hostname) and theirs.scheme == "https" and ours.scheme == "http":
        return about.bad(f"it redirects to {to}", "write https:// in url")
    return about.bad(f"it redirects to {to}", "put the address that it redirects to into url")


def _elsewhere(about: Subject, place: ProbedAddress) -> DoctorFinding:
    """There is no API here; perhaps the context path is missing, or is one too much."""
    parts = urlsplit(place.url)
    origin = f"{parts.scheme}://{parts.netloc}"
    # The origin first: a Jenkins there refuses anonymous users everywhere below, too.
    for url in dict.fromkeys((origin, f"{origin}/{_USUAL_PATH}", f"{place.url}/{_USUAL_PATH}")):
        if url != place.url and _is_jenkins(ProbedAddress(url, place.setting, place.timeout, place.ca_bundle)):
            found = f"there is no Jenkins at {shown(place.url)}, but one at {shown(url)}"
            return about.bad(found, f"put {shown(url)} into url")
    mend = "is its context path missing? It is what stands before /job/ in the address of a job"
    return about.bad(f"there is no Jenkins at {shown(place.url)} (404)", mend)


def _is_jenkins(place: ProbedAddress) -> bool:
    """Whether a Jenkins answers there; it says so even to anonymous users. It is not given our token."""
    try:
        return "X-Jenkins" in probe(place, "api/json?tree=mode").headers
    except NoAnswer:
        return False


def _unauthorised(about: Subject, controller: Controller, response: requests.Response) -> DoctorFinding:
    realm = response.headers.get("WWW-Authenticate", "")
    if realm and "Jenkins" not in realm:
        mend = "requests with Jenkins' own Authorization header must reach Jenkins"
        return about.bad(f"a proxy in front of Jenkins asks for a sign-in (401, {realm[:80]})", mend)
    found = f"it does not accept the user {controller.user} with this token (401)"
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
        mend = "is Interlock's machine on its list of allowed addresses?"
        return about.bad("a proxy in front of Jenkins refuses us (403)", mend)
    if _is_anonymous(place, response, auth):
        return _anonymous(about)
    needed = response.headers.get("X-Required-Permission", "hudson.model.Hudson.Read")
    permission = needed.removeprefix("hudson.model.").replace("Hudson.", "Overall/").replace(".", "/")
    found = f"the user {controller.user} may not: it lacks {permission} (403)"
    return about.bad(found, f"give the user {controller.user} Overall/Read (docs/jenkins.md has all that it needs)")


def _is_anonymous(place: ProbedAddress, refused: requests.Response, auth: tuple[str, str]) -> bool:
    """Whether Jenkins treats us as anonymous. `/whoAmI` says so outright, to everybody (Jenkins: `WhoAmI`).

    The 403 itself names whom it was for, but not if that was nobody, up to 2.555 at least (seen on 2.426.3): so if
    `/whoAmI` cannot be asked, one that names nobody was for nobody.
    """
    try:
        who = probe(place, "whoAmI/api/json", auth=auth).json()
        return bool(who["anonymous"])
    except (NoAnswer, ValueError, KeyError, TypeError):
        return refused.headers.get("X-You-Are-Authenticated-As", "anonymous") == "anonymous"


def _anonymous(about: Subject) -> DoctorFinding:
    mend = "let the proxy in front of Jenkins pass on the Authorization header"
    return about.bad("our sign-in does not reach Jenkins, which treats us as anonymous", mend)


def _starting(about: Subject, controller: Controller, response: requests.Response) -> DoctorFinding:
    found = "Jenkins is starting, or is not there behind its proxy (503)"
    return about.bad(found, "wait a moment and look again; Interlock waits as well")


def _proxy(about: Subject, controller: Controller, response: requests.Response) -> DoctorFinding:
    found = f"the proxy in front of Jenkins answers, Jenkins does not ({response.status_code})"
    return about.bad(found, "start Jenkins, or mend the address that the proxy has for it")


def _too_many(about: Subject, controller: Controller, response: requests.Response) -> DoctorFinding:
    return about.bad("the proxy in front of Jenkins answers: too many requests (429)", "raise its limit for Interlock")


_STATUSES: dict[int, Callable[[Subject, Controller, requests.Response], DoctorFinding]] = {
    401: _unauthorised,
    429: _too_many,
    502: _proxy,
    503: _starting,
    504: _proxy,
}

# -- how it is -------------------------------------------------------------------------------------------------


def _unknown(
    about: Subject, controller: Controller, root: dict[str, Any], me: requests.Response
) -> DoctorFinding | None:
    """Whether Jenkins treats us as anonymous: a page that everybody may read says nothing about that."""
    if me.status_code == HTTPStatus.OK or not root.get("useSecurity"):
        return None
    if me.status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):  # Jenkins#getMe: nobody has no page
        return _anonymous(about)
    return about.bad(f"it does not say whom it treats {controller.user} as ({me.status_code})", _new_token(controller))


def clocks(about: Subject, date: str, before: float, after: float) -> Iterator[DoctorFinding]:
    """Whether the clock of `date` is certainly far from ours: it was written between `before` and `after`.

    Ours in seconds since the epoch. The header is whole seconds, and may be from a proxy; an answer that took long says
    little about clocks. So what is shown is the least that they can be apart.
    """
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    behind, ahead = before - (theirs + 1), theirs - after  # at least; negative where it need not be so at all
    if max(behind, ahead) > CLOCKS_APART:
        found = f"its clock is at least {max(behind, ahead):.0f} s {'ahead of' if ahead > behind else 'behind'} ours"
        mend = "set both by NTP: Interlock tells by its start whether a new build is its own"
        yield about.unsure(found, mend)


def _signing_in(about: Subject, root: dict[str, Any], posted: requests.Response) -> Iterator[DoctorFinding]:
    """A POST without a crumb gets through with an API token only (Jenkins: `ApiCrumbExclusion`, `CrumbFilter`)."""
    if not root.get("useSecurity"):
        yield about.unsure(
            "security is off: anybody may do anything there", "turn security on in Jenkins, with a user for Interlock"
        )
    elif posted.status_code == HTTPStatus.FORBIDDEN and "crumb" in posted.text.lower():
        mend = "an API token needs no crumb, outlives a change of password, and can be revoked alone (docs/jenkins.md)"
        yield about.unsure("we sign in with a password", mend)
    elif posted.status_code != HTTPStatus.OK:
        mend = "does a proxy in front of Jenkins let GET through only? Triggers are POST"
        yield about.bad(f"it answers {posted.status_code} to a POST that changes nothing", mend)
    elif root.get("useCrumbs") is False:
        mend = "turn CSRF protection on in Jenkins (Security); with an API token Interlock needs no crumb"
        yield about.unsure("it takes requests without crumbs from every signed-in browser", mend)


def _state(about: Subject, root: dict[str, Any]) -> Iterator[DoctorFinding]:
    if root.get("quietingDown"):
        reason = str(root.get("quietDownReason") or "")
        found = "it is preparing to shut down" + (f": {reason[:200]}" if reason else "")
        yield about.unsure(found, "it accepts triggers but starts nothing until the shutdown is cancelled or done")


# -- older versions ----------------------------------------------------------------------------------------------------

#: The oldest long-term line that we recommend: the first on Java 17 and Jakarta EE, where today's plugins begin.
RECOMMENDED = (2, 479)

#: Since when (Jenkins: `Queue#doCancelItem`, `ParametersDefinitionProperty#buildWithParameters`,
#: `ParameterizedJobMixIn#doBuildWithParameters`), and what it was like before.
_BEFORE = (
    ((2, 211), "it does not say whether a queue item was cancelled, so Interlock asks once more"),
    ((2, 308), "it does not say that a trigger met an equal one in the queue"),
    ((2, 524), "it answers 500 to a trigger of a job without parameters, so that the run waits and is tried for ever"),
)

_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def version_number(text: str) -> tuple[int, int] | None:
    """`2.479.3`, `2.555-SNAPSHOT` as (2, 479), (2, 555); None for what is no version."""
    found = _NUMBERS.match(text)
    return None if found is None else (int(found[1]), int(found[2]))


def _old_version(about: Subject, text: str) -> Iterator[DoctorFinding]:
    """What to know about a controller of that version; nothing about a recent one."""
    version = version_number(text)
    if version is None:
        yield about.unsure(
            f"its version, {text!r}, cannot be read", "does a proxy drop or change the header X-Jenkins?"
        )
    elif version < RECOMMENDED:
        peculiar = [f"before {since[0]}.{since[1]} {what}" for since, what in _BEFORE if version < since]
        found = f"Jenkins {text} is older than 2.479 ({'; '.join(peculiar)})"
        yield about.unsure(found, "bring it up to date: a long-term version from 2.479.1 on")
