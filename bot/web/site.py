"""What the views share: the runtime of this process, and how the workers are woken up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import current_app
from redis import Redis

from bot.health.observing import Observer
from bot.runtime import PipelineContext, Runtime
from bot.web.problems import unknown
from config.configuration import Configuration
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that the views need. Nothing here connects before it is used."""

    runtime: Runtime
    #: Sends a wake-up for one pipeline to the workers; never raises.
    poke: Callable[[str], None]

    @property
    def settings(self) -> Settings:
        """The environment of this process."""
        return self.runtime.settings

    @property
    def configuration(self) -> Configuration:
        """The pipeline file."""
        return self.runtime.configuration

    @property
    def redis(self) -> Redis:
        """The store."""
        return self.runtime.redis

    @property
    def observer(self) -> Observer:
        """Judges the health of the installation."""
        return self.runtime.observer

    @property
    def pipelines(self) -> dict[str, PipelineContext]:
        """The configured pipelines by name."""
        return self.runtime.pipelines

    def pipeline(self, name: str) -> PipelineContext:
        """The pipeline called `name`. Raises Problem (404) with the names there are."""
        context = self.pipelines.get(name)
        if context is None:
            raise unknown("pipeline", name, self.pipelines)
        return context


def beyond(version: int) -> str:
    """What to read the stream of changes from, to learn of the versions after this one: ids begin with the version."""
    return f"{version}-{2**64 - 1}"


def site() -> Site:
    """The site of the application that answers the present request."""
    return cast(Site, current_app.extensions["interlock"])
