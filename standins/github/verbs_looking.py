"""Control verbs that read: pull requests, statuses, comments, deployments, webhooks, counters."""

from __future__ import annotations

import json

from standins.github.shapes_pulls import pull_json
from standins.github.verbs_base import Json, VerbBase

_DELIVERY = (
    *("id", "guid", "hook_id", "event", "action", "redelivery"),
    *("outcome", "status_code", "error", "seconds", "ended"),
)


class LookingVerbs(VerbBase):
    """The verbs that read the records and the sent webhooks."""

    def pull(self, repo: str, number: int) -> Json:
        """Return a short form of the pull request as REST gives it."""
        with self._w.lock:
            found, pull = self._pull(repo, number)
            return pull_json(self._w.shapes, found, pull, brief=True)

    def compare(self, repo: str, base: str, head: str) -> str:
        """Return ahead, behind, identical or diverged."""
        with self._w.lock:
            return self._w.repo(repo).graph.compare(base, head).status

    def statuses(self, repo: str, sha: str | None = None) -> list[Json]:
        """List statuses in the order of their creation: sha, state, context, description, target_url."""
        with self._w.lock:
            rows = [one for rows in self._w.repo(repo).statuses.values() for one in rows if sha in (None, one.sha)]
            rows.sort(key=lambda one: one.id)
            names = ("id", "sha", "state", "context", "description", "target_url", "creator")
            return [{name: getattr(one, name) for name in names} for one in rows]

    def comments(self, repo: str, number: int | None = None) -> list[Json]:
        with self._w.lock:
            rows = [one for one in self._w.repo(repo).comments.values() if number in (None, one.number)]
            return [
                {
                    "id": one.id,
                    "number": one.number,
                    "body": one.body,
                    "user": one.user,
                    "reactions": [(given.user, given.content) for given in one.reactions.values()],
                }
                for one in rows
            ]

    def deployments(self, repo: str) -> list[Json]:
        """List deployments in the order of their creation, each with its states."""
        with self._w.lock:
            return [
                {
                    "id": one.id,
                    "sha": one.sha,
                    "environment": one.environment,
                    "description": one.description,
                    "payload": one.payload,
                    "states": [status.state for status in one.statuses],
                }
                for one in self._w.repo(repo).deployments.values()
            ]

    def deliveries(self, event: str | None = None, payloads: bool = False) -> list[Json]:
        """List the webhooks, oldest first, each with the fields of `_DELIVERY` and its size."""
        rows = []
        for one in list(self._w.sender.log):
            if event in (None, one.event):
                row = {name: getattr(one, name) for name in _DELIVERY} | {"size": len(one.body)}
                rows.append(row | ({"payload": json.loads(one.body)} if payloads else {}))
        return rows

    def redeliver(self, delivery_id: int) -> int:
        """Send a delivery again (a lost one, too) with the same GUID; return the id of the new record."""
        found = next((one for one in self._w.sender.log if one.id == delivery_id), None)
        if found is None:
            raise LookupError(f"there is no delivery {delivery_id}")
        with self._w.lock:
            hook = next((one for one in self._w.hooks() if one.id == found.hook_id), None)
        if hook is None:
            raise LookupError(f"the hook of delivery {delivery_id} is gone")
        return self._w.sender.redeliver(hook, found).id

    def wait_idle(self, seconds: float = 10.0) -> None:
        """Wait until every webhook is sent, answered or given up."""
        if not self._w.sender.wait_idle(seconds):
            raise LookupError(f"webhooks are still under way after {seconds:g} s")

    def requests(self) -> dict[str, int]:
        """Count the requests of each route, e.g. {"POST /repos/*/*/statuses/*": 3}; control calls do not count."""
        with self._w.lock:
            return dict(self._w.requests)

    def reply_statuses(self) -> dict[str, int]:
        """Count the replies by status; `dropped` for the lost ones."""
        with self._w.lock:
            return dict(self._w.statuses)

    def record(self, limit: int = 1000) -> None:
        """Keep the last `limit` requests with their answers from now on."""
        self._w.recorder.start(limit)

    def recorded(self) -> list[Json]:
        """List the kept requests, oldest first: method, path, query, body, status, response, headers, made_up."""
        return self._w.recorder.listed()

    def reset_counters(self) -> None:
        with self._w.lock:
            self._w.requests.clear()
            self._w.statuses.clear()
