"""GitHub's webhooks on their real way: the stand-in sends them over HTTP, the door stores them, turns decide them."""

from __future__ import annotations

import hmac
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from pydantic import SecretStr
from werkzeug.serving import make_server

from bot.core.model.events import Configured
from bot.core.model.run import Run
from bot.web.app import create_app
from tests.github.app_key import public_pem
from tests.workers.workshop import Workshop
from workers import reconcile

SECRET = "a secret that GitHub knows"


class Hooked:
    """A workshop to which GitHub delivers every event, as an App's webhook does."""

    def __init__(self, shop: Workshop, url: str) -> None:
        self.shop, self.url, self.github = shop, f"{url}/webhooks/github", shop.github.control
        hook = {"url": self.url, "secret": SECRET, "realistic": True}
        owners = sorted({service.repository.split("/")[0] for service in shop.pipeline.services})
        self.github.register_app(public_pem(), hook=hook, install=owners)
        self.settle()
        self.shop.tell(Configured(self.shop.pipeline))
        self.look_at_main()

    def settle(self) -> None:
        """Wait until all webhooks are sent, answered with 2xx, and decided."""
        self.github.wait_idle()
        rows = self.github.deliveries()
        failed = [row for row in rows if row["outcome"] != "lost" and not 200 <= (row["status_code"] or 0) < 300]
        assert not failed, failed
        self.shop.work()
        assert not self.shop.context.redis.exists(self.shop.context.keys.parked)

    def look_at_main(self) -> None:
        """The heads reconciler asks, until it is certain."""
        for _ in range(2):
            reconcile.heads(self.shop.runtime, self.shop.context)
        self.shop.work()

    def post(self, event: str, payload: dict[str, Any], guid: str | None = None) -> str:
        """Deliver something by hand; return the answer of the ingress."""
        body = json.dumps(payload).encode()
        headers = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid or uuid.uuid4().hex,
            "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest(),
            "Content-Type": "application/json",
        }
        answer = requests.post(self.url, data=body, headers=headers, timeout=5)
        assert answer.status_code in (200, 202), answer.text
        self.shop.work()
        return str(answer.json()["status"])

    def payloads(self, event: str) -> list[dict[str, Any]]:
        """What was sent of one kind."""
        return [row["payload"] for row in self.github.deliveries(event, payloads=True)]

    def runs(self, service: str = "S1") -> list[Run]:
        """The live runs of a service, oldest first."""
        return self.shop.board.of_service(service)

    def head(self, service: str = "S1") -> str:
        """Where we think main stands."""
        found = self.shop.board.service(service).history.head
        assert found is not None
        return found.sha


@contextmanager
def served(shop: Workshop) -> Iterator[str]:
    """Serve the ingress of this workshop; yield its address."""
    settings = shop.settings.model_copy(
        update={
            "github_webhook_secrets": (SecretStr(SECRET),),
            "jenkins_webhook_secret": (SecretStr("a-secret-that-Jenkins-knows"),),
        }
    )
    server = make_server("127.0.0.1", 0, create_app(settings, shop.configuration, lambda _: None), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
