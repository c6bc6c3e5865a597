"""What is observed of a running Interlock, as plain values: the judgement is made of these alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """The store (Redis). `wrote_at`: when this process last saw it take a write, in seconds since the epoch."""

    #: Why it cannot be reached; empty if it can.
    unreachable: str = ""
    #: The server's own words when it refused a small write (`OOM command not allowed ...`); empty if it took it.
    refused: str = ""
    wrote_at: float | None = None
    used_bytes: int = 0
    #: `maxmemory`; 0: no limit.
    most_bytes: int = 0
    #: What it does when that is reached (`maxmemory-policy`).
    policy: str = "noeviction"
    #: Whether the append-only file could be written the last time.
    log_written: bool = True


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """A process of Interlock: its kind (web, worker, beat), where it runs (`machine/number`), and when it was last
    heard, in seconds since the epoch."""

    kind: str
    name: str
    heard_at: float


#: How the error of a contact ends that refuses for a time only, because it was asked too often.
RATE_LIMIT = "a rate limit"


@dataclass(frozen=True, slots=True)
class ContactSeen:
    """A Jenkins, a GitHub identity, a channel, the callbacks of a Jenkins, or the broker as beat finds it.

    Times are in seconds since the epoch; None: never.
    `since` is the first error after the last good answer, `error_at` the last one. `forbidden`: it answered, but
    refused what was asked, which may be true of one request only.
    """

    kind: str
    name: str
    good_at: float | None = None
    error_at: float | None = None
    since: float | None = None
    error: str = ""
    forbidden: bool = False
    #: How many errors there were since the last good answer, as far as they were counted.
    errors: int = 0

    @property
    def failing(self) -> bool:
        """Whether no good answer came since the last error."""
        return self.error_at is not None and self.error_at > (self.good_at or 0.0)


@dataclass(frozen=True, slots=True)
class FailingAction:
    """An action that fails and is tried again."""

    what: str
    why: str
    since: float
    tries: int


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Dead letters, or parked deliveries: how many, and of the latest when (seconds since the epoch) and why."""

    count: int = 0
    at: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class WebhookSeen:
    """An outbound webhook of a pipeline: since when every try has failed (epoch seconds; None: the last one did not),
    why, and for how many seconds the first fact has waited that it has not taken."""

    name: str
    failing_since: float | None
    error: str
    behind: float


@dataclass(frozen=True, slots=True)
class PipelineSeen:
    """What waits in one pipeline; times in seconds since the epoch."""

    name: str
    #: Deliveries that are kept and not decided, and when the oldest of them was accepted.
    undecided: int = 0
    oldest_at: float | None = None
    #: When the last turn was committed.
    decided_at: float | None = None
    #: Effects that are due now.
    due: int = 0
    retried: tuple[FailingAction, ...] = ()
    dead_letters: ErrorCount = ErrorCount()
    parked: ErrorCount = ErrorCount()
    #: Why this version of Interlock must not touch what is stored; empty if it may.
    other_schema: str = ""
    #: All that was stored was lost, and these stages wait for a person who has looked: when that was found, and how.
    lost_at: float | None = None
    lost_why: str = ""
    closed: tuple[str, ...] = ()
    #: The locks that were read from banners, in words: they are to be confirmed.
    found: tuple[str, ...] = ()
    webhooks: tuple[WebhookSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessConfigurationSeen:
    """A process that does not use the configuration in force, or has another pipeline file, and why; empty: unknown."""

    process: str
    problem: str


@dataclass(frozen=True, slots=True)
class Observations:
    """All of it."""

    store: StoreSeen = StoreSeen()
    processes: tuple[ProcessSeen, ...] = ()
    contacts: tuple[ContactSeen, ...] = ()
    pipelines: tuple[PipelineSeen, ...] = ()
    configured: tuple[ProcessConfigurationSeen, ...] = ()
    #: Whether the store did not let us read, so that nothing is known but its own state.
    blind: bool = False

    def heard(self, kind: str) -> float | None:
        """When a process of this kind was last heard, in seconds since the epoch; None: never."""
        return max((each.heard_at for each in self.processes if each.kind == kind), default=None)
