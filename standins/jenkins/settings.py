"""The settings of a controller: version, security, periods, addresses. Unproven facts of Jenkins are settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from standins.jenkins.cloudevents import Sink

EVERYTHING = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class User:
    """A user who may sign in. `permissions` such as `Item/Build`; `*` is an administrator."""

    name: str
    password: str = ""
    tokens: tuple[str, ...] = ()
    permissions: frozenset[str] = EVERYTHING


@dataclass(slots=True)
class Settings:
    """The settings; times in seconds. Without users the controller is open: everyone may do everything."""

    version: tuple[int, ...] = (2, 555)
    quiet_period: float = 5.0
    users: dict[str, User] = field(default_factory=dict)
    #: The permissions without signing in; an open controller allows everything.
    anonymous: frozenset[str] = frozenset()
    #: None: crumbs if there are users.
    crumbs: bool | None = None
    context: str = ""
    #: The configured Jenkins Location; None: `url` fields follow the request, and callbacks have no `full_url`.
    root_url: str | None = None
    #: The host, or scheme and host, in Location headers instead of the request's (a misconfigured proxy).
    location_host: str | None = None
    left_item_seconds: float = 300.0
    #: The time between a queue item's leaving and its build: LeftItem with `executable: null`.
    executable_delay: float = 0.0
    #: The time in which a new build shows neither parameters nor causes.
    late_actions: float = 0.0
    #: The delay of an item's move (Jenkins' timer: up to 5).
    queue_latency: float = 0.0
    #: The seconds between two checks for items whose quiet period is over (a real core: 5); 0: at the exact time.
    #: An item without a quiet period starts at once either way.
    queue_tick: float = 0.0
    executors: int = 1000
    #: The duration of a restart by HTTP request.
    restart_seconds: float = 1.0
    #: Pipelines start, then wait for an agent, each as a queue item.
    agents_offline: bool = False
    system_message: str | None = None
    markup: str = "plain"
    #: The secret texts that callbacks may name instead of an address.
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
        """Read the settings part of a configuration; raise TypeError for an unknown name."""
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
