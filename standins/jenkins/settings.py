"""How a controller is set up: version, security, periods, addresses. Every open fact of Jenkins is a knob here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from standins.jenkins.cloudevents import Sink

EVERYTHING = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in. `permissions` such as `Item/Build`; `*` is an administrator."""

    name: str
    password: str = ""
    tokens: tuple[str, ...] = ()
    permissions: frozenset[str] = EVERYTHING


@dataclass(slots=True)
class Settings:
    """All times in seconds. With no users the controller is open: everyone may do everything."""

    version: tuple[int, ...] = (2, 555)
    quiet_period: float = 5.0
    users: dict[str, User] = field(default_factory=dict)
    #: What one may do without signing in; an open controller allows everything.
    anonymous: frozenset[str] = frozenset()
    #: None: crumbs exactly if there are users.
    crumbs: bool | None = None
    context: str = ""
    #: The configured Jenkins Location; None: `url` fields follow the request, and callbacks have no `full_url`.
    root_url: str | None = None
    #: Host, or scheme and host, that the Location headers name instead of the request's (a proxy set up wrongly).
    location_host: str | None = None
    left_item_seconds: float = 300.0
    #: How long a queue item has left before its build exists: LeftItem with `executable: null`.
    executable_delay: float = 0.0
    #: How long a fresh build shows neither parameters nor causes.
    late_actions: float = 0.0
    #: How much later than due an item moves (Jenkins' timer: up to 5).
    queue_latency: float = 0.0
    #: How often the queue is looked at for items whose quiet period is over, in seconds (a real core: every 5); 0: at
    #: the very moment. An item without a quiet period starts at once either way.
    queue_tick: float = 0.0
    executors: int = 1000
    #: How long a restart that was asked over HTTP takes.
    restart_seconds: float = 1.0
    #: Pipelines start and then wait for an agent, as queue items of their own.
    agents_offline: bool = False
    system_message: str | None = None
    markup: str = "plain"
    #: The secret texts that callbacks may name in place of an address.
    credentials: dict[str, str] = field(default_factory=dict)
    #: The CloudEvents plugin: {url, events, job_data}; None: not installed.
    cloud_events: Sink | None = None

    @property
    def use_crumbs(self) -> bool:
        return bool(self.users) if self.crumbs is None else self.crumbs

    @property
    def version_text(self) -> str:
        return ".".join(str(part) for part in self.version)

    @classmethod
    def from_json(cls, config: dict[str, Any]) -> Settings:
        """Reads the settings part of a configuration; raises TypeError for a name it does not know."""
        values = dict(config)
        if "version" in values:
            values["version"] = tuple(int(part) for part in str(values["version"]).split("."))
        if "users" in values:
            values["users"] = {name: _user(name, user) for name, user in values["users"].items()}
        if "anonymous" in values:
            values["anonymous"] = frozenset(values["anonymous"])
        if values.get("context"):
            values["context"] = "/" + str(values["context"]).strip("/")
        values["cloud_events"] = Sink.from_json(values.get("cloud_events"))
        return cls(**values)


def _user(name: str, user: dict[str, Any]) -> User:
    return User(
        name,
        user.get("password", ""),
        tuple(user.get("tokens", ())),
        frozenset(user.get("permissions", EVERYTHING)),
    )
