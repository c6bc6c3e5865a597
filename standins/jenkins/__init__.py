"""A Jenkins controller as its HTTP API shows it; several controllers are several instances."""

from standins.jenkins.control import JenkinsControl, JenkinsVerbs
from standins.jenkins.server import JenkinsStandIn

__all__ = ["JenkinsControl", "JenkinsStandIn", "JenkinsVerbs"]
