"""The sender of the present request, and the check whether they may take an action.

The views call two functions: `current_user`, which returns the person, and `require`, which refuses people without the
role.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import cast

import structlog
from flask import g, request
from redis.exceptions import RedisError

from bot.core.access import NEEDED, AccessRefused, AccessRequest, Action, Person, Scope, github_person
from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.github import membership
from bot.github.session import Purpose
from bot.reporting.refusals import refusal
from bot.runtime import PipelineContext
from bot.store.tokens import Tokens, digest_of
from bot.web import sessions
from bot.web.bodies import LONGEST_TOKEN, bearer
from bot.web.problems import Problem
from bot.web.shared import runtime

log = structlog.get_logger()

#: For how many seconds an answer of GitHub about a person is reused here. Commands at GitHub reuse none.
REMEMBERED = 60
#: For how many seconds GitHub's answer decides whether a button is shown. Pressing the button asks GitHub again.
SHOWN = 300

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_NOT_ASKED = "interlock_not_asked"


def current_user() -> Person | None:
    """Return the person who sends the present request; None if it does not identify one.

    Raises Problem (401) for a wrong token, and RedisError if the store must be asked and cannot be reached.
    """
    found = g.get("interlock_user", _NOT_ASKED)
    if found == _NOT_ASKED:
        found = g.interlock_user = _of_token() or _of_proxy() or _of_session()
    return cast("Person | None", found)


def require(action: Action, context: PipelineContext, service: str | None = None) -> Person:
    """Return the person who sends the present request, if they may take `action` (on `service`, if given).

    Raises Problem: 401 if nobody is signed in; 403 with the needed role and its members; 503 if GitHub must be asked
    and does not answer.
    """
    person = signed_in()
    allow(person, action, context, service)
    return person


def require_everywhere(action: Action) -> Person:
    """Return the person like `require`, for actions on all pipelines: the role is needed in each. Raises Problem."""
    person = signed_in()
    for context in runtime().pipelines.values():
        allow(person, action, context)
    return person


def signed_in() -> Person:
    """Return the person who sends the present request. Raises Problem (401) if it does not identify one."""
    person = current_user()
    if person is None:
        raise Problem(401, "this needs your token: Authorization: Bearer TOKEN")
    return person


def allow(person: Person, action: Action, context: PipelineContext, service: str | None = None) -> None:
    """Return if `person` may take `action`. Raises Problem (403, 503) as `require` does."""
    roles = runtime().configuration.access(context.pipeline.name).roles
    asked = access_request(action, context, service)
    try:
        verdict = membership.judge(runtime(), roles, asked, person, Purpose.PROOF, REMEMBERED)
    except RetryLater as error:
        log.warning("access-unknown", by=person.name, action=str(action), why=str(error))
        raise Problem(503, "Interlock could not ask GitHub what you may do here; try again") from error
    except PermanentFailure as error:
        log.warning("access-unknown", by=person.name, action=str(action), why=str(error))
        raise Problem(403, "GitHub did not say what you may do here, so Interlock refuses it") from error
    if isinstance(verdict, AccessRefused):
        log.info("access-refused", by=person.name, action=str(action), pipeline=context.pipeline.name)
        raise Problem(403, refusal(verdict, person.name), action=str(action), needs=str(verdict.needs))


def may(action: Action, context: PipelineContext, service: str | None = None) -> bool:
    """Return whether the sender of the present request may take `action`, to decide whether to show a button.

    Also false if nobody is signed in, or if GitHub does not answer. GitHub's answers are reused for a while.
    """
    try:
        return believed(signed_in(), action, context, service, SHOWN, SHOWN)
    except Problem:
        return False


def believed(person: Person, action: Action, context: PipelineContext, service: str | None, yes: int, no: int) -> bool:
    """Return whether `person` may take `action`; an answer of GitHub is reused for `yes` or `no` seconds.

    A page makes many such requests, and a permission may have to be looked up in every repository. Raises Problem (503)
    if GitHub must be asked and does not answer.
    """
    redis, role = runtime().redis, NEEDED[action]
    key = f"interlock:{{access}}:{person.login.casefold()}:{role}:{context.pipeline.name}:{service or ''}"
    if person.login:
        known = cast("bytes | None", redis.get(key))
        if known is not None:
            return known == b"yes"
    try:
        allow(person, action, context, service)
    except Problem as problem:
        if problem.status != 403:
            raise
        found = False
    else:
        found = True
    if person.login:
        redis.set(key, b"yes" if found else b"no", ex=yes if found else no)
    return found


def access_request(action: Action, context: PipelineContext, service: str | None) -> AccessRequest:
    """Return the action with the repositories in which a permission counts: that of the service, or those of all."""
    services = context.pipeline.services
    if service is None:
        return AccessRequest(action, None, tuple(dict.fromkeys(each.repository for each in services)))
    return AccessRequest(action, service, tuple(each.repository for each in services if each.name == service))


def _of_token() -> Person | None:
    """Return the owner of the request's API token: one of the environment, or one made by `interlock token`."""
    token = bearer(request.headers.get("Authorization", ""))
    if not token:
        return None
    who = person_of(token)
    if who is None:
        raise Problem(401, "this token is not known")
    return who


def _of_proxy() -> Person | None:
    """Return the person named by the reverse proxy, if the request comes from it.

    In requests from elsewhere the header is ignored.
    """
    proxy = runtime().configuration.web.sign_in.proxy
    name = request.headers.get(proxy.header, "") if proxy is not None else ""
    if proxy is None or not name or not _is_from(request.remote_addr or "", proxy.networks):
        return None
    if not _NAME.fullmatch(name):
        raise Problem(401, "the proxy sends a name that is not valid")
    return github_person(name) if proxy.logins else Person(name)


def _is_from(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain in network for network in networks)


def _of_session() -> Person | None:
    """Return the person who signed in on the page.

    A token that was revoked or has expired signs nobody in any more.
    """
    signed = sessions.content()
    match signed.get("way"):
        case "github":
            return github_person(signed["login"]) if runtime().configuration.web.sign_in.github else None
        case "token":
            return _of_digest(signed["digest"]) if runtime().configuration.web.sign_in.token else None
        case _:
            return None


def _of_digest(digest: str) -> Person | None:
    for who, secret in runtime().settings.api_tokens.items():
        if hmac.compare_digest(digest_of(secret.get_secret_value()), digest):
            return Person(who, by_token=True)
    found = Tokens(runtime().redis).with_digest(digest, time.time())
    return None if found is None else Person(found.name, by_token=True, scope=found.scope)


def person_of(token: str) -> Person | None:
    """Return the owner of this API token, or None."""
    if len(token) > LONGEST_TOKEN:
        return None
    named = runtime().settings.who(token)
    if named is not None:
        return Person(named, by_token=True, scope=Scope.ADMIN)
    try:
        found = Tokens(runtime().redis).find(token, time.time())
    except RedisError as error:
        raise Problem(503, "the store cannot be reached at the moment: try again") from error
    return None if found is None else Person(found.name, by_token=True, scope=found.scope)
