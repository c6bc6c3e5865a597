"""The records of a controller: jobs, parameters, queue items, builds, with their states. No behaviour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from standins.clock import Timer

if TYPE_CHECKING:
    from standins.jenkins.questions import Question

RESULTS = ("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED")


class RefusedError(Exception):
    """A refusal that Jenkins answers with this status and text."""

    def __init__(self, status: int, text: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, list(headers)


@dataclass(frozen=True, slots=True)
class ParameterDefinition:
    """A declared parameter. `kind`: string, text, choice, boolean or password."""

    name: str
    kind: str = "string"
    default: str = ""
    description: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterValue:
    name: str
    value: str | bool
    kind: str = "string"


Values = tuple[ParameterValue, ...]
#: The key of equal queue items: the set of name, value and type. Source: hudson/model/ParametersAction#shouldSchedule.
Identity = frozenset[ParameterValue]


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of a queue item. `kind`: UserIdCause, RemoteCause or UpstreamCause."""

    kind: str
    description: str
    details: tuple[tuple[str, str | int | None], ...] = ()


@dataclass(slots=True)
class Endpoint:
    """One endpoint of the notification plugin on one job. `timeout` in seconds; `retries` as the plugin counts."""

    url: str  # empty: only the credential has it
    event: str = "all"
    timeout: float = 30.0
    retries: int = 0
    phases: tuple[str, ...] = ()
    #: The id of the secret text that holds `url`, if the job names a credential instead of the address.
    credential: str = ""
    #: The pattern for the branch of a multibranch job; other jobs send nothing unless it is `.*`.
    branch: str | None = ".*"
    #: The number of last lines of the build's log to send; -1: all.
    log_lines: int = 0
    #: The notes of an endpoint; present but empty if the form or Job Builder made it.
    notes: str | None = ""


@dataclass(slots=True)
class Outcome:
    """The course of a build: its result, its duration, and its reaction to a stop."""

    result: str = "SUCCESS"
    duration: float = 0.1
    tests: tuple[str, ...] = ()
    #: The stages that a Pipeline shows; empty: three default ones.
    stages: tuple[str, ...] = ()
    #: The stage that fails, and the error of the step in it.
    failing_step: str = ""
    error: str = "script returned exit code 1"
    #: A result that is already visible while the build runs (Pipelines only).
    mid_result: str | None = None
    stop_seconds: float = 0.05
    #: The script catches the interruption and ends with this result instead of ABORTED.
    catches_abort: str | None = None
    ignores_stop: bool = False
    held: bool = False


class ItemState(Enum):
    WAITING = "WaitingItem"
    BLOCKED = "BlockedItem"
    BUILDABLE = "BuildableItem"
    LEFT = "LeftItem"


@dataclass(slots=True, eq=False)
class QueueItem:
    id: int
    job: Job
    values: Values
    causes: list[Cause]
    since: float
    due: float
    state: ItemState = ItemState.WAITING
    timer: Timer | None = None
    buildable_since: float = 0.0
    left_at: float = 0.0
    cancelled: bool = False
    build: Build | None = None

    @property
    def identity(self) -> Identity:
        return frozenset(self.values)


class BuildState(Enum):
    #: The start callbacks are being sent; the work has not begun.
    STARTING = "starting"
    RUNNING = "running"
    #: FreeStyle only: the result is set, post-build listeners still run.
    POST_PRODUCTION = "post-production"
    DONE = "done"


@dataclass(slots=True, eq=False)
class Build:
    number: int
    job: Job
    queue_id: int
    values: Values
    causes: list[Cause]
    outcome: Outcome
    timestamp: float
    queued_for: float = 0.0
    #: The part of `queued_for` after the quiet period.
    ready_for: float = 0.0
    state: BuildState = BuildState.STARTING
    result: str | None = None
    duration_ms: int = 0
    display_name: str = ""
    description: str | None = None
    keep_log: bool = False
    #: A newer build of the job replaced it; somebody killed it.
    superseded: bool = False
    killed: bool = False
    #: The users who interrupted the build, in order, each once.
    interruptions: list[str] = field(default_factory=list)
    #: The times of the stop of a FreeStyle build and of a term request, in seconds since 1970; 0: none.
    stop_asked: float = 0.0
    term_asked: float = 0.0
    #: The result of an end requested during the start callbacks; it ends the build after them.
    pending_end: str | None = None
    log: list[str] = field(default_factory=list)
    timer: Timer | None = None
    #: The build ended during a crash: no callbacks.
    silent: bool = False
    #: The build is asking whether Interlock still waits for it; the answer was no, and it did nothing.
    asking: bool = False
    turned_away: bool = False
    #: The build asked, and the answer was to go on.
    let_go_on: bool = False

    @property
    def building(self) -> bool:
        return self.state in (BuildState.STARTING, BuildState.RUNNING)

    @property
    def in_progress(self) -> bool:
        return self.state is not BuildState.DONE

    @property
    def parameters(self) -> dict[str, str | bool]:
        return {value.name: value.value for value in self.values}


@dataclass(slots=True, eq=False)
class Job:
    """A job or a folder. `kind`: pipeline, freestyle, folder, or multibranch (a folder of branches)."""

    name: str
    full_name: str
    kind: str = "pipeline"
    parameters: tuple[ParameterDefinition, ...] = ()
    description: str | None = None
    display_name: str | None = None
    #: The parameters that a Jenkinsfile declares: Jenkins knows them after the first build.
    late_parameters: tuple[ParameterDefinition, ...] = ()
    #: A queue decision handler refuses every trigger.
    refuses_queue: bool = False
    #: The question that its builds ask before they do anything, see `questions`.
    asks: Question | None = None
    #: In seconds; None: the controller's.
    quiet_period: float | None = None
    concurrent: bool = True
    abort_previous: bool = False
    disabled: bool = False
    outcome: Outcome = field(default_factory=Outcome)
    endpoints: list[Endpoint] = field(default_factory=list)
    #: user -> permissions on this job, instead of the general ones.
    permissions: dict[str, frozenset[str]] = field(default_factory=dict)
    token: str | None = None
    held: bool = False
    #: The description in the configuration: a re-run of Job DSL sets it again.
    declared_description: str | None = None
    next_number: int = 1
    builds: dict[int, Build] = field(default_factory=dict)
    running: dict[int, Build] = field(default_factory=dict)
    queued: dict[int, QueueItem] = field(default_factory=dict)
    #: The queued items whose quiet period is over, first come first.
    ready: dict[int, QueueItem] = field(default_factory=dict)
    folding: dict[Identity, QueueItem] = field(default_factory=dict)
    last_result: str | None = None
    #: The newest build of each result, and of any result: the permalinks read it.
    newest: dict[str, Build] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    #: The name of the branch, for a job inside a multibranch one.
    branch: str | None = None

    @property
    def shown_name(self) -> str:
        """Return the display name; a branch job shows its branch as written."""
        return self.display_name or self.branch or self.name

    @property
    def is_folder(self) -> bool:
        return self.kind in ("folder", "multibranch")

    @property
    def url(self) -> str:
        """Return the path below the root, with a slash at its end."""
        return "".join(f"job/{quoted(part)}/" for part in self.full_name.split("/"))


def quoted(segment: str) -> str:
    """Encode a path segment once, as Jenkins does."""
    from urllib.parse import quote

    return quote(segment, safe="~!$&'()*+,;=:@")
