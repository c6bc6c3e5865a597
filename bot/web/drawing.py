"""The drawing of the board for the page: columns from left to right, the fast lane below them, banners above."""

from __future__ import annotations

from bot.core.model.board import Board
from bot.core.model.pipeline import Job, Mode, Pipeline, Stage, Step, Track
from bot.core.rules.fast_lane import fixes, has_passed
from bot.reporting import versions
from bot.reporting.estimates import add_estimates
from bot.reporting.freezes import closed, stages_locked
from bot.reporting.view import Shown, tile, view
from bot.statistics.statistics import Statistics
from bot.web.shapes import Shape
from config.configuration import Configuration

#: The most runs of each queue and of each stage that are drawn; the counts link to the others.
FOLDED = Shown(head=3, tail=1, inside=3)
#: With more stages than the first number, idle stages are drawn narrow; from the second number on, much narrower.
MANY, VERY_MANY = 4, 9
#: The units of width of a laptop's screen. A stage takes four, a queue four, an empty queue or a narrow stage less.
LAPTOP = 30
#: The most free slots that are drawn; the numbers show the rest.
FREE_DRAWN = 3
#: The most fixes on their way that a banner names.
FIXES = 4

_STATES = {
    "waiting": "waiting",
    "starting": "starting",
    "running": "running",
    "recalled": "called back",
    "ending": "leaving",
    "failed": "failed",
    "held": "waits for a maintainer",
}
_MODES = {
    Mode.PAUSE: ("Paused", "Interlock takes in merges and shows them, and triggers nothing."),
    Mode.OBSERVE: (
        "Observing",
        "Interlock decides and shows everything, and sends nothing to Jenkins, GitHub or people.",
    ),
}


def draw(
    board: Board, version: int, now: float, pipeline: Pipeline, links: Links, statistics: Statistics | None
) -> Shape:
    """Return everything that the board's template shows. `pipeline`: the configuration in force.

    Without `statistics` there are no estimates, because past ones are not recorded.
    """
    seen = view(board, version, now, FOLDED)
    if statistics is not None:
        add_estimates(seen, board, statistics, now)
    drawer = _Drawer(board, now, pipeline, links)
    columns = [drawer.column(shape) for shape in seen["stages"]]
    lane = [column for column in columns if column["fast"]]
    for column in lane:
        column["lane_first"], column["lane_last"] = column is lane[0], column is lane[-1]
    first = columns.index(lane[0]) if lane else 0
    for index, column in enumerate(columns):
        column["leaves"] = bool(lane) and index == max(0, first - 1)
        column["between"] = bool(lane) and not column["fast"] and first < index < columns.index(lane[-1])
        column["quiet"] = _is_quiet(column) and len(columns) > MANY and index > 0 and not column["leaves"]
    return {
        **{name: seen[name] for name in ("pipeline", "version", "at", "live", "revision")},
        "mode": drawer.mode(),
        "columns": columns,
        "crowd": _crowd(columns),
        "has_lane": bool(lane),
        "open_to": sorted({lock.service for lock in board.locks.values() if lock.service is not None}),
        "removed": [drawer.removed(shape) for shape in seen["removed"]],
        "verifying": seen["verifications"] and drawer.verifying(seen["verifications"]),
        "locked": stages_locked(board, board.pipeline),
        "banners": [drawer.banner(shape) for shape in seen["stages"] if shape["locks"]],
        "failed": sum(len(column["failed"]) for column in columns),
        "configured": bool(board.pipeline.stages),
    }


