"""Where things are elsewhere: commits and pull requests on GitHub, jobs and builds on Jenkins."""

from __future__ import annotations

from urllib.parse import quote

from bot.core.model.pipeline import Job, Pipeline
from config.configuration import Configuration


class Links:
    """Addresses, built from what is configured and from checked names only; never from a field of a payload."""

    def __init__(self, configuration: Configuration, pipeline: Pipeline) -> None:
        self._configuration = configuration
        self._repositories = {s.name: s.repository for s in pipeline.services}

    def commit(self, service: str, sha: str) -> str | None:
        """The commit's page on GitHub; None for a service that is not configured any more."""
        return self._github(service, f"commit/{sha}")

    def pull(self, service: str, number: int | None) -> str | None:
        """The pull request's page on GitHub, if there is one."""
        return None if number is None else self._github(service, f"pull/{number}")

    def job(self, job: Job) -> str | None:
        """The job's page on Jenkins; None for a controller that is not configured."""
        controller = self._configuration.controllers.get(job.controller)
        if controller is None:
            return None
        path = "/".join(f"job/{quote(part, safe='')}" for part in job.name.split("/"))
        return f"{controller.url}/{path}/"

    def build(self, job: Job, number: int | None) -> str | None:
        """The build's page on Jenkins, if it has begun."""
        page = self.job(job)
        return None if page is None or number is None else f"{page}{number}/"

    def _github(self, service: str, rest: str) -> str | None:
        repository = self._repositories.get(service)
        return None if repository is None else f"{self._configuration.github.web_url}/{repository}/{rest}"
