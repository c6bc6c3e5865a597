"""Routes of check runs and check suites: only an App may write them. Source: GitHub docs, "Check runs"."""

from __future__ import annotations

import re
from typing import Any

from standins.github import checks
from standins.github.checks import CheckRun, CheckSuite, found_run, suite_of
from standins.github.model import RefusedError, iso
from standins.github.routes_git import resolve
from standins.github.routing import Answer, Call, Handle
from standins.github.shapes_checks import annotation_json, run_json, suite_json

STATUSES = ("queued", "in_progress", "completed")
CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out")
LEVELS = ("notice", "warning", "failure")
TEXT, ANNOTATIONS, ACTIONS = 65535, 50, 3
#: The most characters in each part of a button.
BUTTON = {"label": 20, "identifier": 20, "description": 40}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def create(call: Call) -> Any:
    """Answer 201; 403 for all but Apps; 422 for parts that are too long, too many, or inconsistent."""
    body = _write(call)
    sha = body.get("head_sha")
    for name in ("name", "head_sha"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise invalid("missing_field", name)
    if sha not in call.repo.graph.commits:
        raise RefusedError(422, f"No commit found for SHA: {sha}")
    _check(body)
    suite = suite_of(call.world, call.repo, sha)
    run = CheckRun(next(call.world.ids), suite.id, sha, body["name"], call.world.clock.now())
    _apply(call, run, body)
    checks.add_run(call.world, call.repo, run, call.login)
    return Answer(201, _shown(call, run))


def update(call: Call) -> Any:
    """Answer 200. New annotations join the earlier ones; buttons replace the earlier ones."""
    body = _write(call)
    run = found_run(call.repo, call.number())
    _check(body)
    ended = run.status == "completed"
    _apply(call, run, body)
    if run.status == "completed" and not ended:
        checks.completed(call.world, call.repo, run, call.login)
    return _shown(call, run)


def _write(call: Call) -> dict[str, Any]:
    if call.token is not None and call.token.kind != "integration":
        raise RefusedError(403, "You must authenticate via a GitHub App.")
    return call.body()


def _check(body: dict[str, Any]) -> None:
    if body.get("status") not in (None, *STATUSES):
        raise invalid("invalid", "status")
    if body.get("conclusion") not in (None, *CONCLUSIONS):
        raise invalid("invalid", "conclusion")
    if body.get("status") == "completed" and body.get("conclusion") is None:
        raise invalid("missing_field", "conclusion")
    for name in ("started_at", "completed_at"):
        if body.get(name) is not None and not _TIME.fullmatch(str(body[name])):
            raise invalid("invalid", name)
    if body.get("details_url") is not None and not re.match(r"https?://", str(body["details_url"])):
        raise invalid("custom", "details_url", "must be a http or https address")
    _check_output(body.get("output"))
    _check_actions(body.get("actions"))


def _check_output(output: Any) -> None:
    if output is None:
        return
    if not isinstance(output, dict):
        raise invalid("invalid", "output")
    for name in ("title", "summary"):
        if not isinstance(output.get(name), str):
            raise invalid("missing_field", f"output.{name}")
    for name in ("summary", "text"):
        if len(str(output.get(name) or "")) > TEXT:
            raise invalid("custom", f"output.{name}", f"exceeds a maximum length of {TEXT}")
    annotations = output.get("annotations") or []
    if len(annotations) > ANNOTATIONS:
        raise invalid("custom", "output.annotations", f"exceeds a maximum quantity of {ANNOTATIONS}")
    for one in annotations:
        right = isinstance(one.get("path"), str) and isinstance(one.get("message"), str)
        lines = isinstance(one.get("start_line"), int) and isinstance(one.get("end_line"), int)
        if not right or not lines or one.get("annotation_level") not in LEVELS:
            raise invalid("invalid", "output.annotations")


def _check_actions(actions: Any) -> None:
    if actions is None:
        return
    if not isinstance(actions, list) or len(actions) > ACTIONS:
        raise invalid("custom", "actions", f"exceeds a maximum quantity of {ACTIONS}")
    for one in actions:
        for name, longest in BUTTON.items():
            if not isinstance(one.get(name), str) or not 0 < len(one[name]) <= longest:
                raise invalid("custom", f"actions.{name}", f"must have between 1 and {longest} characters")


def _apply(call: Call, run: CheckRun, body: dict[str, Any]) -> None:
    for name in ("name", "details_url", "external_id"):
        if body.get(name) is not None:
            setattr(run, name, body[name])
    run.started = body.get("started_at") or run.started
    if body.get("status") is not None:
        run.status = body["status"]
        run.conclusion = run.completed = None
    if body.get("conclusion") is not None:
        run.status, run.conclusion = "completed", body["conclusion"]
        run.completed = body.get("completed_at") or iso(call.world.clock.now())
    output = body.get("output")
    if output is not None:
        run.title, run.summary = output["title"], output["summary"]
        run.text = output.get("text", run.text)
        run.annotations += output.get("annotations") or []
    if "actions" in body:
        run.actions = body["actions"] or []


def get(call: Call) -> Any:
    return _shown(call, found_run(call.repo, call.number()))


def annotations_of(call: Call) -> Any:
    run = found_run(call.repo, call.number())
    return [annotation_json(call.shapes, call.repo, run, one) for one in call.page(run.annotations)]


def rerequest(call: Call) -> Any:
    """Answer 201. The check run does not change: the App gets a webhook and must act on it."""
    _write(call)
    run = found_run(call.repo, call.number())
    checks.tell_run(call.world, call.repo, run, "rerequested", call.login)
    return Answer(201, {})


def runs_of_commit(call: Call) -> Any:
    """List check runs, newest first; `filter=latest` (the default) gives the newest of each name."""
    sha = resolve(call, call.args[0]).sha
    return _listed(call, [run for run in call.repo.check_runs.values() if run.sha == sha])


def runs_of_suite(call: Call) -> Any:
    return _listed(call, [call.repo.check_runs[number] for number in _suite(call).runs])


def _listed(call: Call, runs: list[CheckRun]) -> Any:
    query = call.request.query
    if query.get("filter", "latest") == "latest":
        runs = list({run.name: run for run in runs}.values())
    wanted = [
        run
        for run in reversed(runs)
        if query.get("check_name", run.name) == run.name and query.get("status", run.status) == run.status
    ]
    return {"total_count": len(wanted), "check_runs": [_shown(call, run) for run in call.page(wanted)]}


def suites_of_commit(call: Call) -> Any:
    sha = resolve(call, call.args[0]).sha
    found = [one for one in call.repo.check_suites.values() if one.sha == sha]
    return {"total_count": len(found), "check_suites": [_shown_suite(call, one) for one in call.page(found)]}


def suite(call: Call) -> Any:
    return _shown_suite(call, _suite(call))


def rerequest_suite(call: Call) -> Any:
    _write(call)
    checks.tell_suite(call.world, call.repo, _suite(call), "rerequested", call.login)
    return Answer(201, {})


def _suite(call: Call) -> CheckSuite:
    found = call.repo.check_suites.get(call.number())
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def _shown(call: Call, run: CheckRun) -> Any:
    return run_json(call.shapes, call.world.apps.app, call.repo, run)


def _shown_suite(call: Call, one: CheckSuite) -> Any:
    return suite_json(call.shapes, call.world.apps.app, call.repo, one) | {"repository": call.shapes.repo(call.repo)}


def invalid(code: str, name: str, message: str | None = None) -> RefusedError:
    error = {"resource": "CheckRun", "code": code, "field": name}
    return RefusedError(422, "Validation Failed", [error | ({"message": message} if message else {})])


ROUTES: dict[str, Handle] = {
    "POST /repos/{}/{}/check-runs": create,
    "GET /repos/{}/{}/check-runs/{}": get,
    "PATCH /repos/{}/{}/check-runs/{}": update,
    "GET /repos/{}/{}/check-runs/{}/annotations": annotations_of,
    "POST /repos/{}/{}/check-runs/{}/rerequest": rerequest,
    "GET /repos/{}/{}/commits/{}/check-runs": runs_of_commit,
    "GET /repos/{}/{}/commits/{}/check-suites": suites_of_commit,
    "GET /repos/{}/{}/check-suites/{}": suite,
    "GET /repos/{}/{}/check-suites/{}/check-runs": runs_of_suite,
    "POST /repos/{}/{}/check-suites/{}/rerequest": rerequest_suite,
}
