"""The control verbs that a test, the demo or a bench calls on a GitHub stand-in, in process or over HTTP."""

from __future__ import annotations

from standins.github.access import Access
from standins.github.verbs_apps import AppVerbs
from standins.github.verbs_looking import LookingVerbs
from standins.github.verbs_pulls import PullVerbs
from standins.github.verbs_repos import RepoVerbs
from standins.github.verbs_trouble import TroubleVerbs
from standins.github.world import World
from standins.remote import over_http


class GitHubVerbs(RepoVerbs, PullVerbs, AppVerbs, LookingVerbs, TroubleVerbs):
    """The verbs. Arguments and results are JSON values; errors are ValueError, LookupError or ControlError."""

    def __init__(self, world: World, access: Access) -> None:
        self._w = world
        self._access = access


@over_http
class GitHubControl(GitHubVerbs):
    """The same verbs, called over HTTP on the stand-in at `url`. Raises ControlError with its reason."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
