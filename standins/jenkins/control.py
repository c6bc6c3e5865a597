"""The control verbs that a test, the demo or a bench calls on a Jenkins stand-in, in process or over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standins.jenkins.verbs_builds import BuildVerbs
from standins.jenkins.verbs_looking import LookingVerbs
from standins.jenkins.verbs_trouble import TroubleVerbs
from standins.remote import over_http

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller


class JenkinsVerbs(BuildVerbs, LookingVerbs, TroubleVerbs):
    """The verbs. Arguments and results are JSON values; errors are ValueError, LookupError or ControlError."""

    def __init__(self, controller: Controller) -> None:
        self._c = controller


@over_http
class JenkinsControl(JenkinsVerbs):
    """The same verbs, called over HTTP on the stand-in at `url`. Raises ControlError with its reason."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def history(self, job: str | None = None) -> list[tuple[str, dict[str, Any], str | None]]:
        return [(row["job"], row["params"], row["result"]) for row in self.builds(job)]
