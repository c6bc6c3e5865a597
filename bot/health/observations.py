"""The observations of a running Interlock, as plain values: the only input of the judgement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """The state of the store (Redis). `wrote_at`: when it last took a write of this process (epoch seconds)."""

    #: Why it cannot be reached; empty if it can.
    unreachable: str = ""
    #: The server's error for a small write (`OOM command not allowed ...`); empty if it took the write.
    refused: str = ""
    wrote_at: float | None = None
    used_bytes: int = 0
    #: `maxmemory`; 0: no limit.
    most_bytes: int = 0
    #: Its behaviour when that is reached (`maxmemory-policy`).
    policy: str = "noeviction"
    #: Whether the last write of the append-only file succeeded.
    log_written: bool = True


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """A process of Interlock: its kind (web, worker, beat), its name (`machine/number`), and the time of its last
    heartbeat, in seconds since the epoch."""

    kind: str
    name: str
    heard_at: float


#: The end of the error of a contact that refuses only for a time, because it was sent too many requests.
RATE_LIMIT = "a rate limit"


@dataclass(frozen=True, slots=True)
class ContactSeen:
    """A Jenkins, a GitHub identity, a channel, the callbacks of a Jenkins, or the broker as beat finds it.

    Times are in seconds since the epoch; None: never. `since` is the time of the first error after the last good
    answer, `error_at` that of the last error. `forbidden`: it answered but refused the request, perhaps only this one.
    """

    kind: str
    name: str
    good_at: float | None = None
    error_at: float | None = None
    since: float | None = None
    error: str = ""
    forbidden: bool = False
    #: The number of errors since the last good answer, as far as they were counted.
    errors: int = 0

    @property
    def failing(self) -> bool:
        """Whether there was no good answer since the last error."""
        return self.error_at is not None and self.error_at > (self.good_at or 0.0)


@dataclass(frozen=True, slots=True)
class FailingAction:
    """An action that fails and is tried again; `since` in seconds since the epoch."""

    what: str
    why: str
    since: float
    tries: int


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """The number of dead letters or parked deliveries, with time (seconds since the epoch) and error of the latest."""

    count: int = 0
    at: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class WebhookSeen:
    """An outbound webhook of a pipeline: since when every try has failed (epoch seconds; None: the last one did not),
    the error, and for how many seconds the first undelivered fact has waited."""

    name: str
    failing_since: float | None
    error: str
    behind: float


@dataclass(frozen=True, slots=True)
class PipelineSeen:
    """The backlog and the problems of one pipeline; times in seconds since the epoch."""

    name: str
    #: The number of undecided deliveries, and when the oldest of them was accepted.
    undecided: int = 0
    oldest_at: float | None = None
    #: When the last turn was committed.
    decided_at: float | None = None
    #: The number of effects that are due now.
    due: int = 0
    retried: tuple[FailingAction, ...] = ()
    dead_letters: ErrorCount = ErrorCount()
    parked: ErrorCount = ErrorCount()
    #: Why this version of Interlock must not use the stored state; empty if it may.
    other_schema: str = ""
    #: A loss of state: when it was found, how, and which stages are closed until a person has looked.
    lost_at: float | None = None
    lost_why: str = ""
    closed: tuple[str, ...] = ()
    #: The locks that were read from banners, in words; a person must confirm them.
    found: tuple[str, ...] = ()
    webhooks: tuple[WebhookSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessConfigurationSeen:
    """A process that does not use the configuration in force, or not its own file, and why; empty: unknown."""

    process: str
    problem: str


@dataclass(frozen=True, slots=True)
class Observations:
    """All observations of one moment."""

    store: StoreSeen = StoreSeen()
    processes: tuple[ProcessSeen, ...] = ()
    contacts: tuple[ContactSeen, ...] = ()
    pipelines: tuple[PipelineSeen, ...] = ()
    configured: tuple[ProcessConfigurationSeen, ...] = ()
    #: Whether the store could not be read, so that only its own state is known.
    blind: bool = False

    def heard(self, kind: str) -> float | None:
        """Return the time of the last heartbeat of a process of this kind, in seconds since the epoch; None: never."""
        return max((each.heard_at for each in self.processes if each.kind == kind), default=None)
