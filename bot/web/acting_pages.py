"""The page's forms for actions. A form shows a preview before it is sent; the next page shows the outcome."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from flask import render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bot.core.access import Action, Person
from bot.reporting.consequences import clauses
from bot.runtime import PipelineContext
from bot.store.inbox import parked
from bot.web import bodies, shapes
from bot.web.access import to_sign_in
from bot.web.finding_pages import head
from bot.web.forms import ActionForm, action_of, address, form_of
from bot.web.identity import current_user, may, require, signed_in
from bot.web.page import page
from bot.web.problems import Problem
from bot.web.request_inbox import foresee, outcome, submit
from bot.web.sessions import tell
from bot.web.shapes import Shape
from bot.web.shared import context_of, go_to, runtime
from bot.web.sign_in import safe_next

#: How long to wait for the turn that decides a request, in seconds.
PATIENCE = 3
#: The reason in a preview, as long as none is entered.
NO_REASON = "(no reason yet)"
#: The most facts of a request that are shown.
TOLD = 3

#: How long a sent form is remembered, in seconds; sending it again in that time has no effect.
REMEMBERED = 86_400

_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Preview:
    """The consequences of a request on the present board."""

    #: The consequences in words; or, with `is_refused`, why the rules would refuse the request.
    lines: tuple[str, ...]
    is_refused: bool = False
    #: Identifies the preview, to check that the person has seen the present one.
    digest: str = ""


@page.route("/p/<pipeline>/act/<name>", methods=["GET", "POST"])
def act(pipeline: str, name: str) -> AnyResponse | tuple[str, int]:
    """Show the form of an action; with `step=preview` show its preview, with `step=confirm` send its request."""
    context = context_of(pipeline)
    if current_user() is None and runtime().configuration.web.sign_in.is_possible:
        return to_sign_in()
    person, sent = signed_in(), bodies.form()
    confirms = request.method == "POST" and sent.get("step") == "confirm"
    done = _done_before(context, person, sent) if confirms else None
    if done is not None:
        return _go_back(context, done)
    action = action_of(name)
    try:
        form = form_of(context, name, request.args)
    except Problem:
        require(action, context)  # a person without the role must not learn what exists
        raise
    require(form.action, context, form.service)
    given = form.chosen(request.args.to_dict() if request.method == "GET" else dict(sent))
    if confirms:
        return _confirm(context, form, person, given)
    return _show(context, form, person, given)


def _confirm(
    context: PipelineContext, form: ActionForm, person: Person, sent: Mapping[str, str]
) -> AnyResponse | tuple[str, int]:
    """Send the request if its preview is still the one that the person was shown."""
    try:
        identity = _submit(context, form, person, sent)
    except Problem as problem:
        if "errors" not in problem.more:
            raise
        return _show(context, form, person, sent, mistakes=_error_messages(problem))
    if identity is None:
        return _show(context, form, person, sent, is_changed=True)
    done = {"title": form.title, "done": form.done, "back": _back(form), "request": identity}
    context.redis.set(_mark(context, person, sent), json.dumps(done), ex=REMEMBERED)
    return _go_back(context, done)


def _submit(context: PipelineContext, form: ActionForm, person: Person, sent: Mapping[str, str]) -> str | None:
    """Return the id of the request; empty for an action that is done at once; None if the preview has changed."""
    kind = form.request
    given = form.body(sent, sent.get("reason", ""))
    if form.at_once is not None:
        form.at_once(person.name, bodies.checked(bodies.RequestBody, given).reason)
        return ""
    if kind is None:
        raise Problem(400, "this form only asks what another one is to be about")
    body = bodies.checked(kind.body, given)
    preview = _preview(context, form, person, sent)
    if preview is None or preview.is_refused or preview.digest != sent.get("seen"):
        return None
    return submit(context, kind, body, person.name, f"page/{_key(sent)}")


# -- repeated sending --------------------------------------------------------------------------------------------------


def _key(sent: Mapping[str, str]) -> str:
    """Return the key that identifies this form."""
    key = sent.get("key", "")
    if not _KEY.fullmatch(key):
        raise Problem(400, "this form is not complete: load the page again, then send it")
    return key


def _mark(context: PipelineContext, person: Person, sent: Mapping[str, str]) -> str:
    return context.keys.seen(f"page:{person.name}/{_key(sent)}")


def _done_before(context: PipelineContext, person: Person, sent: Mapping[str, str]) -> Shape | None:
    """Return what was stored about this form if it was sent before."""
    found = cast("bytes | None", context.redis.get(_mark(context, person, sent)))
    return None if found is None else cast(Shape, json.loads(found))


def _go_back(context: PipelineContext, done: Shape) -> AnyResponse:
    """Redirect to the page that the person came from, which shows the outcome."""
    identity = done["request"]
    came = outcome(context, identity, PATIENCE) if identity else {"state": "done", "facts": []}
    _flash_outcome(done, came)
    return go_to(done["back"], 303)


def _show(
    context: PipelineContext,
    form: ActionForm,
    person: Person,
    sent: Mapping[str, str],
    *,
    mistakes: Mapping[str, str] | None = None,
    is_changed: bool = False,
) -> tuple[str, int]:
    """Return the form as filled in, with a preview if one can be made."""
    preview, wrong = None, dict(mistakes or {})
    try:
        preview = _preview(context, form, person, sent)
    except Problem as problem:
        wrong = {**_error_messages(problem), **wrong}
        if not wrong:  # the rules refuse it, or the role does not suffice for the choices
            preview = Preview((problem.detail,), is_refused=True)
    page = render_template(
        "act.html",
        **head(context, "board"),
        form=form,
        address=_address(context, form),
        back=_back(form),
        sent=sent,
        mistakes=wrong,
        preview=preview,
        changed=is_changed,
        key=secrets.token_hex(16),
    )
    return page, 422 if mistakes else 409 if is_changed else 200


def _error_messages(problem: Problem) -> dict[str, str]:
    """Return the error message for each invalid field."""
    return {each["field"]: each["what"] for each in problem.more.get("errors", ())}


def _preview(context: PipelineContext, form: ActionForm, person: Person, sent: Mapping[str, str]) -> Preview | None:
    """Return the preview of the request; None as long as a choice that it depends on is missing.

    Raises Problem as the request itself would.
    """
    if form.at_once is not None:
        return Preview(form.lines)
    if form.request is None or ("lock" in form.fields and not sent.get("lock")):
        return None
    body = bodies.checked(form.request.body, form.body(sent, NO_REASON))
    found = foresee(context, form.request, body, person.name)
    # The end of a lock was entered by the person, perhaps as a duration, so it does not count as a change of the
    # preview.
    known = replace(found, locks=tuple(replace(lock, until=None) for lock in found.locks))
    digest = hashlib.sha256("\n".join(clauses(known)).encode()).hexdigest()[:16]
    return Preview(tuple(clauses(found)), digest=digest)


def _flash_outcome(done: Shape, came: Shape) -> None:
    """Pass the outcome of a request to the next page."""
    told = [str(fact["why"]) for fact in came["facts"]] or [done["done"]]
    match came["state"]:
        case "done":
            more = [f"and {len(told) - TOLD} more"] if len(told) > TOLD else []
            tell("done", f"Done: {'; '.join([*told[:TOLD], *more])}")
        case "refused":
            tell("refused", f"Refused: {told[0]}")
        case _:
            tell("waiting", f"{done['title']}: this is kept, and is decided as soon as a worker takes it")


def _address(context: PipelineContext, form: ActionForm) -> str:
    """Return the address of the form's page, including the page to go back to."""
    given = request.args.get("back", "")
    return address(context.pipeline.name, form.name, **form.target, **({"back": given} if given else {}))


