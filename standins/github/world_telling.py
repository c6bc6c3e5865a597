"""The state of the stand-in, and the sending of webhooks: the hooks that get one, and the webhooks that are lost."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from standins.clock import Clock
from standins.faults import Faults
from standins.github.apps import Apps, Installation
from standins.github.hooks import Sender, Target
from standins.github.model import Hook, Repo
from standins.github.oauth import OAuthApp
from standins.github.payloads import Payloads
from standins.github.record import Recorder
from standins.github.shapes import Json, Shapes


class Telling:
    """All state, under one lock. `shapes` and `payloads` use the address of the started server."""

    def __init__(self, seed: int = 0) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.faults = Faults(seed)
        self.sender = Sender(self.clock, seed)
        self.recorder = Recorder()
        self.apps = Apps()
        #: The seconds after a push in which reads may not know of it yet.
        self.lag = 0.0
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.repos: dict[str, Repo] = {}
        self.by_id: dict[int, Repo] = {}
        #: Former full names, in lower case -> id.
        self.moved: dict[str, int] = {}
        #: `org/team`, in lower case -> the state of each member: active, or pending (invited).
        self.teams: dict[str, dict[str, str]] = {}
        self.oauth = OAuthApp()
        self.ids = itertools.count(1001)
        self.shapes = self.shapes_v3 = Shapes("", "")
        self.payloads = Payloads(self.shapes, self.apps)
        self._lose: dict[str, int] = {}

    def start(self, api: str, web: str) -> None:
        self.shapes = Shapes(api, web)
        self.shapes_v3 = Shapes(f"{api}/api/v3", web)
        self.payloads = Payloads(self.shapes, self.apps)
        self.faults.start()
        self.clock.start()
        self.sender.start(self.hooks())

    def stop(self) -> None:
        self.clock.stop()
        self.sender.stop()

    def hooks(self) -> list[Hook]:
        """Return every hook, the App's last."""
        found = [hook for repo in self.repos.values() for hook in repo.hooks.values()]
        return found + ([self.apps.app.hook] if self.apps.app.hook is not None else [])

    def hook(self, hook: dict[str, Any]) -> Hook:
        """Make a hook from its description; it belongs to no repository yet."""
        if not str(hook["url"]).startswith(("http://", "https://")):
            raise ValueError(f"a hook's url begins with http:// or https://, not {hook['url']!r}")
        return Hook(
            next(self.ids),
            hook["url"],
            hook.get("secret", ""),
            tuple(hook.get("events", ["*"])),
            parallel=hook.get("parallel", 1),
            realistic=hook.get("realistic", False),
        )

    def emit(
        self, repo: Repo, event: str, build: Callable[[bool], Json], *, lost: bool = False, apps_only: bool = False
    ) -> None:
        """Send a webhook to the hooks that want it, unless `drop_next` still has to lose some of that event.

        `build(brief)` gives the payload. `apps_only`: to the App's hook and not to the repository's.
        """
        lost = self._is_lost(event) or lost
        for hook in [] if apps_only else repo.hooks.values():
            if hook.wants(event):
                self.sender.send(
                    Target(hook, "repository", repo.id, repo.id), event, build(not hook.realistic), lost=lost
                )
        app_hook = self.apps.app.hook
        if app_hook is None or not app_hook.wants(event):
            return
        one = self.apps.on(repo)
        if one is not None and one.suspended is None:
            payload = build(not app_hook.realistic) | {"installation": {"id": one.id, "node_id": f"I_{one.id:x}"}}
            self.sender.send(
                Target(app_hook, "integration", self.apps.app.id, repo.id, one.id), event, payload, lost=lost
            )

    def emit_to_app(self, event: str, one: Installation, payload: Json) -> None:
        """Send the App a webhook about an installation, not about one repository."""
        hook = self.apps.app.hook
        if hook is not None:
            target = Target(hook, "integration", self.apps.app.id, None, one.id)
            self.sender.send(target, event, payload, lost=self._is_lost(event))

    def ping(self, repo: Repo, hook: Hook) -> None:
        """Send the ping of one hook."""
        target = Target(hook, "repository", repo.id, repo.id)
        self.sender.send(target, "ping", self.payloads.ping(repo, hook), lost=self._is_lost("ping"))

    def ping_app(self, hook: Hook) -> None:
        """Send the ping of the App's hook, which belongs to no repository."""
        target = Target(hook, "integration", self.apps.app.id)
        self.sender.send(target, "ping", self.payloads.ping_app(hook), lost=self._is_lost("ping"))

    def _is_lost(self, event: str) -> bool:
        for key in (event, "*"):
            if self._lose.get(key, 0) > 0:
                self._lose[key] -= 1
                return True
        return False

    def lose_next(self, count: int, event: str) -> None:
        self._lose[event] = self._lose.get(event, 0) + count