class _Drawer:
    """One drawing: the board, the time, and the links."""

    def __init__(self, board: Board, now: float, pipeline: Pipeline, links: Links) -> None:
        self.board = board
        self.now = now
        self.pipeline = pipeline
        self.links = links

    def mode(self) -> Shape | None:
        """Return the banner of a pipeline that does not act; None if it acts."""
        header = self.board.header
        if header.mode not in _MODES:
            return None
        name, meaning = _MODES[header.mode]
        return {"name": name, "meaning": meaning, "by": header.mode_by, "why": header.mode_why}

    def column(self, shape: Shape) -> Shape:
        """Return one stage with the queue before it and the fast lane's job below it."""
        stage = self.pipeline.stage(shape["name"]) or Stage(shape["name"], Job("", ""))
        real = self.step(shape, stage.job)
        fast = shape["fast"] and stage.fast_job and self.step(shape["fast"], stage.fast_job)
        return {
            **real,
            "name": shape["name"],
            "locks_itself": shape["policy"] == "lock",
            "locked": bool(shape["locks"]),
            "closed": closed(self.board.locks_of(shape["name"])) if shape["locks"] else "",
            "closes": shape["closes"]["sentence"] if shape["closes"] else "",
            "free_words": _free_words(shape["locks"]),
            "queued": real["queue"]["count"] > 0,
            "has_queue": stage.capacity is not None or real["queue"]["count"] > 0,
            "fast": fast or None,
            "rejoins": self.pipeline.index(shape["name"]) == self.pipeline.rejoins_at,
        }

    def step(self, shape: Shape, job: Job) -> Shape:
        """Return one job with the runs before it and inside; the run that waited longest is first in the queue."""
        inside, capacity = shape["inside"], shape["capacity"]
        taken = inside["count"] + len(shape["unmanaged"])
        free = 0 if capacity is None else max(0, capacity - taken)
        runs = [self.decorated(each) for each in inside["runs"]]
        failed = [self.decorated(each) for each in shape["failed"][: FOLDED.inside]]
        return {
            "job": {"name": job.name, "link": self.links.job(job)},
            "capacity": capacity,
            "taken": taken,
            "free": min(free, FREE_DRAWN),
            "queue": self.queue(shape["queue"]),
            "inside": runs,
            "inside_more": inside["count"] - len(runs),
            "failed": failed,
            "failed_more": len(shape["failed"]) - len(failed),
            "unmanaged": [{**each, "link": self.links.build(job, each["number"])} for each in shape["unmanaged"]],
            "backoff": shape["backoff"],
        }

    def queue(self, shape: Shape) -> Shape:
        """Return a queue folded to its head and its tail; `more` is the number of runs between them."""
        runs = [self.decorated(each) for each in shape["runs"]]
        tail = [self.decorated(each) for each in shape["tail"]]
        return {"count": shape["count"], "runs": runs, "tail": tail, "more": shape["count"] - len(runs) - len(tail)}

    def removed(self, shape: Shape) -> Shape:
        """Return a stage that is no longer configured and still has builds."""
        return {**shape, "runs": [self.decorated(each) for each in shape["runs"]]}

    def decorated(self, shape: Shape) -> Shape:
        """Return a tile with its links and the word for its state."""
        return {
            **shape,
            "state": _STATES[shape["status"]],
            "href": self.links.run(shape["run"]),
            "commit_link": self.links.commit(shape["service"], shape["sha"]),
            "pull_link": self.links.pull(shape["service"], shape["pull"]),
            "build_link": self.links.build_of(shape),
        }

    def verifying(self, shape: Shape) -> Shape:
        """Return the live verifications as short lines, because they are beside the pipeline, not in it."""
        job = self.pipeline.verify.job if self.pipeline.verify is not None else None
        rows = [
            {
                **row,
                "state": _STATES[row["status"]],
                "commit_link": self.links.commit(row["service"], row["sha"]),
                "pull_link": self.links.pull(row["service"], row["pull"]),
                "build_link": self.links.build(job, row["build"]) if job else None,
            }
            for row in shape["list"]
        ]
        all_of_them = shape["count"] + shape["held"]
        link = self.links.job(job) if job else None
        return {**shape, "rows": rows, "all": all_of_them, "more": all_of_them - len(rows), "link": link}

    def banner(self, shape: Shape) -> Shape:
        """Return the banner of a locked stage: each lock, and the fixes on their way."""
        services = list(dict.fromkeys(lock["service"] for lock in shape["locks"] if lock["service"]))
        locks = [self.lock(lock) for lock in shape["locks"]]
        coming = [run for service in services for run in fixes(self.board, service)]
        return {
            "stage": shape["name"],
            "closed": closed(self.board.locks_of(shape["name"])),
            "locks": locks,
            "fixes": [self.decorated(tile(self.board, run, self.now)) for run in coming[:FIXES]],
            "services": services,
            "waiting": shape["queue"]["count"],
        }

    def lock(self, shape: Shape) -> Shape:
        """Return one lock, with the number of services that have changed since the lock's service last passed."""
        changed = versions.changed_services(self.board, self.board.locks[shape["key"]])
        href = shape["run"] and self.links.run(shape["run"])
        log = self.links.log(self.board.job(Step(shape["stage"])), shape["build"])
        return {**shape, "href": href, "log": log, "changed": changed}


