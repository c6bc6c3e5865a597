"""Routes of a build: JSON, stop, term, kill, log, tests, stages, description."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from standins.jenkins import reports, stages
from standins.jenkins.model import Build, RefusedError
from standins.jenkins.pages import HTML, markup_page, oops_page, page
from standins.jenkins.signins import require
from standins.jenkins.site import Call, Handle, back, html, text
from standins.wire.message import Reply


def show(call: Call) -> Reply:
    """Return the HTML page: stop redirects here, so it must exist."""
    build = call.build
    return html(markup_page(f"{build.job.name} #{build.number} [Jenkins]", f"<div>{escape(str(build.result))}</div>"))


def api(call: Call) -> Reply:
    return call.site.api(call.site.view.build(call.build), call.request)


def stop(call: Call) -> Reply:
    """Request a stop and answer 302 at once, whatever the build does.

    A FreeStyle build that has ended has no executor that could ask for the permission (AbstractBuild#doStop); a
    Pipeline's always asks (WorkflowRun#doStop).
    """
    call.need_post()
    if call.job.kind == "pipeline" or call.build.building:
        require(call.asker, "Item/Cancel", call.job)
    call.c.builds.stop(call.build, call.asker.label)
    return _back(call)


def term(call: Call) -> Reply:
    if call.job.kind != "pipeline":
        return _leads_nowhere(call, "term")
    call.need_post()
    require(call.asker, "Item/Cancel", call.job)
    call.c.builds.term(call.build, call.asker.label)
    return _back(call)


def kill(call: Call) -> Reply:
    if call.job.kind != "pipeline":
        return _leads_nowhere(call, "kill")
    call.need_post()
    require(call.asker, "Item/Cancel", call.job)
    call.c.builds.kill(call.build)
    return _back(call)


def _leads_nowhere(call: Call, name: str) -> Reply:
    """Redirect to the same path with a slash, as Jenkins does: a FreeStyle build has no such action.

    That path does not exist, and the build continues. Seen on a real core (2.426.3).
    """
    if call.request.raw_path.endswith("/"):
        raise _not_found()
    return back(call, f"{call.job.url}{call.build.number}/{name}/")


def console(call: Call) -> Reply:
    """Return the log as people see it."""
    title = f"{call.job.name} #{call.build.number} Console [Jenkins]"
    return html(markup_page(title, f"<pre>{escape(call.c.builds.shown_log(call.build))}</pre>"))


def console_text(call: Call) -> Reply:
    return text(call.c.builds.shown_log(call.build))


def progressive_text(call: Call) -> Reply:
    """Return the log from byte `start` on; a start beyond its end begins again at 0. Source: stapler LargeText."""
    whole = call.c.builds.shown_log(call.build).encode()
    asked = call.request.fields.get("start", "0")
    start = int(asked) if asked.isdigit() else 0
    start = 0 if start > len(whole) else start
    headers = [("Content-Type", "text/plain;charset=UTF-8"), ("X-Text-Size", str(len(whole)))]
    if call.build.building:
        headers.append(("X-More-Data", "true"))
    return Reply(200, whole[start:], headers)


def describe_stages(call: Call) -> Reply:
    """Return wfapi/describe: for Pipelines only; with fullStages=true also the steps."""
    full = call.request.fields.get("fullStages", "").lower() == "true"
    return _wfapi(call, stages.describe(*_shown_from(call), full=full))


def describe_node(call: Call) -> Reply:
    """Return one stage with its steps, or one step."""
    return _wfapi(call, stages.node(*_shown_from(call), call.number))


def node_log(call: Call) -> Reply:
    """Return the log of one step."""
    return _wfapi(call, stages.log(*_shown_from(call), call.number))


def _shown_from(call: Call) -> tuple[Build, int, str]:
    """Return the build, the time in milliseconds, and the build's path on the server."""
    if call.job.kind != "pipeline":
        raise _not_found()
    return call.build, call.c.clock.now_ms(), f"{call.c.settings.context}/{call.job.url}{call.build.number}/"


def _wfapi(call: Call, shown: dict[str, Any] | None) -> Reply:
    """Return JSON as the plugin writes it: no headers of the API, no `_class`, no `tree`. Source: JsonResponse."""
    if shown is None:
        raise _not_found()
    return Reply(200, json.dumps(shown).encode(), [("Content-Type", "application/json;charset=utf-8")])


def test_report(call: Call) -> Reply:
    """Return the JUnit report; its JSON honours `tree` by name like all other objects."""
    report = reports.test_report(call.build)
    if report is None:
        raise _not_found()
    return call.site.data(_pruned(report, call), call.request)


def _pruned(report: dict[str, object], call: Call) -> object:
    from standins.jenkins.api_json import parse_tree

    tree = call.request.query.get("tree")
    if tree is None:
        return report
    try:
        return _named(report, parse_tree(tree))
    except ValueError:
        raise RefusedError(500, oops_page(), HTML) from None


def _named(value: object, tree: object) -> object:
    from standins.jenkins.api_json import ByTree

    assert isinstance(tree, ByTree)  # noqa: S101  narrows the type for the recursion
    if isinstance(value, list):
        return [_named(element, tree) for element in value[tree.bounds()]]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        inside = tree.names.get(name) or tree.names.get("*")
        if name == "_class":
            kept[name] = inner
        elif inside is not None:
            kept[name] = _named(inner, inside)
    return kept


def submit_description(call: Call) -> Reply:
    call.need_post()
    require(call.asker, "Run/Update", call.job)
    call.build.description = call.request.fields.get("description")
    return _back(call)


def config_submit(call: Call) -> Reply:
    """Set display name and description from the form's `json`. Source: Run#doConfigSubmit."""
    call.need_post()
    require(call.asker, "Run/Update", call.job)
    try:
        form = json.loads(call.request.fields["json"])
        call.build.display_name = form["displayName"]
        call.build.description = form.get("description")
    except (KeyError, TypeError, ValueError):
        raise RefusedError(400, page("Error 400", "This page expects a form submission"), HTML) from None
    return _back(call)


def toggle_log_keep(call: Call) -> Reply:
    call.need_post()
    require(call.asker, "Run/Update", call.job)
    call.build.keep_log = not call.build.keep_log
    return _back(call)


def delete(call: Call) -> Reply:
    call.need_post()
    require(call.asker, "Run/Delete", call.job)
    call.job.builds.pop(call.build.number, None)
    return back(call, call.job.url)


def _back(call: Call) -> Reply:
    return back(call, f"{call.job.url}{call.build.number}/")


def _not_found() -> RefusedError:
    return RefusedError(404, page("Error 404 Not Found", "Not Found"), HTML)


ROUTES: dict[tuple[str, ...], Handle] = {
    (): show,
    ("api", "json"): api,
    ("stop",): stop,
    ("term",): term,
    ("kill",): kill,
    ("console",): console,
    ("consoleText",): console_text,
    ("logText", "progressiveText"): progressive_text,
    ("wfapi",): describe_stages,
    ("wfapi", "describe"): describe_stages,
    ("execution", "node", "N", "wfapi"): describe_node,
    ("execution", "node", "N", "wfapi", "describe"): describe_node,
    ("execution", "node", "N", "wfapi", "log"): node_log,
    ("testReport", "api", "json"): test_report,
    ("submitDescription",): submit_description,
    ("configSubmit",): config_submit,
    ("toggleLogKeep",): toggle_log_keep,
    ("doDelete",): delete,
}
