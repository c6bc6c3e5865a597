"""Routes of a job: trigger, description, pages, enable and disable, configuration."""

from __future__ import annotations

import secrets
from html import escape
from xml.etree.ElementTree import ParseError

from standins.jenkins import xml_config
from standins.jenkins.model import ItemState, Job, RefusedError
from standins.jenkins.pages import HTML, markup_page, oops_page, page
from standins.jenkins.signins import require
from standins.jenkins.site import Call, Handle, back, html, text
from standins.jenkins.triggers import cause_of, delay_of, parameter_values, submitted_values
from standins.wire.message import Reply

#: The versions that changed the answers.
FOLDED_SEE_OTHER = (2, 308)
NOT_PARAMETERIZED_400 = (2, 524)


def show(call: Call) -> Reply:
    """Return the HTML page: stop and submitDescription redirect here, and clients follow."""
    job = call.job
    shown = job.description or ""
    if call.c.settings.markup == "plain":
        shown = escape(shown)
    return html(markup_page(f"{job.name} [Jenkins]", f"<h1>{escape(job.name)}</h1>", f"<div>{shown}</div>"))


def api(call: Call) -> Reply:
    return call.site.api(call.site.view.job(call.job), call.request)


def _authorise(call: Call, *, form: str = "") -> bool:
    """Check permission and method of a trigger. Return whether the job's own token let the request in.

    The right `token` stands in for Item/Build and for POST; a wrong one is 403 even for a user who may build.
    Source: hudson/model/BuildAuthorizationToken.
    """
    token = call.request.fields.get("token")
    if token is not None and call.job.token is not None:
        if not secrets.compare_digest(token, call.job.token):
            raise RefusedError(403, page("Error 403", "Invalid token provided."), HTML)
        return True
    require(call.asker, "Item/Build", call.job)
    call.need_post(form)
    return False


def _need_buildable(job: Job) -> None:
    if job.disabled or job.is_folder:
        raise RefusedError(409, page("Error 409", f"{job.full_name} is not buildable"), HTML)


def build_with_parameters(call: Call) -> Reply:
    """Answer 201 for a new item; 303 to the item that an equal request queued before."""
    job, version = call.job, call.c.settings.version
    by_token = _authorise(call)
    _need_buildable(job)
    if not job.parameters:
        if version < NOT_PARAMETERIZED_400:
            raise RefusedError(500, oops_page(), HTML)
        raise RefusedError(400, page("Error 400", f"{job.full_name} is not parameterized"), HTML)
    values = parameter_values(job, call.request)
    delay = delay_of(call.request, job, call.c.settings.quiet_period)
    if job.refuses_queue:
        return back(call, job.url)
    item, new = call.c.queue.schedule(job, values, [cause_of(call.request, call.asker, by_token)], delay)
    status = 201 if new or version < FOLDED_SEE_OTHER else 303
    return Reply(status, b"", [call.site.location(call.request, f"queue/item/{item.id}/")])


def build(call: Call) -> Reply:
    """Answer always 201 for a job without parameters, folded or not; with parameters expect the submitted form."""
    job = call.job
    _need_buildable(job)
    form = markup_page(f"{job.name}", "<form>This build requires parameters</form>") if job.parameters else ""
    by_token = _authorise(call, form=form)
    values = submitted_values(job, call.request) if job.parameters else ()
    delay = delay_of(call.request, job, call.c.settings.quiet_period)
    if job.refuses_queue:
        return back(call, job.url)
    item, new = call.c.queue.schedule(job, values, [cause_of(call.request, call.asker, by_token)], delay)
    if job.parameters and not new:
        return back(call, job.url)
    return Reply(201, b"", [call.site.location(call.request, f"queue/item/{item.id}/")])


def description(call: Call) -> Reply:
    """Answer GET with the raw text. POST with `description`: set it, 204; anything else 400. Source: Job#doDescription.

    The permission is checked before the field, so a POST without the field shows it: 400 with it, else 403.
    """
    job = call.job
    if call.request.method == "GET":
        return text(job.description or "")
    if call.request.method == "POST":
        require(call.asker, "Item/Configure", job)
    if call.request.method != "POST" or "description" not in call.request.fields:
        return text("Bad Request", 400)
    job.description = call.request.fields["description"]
    return Reply(204)


def submit_description(call: Call) -> Reply:
    """Set the description; a missing field clears it. Source: AbstractItem#doSubmitDescription."""
    call.need_post()
    require(call.asker, "Item/Configure", call.job)
    call.job.description = call.request.fields.get("description")
    return back(call, call.job.url)


def disable(call: Call) -> Reply:
    """Disable a job: it answers triggers with 409, and its queued items are cancelled."""
    call.need_post()
    require(call.asker, "Item/Configure", call.job)
    call.job.disabled = True
    for item in list(call.job.queued.values()):
        call.c.queue.cancel(item)
    return back(call, call.job.url)


def enable(call: Call) -> Reply:
    call.need_post()
    require(call.asker, "Item/Configure", call.job)
    call.job.disabled = False
    return back(call, call.job.url)


def cancel_queue(call: Call) -> Reply:
    """Cancel the first item of the job, the old way."""
    call.need_post()
    require(call.asker, "Item/Cancel", call.job)
    first = next((item for item in call.job.queued.values() if item.state is not ItemState.LEFT), None)
    if first is not None:
        call.c.queue.cancel(first)
    return back(call, call.job.url)


def config(call: Call) -> Reply:
    """Answer GET with the kept parts of config.xml; POST replaces them, but not the tests' rules for builds.

    Reading needs ExtendedRead, which Configure implies.
    """
    if call.request.method == "POST" or not call.asker.may("Item/Configure", call.job):
        require(call.asker, "Item/Configure" if call.request.method == "POST" else "Item/ExtendedRead", call.job)
    if call.request.method == "POST":
        try:
            made = xml_config.read(call.job.full_name, call.request.body)
        except ParseError:
            raise RefusedError(500, oops_page(), HTML) from None
        for kept in ("outcome", "held", "permissions", "token"):
            setattr(made, kept, getattr(call.job, kept))
        call.c.add_job(made)
        return Reply(200)
    return Reply(200, xml_config.write(call.job), [("Content-Type", "application/xml;charset=utf-8")])


def delete(call: Call) -> Reply:
    call.need_post()
    require(call.asker, "Item/Delete", call.job)
    call.c.remove_job(call.job)
    return back(call, "")


ROUTES: dict[tuple[str, ...], Handle] = {
    (): show,
    ("api", "json"): api,
    ("build",): build,
    ("buildWithParameters",): build_with_parameters,
    ("description",): description,
    ("submitDescription",): submit_description,
    ("disable",): disable,
    ("enable",): enable,
    ("cancelQueue",): cancel_queue,
    ("config.xml",): config,
    ("doDelete",): delete,
}

#: The routes of a folder: it has no builds, and `description` exists only for jobs.
FOLDER_ROUTES: dict[tuple[str, ...], Handle] = {
    (): show,
    ("api", "json"): api,
    ("submitDescription",): submit_description,
    ("config.xml",): config,
    ("doDelete",): delete,
}
