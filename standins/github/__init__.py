"""GitHub's REST API and its webhooks, for one or many repositories."""

from standins.github.control import GitHubControl, GitHubVerbs
from standins.github.server import GitHubStandIn

__all__ = ["GitHubControl", "GitHubStandIn", "GitHubVerbs"]
