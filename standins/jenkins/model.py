"""What a controller holds: jobs, parameters, queue items, builds. Values and their states, no behaviour."""

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
    """Jenkins answers a request with this status and text."""

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
#: What folding compares: the set of name, value and type. Source: hudson/model/ParametersAction#shouldSchedule.
Identity = frozenset[ParameterValue]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something was queued. `kind`: UserIdCause, RemoteCause or UpstreamCause."""

    kind: str
    description: str
    details: tuple[tuple[str, str | int | None], ...] = ()


@dataclass(slots=True)
class Endpoint:
    """One endpoint of the notification plugin on one job. `timeout` in seconds; `retries` as the plugin counts."""

    url: str  # empty: only the credential knows
    event: str = "all"
    timeout: float = 30.0
    retries: int = 0
    phases: tuple[str, ...] = ()
    #: The id of the secret text that holds `url`, if the job names that in place of the address.
    credential: str = ""
    #: What the branch of a multibranch job must match; anything but `.*`, and none at all, keeps other jobs quiet.
    branch: str | None = ".*"
    #: How many lines of the build's log are sent, the last ones; -1: all of it.
    log_lines: int = 0
    #: Of an endpoint made by the form or by Job Builder: always there, though empty.
    notes: str | None = ""


@dataclass(slots=True)
class Outcome:
    """How a build goes: what it ends as and when, and how it takes being stopped."""

    result: str = "SUCCESS"
    duration: float = 0.1
    tests: tuple[str, ...] = ()
    #: The stages that a Pipeline shows; none: three of our own.
    stages: tuple[str, ...] = ()
    #: The stage that fails, and what the step in it says.
    failing_step: str = ""
    error: str = "script returned exit code 1"
    #: A result that shows while the build still runs (Pipelines only).
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
    #: How much of that came after the quiet period.
    ready_for: float = 0.0
    state: BuildState = BuildState.STARTING
    result: str | None = None
    duration_ms: int = 0
    display_name: str = ""
    description: str | None = None
    keep_log: bool = False
    #: A newer build of the job took its place, or somebody killed it.
    superseded: bool = False
    killed: bool = False
    #: Who interrupted the build, in order, each once.
    interruptions: list[str] = field(default_factory=list)
    #: A FreeStyle build was stopped, a term was asked: seconds since 1970, 0 if not.
    stop_asked: float = 0.0
    term_asked: float = 0.0
    #: What ends the build once the start callbacks are out: (result, by outcome) asked meanwhile.
    pending_end: str | None = None
    log: list[str] = field(default_factory=list)
    timer: Timer | None = None
    #: Its completion came while nobody listens (a crash): no callbacks.
    silent: bool = False
    #: It asks whether it is still waited for; it was told that it is not, and did nothing.
    asking: bool = False
    turned_away: bool = False
    #: It asked, and was told to go on.
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
    #: What a Jenkinsfile declares: Jenkins knows of it after the first build.
    late_parameters: tuple[ParameterDefinition, ...] = ()
    #: A queue decision handler turns every trigger away.
    refuses_queue: bool = False
    #: What its builds ask before they do anything, see `questions`.
    asks: Question | None = None
    #: Seconds; None takes the controller's.
    quiet_period: float | None = None
    concurrent: bool = True
    abort_previous: bool = False
    disabled: bool = False
    outcome: Outcome = field(default_factory=Outcome)
    endpoints: list[Endpoint] = field(default_factory=list)
    #: Who may do what here, in place of the user's general permissions.
    permissions: dict[str, frozenset[str]] = field(default_factory=dict)
    token: str | None = None
    held: bool = False
    #: The description the configuration declares: a re-run of Job DSL sets it again.
    declared_description: str | None = None
    next_number: int = 1
    builds: dict[int, Build] = field(default_factory=dict)
    running: dict[int, Build] = field(default_factory=dict)
    queued: dict[int, QueueItem] = field(default_factory=dict)
    #: Those of them whose quiet period is over, first come first.
    ready: dict[int, QueueItem] = field(default_factory=dict)
    folding: dict[Identity, QueueItem] = field(default_factory=dict)
    last_result: str | None = None
    #: The newest build of each result, and of any: permalinks without a search.
    newest: dict[str, Build] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    #: The name of the branch, for a job inside a multibranch one.
    branch: str | None = None

    @property
    def shown_name(self) -> str:
        """The display name; a branch job shows its branch as it is written."""
        return self.display_name or self.branch or self.name

    @property
    def is_folder(self) -> bool:
        return self.kind in ("folder", "multibranch")

    @property
    def url(self) -> str:
        """The path below the root, with a slash at its end."""
        return "".join(f"job/{quoted(part)}/" for part in self.full_name.split("/"))


def quoted(segment: str) -> str:
    """A path segment encoded once, the way Jenkins writes it."""
    from urllib.parse import quote

    return quote(segment, safe="~!$&'()*+,;=:@")
