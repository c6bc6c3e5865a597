"""Does our own door answer a callback of a controller, at the address that Jenkins is given for it?"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import requests

from bot.doctor.finding import About, Finding
from bot.jenkins.doctor.knock import NoAnswer, Place, knock, shown
from bot.jenkins.job_plan import CALLBACK_TIMEOUT_MS, JobPlan
from config.configuration import Controller

#: The longest that a callback may take to be answered, in seconds: the printed jobs wait as long.
_TIMEOUT = CALLBACK_TIMEOUT_MS / 1000
#: Names no job and no build, so nothing comes of it.
_NOTHING = {"name": "interlock doctor"}
#: Names that mean another machine on every machine.
_HERE = ("localhost", "127.0.0.1", "::1")
_VARIABLE = "INTERLOCK_JENKINS_WEBHOOK_SECRET"


def examine(controller: Controller, public_url: str, secret: str) -> Iterator[Finding]:
    """Send a callback that names no build, as Jenkins would; from here, which may not be where Jenkins is."""
    about = About.controller(controller.name)
    if urlsplit(public_url).hostname in _HERE and urlsplit(controller.url).hostname not in _HERE:
        found = f"callbacks: {shown(public_url)} is this machine only here; for Jenkins it is its own"
        yield about.unsure(found, "put the address under which Jenkins reaches Interlock into web.public_url")
    place = Place(public_url, "web.public_url", _TIMEOUT)
    try:
        answer = knock(place, f"webhooks/jenkins/{controller.name}/{quote(secret)}", "POST", json=_NOTHING)
    except NoAnswer as error:
        yield about.unsure(f"callbacks: {error}", f"is Interlock running? {error.mend}")
        return
    yield _judged(about, controller.name, public_url, answer)


def examine_question(plan: JobPlan, public_url: str) -> Iterator[Finding]:
    """Ask what a job asks before it rolls out, about a run that nobody has; nothing if nobody answers at all."""
    about = About.controller(plan.controller)
    path = f"api/v1/pipelines/{quote(plan.pipeline)}/attempts/doctor.1/{quote(plan.stage)}/1"
    try:
        answer = knock(Place(public_url, "web.public_url", _TIMEOUT), path)
        told = answer.json() if answer.status_code == HTTPStatus.CONFLICT else {}
    except (NoAnswer, ValueError):
        return  # said of the callbacks already
    if isinstance(told, dict) and told.get("current") is False:
        return
    found = f"asking before a roll-out: {shown(public_url)} answers {answer.status_code}, not as Interlock does"
    mend = "let GET under /api/v1/pipelines/ reach Interlock without a sign-in: else printed jobs roll nothing out"
    yield about.unsure(found, mend)


def _judged(about: About, controller: str, public_url: str, answer: requests.Response) -> Finding:
    where, status = shown(public_url), answer.status_code
    if status == HTTPStatus.ACCEPTED and _ignored(answer):
        return about.good(f"callbacks to {where} are answered")
    if status == HTTPStatus.UNAUTHORIZED:
        found = f"callbacks: {where} refuses the secret (401)"
        return about.unsure(found, f"the web process has another {_VARIABLE}: give both the same, start it anew")
    if 300 <= status < 400:
        to = urlsplit(answer.headers.get("Location", ""))  # its path may hold the secret
        found = f"callbacks: {where} sends them on to {to.scheme}://{to.netloc}, where Jenkins does not follow"
        return about.unsure(found, "put the address that answers itself into web.public_url, and into the credential")
    if status == HTTPStatus.NOT_FOUND:
        found = f"callbacks: nobody at {where} knows /webhooks/jenkins/{controller} (404)"
        mend = "does the proxy pass /webhooks/ on? Was the web process started with this pipeline file?"
        return about.unsure(found, mend)
    if status >= 500:
        found = f"callbacks: {where} answers {status}"
        return about.unsure(found, "is Interlock behind that proxy running, and its Redis? See its log")
    found = f"callbacks: {where} answers {status}, not as Interlock does"
    return about.unsure(found, "is web.public_url Interlock's address, and does nothing before it ask for a sign-in?")


def _ignored(answer: requests.Response) -> bool:
    try:
        return bool(answer.json().get("status") == "ignored")
    except (ValueError, AttributeError):
        return False
