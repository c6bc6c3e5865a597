"""Routes of hooks, a repository's and the App's: their settings, their deliveries, and redelivery."""

from __future__ import annotations

import json
from typing import Any

from standins.github.model import Delivery, Hook, RefusedError, iso
from standins.github.routing import Answer, Call, Handle

#: GitHub remembers deliveries of the last three days, in seconds.
KEPT = 3 * 86_400.0


def hooks(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    return call.page([call.shapes.hook(call.repo, hook) for hook in call.repo.hooks.values()])


def hook(call: Call) -> Any:
    return call.shapes.hook(call.repo, _of_repo(call))


def config(call: Call) -> Any:
    return call.shapes.hook_config(_of_repo(call))


def ping(call: Call) -> Any:
    call.world.ping(call.repo, _of_repo(call))
    return Answer(204)


def deliveries(call: Call) -> Any:
    """List deliveries, newest first, without the lost ones: GitHub has no record of those."""
    return _listed(call, _of_repo(call))


def delivery(call: Call) -> Any:
    return _in_full(_delivery(call, _of_repo(call), 1), _of_repo(call))


def redeliver(call: Call) -> Any:
    return _again(call, _of_repo(call), 1)


def app_config(call: Call) -> Any:
    return call.shapes.hook_config(_of_app(call))


def app_deliveries(call: Call) -> Any:
    return _listed(call, _of_app(call))


def app_delivery(call: Call) -> Any:
    return _in_full(_delivery(call, _of_app(call), 0), _of_app(call))


def app_redeliver(call: Call) -> Any:
    return _again(call, _of_app(call), 0)


def _listed(call: Call, one: Hook) -> Any:
    kept = call.world.clock.now() - KEPT
    rows = [d for d in reversed(call.world.sender.log) if d.hook_id == one.id and d.at > kept]
    rows = [row for row in rows if row.outcome in ("sent", "failed")]
    wanted = call.request.query.get("status")
    if wanted is not None:
        rows = [row for row in rows if (200 <= row.status_code < 300) == (wanted == "success")]
    return [summary(delivery) for delivery in call.page_by_cursor(rows)]


def _in_full(one: Delivery, on: Hook) -> Any:
    return summary(one) | {
        "url": on.url,
        "request": {"headers": one.headers, "payload": json.loads(one.body)},
        "response": {"headers": one.answer_headers, "payload": one.answer_body},
    }


def _again(call: Call, on: Hook, at: int) -> Any:
    call.world.sender.redeliver(on, _delivery(call, on, at))
    return Answer(202, {})


def summary(one: Delivery) -> dict[str, Any]:
    """Return a delivery as the list shows it."""
    ok = 200 <= one.status_code < 300
    return {
        "id": one.id, "guid": one.guid, "delivered_at": iso(one.at), "redelivery": one.redelivery,
        "duration": round(one.seconds, 3), "status": "OK" if ok else (one.error or "Invalid HTTP Response"),
        "status_code": one.status_code, "event": one.event, "action": one.action,
        "installation_id": one.installation_id, "repository_id": one.repository_id, "throttled_at": None,
    }  # fmt: skip


def _of_repo(call: Call) -> Hook:
    call.access.check_write(call.token, call.repo)
    found = call.repo.hooks.get(call.number())
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def _of_app(call: Call) -> Hook:
    if call.token is None or not call.token.app:
        raise RefusedError(401, "A JSON web token could not be decoded")
    found = call.world.apps.app.hook
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def _delivery(call: Call, on: Hook, at: int) -> Delivery:
    number = call.number(at)
    found = next((one for one in call.world.sender.log if one.id == number and one.hook_id == on.id), None)
    if found is None or found.at <= call.world.clock.now() - KEPT:
        raise RefusedError(404, "Not Found")
    return found


ROUTES: dict[str, Handle] = {
    "GET /repos/{}/{}/hooks": hooks,
    "GET /repos/{}/{}/hooks/{}": hook,
    "GET /repos/{}/{}/hooks/{}/config": config,
    "POST /repos/{}/{}/hooks/{}/pings": ping,
    "GET /repos/{}/{}/hooks/{}/deliveries": deliveries,
    "GET /repos/{}/{}/hooks/{}/deliveries/{}": delivery,
    "POST /repos/{}/{}/hooks/{}/deliveries/{}/attempts": redeliver,
    "GET /app/hook/config": app_config,
    "GET /app/hook/deliveries": app_deliveries,
    "GET /app/hook/deliveries/{}": app_delivery,
    "POST /app/hook/deliveries/{}/attempts": app_redeliver,
}
