"""Routes at the root: API, crumbs, queue, quiet-down, restart, creating jobs."""

from __future__ import annotations

from xml.etree.ElementTree import ParseError

from standins.jenkins import computers, xml_config
from standins.jenkins.api_json import Bean
from standins.jenkins.beans import constants, plain
from standins.jenkins.model import ItemState, Job, QueueItem, RefusedError
from standins.jenkins.pages import HTML, page
from standins.jenkins.signins import require
from standins.jenkins.site import Call, Handle, back, html, text
from standins.wire.message import Reply

QUEUE_ITEM_PAGE = (2, 469)
CANCEL_STATUSES = (2, 211)


def show(call: Call) -> Reply:
    reply = html(page("Dashboard [Jenkins]", "Jenkins"))
    reply.headers += call.site.identity()
    return reply


def api(call: Call) -> Reply:
    return call.site.api(_root(call), call.request)


def _root(call: Call) -> Bean:
    c, view = call.c, call.site.view
    values = {
        "assignedLabels": [],
        "mode": "NORMAL",
        "nodeDescription": "the Jenkins controller's built-in node",
        "nodeName": "",
        "numExecutors": c.settings.executors,
        "description": c.settings.system_message,
        "jobs": [view.job(job) for job in c.top.values() if call.asker.may("Item/Read", job)],
        "overallLoad": plain(None, 1),
        "primaryView": plain("hudson.model.AllView", 2, name="all", url=call.site.root),
        "quietDownReason": c.quiet_reason,
        "quietingDown": c.quieting_down,
        "slaveAgentPort": -1,
        "unlabeledLoad": plain("jenkins.model.UnlabeledLoadStatistics", 1),
        "url": call.site.root,
        "useCrumbs": c.settings.use_crumbs,
        "useSecurity": bool(c.settings.users),
        "views": [plain("hudson.model.AllView", 2, name="all", url=call.site.root)],
    }
    return Bean("hudson.model.Hudson", constants(values), None)


def crumb(call: Call) -> Reply:
    if not call.c.settings.use_crumbs:
        raise _not_found()
    value, headers = call.c.signins.issue_crumb(call.request, call.asker)
    shown = {
        "_class": "hudson.security.csrf.DefaultCrumbIssuer",
        "crumb": value,
        "crumbRequestField": "Jenkins-Crumb",
    }
    reply = call.site.data(shown, call.request)
    reply.headers += headers
    return reply


def crumb_xml(call: Call) -> Reply:
    """Answer the XPath of old shell scripts: `Jenkins-Crumb:<crumb>` as plain text."""
    if not call.c.settings.use_crumbs:
        raise _not_found()
    value, headers = call.c.signins.issue_crumb(call.request, call.asker)
    if "xpath" in call.request.query:
        return text(f"Jenkins-Crumb:{value}", headers=tuple(headers))
    body = (
        f"<defaultCrumbIssuer _class='hudson.security.csrf.DefaultCrumbIssuer'><crumb>{value}</crumb>"
        "<crumbRequestField>Jenkins-Crumb</crumbRequestField></defaultCrumbIssuer>"
    )
    return Reply(200, body.encode(), [("Content-Type", "application/xml;charset=utf-8"), *headers])


def me(call: Call) -> Reply:
    if call.asker.name is None:
        require(call.asker, "Overall/SignedIn")
    name = call.asker.label
    return call.site.api(
        plain("hudson.model.User", 1, absoluteUrl=f"{call.site.root}user/{name}", fullName=name, id=name),
        call.request,
    )


def who_am_i(call: Call) -> Reply:
    """Return the user of the request; open to everybody. Source: hudson.security.WhoAmI."""
    nobody = call.asker.name is None
    return call.site.api(
        plain(
            "hudson.security.WhoAmI",
            1,
            anonymous=nobody,
            authenticated=True,
            authorities=["anonymous"] if nobody else ["authenticated"],
            details=None,
            name=call.asker.label,
            toString="",
        ),
        call.request,
    )


def login(call: Call) -> Reply:
    """Return the sign-in page; open to everybody."""
    return html(page("Sign in [Jenkins]", "Sign in"))


def nodes(call: Call) -> Reply:
    return call.site.api(computers.all_nodes(call.c, call.site.view), call.request)


def built_in_node(call: Call) -> Reply:
    return call.site.api(computers.built_in(call.c, call.site.view), call.request)


def queue(call: Call) -> Reply:
    live = [item for job in call.c.jobs.values() for item in job.queued.values() if call.asker.may("Item/Read", job)]
    live.sort(key=lambda item: (item.state is ItemState.WAITING, item.due, item.id), reverse=True)
    waiting = call.c.agents.queue_items(call.site.root)
    return call.site.api(call.site.view.queue(live, waiting), call.request)


def queue_item(call: Call) -> Reply:
    return call.site.api(call.site.view.item(_item(call)), call.request)


