"""Routes of the repository's hooks: their deliveries and redelivery."""

from __future__ import annotations

import json
from typing import Any

from standins.github.model import Delivery, Hook, RefusedError, iso
from standins.github.routing import Answer, Call, Handle


def hooks(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    return call.page([_hook(call, hook) for hook in call.repo.hooks.values()])


def hook(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    return _hook(call, _found(call))


def _hook(call: Call, one: Hook) -> dict[str, Any]:
    url = f"{call.shapes.api}/repos/{call.repo.full_name}/hooks/{one.id}"
    config = {"url": one.url, "content_type": "json", "insecure_ssl": "0", "secret": "********"}
    return {
        "type": "Repository", "id": one.id, "name": "web", "active": one.active, "events": list(one.events),
        "config": config, "url": url, "ping_url": f"{url}/pings", "deliveries_url": f"{url}/deliveries",
        "updated_at": iso(call.repo.created), "created_at": iso(call.repo.created),
    }  # fmt: skip


def deliveries(call: Call) -> Any:
    """Newest first, without the lost ones: what an outage swallowed has no record."""
    call.access.check_write(call.token, call.repo)
    one = _found(call)
    rows = [d for d in reversed(call.world.sender.log) if d.hook_id == one.id and d.outcome in ("sent", "failed")]
    return [summary(delivery) for delivery in call.page(rows)]


def delivery(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    one = _delivery(call)
    return summary(one) | {
        "url": _found(call).url,
        "request": {"headers": one.headers, "payload": json.loads(one.body)},
        "response": {"headers": {}, "payload": ""},
    }


def redeliver(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    call.world.sender.redeliver(_found(call), _delivery(call))
    return Answer(202, {})


def ping(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    one, world, repo = _found(call), call.world, call.repo
    world.emit(repo, "ping", lambda _: world.payloads.ping(repo, one))
    return Answer(204)


def summary(one: Delivery) -> dict[str, Any]:
    """A delivery as the list shows it."""
    ok = 200 <= one.status_code < 300
    return {
        "id": one.id, "guid": one.guid, "delivered_at": iso(one.at), "redelivery": one.redelivery,
        "duration": round(one.seconds, 3), "status": "OK" if ok else (one.error or "Invalid HTTP Response"),
        "status_code": one.status_code, "event": one.event, "action": one.action, "installation_id": None,
        "repository_id": None, "throttled_at": None,
    }  # fmt: skip


def _found(call: Call) -> Hook:
    found = call.repo.hooks.get(call.number())
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def _delivery(call: Call) -> Delivery:
    number = call.number(1)
    found = next((one for one in call.world.sender.log if one.id == number), None)
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


ROUTES: dict[str, Handle] = {
    "GET /repos/{}/{}/hooks": hooks,
    "GET /repos/{}/{}/hooks/{}": hook,
    "POST /repos/{}/{}/hooks/{}/pings": ping,
    "GET /repos/{}/{}/hooks/{}/deliveries": deliveries,
    "GET /repos/{}/{}/hooks/{}/deliveries/{}": delivery,
    "POST /repos/{}/{}/hooks/{}/deliveries/{}/attempts": redeliver,
}