def _back(form: ActionForm) -> str:
    given = request.args.get("back", "")
    return safe_next(given) if given else form.back


# -- dead letters ------------------------------------------------------------------------------------------------------


#: The description of each kind of effect that was given up.
_EFFECTS = {
    "abort-duplicate": "stop of a second build",
    "answer": "answer to a command",
    "authorize-command": "question who may command",
    "banner": "banner of a Jenkins job",
    "comment": "comment",
    "compare": "question which commit contains which",
    "deployment": "deployment at GitHub",
    "find-pull": "question for a pull request",
    "lock-notice": "note on a pull request about a lock",
    "look": "look at a build",
    "notify": "message to people",
    "status": "commit status",
    "trigger": "start of a build",
    "withdraw": "stop of a build",
}


@page.get("/p/<pipeline>/dead-letters")
def show_dead_letters(pipeline: str) -> str:
    """Show the dead letters and the parked deliveries."""
    context = context_of(pipeline)
    letters = [shapes.dead_letter(letter) for letter in context.outbox.dead_letters()]
    return render_template(
        "dead_letters.html",
        **head(context, "dead-letters"),
        letters=[{**each, "what": _EFFECTS.get(each["kind"], each["kind"])} for each in letters],
        parked=[shapes.parked(row) for row in parked(context.redis, context.keys)],
        may_take=may(Action.DEAD_LETTERS, context),
    )
