"""Pipelines that run but wait for an agent; Jenkins shows each as a queue item.

Source: workflow-durable-task-step, ExecutorStepExecution. The class name was not checked in the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standins.jenkins.api_json import Bean
from standins.jenkins.beans import plain
from standins.jenkins.model import Build

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

PLACEHOLDER = "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask"


class Agents:
    """The wait for offline agents: Pipelines start (they need no executor), then wait. Call under the lock."""

    def __init__(self, controller: Controller) -> None:
        self._c = controller
        self._waiting: dict[int, Build] = {}

    def must_wait(self, build: Build) -> bool:
        """Return whether the build's work has to wait; if so, `back` continues it."""
        if not self._c.settings.agents_offline or build.job.kind != "pipeline":
            return False
        self._waiting[self._c.queue.next_id()] = build
        build.log.append("Still waiting to schedule task")
        return True

    def back(self) -> None:
        """Continue the waiting builds: the agents are online again."""
        waiting, self._waiting = self._waiting, {}
        for build in waiting.values():
            self._c.builds.proceed(build)

    def queue_items(self, root_url: str) -> list[Bean]:
        """Return the items that /queue/api/json lists besides the jobs' own."""
        return [
            plain(
                "hudson.model.Queue$BuildableItem",
                999,
                actions=[],
                blocked=False,
                buildable=True,
                id=number,
                inQueueSince=int(build.timestamp * 1000),
                params="",
                pending=False,
                stuck=True,
                task=plain(
                    PLACEHOLDER,
                    999,
                    name=f"part of {build.job.full_name} #{build.number}",
                    url=f"{root_url}{build.job.url}",
                ),
                url=f"queue/item/{number}/",
                why="There are no nodes online",
            )
            for number, build in self._waiting.items()
            if build.building
        ]
