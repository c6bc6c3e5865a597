"""Acting from the page: a form shows what it would do before it is sent, and says afterwards what became of it."""

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

#: For how long the turn is waited for that decides what was asked, in seconds.
PATIENCE = 3
#: Stands for the reason as long as none is given.
NO_REASON = "(no reason yet)"
#: How many of the facts that came of a request are told.
TOLD = 3

#: For how long a form that was sent is known, in seconds: sent again, it does nothing.
REMEMBERED = 86_400

_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Preview:
    """What a request would do to the board as it is now."""

    #: What it would do, in words; or, if it `is_refused`, why the rules would refuse it.
    lines: tuple[str, ...]
    is_refused: bool = False
    #: Tells one preview from another: the person has seen this one.
    digest: str = ""


@page.route("/p/<pipeline>/act/<name>", methods=["GET", "POST"])
def act(pipeline: str, name: str) -> AnyResponse | tuple[str, int]:
    """The form of an action; with `step=preview` what it would do, with `step=confirm` it is done."""
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
        require(action, context)  # who may not do it at all learns nothing about what there is
        raise
    require(form.action, context, form.service)
    given = form.chosen(request.args.to_dict() if request.method == "GET" else dict(sent))
    if confirms:
        return _confirm(context, form, person, given)
    return _show(context, form, person, given)


def _confirm(
    context: PipelineContext, form: ActionForm, person: Person, sent: Mapping[str, str]
) -> AnyResponse | tuple[str, int]:
    """Do it, if it is what the person was shown."""
    try:
        identity = _submit(context, form, person, sent)
    except Problem as problem:
        if "errors" not in problem.more:
            raise
        return _show(context, form, person, sent, mistakes=_mistakes(problem))
    if identity is None:
        return _show(context, form, person, sent, is_changed=True)
    done = {"title": form.title, "done": form.done, "back": _back(form), "request": identity}
    context.redis.set(_mark(context, person, sent), json.dumps(done), ex=REMEMBERED)
    return _go_back(context, done)


def _submit(context: PipelineContext, form: ActionForm, person: Person, sent: Mapping[str, str]) -> str | None:
    """The id of the request, or nothing for what is done at once; None if it would do what the person has not seen."""
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


# -- sent twice, it is done once ---------------------------------------------------------------------------------------


def _key(sent: Mapping[str, str]) -> str:
    """What tells this very form from all others."""
    key = sent.get("key", "")
    if not _KEY.fullmatch(key):
        raise Problem(400, "this form is not complete: load the page again, then send it")
    return key


def _mark(context: PipelineContext, person: Person, sent: Mapping[str, str]) -> str:
    return context.keys.seen(f"page:{person.name}/{_key(sent)}")


def _done_before(context: PipelineContext, person: Person, sent: Mapping[str, str]) -> Shape | None:
    """What is known of this very form, if it was sent before."""
    found = cast("bytes | None", context.redis.get(_mark(context, person, sent)))
    return None if found is None else cast(Shape, json.loads(found))


def _go_back(context: PipelineContext, done: Shape) -> AnyResponse:
    """To where the person came from, where they read what has become of it."""
    identity = done["request"]
    came = outcome(context, identity, PATIENCE) if identity else {"state": "done", "facts": []}
    _tell(done, came)
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
    """The form as it was filled in, with what it would do as far as that can be said."""
    preview, wrong = None, dict(mistakes or {})
    try:
        preview = _preview(context, form, person, sent)
    except Problem as problem:
        wrong = {**_mistakes(problem), **wrong}
        if not wrong:  # the rules refuse it, or the role is not enough for what was chosen
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


def _mistakes(problem: Problem) -> dict[str, str]:
    """What is wrong with each field."""
    return {each["field"]: each["what"] for each in problem.more.get("errors", ())}


def _preview(context: PipelineContext, form: ActionForm, person: Person, sent: Mapping[str, str]) -> Preview | None:
    """What the rules would make of it; None as long as something that it depends on is not chosen.

    Raises Problem as the request itself would.
    """
    if form.at_once is not None:
        return Preview(form.lines)
    if form.request is None or ("lock" in form.fields and not sent.get("lock")):
        return None
    body = bodies.checked(form.request.body, form.body(sent, NO_REASON))
    found = foresee(context, form.request, body, person.name)
    # When a lock ends was typed by the person, perhaps as a duration: it is no news to them.
    known = replace(found, locks=tuple(replace(lock, until=None) for lock in found.locks))
    digest = hashlib.sha256("\n".join(clauses(known)).encode()).hexdigest()[:16]
    return Preview(tuple(clauses(found)), digest=digest)


def _tell(done: Shape, came: Shape) -> None:
    """Have the next page say what became of a request."""
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
    """The page of the form, which also knows where to go back to."""
    given = request.args.get("back", "")
    return address(context.pipeline.name, form.name, **form.target, **({"back": given} if given else {}))


def _back(form: ActionForm) -> str:
    given = request.args.get("back", "")
    return safe_next(given) if given else form.back


# -- dead letters ------------------------------------------------------------------------------------------------------


#: What was given up, by its kind.
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
    """What was given up, and which deliveries could not be decided."""
    context = context_of(pipeline)
    letters = [shapes.dead_letter(letter) for letter in context.outbox.dead_letters()]
    return render_template(
        "dead_letters.html",
        **head(context, "dead-letters"),
        letters=[{**each, "what": _EFFECTS.get(each["kind"], each["kind"])} for each in letters],
        parked=[shapes.parked(row) for row in parked(context.redis, context.keys)],
        may_take=may(Action.DEAD_LETTERS, context),
    )