def _is_quiet(column: Shape) -> bool:
    """Return whether a stage is idle: no lock, and no waiting, running or failed run and no backoff on either lane."""
    steps = [column, column["fast"]] if column["fast"] else [column]
    return not column["locked"] and not any(_is_busy(step) for step in steps)


def _is_busy(step: Shape) -> bool:
    return bool(step["queue"]["count"] or step["taken"] or step["failed"] or step["backoff"])


def _crowd(columns: list[Shape]) -> str:
    """Return how the columns share the width: `many` and `very-many` narrow idle ones, `stacked` puts queues below."""
    if len(columns) <= MANY:
        return ""
    narrow = 1 if len(columns) >= VERY_MANY else 2
    units = sum(narrow if each["quiet"] else 4 + 4 * each["queued"] + (not each["queued"]) for each in columns)
    names = ["many"] + ["very-many"] * (narrow == 1) + ["stacked"] * (units > LAPTOP)
    return " ".join(names)


def _free_words(locks: list[Shape]) -> str:
    """Return the label of an empty slot of a real stage."""
    if not locks:
        return "free"
    return "free for the fix" if all(lock["automatic"] or lock["let_fixes_in"] for lock in locks) else "closed"


def steps_of(pipeline: Pipeline, run: Shape) -> list[Shape]:
    """Return the stages as a row of steps for one run: passed, the present one, or ahead."""
    steps = [Step(stage.name, track) for stage in pipeline.stages for track in (Track.REAL, Track.FAST)]
    passed = [step for step in steps if str(step) in run["passed"]]

    def state(stage: Stage) -> str:
        if has_passed(pipeline, passed, Step(stage.name)):
            return "passed"
        return "here" if stage.name == run["stage"] else "ahead"

    return [{"name": stage.name, "state": state(stage)} for stage in pipeline.stages]


class Links:
    """Addresses: runs on this page, commits and pull requests on GitHub, jobs and builds on Jenkins.

    They are built from the configuration and from checked names only, never from a field of a payload.
    """

    def __init__(self, configuration: Configuration, pipeline: Pipeline) -> None:
        self._configuration, self._pipeline = configuration, pipeline
        self._repositories = {s.name: s.repository for s in pipeline.services}

    def run(self, key: str) -> str:
        """Return the address of the run's page."""
        return f"/p/{self._pipeline.name}/runs/{key}"

    def commit(self, service: str, sha: str) -> str | None:
        """Return the commit's page on GitHub; None for a service that is not configured any more."""
        return self._github(service, f"commit/{sha}")

    def pull(self, service: str, number: int | None) -> str | None:
        """Return the pull request's page on GitHub, if there is one."""
        return None if number is None else self._github(service, f"pull/{number}")

    def compare(self, service: str, base: str, head: str) -> str | None:
        """Return GitHub's page of the commits in `head` that are not in `base` (GitHub docs: comparing commits)."""
        return self._github(service, f"compare/{base}...{head}")

    def job(self, job: Job) -> str | None:
        """Return the job's page on Jenkins; None for a controller that is not configured."""
        controller = self._configuration.controllers.get(job.controller)
        return None if controller is None else controller.job_url(job.name)

    def build(self, job: Job, number: int | None) -> str | None:
        """Return the build's page on Jenkins, if it has begun."""
        controller = self._configuration.controllers.get(job.controller)
        return None if controller is None or number is None else controller.build_url(job.name, number)

    def log(self, job: Job | None, number: int | None) -> str | None:
        """Return the build's log on Jenkins, if it has begun."""
        controller = self._configuration.controllers.get(job.controller) if job is not None else None
        return controller.log_url(job.name, number) if controller and job and number is not None else None

    def build_of(self, run: Shape) -> str | None:
        """Return the page of the build of a run (a tile, or an ended run); None without a build or its stage."""
        stage = self._pipeline.stage(run["stage"])
        job = stage and (stage.job if run["track"] == Track.REAL else stage.fast_job)
        return self.build(job, run["build"]) if job else None

    def _github(self, service: str, rest: str) -> str | None:
        repository = self._repositories.get(service)
        return None if repository is None else f"{self._configuration.github.web_url}/{repository}/{rest}"
