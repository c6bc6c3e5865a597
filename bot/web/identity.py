"""Who sends the present request, and whether they may do what they ask for.

The views call two functions: `current_user`, which says who it is, and `require`, which refuses those who may not.
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

#: For how many seconds an answer of GitHub about a person is believed here. Commands at GitHub believe none.
REMEMBERED = 60
#: For how many seconds a button is shown to whom GitHub has given the role, or not shown. Pressing it asks anew.
SHOWN = 300

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_NOT_ASKED = "interlock_not_asked"


def current_user() -> Person | None:
    """Who sends the present request; None if they have not shown who they are. Raises Problem (401) for a wrong token.

    Raises RedisError if the store has to be asked and cannot be reached.
    """
    found = g.get("interlock_user", _NOT_ASKED)
    if found == _NOT_ASKED:
        found = g.interlock_user = _of_token() or _of_proxy() or _of_session()
    return cast("Person | None", found)


def require(action: Action, context: PipelineContext, service: str | None = None) -> Person:
    """The person who sends the present request, if they may take `action`, on `service` where it is about one.

    Raises Problem: 401 if nobody is signed in; 403 with the role that it takes and who has it; 503 if GitHub must be
    asked and does not answer.
    """
    person = signed_in()
    allow(person, action, context, service)
    return person


def require_everywhere(action: Action) -> Person:
    """The same for what is not about one pipeline: they must have the role in each. Raises Problem."""
    person = signed_in()
    for context in runtime().pipelines.values():
        allow(person, action, context)
    return person


def signed_in() -> Person:
    """The person who sends the present request. Raises Problem (401) if they have not shown who they are."""
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
        raise Problem(503, "GitHub could not be asked what you may do here; try again") from error
    except PermanentFailure as error:
        log.warning("access-unknown", by=person.name, action=str(action), why=str(error))
        raise Problem(403, "GitHub does not say what you may do here, so it counts as no") from error
    if isinstance(verdict, AccessRefused):
        log.info("access-refused", by=person.name, action=str(action), pipeline=context.pipeline.name)
        raise Problem(403, refusal(verdict, person.name), action=str(action), needs=str(verdict.needs))


def may(action: Action, context: PipelineContext, service: str | None = None) -> bool:
    """Whether the sender of the present request may take `action`: for a button that is shown to those who may.

    False also if nobody is signed in, or GitHub does not say. What GitHub has said is believed for a while.
    """
    try:
        return believed(signed_in(), action, context, service, SHOWN, SHOWN)
    except Problem:
        return False


def believed(person: Person, action: Action, context: PipelineContext, service: str | None, yes: int, no: int) -> bool:
    """Whether `person` may; where GitHub had to be asked, an answer is believed for `yes` or `no` seconds.

    A page asks for many things at once, and a permission may have to be looked for in every repository.
    Raises Problem (503) if GitHub must be asked and does not answer.
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
    """The action with the repositories in which a permission counts: that of the service, or those of all."""
    services = context.pipeline.services
    if service is None:
        return AccessRequest(action, None, tuple(dict.fromkeys(each.repository for each in services)))
    return AccessRequest(action, service, tuple(each.repository for each in services if each.name == service))


def _of_token() -> Person | None:
    """Whose API token the request carries: one of the environment, or one that was made by `interlock token`."""
    token = bearer(request.headers.get("Authorization", ""))
    if not token:
        return None
    who = person_of(token)
    if who is None:
        raise Problem(401, "nobody has this token")
    return who


def _of_proxy() -> Person | None:
    """Whom the reverse proxy names, if the request comes from it. From anywhere else the header counts for nothing."""
    proxy = runtime().configuration.web.sign_in.proxy
    name = request.headers.get(proxy.header, "") if proxy is not None else ""
    if proxy is None or not name or not _is_from(request.remote_addr or "", proxy.networks):
        return None
    if not _NAME.fullmatch(name):
        raise Problem(401, "the proxy names somebody in a way that is no name")
    return github_person(name) if proxy.logins else Person(name)


def _is_from(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain in network for network in networks)


def _of_session() -> Person | None:
    """Who signed in on the page. A token that has been revoked or has ended signs nobody in any more."""
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
    """Who has this API token."""
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
