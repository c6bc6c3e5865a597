"""The properties of root, jobs, builds and queue items with their visibilities, as Jenkins exports them.

Sources: hudson/model/{Hudson,AbstractItem,Job,Run,Queue,ParametersAction,CauseAction}, workflow-job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from standins.jenkins.api_json import Bean, Export
from standins.jenkins.beans import (
    PERMALINKS,
    colour,
    common_actions,
    constants,
    estimate,
    estimate_of,
    full_display,
    permalink,
    plain,
    properties,
)
from standins.jenkins.model import Build, ItemState, Job, QueueItem
from standins.jenkins.outcomes import as_text

NEWEST_BUILDS = 100

_JOB_CLASS = {
    "pipeline": "org.jenkinsci.plugins.workflow.job.WorkflowJob",
    "freestyle": "hudson.model.FreeStyleProject",
    "folder": "com.cloudbees.hudson.plugins.folder.Folder",
    "multibranch": "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject",
}
_BUILD_CLASS = {
    "pipeline": "org.jenkinsci.plugins.workflow.job.WorkflowRun",
    "freestyle": "hudson.model.FreeStyleBuild",
}
_FREESTYLE: dict[str, Any] = {"downstreamProjects": [], "upstreamProjects": [], "labelExpression": None, "scm": {}}


class View:
    """The tables for one controller: its root address, its clock, its settings."""

    def __init__(
        self,
        root_url: Callable[[], str],
        now: Callable[[], float],
        late_actions: Callable[[], float],
        why: Callable[[QueueItem], str | None],
    ) -> None:
        self._root, self._now, self._late, self._why = root_url, now, late_actions, why
        self._build_table = self._build_exports()
        self._tables = {kind: self._job_exports(kind) for kind in _JOB_CLASS}
        self._item_table = self._item_exports()

    # -- builds -----------------------------------------------------------------------------------

    def build(self, build: Build) -> Bean:
        return Bean(_BUILD_CLASS[build.job.kind], self._build_table[build.job.kind], build)

    def _build_exports(self) -> dict[str, dict[str, Export]]:
        common: dict[str, Export] = {
            "actions": Export(1, self._build_actions),
            "artifacts": Export(1, lambda _: []),
            "building": Export(1, lambda b: b.building),
            "description": Export(1, lambda b: b.description),
            "displayName": Export(1, lambda b: b.display_name or f"#{b.number}"),
            "duration": Export(1, lambda b: b.duration_ms),
            "estimatedDuration": Export(1, estimate),
            "executor": Export(1, lambda b: Bean(None, {}, b) if b.in_progress else None),
            "fullDisplayName": Export(1, lambda b: f"{full_display(b.job)} {b.display_name or f'#{b.number}'}"),
            "id": Export(1, lambda b: str(b.number)),
            "inProgress": Export(1, lambda b: b.in_progress),
            "keepLog": Export(1, lambda b: b.keep_log),
            "number": Export(2, lambda b: b.number),
            "queueId": Export(1, lambda b: b.queue_id),
            "result": Export(1, lambda b: b.result),
            "timestamp": Export(1, lambda b: int(b.timestamp * 1000)),
            "url": Export(2, self.build_url),
        }
        tail = {
            "culprits": Export(1, lambda _: []),
            "nextBuild": Export(1, lambda b: self._build_or_none(b.job.builds.get(b.number + 1))),
            "previousBuild": Export(1, lambda b: self._build_or_none(b.job.builds.get(b.number - 1))),
        }
        changes = plain("hudson.scm.EmptyChangeLogSet", 2, items=[], kind=None)
        free = {"builtOn": Export(1, lambda _: ""), "changeSet": Export(1, lambda _: changes)}
        return {
            "pipeline": common | {"changeSets": Export(1, lambda _: [])} | tail,
            "freestyle": common | free | tail,
        }

    def _build_actions(self, build: Build) -> list[Bean]:
        if self._now() - build.timestamp < self._late():
            return []
        actions = common_actions(build)
        if build.interruptions:
            causes = [
                plain("jenkins.model.CauseOfInterruption$UserInterruption", 3, shortDescription=f"Aborted by {user}")
                for user in build.interruptions
            ]
            actions.append(plain("jenkins.model.InterruptedBuildAction", 2, causes=causes))
        if build.outcome.tests and not build.in_progress:
            failed = len(build.outcome.tests)
            actions.append(
                plain(
                    "hudson.tasks.junit.TestResultAction",
                    2,
                    failCount=failed,
                    skipCount=0,
                    totalCount=failed + 1,
                    urlName="testReport",
                )
            )
        return [*actions, Bean(None, {}, None)]

    def build_url(self, build: Build) -> str:
        return f"{self._root()}{build.job.url}{build.number}/"

    def _build_or_none(self, build: Build | None) -> Bean | None:
        return None if build is None else self.build(build)

    # -- jobs -------------------------------------------------------------------------------------

    def job(self, job: Job) -> Bean:
        return Bean(_JOB_CLASS[job.kind], self._tables[job.kind], job)

    def _job_exports(self, kind: str) -> Mapping[str, Export]:
        common: dict[str, Export] = {
            "actions": Export(1, lambda _: [Bean(None, {}, None)]),
            "description": Export(1, lambda j: j.description),
            "displayName": Export(1, lambda j: j.shown_name),
            "displayNameOrNull": Export(1, lambda j: j.display_name),
            "fullDisplayName": Export(1, full_display),
            "fullName": Export(1, lambda j: j.full_name),
            "name": Export(999, lambda j: j.name),
            "url": Export(999, lambda j: f"{self._root()}{j.url}"),
        }
        health: dict[str, Export] = {"healthReport": Export(1, lambda _: [])}
        if kind in ("folder", "multibranch"):
            folder = {
                "jobs": Export(3, lambda j: [self.job(inner) for inner in j.jobs.values()]),
                "primaryView": Export(1, lambda _: None),
                "views": Export(1, lambda _: []),
            }
            return common | health | folder
        own = self._own_job_exports() | {name: Export(1, get) for name, get in self._permalinks().items()}
        if kind == "freestyle":
            return common | health | own | constants(_FREESTYLE)
        return common | health | own | {"resumeBlocked": Export(1, lambda _: False)}

    def _own_job_exports(self) -> dict[str, Export]:
        return {
            "allBuilds": Export(-2, lambda j: [self.build(b) for b in reversed(list(j.builds.values()))]),
            "buildable": Export(1, lambda j: not j.disabled),
            "builds": Export(1, lambda j: [self.build(b) for b in islice(reversed(j.builds.values()), NEWEST_BUILDS)]),
            "color": Export(2, colour),
            "concurrentBuild": Export(1, lambda j: j.concurrent),
            "disabled": Export(1, lambda j: j.disabled),
            "inQueue": Export(1, lambda j: bool(j.queued)),
            "keepDependencies": Export(1, lambda _: False),
            "nextBuildNumber": Export(1, lambda j: j.next_number),
            "property": Export(1, properties),
            "queueItem": Export(1, lambda j: self.item(next(iter(j.queued.values()))) if j.queued else None),
        }

    def _permalinks(self) -> dict[str, Callable[[Job], Bean | None]]:
        def link(name: str) -> Callable[[Job], Bean | None]:
            return lambda job: self._build_or_none(permalink(job, name))

        return {name: link(name) for name in ("firstBuild", *PERMALINKS)}

    # -- queue ------------------------------------------------------------------------------------

    def item(self, item: QueueItem) -> Bean:
        return Bean(f"hudson.model.Queue${item.state.value}", self._item_table[item.state], item)

    def _item_exports(self) -> dict[ItemState, dict[str, Export]]:
        common: dict[str, Export] = {
            "actions": Export(999, common_actions),
            "blocked": Export(999, lambda i: i.state is ItemState.BLOCKED),
            "buildable": Export(999, lambda i: i.state is ItemState.BUILDABLE),
            "id": Export(999, lambda i: i.id),
            "inQueueSince": Export(999, lambda i: int(i.since * 1000)),
            "params": Export(999, lambda i: "".join(f"\n{v.name}={as_text(v.value)}" for v in i.values)),
            "stuck": Export(999, self._stuck),
            "task": Export(2, lambda i: self.job(i.job)),
            "url": Export(999, lambda i: f"queue/item/{i.id}/"),
            "why": Export(999, self._why),
        }
        since = {"buildableStartMilliseconds": Export(999, lambda i: int(i.buildable_since * 1000))}
        return {
            ItemState.WAITING: common | {"timestamp": Export(999, lambda i: int(i.due * 1000))},
            ItemState.BLOCKED: common | since,
            ItemState.BUILDABLE: common | since | {"pending": Export(999, lambda _: False)},
            ItemState.LEFT: common
            | {
                "cancelled": Export(999, lambda i: i.cancelled),
                "executable": Export(2, lambda i: self._build_or_none(i.build)),
            },
        }

    def _stuck(self, item: QueueItem) -> bool:
        """Return whether it was ready for 10 times its builds' duration (unknown: a day). Source: BuildableItem."""
        if item.state is not ItemState.BUILDABLE:
            return False
        waited, expected = self._now() - item.buildable_since, estimate_of(item.job)
        return waited > (max(expected / 1000, 60.0) * 10 if expected >= 0 else 86400.0)

    def queue(self, items: list[QueueItem], others: list[Bean]) -> Bean:
        """Return the queue page: the next item to build is last."""
        table = {
            "discoverableItems": Export(1, lambda _: []),
            "items": Export(1, lambda s: [*others, *(self.item(item) for item in s)], inline=True),
        }
        return Bean("hudson.model.Queue", table, items)