def queue_item_page(call: Call) -> Reply:
    """Return the page of a queue item: plain text since 2.469, 404 before. A folded trigger's 303 leads here."""
    item = _item(call)
    if call.c.settings.version < QUEUE_ITEM_PAGE:
        raise _not_found()
    return text(f"Queue item exists. For details check, for example, {call.site.root}queue/item/{item.id}/api/json")


def _item(call: Call) -> QueueItem:
    item = call.c.queue.get(call.number)
    if item is None or not (call.asker.may("Item/Read", item.job) or call.asker.may("Item/Discover", item.job)):
        raise _not_found()
    require(call.asker, "Item/Read", item.job)
    return item


def cancel_item(call: Call) -> Reply:
    """Cancel an item: 204 cancelled, 404 unknown, 500 left already, 422 no permission. Source: Queue#doCancelItem."""
    call.need_post()
    asked = call.request.fields.get("id", "")
    item = call.c.queue.get(int(asked)) if asked.isdigit() else None
    if item is not None and not call.asker.may("Item/Read", item.job):
        item = None
    old = call.c.settings.version < CANCEL_STATUSES
    if item is None:
        return back(call, "") if old else html(page("Error 404", "No such queue item"), 404)
    if not call.asker.may("Item/Cancel", item.job):
        return back(call, "") if old else text(f"{item.job.full_name} is not cancellable", 422)
    if item.state is ItemState.LEFT:
        return back(call, "") if old else text(f"Could not cancel run for id {item.id}", 500)
    call.c.queue.cancel(item)
    return back(call, "") if old else Reply(204)


def cancel_this_item(call: Call) -> Reply:
    call.need_post()
    item = _item(call)
    require(call.asker, "Item/Cancel", item.job)
    if item.state is not ItemState.LEFT:
        call.c.queue.cancel(item)
    return Reply(204)


def quiet_down(call: Call) -> Reply:
    """Accept triggers, but start nothing."""
    call.need_post()
    require(call.asker, "Overall/Manage")
    call.c.quieting_down = True
    call.c.quiet_reason = call.request.fields.get("message")
    return back(call, "")


def cancel_quiet_down(call: Call) -> Reply:
    call.need_post()
    require(call.asker, "Overall/Manage")
    call.c.quieting_down, call.c.quiet_reason = False, None
    call.c.queue.poke_all()
    return back(call, "")


def restart(call: Call) -> Reply:
    """Answer GET with a confirmation page; on POST, go down for the seconds of a quick start."""
    if call.request.method != "POST":
        return html(page("Restart", "Are you sure about restarting Jenkins?"))
    require(call.asker, "Overall/Administer")
    call.c.restart.begin("clean", call.c.settings.restart_seconds)
    return back(call, "")


def create_item(call: Call) -> Reply:
    """Create a job from config.xml. Failures are 400 with the reason in `X-Error`."""
    call.need_post()
    require(call.asker, "Item/Create")
    folder = call.found_job.full_name + "/" if call.found_job is not None else ""
    name = call.request.fields.get("name", "")
    if not name or set(name) & set("/\\?*[]:;<>|&%"):
        raise _failure("Query parameter 'name' is required" if not name else f"'{name}' is an unsafe name")
    if folder + name in call.c.jobs:
        raise _failure(f"A job already exists with the name '{name}'")
    if call.request.fields.get("mode", "").endswith(".Folder"):
        call.c.add_job(Job(name, folder + name, kind="folder"))
        return back(call, "")
    if "xml" not in call.request.headers.get("content-type", ""):
        raise _failure("No Content-Type header set")
    try:
        call.c.add_job(xml_config.read(folder + name, call.request.body))
    except ParseError as error:
        raise _failure(f"Failed to read the configuration: {error}") from None
    return Reply(200)


def _failure(reason: str) -> RefusedError:
    return RefusedError(400, page("Error", reason), [("X-Error", reason), *HTML])


def _not_found() -> RefusedError:
    return RefusedError(404, page("Error 404 Not Found", "Not Found"), HTML)


#: The routes that need no permission.
OPEN: dict[tuple[str, ...], Handle] = {("whoAmI", "api", "json"): who_am_i, ("login",): login}

ROUTES: dict[tuple[str, ...], Handle] = {
    (): show,
    ("api", "json"): api,
    ("crumbIssuer", "api", "json"): crumb,
    ("crumbIssuer", "api", "xml"): crumb_xml,
    ("me", "api", "json"): me,
    ("computer", "api", "json"): nodes,
    **{("computer", name, "api", "json"): built_in_node for name in computers.NAMES},
    ("queue", "api", "json"): queue,
    ("queue", "item", "N", "api", "json"): queue_item,
    ("queue", "item", "N"): queue_item_page,
    ("queue", "item", "N", "cancelQueue"): cancel_this_item,
    ("queue", "cancelItem"): cancel_item,
    ("quietDown",): quiet_down,
    ("cancelQuietDown",): cancel_quiet_down,
    ("restart",): restart,
    ("safeRestart",): restart,
    ("createItem",): create_item,
}
