"""The control verbs: what a test, the demo or a bench tells a Jenkins stand-in. Same in process and over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standins.jenkins.verbs_builds import BuildVerbs
from standins.jenkins.verbs_looking import LookingVerbs
from standins.jenkins.verbs_trouble import TroubleVerbs
from standins.remote import over_http

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller


class JenkinsVerbs(BuildVerbs, LookingVerbs, TroubleVerbs):
    """All arguments and results are JSON values. Raises ValueError, LookupError or ControlError with the reason."""

    def __init__(self, controller: Controller) -> None:
        self._c = controller


@over_http
class JenkinsControl(JenkinsVerbs):
    """The same verbs, called over HTTP on the stand-in at `url`. Raises ControlError with its reason."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def history(self, job: str | None = None) -> list[tuple[str, dict[str, Any], str | None]]:
        return [(row["job"], row["params"], row["result"]) for row in self.builds(job)]
